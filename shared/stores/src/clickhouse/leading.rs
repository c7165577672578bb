//! The column that leads a table's sorting key: what lies between two of its values is found by the primary key.

use std::cmp::Ordering;

use super::{
    column_type::ColumnType,
    native::Values,
    quote::{identifier, literal},
    versions::members,
};
use crate::range::{LeadingRef, hex};

/// On which side of a value rows are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Behind,
    Before,
}

impl Side {
    pub(super) fn sign(self, inclusive: bool) -> &'static str {
        match (self, inclusive) {
            (Self::Behind, true) => ">=",
            (Self::Behind, false) => ">",
            (Self::Before, true) => "<=",
            (Self::Before, false) => "<",
        }
    }

    /// Whether what compares so with the value is there.
    fn has(self, compared: Ordering, inclusive: bool) -> bool {
        match self {
            _ if compared.is_eq() => inclusive,
            Self::Behind => compared.is_gt(),
            Self::Before => compared.is_lt(),
        }
    }
}

/// The first column of a sorting key behind the day, where that is not the time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LeadingColumn {
    quoted: String,
    is_text: bool,
    nullable: bool,
}

impl LeadingColumn {
    /// That of a sorting key. None where the time leads it, an expression does, or a column that is neither a text nor
    /// a whole number.
    pub(super) fn of(
        sorting_key: &str,
        [day, time]: [&str; 2],
        kind: impl Fn(&str) -> Option<ColumnType>,
    ) -> Option<Self> {
        let name = members(sorting_key).find(|member| *member != Some(day))??;
        let kind = kind(name)?;
        let whole = ["UInt", "Int"]
            .iter()
            .filter_map(|sign| kind.bare.strip_prefix(sign))
            .any(|bits| ["8", "16", "32", "64"].contains(&bits));
        (name != time && (kind.is_text() || whole)).then(|| Self {
            quoted: identifier(name),
            is_text: kind.is_text(),
            nullable: kind.nullable,
        })
    }

    /// Its value as the reader of [`LeadingValues`] expects it, by which rows are put in order.
    pub(super) fn value(&self) -> String {
        let column = &self.quoted;
        let (null, to) = match self.is_text {
            true => ("''", "String"),
            false => ("0", "Int128"),
        };
        match self.nullable {
            true => format!("CAST(ifNull({column}, {null}) AS {to})"),
            false => format!("CAST({column} AS {to})"),
        }
    }

    /// Rows whose value is on this side of one. The column stands alone, so that the primary key is used.
    pub(super) fn on_side(&self, side: Side, at: LeadingRef<'_>, inclusive: bool) -> String {
        let column = &self.quoted;
        let sign = side.sign(inclusive);
        let value = match at {
            LeadingRef::Number(number) => number.to_string(),
            LeadingRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => literal(text),
                Err(_) => format!("unhex('{}')", hex(bytes)),
            },
        };
        match self.nullable && side.has(self.null().cmp(&at), inclusive) {
            true => format!("({column} {sign} {value} OR {column} IS NULL)"),
            false => format!("{column} {sign} {value}"),
        }
    }

    /// Whether a value is of the column's type.
    pub(super) fn fits(&self, value: LeadingRef<'_>) -> bool {
        self.is_text == matches!(value, LeadingRef::Text(_))
    }

    /// What NULL counts as.
    fn null(&self) -> LeadingRef<'static> {
        match self.is_text {
            true => LeadingRef::Text(b""),
            false => LeadingRef::Number(0),
        }
    }

    pub(super) fn no_values(&self) -> LeadingValues {
        Values::empty(self.is_text)
    }
}

/// Values of the column.
pub(super) type LeadingValues = Values<i128>;

impl LeadingValues {
    pub(super) fn get(&self, row: usize) -> LeadingRef<'_> {
        match self {
            Self::Numbers(numbers) => LeadingRef::Number(numbers[row]),
            Self::Texts(texts) => LeadingRef::Text(texts.bytes(row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading(sorting_key: &str) -> Option<LeadingColumn> {
        LeadingColumn::of(sorting_key, ["data_date", "at"], |column| {
            let kind = match column {
                "spot_tag" => "LowCardinality(Nullable(String))",
                "robot" => "Int16",
                "id" => "UInt64",
                "at" | "inserted_at" => "DateTime64(3)",
                "force" => "Float32",
                "fixed" => "FixedString(8)",
                _ => return None,
            };
            Some(ColumnType::parse(kind))
        })
    }

    #[test]
    fn the_first_column_behind_the_day_leads_unless_it_is_the_time() {
        for (key, quoted) in [
            ("data_date, spot_tag, id", Some("`spot_tag`")),
            ("`spot_tag`, data_date", Some("`spot_tag`")),
            ("data_date, robot, at, id", Some("`robot`")),
            ("id", Some("`id`")),
            ("data_date, at, id", None),
            ("at", None),
            // not in the order of the column itself
            ("data_date, lower(spot_tag), id", None),
            ("cityHash64(id), robot", None),
            ("data_date, inserted_at, robot", None),
            ("data_date, force, id", None),
            ("data_date, fixed, id", None),
            ("data_date, gone, id", None),
            ("data_date", None),
            ("", None),
        ] {
            let found = leading(key);
            assert_eq!(
                found.map(|column| column.quoted).as_deref(),
                quoted,
                "{key}"
            );
        }
    }

    #[test]
    fn null_is_where_its_value_is() {
        let spot = leading("spot_tag").unwrap();
        let [none, s1] = [b"".as_slice(), b"S'1"].map(LeadingRef::Text);
        assert_eq!(
            spot.on_side(Side::Behind, none, true),
            "(`spot_tag` >= '' OR `spot_tag` IS NULL)"
        );
        assert_eq!(spot.on_side(Side::Behind, none, false), "`spot_tag` > ''");
        assert_eq!(
            spot.on_side(Side::Behind, s1, true),
            "`spot_tag` >= 'S\\'1'"
        );
        assert_eq!(
            spot.on_side(Side::Before, s1, false),
            "(`spot_tag` < 'S\\'1' OR `spot_tag` IS NULL)"
        );
        assert_eq!(spot.on_side(Side::Before, none, false), "`spot_tag` < ''");
        let robot = leading("robot").unwrap();
        assert_eq!(
            robot.on_side(Side::Before, LeadingRef::Number(-2), true),
            "`robot` <= -2"
        );
        let gbk = LeadingRef::Text(b"\xba\xb8");
        assert_eq!(
            spot.on_side(Side::Behind, gbk, false),
            "`spot_tag` > unhex('bab8')"
        );
    }
}
