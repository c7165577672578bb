//! Which other files an ONNX model keeps its weights in.
//!
//! ONNX Runtime looks for them in the folder that a model was loaded from. Ours are loaded from memory and have none,
//! so that their weights are handed over as memory too, under the names that the model uses. Only as much of the format
//! is read as that takes; the numbers are those of `onnx.proto`.

use std::{
    collections::BTreeSet,
    path::{Component, Path},
};

use anyhow::{Context, bail, ensure};

/// Graphs within graphs, at most.
const DEEPEST: usize = 32;
/// `TensorProto.data_location` of a tensor that is in another file.
const EXTERNAL: u64 = 1;

/// Names of the files, relative to the model's folder.
///
/// # Errors
/// If the bytes are no ONNX model, or a file cannot be handed over as memory.
pub fn files(model: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for field in Fields(model) {
        match field? {
            (7, Value::Bytes(graph)) => self::graph(graph, true, DEEPEST, &mut names)?,
            (25, Value::Bytes(function)) => self::function(function, &mut names)?,
            _ => {}
        }
    }
    Ok(names)
}

fn graph(
    bytes: &[u8],
    main: bool,
    deeper: usize,
    names: &mut BTreeSet<String>,
) -> anyhow::Result<()> {
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(node)) => self::node(node, deeper, names)?,
            (5, Value::Bytes(initializer)) => tensor(initializer, main, names)?,
            (15, Value::Bytes(initializer)) => sparse_tensor(initializer, names)?,
            _ => {}
        }
    }
    Ok(())
}

fn function(bytes: &[u8], names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for field in Fields(bytes) {
        match field? {
            (7, Value::Bytes(node)) => self::node(node, DEEPEST, names)?,
            (11, Value::Bytes(default)) => attribute(default, DEEPEST, names)?,
            _ => {}
        }
    }
    Ok(())
}

fn node(bytes: &[u8], deeper: usize, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for field in Fields(bytes) {
        if let (5, Value::Bytes(bytes)) = field? {
            attribute(bytes, deeper, names)?;
        }
    }
    Ok(())
}

fn attribute(bytes: &[u8], deeper: usize, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    ensure!(deeper > 0, "graphs are nested deeper than {DEEPEST}");
    for field in Fields(bytes) {
        match field? {
            (5 | 10, Value::Bytes(bytes)) => tensor(bytes, false, names)?,
            (6 | 11, Value::Bytes(bytes)) => graph(bytes, false, deeper - 1, names)?,
            (22 | 23, Value::Bytes(bytes)) => sparse_tensor(bytes, names)?,
            _ => {}
        }
    }
    Ok(())
}

fn sparse_tensor(bytes: &[u8], names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for field in Fields(bytes) {
        if let (1 | 2, Value::Bytes(bytes)) = field? {
            tensor(bytes, false, names)?;
        }
    }
    Ok(())
}

/// `initializer`: whether it is one of the main graph, the only ones that are taken from memory.
fn tensor(bytes: &[u8], initializer: bool, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let (mut elsewhere, mut location) = (false, None);
    for field in Fields(bytes) {
        match field? {
            (13, Value::Bytes(entry)) => location = location_of(entry)?.or(location),
            (14, Value::Number(number)) => elsewhere = number == EXTERNAL,
            _ => {}
        }
    }
    if !elsewhere {
        return Ok(());
    }
    let name = location.context("a tensor is in another file that it does not name")?;
    ensure!(
        initializer,
        "weights within a node or a graph within the graph are in the other file `{name}`; \
         save the model as one file"
    );
    ensure!(
        is_beside(&name),
        "weights are in `{name}`, which is not in the model's folder; put the file beside the model, or save the model \
         as one file"
    );
    names.insert(name);
    Ok(())
}

