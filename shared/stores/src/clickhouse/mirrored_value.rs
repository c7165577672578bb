//! A column's value as MySQL's column can hold it, on both sides alike.

use weldfleet_weld::columns::ValueKind;

use super::Schema;
use crate::mirror_layout::{Characters, MirrorColumn, MirrorType, Precision, Source};

impl Schema {
    /// A column as MySQL's can hold it, on both sides alike.
    pub(super) fn mirrored_value(&self, column: &MirrorColumn) -> String {
        match (column.held, &column.source) {
            (MirrorType::Text(limits), source) => {
                let text = self.as_text(source, column.kind);
                let is_ours = column.kind == ValueKind::Text;
                within(&text, limits, is_ours)
            }
            (
                MirrorType::Number {
                    precision,
                    unsigned,
                },
                Source::Known(ours),
            ) => {
                let number = rounded(&self.number(ours, "Float64"), precision, unsigned);
                if column.takes_null {
                    number
                } else {
                    format!("ifNotFinite({number}, 0)")
                }
            }
            (MirrorType::Integer, Source::Known(ours)) => {
                format!("ifNull({}, toUInt64(0))", self.column(ours))
            }
            (MirrorType::Time(digits), Source::Known(ours)) => time_of(self.column(ours), digits),
            (MirrorType::Time(digits), Source::Carried(ours)) => {
                let text = self.carried_text(ours);
                let time = format!(
                    "if(match({text}, '{HAS_DAY}'), parseDateTime64BestEffortOrNull({text}, 3, 'UTC'), NULL)"
                );
                time_of(&time, digits)
            }
            // Refused by `migrate`, `check` and at the start.
            (MirrorType::Number { .. }, Source::Carried(_)) => "nan".to_owned(),
            (MirrorType::Integer, Source::Carried(_)) => "toUInt64(0)".to_owned(),
        }
    }

    fn as_text(&self, source: &Source, kind: ValueKind) -> String {
        let ours = match source {
            Source::Known(ours) => *ours,
            Source::Carried(ours) => return self.carried_text(ours),
        };
        match kind {
            ValueKind::Word(_) | ValueKind::Text => self.text(ours),
            ValueKind::Float => {
                let number = self.number(ours, "Float64");
                format!("if(isFinite({number}), toString(round({number}, 6)), '')")
            }
            ValueKind::Integer => format!("ifNull(toString({}), '')", self.column(ours)),
            ValueKind::Time => time_of(self.column(ours), 3),
        }
    }
}

/// How a text begins that says a day, in the years that ClickHouse has times of. Of any other the parser would make
/// one: of 08:15:00 a time of today, of zeros the start of a year.
const HAS_DAY: &str = "^ *(19|2[0-2])[0-9]{2}(-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])|\
                       /(0?[1-9]|1[0-2])/(0?[1-9]|[12][0-9]|3[01])|\
                       (0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([0-9]{6})?)([^0-9]|$)";

/// A time as text to the millisecond, cut to its digits; empty for NULL.
fn time_of(time: &str, digits: u8) -> String {
    let cut = if digits < 3 {
        format!("toDateTime64({time}, {digits}, 'UTC')")
    } else {
        time.to_owned()
    };
    format!("ifNull(toString(toDateTime64({cut}, 3, 'UTC')), '')")
}

fn within(text: &str, limits: Characters, is_ours: bool) -> String {
    let mut text = if is_ours {
        text.to_owned()
    } else {
        format!("toValidUTF8({text})")
    };
    if limits.basic_plane {
        text = format!("replaceRegexpAll({text}, '[^\\\\x{{0}}-\\\\x{{FFFF}}]', '\u{fffd}')");
    }
    if let Some(most) = limits.most {
        text = format!("substringUTF8({text}, 1, {most})");
    }
    if limits.no_trailing_blanks {
        text = format!("trimRight({text})");
    }
    text
}

fn rounded(number: &str, precision: Precision, unsigned: bool) -> String {
    let (value, largest) = match precision {
        Precision::Double if !unsigned => return number.to_owned(),
        Precision::Double => (number.to_owned(), f64::MAX),
        Precision::Single => (
            format!("toFloat64(toFloat32({number}))"),
            f64::from(f32::MAX),
        ),
        Precision::SingleDecimal(digits, scale) => {
            let decimal = rounded(number, Precision::Decimal(digits, scale), unsigned);
            return format!("toFloat64(toFloat32({decimal}))");
        }
        Precision::Decimal(digits, scale) => {
            let whole = i32::from(digits) - i32::from(scale);
            // The largest there is, a little less where that is no f64.
            let largest =
                10_f64.powi(whole) - 10_f64.powi(-i32::from(scale)).max(10_f64.powi(whole - 15));
            (format!("round({number}, {scale})"), largest)
        }
    };
    let smallest = if unsigned { 0.0 } else { -largest };
    format!("if(isFinite({number}), least(greatest({value}, {smallest:e}), {largest:e}), nan)")
}
