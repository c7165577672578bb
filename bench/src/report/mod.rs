//! The figures as a file, and as the tables of the documentation.
//!
//! A table stands in a document between `<!-- figures: NAME -->` and `<!-- /figures -->`; what is between is written
//! anew from the file, so that no number in the documentation is copied by hand. [`targets`] are the promises that
//! figures are held against, [`tables`] everything else. A target that is missed is said, never an error: machines
//! differ.

mod tables;
mod targets;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

/// Document that holds the tables.
const DOCUMENT: &str = "docs/PERFORMANCE.md";
const BEGIN: &str = "<!-- figures: ";
const END: &str = "<!-- /figures -->";

/// What was measured, and where.
pub struct Document(Value);

/// One quantity: its middle, its spread, and every measurement in order.
#[derive(Debug, Clone)]
pub struct Measured {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub runs: Vec<f64>,
}

impl Document {
    /// Of one run of everything.
    pub fn new(machine: Value, measured: Map<String, Value>) -> Self {
        Self(json!({ "machine": machine, "measured": measured }))
    }

    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read {}; `make bench` writes it", path.display()))?;
        let value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Self(value))
    }

    /// From a file, if there is one.
    pub fn read_or_empty(path: &Path) -> Result<Self> {
        if path.exists() {
            Self::read(path)
        } else {
            Ok(Self::new(Value::Null, Map::new()))
        }
    }

    /// With some sections measured anew.
    pub fn with(mut self, machine: Value, measured: Map<String, Value>) -> Self {
        let mut all = self.0["measured"].take();
        if let Some(all) = all.as_object_mut() {
            all.extend(measured);
        }
        Self(json!({ "machine": machine, "measured": all }))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&self.0)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// The targets, for whoever waits at a terminal.
    pub fn summary(&self) -> String {
        targets::table(self)
    }

    /// Writes every table of the documentation anew.
    pub fn write_tables(&self, repository: &Path) -> Result<()> {
        let path = repository.join(DOCUMENT);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let fresh = filled(&text, |table| self.table(table)).context(DOCUMENT)?;
        if fresh != text {
            fs::write(&path, fresh).with_context(|| path.display().to_string())?;
            println!("written: {DOCUMENT}");
        }
        Ok(())
    }

    fn table(&self, name: &str) -> Result<String> {
        Ok(match name {
            "targets" => targets::table(self),
            "machine" => tables::machine(self),
            "stages" => tables::stages(self),
            "slicing" => tables::slicing(self),
            "write-backs" => tables::write_backs(self),
            "fleet" => tables::fleets(self),
            unknown => bail!("there is no table `{unknown}`"),
        })
    }

    /// A quantity, if it was measured.
    pub fn get(&self, section: &str, quantity: &str) -> Option<Measured> {
        let value = &self.0["measured"][section][quantity];
        Some(Measured {
            median: value["median"].as_f64()?,
            low: value["low"].as_f64()?,
            high: value["high"].as_f64()?,
            runs: value["runs"]
                .as_array()?
                .iter()
                .map(|run| run.as_f64().unwrap_or(f64::NAN))
                .collect(),
        })
    }

    fn words(&self, section: &str, name: &str) -> Vec<&str> {
        let words = self.0["measured"][section][name]["words"].as_array();
        words.map_or_else(Vec::new, |words| {
            words.iter().filter_map(Value::as_str).collect()
        })
    }

    fn titles(&self) -> impl Iterator<Item = &str> {
        let sections = self.0["measured"].as_object();
        sections
            .into_iter()
            .flat_map(|sections| sections.keys().map(String::as_str))
    }

    fn machine(&self) -> &Value {
        &self.0["machine"]
    }
}

/// The text with its marked tables made by `table`.
fn filled(text: &str, table: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let (before, marked) = rest.split_at(start);
        let name_end = marked
            .find(" -->")
            .context("a mark `<!-- figures: ` has no end")?;
        let name = &marked[BEGIN.len()..name_end];
        let end = marked
            .find(END)
            .with_context(|| format!("`{END}` is missing after the mark of `{name}`"))?;
        out += before;
        out += &format!("{BEGIN}{name} -->\n{}{END}", table(name)?);
        rest = &marked[end + END.len()..];
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_marked_is_written_anew() {
        let text = "a\n<!-- figures: x -->\nold\n<!-- /figures -->\nb <!-- figures: y --><!-- /figures -->";
        let fresh = filled(text, |name| Ok(format!("new {name}\n"))).expect("marks are whole");
        assert_eq!(
            fresh,
            "a\n<!-- figures: x -->\nnew x\n<!-- /figures -->\nb <!-- figures: y -->\nnew y\n<!-- /figures -->"
        );
        let again = filled(&fresh, |name| Ok(format!("new {name}\n"))).expect("marks are whole");
        assert_eq!(again, fresh);
        assert!(filled("<!-- figures: x --> no end", |_| Ok(String::new())).is_err());
    }

    #[test]
    fn sections_that_were_not_measured_again_stay() {
        let section = |median: f64| json!({ "rows/s": { "median": median, "low": median, "high": median, "runs": [median] } });
        let map = |name: &str, median| Map::from_iter([(name.to_owned(), section(median))]);
        let document = Document::new(Value::Null, map("a", 1.0))
            .with(json!({ "cores": 2 }), map("b", 2.0))
            .with(json!({ "cores": 2 }), map("b", 3.0));
        assert_eq!(
            document.get("a", "rows/s").map(|found| found.median),
            Some(1.0)
        );
        assert_eq!(
            document.get("b", "rows/s").map(|found| found.median),
            Some(3.0)
        );
        assert!(document.get("c", "rows/s").is_none());
    }
}
