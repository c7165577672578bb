//! A range as the plain fields of a job.

use std::str::FromStr;

use super::{Key, Leading, Range, RangeError, leading::hex};
use crate::RecordId;

/// Names of a key's fields.
struct KeyFields {
    text: &'static str,
    ticks: &'static str,
    id: &'static str,
    /// There in a range that was cut in the order of the table's sorting key.
    leading: &'static str,
}

const FROM: KeyFields = KeyFields {
    text: "from",
    ticks: "from_ticks",
    id: "from_id",
    leading: "from_leading",
};
const TO: KeyFields = KeyFields {
    text: "to",
    ticks: "to_ticks",
    id: "to_id",
    leading: "to_leading",
};
const REPEATED_KEYS: &str = "repeated_keys";

impl Range {
    /// The range as a job's plain fields, see [`Range::decode`].
    pub fn encode(&self) -> Vec<(&'static str, String)> {
        let ends = [(&FROM, &self.from), (&TO, &self.to)];
        let mut fields = vec![
            ("run", self.run.to_string()),
            ("day", self.day.to_string()),
            ("selection", self.selection.to_string()),
        ];
        fields.extend(ends.map(|(names, key)| (names.text, key.to_string())));
        fields.extend(ends.map(|(names, key)| (names.ticks, key.ticks.to_string())));
        fields.extend(ends.map(|(names, key)| (names.id, encode_id(&key.id))));
        fields.push(("rows", self.rows.to_string()));
        if self.repeated_keys {
            fields.push((REPEATED_KEYS, "1".to_owned()));
        }
        let leading = |(names, key): (&KeyFields, &Key)| {
            let leading = key.leading.as_ref()?;
            Some((names.leading, leading.encode()))
        };
        fields.extend(ends.into_iter().filter_map(leading));
        fields
    }

    /// Reads a range back from a job's fields; every field must be there and hold what it should. The two of the
    /// leading column are there together, or neither is.
    pub fn decode<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<Self, RangeError> {
        let get = |name: &'static str| field(name).ok_or(RangeError::Missing(name));
        let in_order_of_time = field(FROM.leading).or(field(TO.leading)).is_none();
        let key = |names: &KeyFields| -> Result<Key, RangeError> {
            let leading = match in_order_of_time {
                true => None,
                false => Some(Leading::decode(names.leading, get(names.leading)?)?),
            };
            Ok(Key {
                leading,
                ticks: decode_number(names.ticks, get(names.ticks)?)?,
                id: decode_id(names.id, get(names.id)?)?,
                text: get(names.text)?.to_owned(),
            })
        };
        let range = Self {
            run: decode_number("run", get("run")?)?,
            day: get("day")?.parse()?,
            selection: get("selection")?.parse()?,
            from: key(&FROM)?,
            to: key(&TO)?,
            rows: decode_number("rows", get("rows")?)?,
            repeated_keys: field(REPEATED_KEYS).is_some(),
        };
        if range.from > range.to {
            return Err(RangeError::Backwards {
                from: range.from.to_string(),
                to: range.to.to_string(),
            });
        }
        Ok(range)
    }
}

/// `n:17` or `s:text`, so that a text id of digits stays text.
fn encode_id(id: &RecordId) -> String {
    match id {
        RecordId::Number(number) => format!("n:{number}"),
        RecordId::Text(text) => format!("s:{text}"),
    }
}

fn decode_id(field: &'static str, value: &str) -> Result<RecordId, RangeError> {
    match value.split_once(':') {
        Some(("n", number)) => Ok(RecordId::Number(decode_number(field, number)?)),
        Some(("s", text)) => Ok(RecordId::Text(text.to_owned())),
        _ => Err(RangeError::Field {
            field,
            value: value.to_owned(),
            expected: "n:<number> or s:<text>",
        }),
    }
}

fn decode_number<T: FromStr>(field: &'static str, value: &str) -> Result<T, RangeError> {
    value.parse().map_err(|_| RangeError::Field {
        field,
        value: value.to_owned(),
        expected: "a whole number",
    })
}

impl Leading {
    /// `n:17`, `s:text`, or `x:` and hexadecimal digits where the text is not UTF-8.
    fn encode(&self) -> String {
        match self {
            Self::Number(number) => format!("n:{number}"),
            Self::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => format!("s:{text}"),
                Err(_) => format!("x:{}", hex(bytes)),
            },
        }
    }

    fn decode(field: &'static str, value: &str) -> Result<Self, RangeError> {
        let text = match value.split_once(':') {
            Some(("n", number)) => return Ok(Self::Number(decode_number(field, number)?)),
            Some(("s", text)) => Some(text.as_bytes().to_vec()),
            Some(("x", digits)) => unhex(digits),
            _ => None,
        };
        text.map(Self::Text).ok_or_else(|| RangeError::Field {
            field,
            value: value.to_owned(),
            expected: "n:<number>, s:<text> or x:<hexadecimal digits>",
        })
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| match pair {
        [high, low] => {
            let [high, low] = [high, low].map(|digit| char::from(*digit).to_digit(16));
            u8::try_from(high? * 16 + low?).ok()
        }
        _ => None,
    });
    bytes.collect()
}
