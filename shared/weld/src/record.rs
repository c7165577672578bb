//! A weld as it comes in.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

use crate::curve_text;

/// A weld in the plant's units, borrowed from wherever it was decoded to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weld<'a> {
    /// Part number; chooses model and rules. May be empty.
    pub part_no: &'a str,
    /// Maximum voltage as the plant stores it (`curves.umax_unit`).
    pub umax: f32,
    /// Maximum current as the plant stores it (`curves.imax_unit`).
    pub imax: f32,
    /// Voltage curve as the plant stores it (`curves.u_unit`).
    pub u: &'a [f32],
    /// Current curve as the plant stores it (`curves.i_unit`).
    pub i: &'a [f32],
    /// Further numbers, in the order in which they are configured; NaN where there is none. Models may ask for them.
    pub scalars: &'a [f32],
}

/// A weld's `record_id`: a number (ordered as such) or text (ordered by bytes).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordId {
    Number(u64),
    Text(String),
}

impl RecordId {
    #[must_use]
    pub fn as_ref(&self) -> IdRef<'_> {
        match self {
            Self::Number(number) => IdRef::Number(*number),
            Self::Text(text) => IdRef::Text(text),
        }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A borrowed [`RecordId`]; same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdRef<'a> {
    Number(u64),
    Text(&'a str),
}

impl IdRef<'_> {
    #[must_use]
    pub fn to_owned(self) -> RecordId {
        match self {
            Self::Number(number) => RecordId::Number(number),
            Self::Text(text) => RecordId::Text(text.to_owned()),
        }
    }
}

impl fmt::Display for IdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A predict record: JSON under our column names.
///
/// Curves and maxima are required, what only names the weld is not. Other fields are ignored here, so that a row as
/// ClickHouse prints it (`FORMAT JSONEachRow`) can be read whole; whoever takes records from people says which. Maxima
/// and curves may be text, as plants store them. `null`, `"nan"`, `"None"` and `""` in a number is NaN, and so leads to
/// an `invalid` verdict and not to a parse error.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record {
    /// Id of the weld within its day and time.
    #[serde(default)]
    pub record_id: Option<RecordId>,
    /// The day, as the plant writes it.
    #[serde(default)]
    pub data_date: Option<RecordId>,
    /// Time of the weld, as the plant writes it.
    #[serde(default)]
    pub ck_local_time: Option<RecordId>,
    /// Part number; chooses model and rules.
    #[serde(default, deserialize_with = "text")]
    pub part_no: String,
    #[serde(default, deserialize_with = "text")]
    pub spot_name: String,
    #[serde(default, deserialize_with = "text")]
    pub timer_name: String,
    #[serde(deserialize_with = "number")]
    pub umax: f32,
    #[serde(deserialize_with = "number")]
    pub imax: f32,
    #[serde(deserialize_with = "numbers")]
    pub u_curve: Vec<f32>,
    #[serde(deserialize_with = "numbers")]
    pub i_curve: Vec<f32>,
    /// Further numbers, in the order in which they are configured: whoever knows their names fills them in.
    #[serde(skip)]
    pub scalars: Vec<f32>,
}

impl Record {
    /// The view that is judged.
    #[must_use]
    pub fn weld(&self) -> Weld<'_> {
        Weld {
            part_no: &self.part_no,
            umax: self.umax,
            imax: self.imax,
            u: &self.u_curve,
            i: &self.i_curve,
            scalars: &self.scalars,
        }
    }
}

/// A JSON number, or one as text; `null`, what plants write for none, and ClickHouse's quoted `nan`, `inf`, `-inf` too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample(pub f32);

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SampleVisitor;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "samples are f32"
        )]
        impl Visitor<'_> for SampleVisitor {
            type Value = Sample;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Sample, E> {
                Ok(Sample(value as f32))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Sample, E> {
                Ok(Sample(value as f32))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Sample, E> {
                Ok(Sample(value as f32))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Sample, E> {
                Ok(Sample(f32::NAN))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Sample, E> {
                match text.trim() {
                    "nan" | "-nan" | "" | "None" | "null" => Ok(Sample(f32::NAN)),
                    "inf" => Ok(Sample(f32::INFINITY)),
                    "-inf" => Ok(Sample(f32::NEG_INFINITY)),
                    _ => curve_text::number(text.as_bytes())
                        .map(Sample)
                        .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(SampleVisitor)
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Sample::deserialize(deserializer).map(|sample| sample.0)
}

/// A curve: an array of numbers or of texts, or one text.
fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    struct CurveVisitor;
    impl<'de> Visitor<'de> for CurveVisitor {
        type Value = Vec<f32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of numbers")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<f32>, A::Error> {
            let mut samples = Vec::new();
            while let Some(Sample(sample)) = list.next_element()? {
                samples.push(sample);
            }
            Ok(samples)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<f32>, E> {
            let mut samples = Vec::new();
            curve_text::read(text.as_bytes(), &mut samples).map_err(E::custom)?;
            Ok(samples)
        }
    }
    deserializer.deserialize_any(CurveVisitor)
}

/// `null` is empty, as it is where the fleet reads it.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_row_as_clickhouse_prints_it() {
        let record: Record = serde_json::from_str(
            r#"{"record_id":"18446744073709551615","data_date":20261122,"ck_local_time":"2026-11-22 10:00:00.123",
                "part_no":"件号 7","umax":2.5,"imax":9,"u_curve":[0,1.5,null,"nan"],"i_curve":[0,1,2,3],"alg_status":null}"#,
        )
        .unwrap();
        assert_eq!(
            record.record_id,
            Some(RecordId::Text("18446744073709551615".into()))
        );
        assert_eq!(record.data_date, Some(RecordId::Number(20_261_122)));
        assert!(record.u_curve[2].is_nan() && record.u_curve[3].is_nan());
        assert_eq!(record.weld().part_no, "件号 7");
    }

    #[test]
    fn reads_a_row_as_a_plant_stores_it() {
        let record: Record = serde_json::from_str(
            r#"{"part_no":"809","spot_name":null,"umax":" 1.62","imax":"None","u_curve":"[12, 55.5]","i_curve":["1","2"]}"#,
        )
        .unwrap();
        assert_eq!(
            (record.part_no.as_str(), record.spot_name.as_str()),
            ("809", "")
        );
        assert_eq!(record.umax, 1.62);
        assert!(record.imax.is_nan());
        assert_eq!(record.u_curve, [12.0, 55.5]);
        assert_eq!(record.i_curve, [1.0, 2.0]);
        for (curve, said) in [
            (r#""[1, null]""#, "`null` at point 1 is no number"),
            (
                r#"["1", "x"]"#,
                "invalid value: string \"x\", expected a number",
            ),
            ("7", "invalid type: integer `7`, expected a list of numbers"),
        ] {
            let row = format!(r#"{{"umax":1,"imax":1,"u_curve":{curve},"i_curve":[]}}"#);
            let error = serde_json::from_str::<Record>(&row).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn names_the_field_that_is_missing_or_wrong() {
        let missing =
            serde_json::from_str::<Record>(r#"{"umax":1,"imax":1,"u_curve":[]}"#).unwrap_err();
        assert!(
            missing.to_string().contains("missing field `i_curve`"),
            "{missing}"
        );
        let wrong =
            serde_json::from_str::<Record>(r#"{"umax":"high","imax":1,"u_curve":[],"i_curve":[]}"#)
                .unwrap_err();
        assert!(
            wrong
                .to_string()
                .contains("invalid value: string \"high\", expected a number"),
            "{wrong}"
        );
    }
}
