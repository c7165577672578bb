//! Types of ClickHouse columns, as far as they matter for reading.

/// A column type, unwrapped of what does not change how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// As ClickHouse writes it.
    pub full: String,
    /// Without `LowCardinality` and `Nullable`.
    pub bare: String,
    /// Whether it takes NULL.
    pub nullable: bool,
}

impl ColumnType {
    /// Parses what `system.columns` says.
    pub fn parse(full: &str) -> Self {
        let mut bare = full.trim();
        let mut nullable = false;
        while let Some((wrapper, inner)) = ["LowCardinality", "Nullable"]
            .into_iter()
            .find_map(|wrapper| Some((wrapper, unwrap(bare, wrapper)?)))
        {
            nullable |= wrapper == "Nullable";
            bare = inner;
        }
        Self {
            full: full.trim().to_owned(),
            bare: bare.to_owned(),
            nullable,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        ["Int", "UInt", "Float", "Decimal", "BFloat16"]
            .iter()
            .any(|start| self.bare.starts_with(start))
    }

    pub(super) fn is_unsigned(&self) -> bool {
        ["UInt8", "UInt16", "UInt32", "UInt64"].contains(&self.bare.as_str())
    }

    pub(super) fn is_text(&self) -> bool {
        self.bare == "String"
    }

    pub(super) fn is_time(&self) -> bool {
        self.bare.starts_with("DateTime")
    }

    /// Whether a curve can be read from such a column.
    pub(super) fn holds_curve(&self) -> bool {
        match self.array_item() {
            Some(item) => item.is_number() || item.is_text(),
            None => self.is_text(),
        }
    }

    pub(super) fn array_item(&self) -> Option<ColumnType> {
        unwrap(&self.bare, "Array").map(Self::parse)
    }
}

pub(super) fn unwrap<'a>(text: &'a str, wrapper: &str) -> Option<&'a str> {
    text.strip_prefix(wrapper)?
        .strip_prefix('(')?
        .strip_suffix(')')
}
