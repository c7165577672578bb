//! The old configuration's map of columns, whatever its form.

use super::{Old, OldConfig};
use crate::yaml::Node;

#[derive(Debug)]
pub struct OldColumns {
    pub path: String,
    pub columns: Vec<MappedColumn>,
    /// Paths of what names no column.
    pub unused: Vec<String>,
}

/// A column that the old service knew by a name of its own.
#[derive(Debug)]
pub struct MappedColumn {
    /// The whole path.
    pub path: String,
    /// Its last key.
    pub key: String,
    /// The column's name.
    pub theirs: String,
}

/// Under which keys an entry with more to say has the column's name.
const NAMES: [&str; 3] = ["name", "column", "field"];

impl OldColumns {
    fn read(&mut self, above: &str, pairs: &[(String, Node)]) {
        for (key, node) in pairs {
            let path = format!("{above}.{key}");
            let name = match node {
                Node::Scalar(name) => name.as_deref(),
                Node::List(items) => match items.as_slice() {
                    [item] => item.scalar(),
                    _ => None,
                },
                Node::Map(inner) => {
                    let named = |name: &&str| {
                        let mut named = inner.iter().filter(|(key, _)| key == name);
                        named.find_map(|(_, node)| node.scalar())
                    };
                    let Some(name) = NAMES.iter().find_map(named) else {
                        // A group of columns.
                        self.read(&path, inner);
                        continue;
                    };
                    Some(name)
                }
            };
            match name.map(str::trim).filter(|name| !name.is_empty()) {
                Some(name) => self.columns.push(MappedColumn {
                    path,
                    key: key.clone(),
                    theirs: name.to_owned(),
                }),
                None => self.drop(&path),
            }
        }
    }

    fn drop(&mut self, path: &str) {
        if !self.unused.iter().any(|known| known == path) {
            self.unused.push(path.to_owned());
        }
    }
}

impl OldConfig {
    /// Whose column is whose.
    pub fn column_map(&self) -> Option<OldColumns> {
        let entry = self.entry(Old::ColumnMap)?;
        let mut columns = OldColumns {
            path: entry.path.clone(),
            columns: Vec::new(),
            unused: Vec::new(),
        };
        match &entry.value {
            Node::Map(pairs) => columns.read(&entry.path, pairs),
            Node::List(items) => {
                for item in items {
                    match item {
                        Node::Map(pairs) if pairs.len() == 1 => columns.read(&entry.path, pairs),
                        _ => columns.drop(&entry.path),
                    }
                }
            }
            Node::Scalar(_) => columns.drop(&entry.path),
        }
        Some(columns)
    }
}