/// The value of an entry whose key is `location`.
fn location_of(entry: &[u8]) -> anyhow::Result<Option<String>> {
    let (mut is_location, mut text) = (false, None);
    for field in Fields(entry) {
        match field? {
            (1, Value::Bytes(key)) => is_location = key == b"location",
            (2, Value::Bytes(value)) => text = Some(value),
            _ => {}
        }
    }
    match text.filter(|_| is_location) {
        None => Ok(None),
        Some(text) => {
            let text = std::str::from_utf8(text).context("a file's name is not UTF-8")?;
            Ok(Some(text.to_owned()))
        }
    }
}

fn is_beside(name: &str) -> bool {
    let mut steps = Path::new(name).components();
    !name.is_empty() && steps.all(|step| matches!(step, Component::Normal(_) | Component::CurDir))
}

/// What is left of a message.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Number and value of each field; not to be asked again after an error.
impl<'a> Iterator for Fields<'a> {
    type Item = anyhow::Result<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.field())
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> anyhow::Result<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => bail!("the file must be an ONNX model"),
        };
        Ok((tag >> 3, value))
    }

    fn varint(&mut self) -> anyhow::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        bail!("the file must be an ONNX model")
    }

    fn take(&mut self, length: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .context("the file must be an ONNX model; it may be cut off")?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A field that holds bytes.
    pub fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = varint(number << 3 | 2);
        out.extend(varint(bytes.len() as u64));
        out.extend(bytes);
        out
    }

    /// A field that holds a number.
    pub fn number(number: u64, value: u64) -> Vec<u8> {
        [varint(number << 3), varint(value)].concat()
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while value > 0x7f {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    fn elsewhere(location: &str) -> Vec<u8> {
        let entry = |key: &str, value: &str| {
            let entry = [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
            field(13, &entry)
        };
        [
            entry("offset", "4"),
            entry("location", location),
            entry("length", "8"),
            number(14, 1),
        ]
        .concat()
    }

    fn refusal(model: &[u8]) -> String {
        files(model).unwrap_err().to_string()
    }

    #[test]
    fn files_of_weights_are_found_wherever_the_graph_has_them() {
        let inside = field(5, &[field(9, &[0; 8]), number(14, 0)].concat());
        let graph =
            |inner: &[Vec<u8>]| field(7, &[std::slice::from_ref(&inside), inner].concat().concat());
        assert!(files(&graph(&[])).unwrap().is_empty());
        let initializers = [
            field(5, &elsewhere("b.data")),
            field(5, &elsewhere("w/a.bin")),
        ];
        let found: Vec<_> = files(&graph(&initializers)).unwrap().into_iter().collect();
        assert_eq!(found, ["b.data", "w/a.bin"]);

        let of_node = field(1, &field(5, &field(5, &elsewhere("c"))));
        let of_graph_within = field(1, &field(5, &field(6, &field(5, &elsewhere("c")))));
        let sparse = field(15, &field(1, &elsewhere("c")));
        for piece in [of_node.clone(), of_graph_within, sparse] {
            let refusal = refusal(&graph(&[piece]));
            assert!(
                refusal.contains("`c`; save the model as one file"),
                "{refusal}"
            );
        }
        let of_function = field(25, &field(7, &field(5, &field(5, &elsewhere("c")))));
        assert!(refusal(&of_function).contains("`c`"));
        for outside in ["../a", "/etc/passwd", ""] {
            let refusal = refusal(&graph(&[field(5, &elsewhere(outside))]));
            assert!(
                refusal.contains(&format!("`{outside}`, which is not in")),
                "{refusal}"
            );
        }
    }

    #[test]
    fn what_is_no_model_is_refused_and_never_panics() {
        assert!(refusal(b"this is no model").contains("must be an ONNX model"));
        let model = field(7, &field(5, &elsewhere("a")));
        for length in 1..model.len() {
            // Cut anywhere, it is refused or, between two fields, a shorter message.
            let _ = files(&model[..length]);
        }
        let mut deep = Vec::new();
        for _ in 0..DEEPEST + 1 {
            deep = field(1, &field(5, &field(6, &deep)));
        }
        assert!(refusal(&field(7, &deep)).contains("nested deeper"));
    }
}
