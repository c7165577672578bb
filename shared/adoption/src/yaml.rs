//! YAML whose scalars stay the text that was written: a password `0123` is not a number.

use std::{collections::BTreeMap, fmt};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::AdoptError;

/// Most nodes, aliases written out: a file that has more is no configuration.
const MOST_NODES: usize = 100_000;
/// Deepest nesting.
const DEEPEST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A scalar as it was written, or nothing where it is null.
    Scalar(Option<String>),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(String, Node)>),
}

impl Node {
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => text.as_deref(),
            _ => None,
        }
    }

    /// Every text in it.
    pub fn scalars(&self) -> Vec<&str> {
        match self {
            Self::Scalar(text) => text.as_deref().into_iter().collect(),
            Self::List(items) => items.iter().flat_map(Self::scalars).collect(),
            Self::Map(pairs) => pairs.iter().flat_map(|(_, node)| node.scalars()).collect(),
        }
    }

    fn size(&self) -> usize {
        1 + match self {
            Self::Scalar(_) => 0,
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        }
    }
}

/// In one line.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(text) => f.write_str(text.as_deref().unwrap_or("null")),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Map(pairs) => {
                let pairs = pairs.iter().map(|(key, node)| format!("{key}: {node}"));
                write!(f, "{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Reads one document.
///
/// # Errors
/// [`AdoptError::Syntax`], also for a key that stands twice in one mapping.
pub fn read(text: &str) -> Result<Node, AdoptError> {
    let mut reader = Reader {
        events: Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)),
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => return Ok(document.unwrap_or(Node::Scalar(None))),
            _ if document.is_some() => {
                return Err(wrong(span, "a second document begins; give one"));
            }
            event => document = Some(reader.node(event, span, 0)?),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), AdoptError> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(AdoptError::Syntax {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                problem: error.info().to_owned(),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, AdoptError> {
        if depth > DEEPEST {
            return Err(wrong(span, "nested too deeply"));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null = style == ScalarStyle::Plain
                    && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let text = (!is_null).then(|| text.into_owned());
                (anchor, Node::Scalar(text))
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => {
                let named = self.anchors.get(&anchor).cloned();
                (0, named.ok_or_else(|| wrong(span, "an alias of itself"))?)
            }
            _ => return Err(wrong(span, "a value is missing")),
        };
        self.nodes += if matches!(node, Node::Scalar(_)) {
            1
        } else {
            node.size()
        };
        if self.nodes > MOST_NODES {
            return Err(wrong(span, "too many values for a configuration"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node, AdoptError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Node::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, AdoptError> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let Node::Scalar(key) = self.node(event, span, depth + 1)? else {
                return Err(wrong(span, "a key that is a list or a mapping"));
            };
            let key = key.unwrap_or_default();
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            if key == "<<" {
                merged.push(value);
            } else if entries.iter().any(|(known, _)| *known == key) {
                // A key's name is no secret.
                return Err(wrong(
                    span,
                    &format!("the key `{key}` stands twice here; keep one"),
                ));
            } else {
                entries.push((key, value));
            }
        }
        // `<<: *defaults` gives what the mapping itself does not say.
        for node in merged {
            let maps = match node {
                Node::List(maps) => maps,
                map => vec![map],
            };
            for map in maps {
                let Node::Map(defaults) = map else { continue };
                for (key, value) in defaults {
                    if !entries.iter().any(|(known, _)| *known == key) {
                        entries.push((key, value));
                    }
                }
            }
        }
        Ok(Node::Map(entries))
    }
}

fn wrong(span: Span, problem: &str) -> AdoptError {
    AdoptError::Syntax {
        line: span.start.line(),
        column: span.start.col() + 1,
        problem: problem.to_owned(),
    }
}
