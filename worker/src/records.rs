//! Records as somebody sends them: a file, standard input, the body of `POST /predict`. One way to read them, one way to
//! say what is wrong with one, and one to answer.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Serialize,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, error::Category, value::RawValue};
use weldfleet_settings::{Columns, columns::INPUT_COLUMNS};
use weldfleet_stores::clickhouse::FurtherNames;
use weldfleet_weld::{Record, Sample, Verdict, curve_text};

/// The mark that some editors write at the beginning of a text in UTF-8.
const BOM: char = '\u{feff}';

/// Why a record, or what should hold one, cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Everything in one line.
    pub error: String,
    /// The record's place in a list, from 1.
    pub record: Option<usize>,
    /// The field that is wrong, with the place in a curve.
    pub field: Option<String>,
    /// What would be right.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl Refusal {
    /// Nothing to do with a field.
    pub fn new(problem: impl fmt::Display, remedy: impl Into<String>) -> Self {
        let remedy = remedy.into();
        Self {
            error: format!("{problem}; {remedy}"),
            record: None,
            field: None,
            remedy,
        }
    }

    fn of(field: &str, problem: impl fmt::Display, remedy: impl Into<String>) -> Self {
        let mut refusal = Self::new(format_args!("`{field}`: {problem}"), remedy);
        refusal.field = Some(field.to_owned());
        refusal
    }

    fn in_list(mut self, place: usize) -> Self {
        self.error = format!("record {place}: {}", self.error);
        self.record = Some(place);
        self
    }

    fn not_json(error: &serde_json::Error) -> Self {
        Self::new(format_args!("not JSON: {error}"), WANTED)
    }
}

const WANTED: &str =
    "give one JSON object, {\"umax\": …, \"imax\": …, \"u_curve\": […], \"i_curve\": […]}";

/// Text without the mark before it and the blanks around it.
pub fn bare(text: &str) -> &str {
    text.trim().trim_start_matches(BOM).trim_start()
}

/// Whether the line is not just the beginning of a JSON value that goes on in the next one.
pub fn is_complete(line: &[u8]) -> bool {
    let line = str::from_utf8(line).map(bare).unwrap_or_default();
    !serde_json::from_str::<IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

/// Whether the text is a JSON object, whatever is in it.
pub fn is_object(text: &[u8]) -> bool {
    let text = str::from_utf8(text).map(bare).unwrap_or_default();
    text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// One JSON object.
pub fn one(text: &str, further: &FurtherNames) -> Result<Record, Refusal> {
    let text = bare(text);
    let keys: Keys = serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Data => Refusal::new(
            format_args!("not a record: {}", without_place(&error)),
            WANTED,
        ),
        _ => Refusal::not_json(&error),
    })?;
    let plants_own = || further.scalars.iter().chain(&further.carried);
    for key in &keys.0 {
        let is_ours = Columns::known().any(|name| name == key);
        if !is_ours && !plants_own().any(|name| name == key) {
            let known: Vec<&str> = INPUT_COLUMNS
                .iter()
                .copied()
                .chain(plants_own().map(String::as_str))
                .collect();
            return Err(Refusal::of(
                key,
                "unknown key",
                format!(
                    "leave it out or write one of: {} (a row's verdict columns may stand beside them)",
                    known.join(", ")
                ),
            ));
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let record: Result<Record, _> = serde_path_to_error::deserialize(&mut deserializer);
    let mut record = record.map_err(|error| {
        let path = error.path().to_string();
        field_refused(text, &path, &without_place(error.inner()))
    })?;
    if !further.scalars.is_empty() {
        record.scalars = scalars(text, &keys.0, &further.scalars)?;
    }
    Ok(record)
}

/// The further numbers of a record, in the order of their names; NaN for one that it has not.
fn scalars(text: &str, keys: &[String], names: &[String]) -> Result<Vec<f32>, Refusal> {
    let values: HashMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| Refusal::not_json(&error))?;
    let number = |name: &String| {
        if keys.iter().filter(|key| *key == name).count() > 1 {
            return Err(Refusal::of(name, "given twice", "keep one of the two"));
        }
        let Some(value) = values.get(name) else {
            return Ok(f32::NAN);
        };
        match serde_json::from_str::<Sample>(value.get()) {
            Ok(Sample(number)) if number.is_finite() => Ok(number),
            Ok(_) => Ok(f32::NAN),
            Err(error) => stored_as_text(value).ok_or_else(|| {
                let remedy = "write a number, or leave it out";
                Refusal::of(name, without_place(&error), remedy)
            }),
        }
    };
    names.iter().map(number).collect()
}

/// A plant's table may have it as text, `'None'` and nothing at all where there is none.
fn stored_as_text(value: &RawValue) -> Option<f32> {
    let text: String = serde_json::from_str(value.get()).ok()?;
    match text.trim() {
        "" | "None" => Some(f32::NAN),
        text => curve_text::number(text.as_bytes()),
    }
}

/// The body of a request: one record, or a list of them. Answers whether it was a list.
///
/// # Errors
/// What is wrong with the first that is wrong.
pub fn one_or_list(text: &str, further: &FurtherNames) -> Result<(Vec<Record>, bool), Refusal> {
    let text = bare(text);
    if !text.starts_with('[') {
        return Ok((vec![one(text, further)?], false));
    }
    let list: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| Refusal::not_json(&error))?;
    let records = list.iter().zip(1..).map(|(record, place)| {
        one(record.get(), further).map_err(|refusal| refusal.in_list(place))
    });
    Ok((records.collect::<Result<_, _>>()?, true))
}

/// The answer to one record: its key, then the result columns.
pub fn answer(record: &Record, verdict: &Verdict) -> anyhow::Result<Value> {
    let mut answer = serde_json::Map::new();
    let key = [
        ("record_id", &record.record_id),
        ("data_date", &record.data_date),
        ("ck_local_time", &record.ck_local_time),
    ];
    for (name, value) in key {
        if let Some(value) = value {
            answer.insert(name.to_owned(), serde_json::to_value(value)?);
        }
    }
    if let Value::Object(results) = serde_json::to_value(verdict)? {
        answer.extend(results);
    }
    Ok(Value::Object(answer))
}

fn field_refused(text: &str, path: &str, message: &str) -> Refusal {
    let named = |prefix: &str| message.strip_prefix(prefix)?.strip_suffix('`');
    if let Some(field) = named("missing field `") {
        return Refusal::of(
            field,
            "missing",
            "every record needs umax, imax, u_curve and i_curve",
        );
    }
    if let Some(field) = named("duplicate field `") {
        return Refusal::of(field, "given twice", "keep one of the two");
    }
    let remedy = match path {
        "record_id" | "data_date" | "ck_local_time" => {
            let value = serde_json::from_str::<Value>(text).unwrap_or_default();
            let shown = curve_text::shortened(value[path].to_string().as_bytes());
            return Refusal::of(
                path,
                format_args!("{shown} is neither a whole number nor text"),
                "write a number from 0 to 18446744073709551615, or text in quotes",
            );
        }
        "part_no" | "spot_name" | "timer_name" => "write text in quotes, or leave it out",
        curve if curve.starts_with("u_curve") || curve.starts_with("i_curve") => {
            "a curve is a list of numbers, such as [0.1, 1.5], or that as text; null is a gap"
        }
        _ => "write a number",
    };
    Refusal::of(path, message, remedy)
}

/// The parser's words without its place, where the field says it better.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

/// The keys of an object. A struct alone would also be read out of a list.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;
        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one record")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
                // To its end: broken JSON is told apart from a list.
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Err(de::Error::invalid_type(
                    de::Unexpected::Other("a list"),
                    &self,
                ))
            }
        }
        deserializer.deserialize_any(KeysVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Record, Refusal> {
        super::one(text, &FurtherNames::default())
    }

    fn one_or_list(text: &str) -> Result<(Vec<Record>, bool), Refusal> {
        super::one_or_list(text, &FurtherNames::default())
    }

    #[test]
    fn the_plants_own_numbers_are_read_and_nothing_else() {
        let further = FurtherNames {
            carried: vec!["body_no".into()],
            scalars: vec!["force_kn".into(), "wear".into()],
        };
        let read = |more: &str| super::one(&GOOD.replacen('{', &format!("{{{more}"), 1), &further);
        let scalars = |more: &str| read(more).unwrap().scalars;
        assert_eq!(
            scalars(r#""wear":12,"body_no":"B7","force_kn":3.5,"#),
            [3.5, 12.0]
        );
        assert_eq!(
            scalars(r#""wear":"12","force_kn":" 3.5","#),
            [3.5, 12.0],
            "text, as a plant's table may have it"
        );
        assert!(
            scalars(r#""wear":"None","force_kn":"","#)
                .iter()
                .all(|number| number.is_nan())
        );
        let partly = scalars(r#""wear":null,"#);
        assert!(partly.len() == 2 && partly.iter().all(|number| number.is_nan()));
        for (more, says) in [
            (r#""wear":"high","#, "`wear`: invalid value"),
            (r#""wear":1,"wear":2,"#, "`wear`: given twice"),
            (r#""weer":1,"#, "i_curve, force_kn, wear, body_no (a row's"),
        ] {
            let refusal = read(more).expect_err(more);
            assert!(refusal.error.contains(says), "{refusal}");
        }
    }

    const GOOD: &str = r#"{"record_id":7,"umax":2.5,"imax":9,"u_curve":[0,1.5],"i_curve":[0,1]}"#;

    #[test]
    fn a_mark_before_a_record_is_nothing() {
        let plain = one(GOOD).unwrap();
        assert_eq!(one(&format!("\u{feff}{GOOD}\r\n")).unwrap(), plain);
        let (list, is_list) = one_or_list(&format!(" \u{feff} [{GOOD}, {GOOD}]")).unwrap();
        assert!(is_list);
        assert_eq!(list, [plain.clone(), plain.clone()]);
        assert_eq!(
            one_or_list(&format!("\u{feff}{GOOD}")).unwrap(),
            (vec![plain], false)
        );
    }

    #[test]
    fn a_whole_row_may_be_sent_but_nothing_that_we_do_not_know() {
        let with = |more: &str| one(&GOOD.replacen('{', &format!("{{{more},"), 1));
        with(r#""alg_status":null,"final_result":"OK","label":"ok","measured_diameter":1.5"#)
            .unwrap();
        let refusal = with(r#""partno":"A""#).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("partno"));
        assert!(
            refusal
                .error
                .starts_with("`partno`: unknown key; leave it out or write one of: record_id,")
        );
    }

    #[test]
    fn every_refusal_names_the_field_and_the_remedy() {
        for (from, to, field, says) in [
            (
                ":7",
                ":-7",
                Some("record_id"),
                "-7 is neither a whole number nor text",
            ),
            (":7", ":1.5", Some("record_id"), "1.5 is neither"),
            (":7", ":[7]", Some("record_id"), "[7] is neither"),
            (
                ":7",
                ":18446744073709551616",
                Some("record_id"),
                "from 0 to 18446744073709551615",
            ),
            (
                "\"record_id\":7",
                "\"data_date\":{}",
                Some("data_date"),
                "{} is neither",
            ),
            (
                "\"record_id\":7",
                "\"part_no\":7",
                Some("part_no"),
                "text in quotes",
            ),
            ("2.5", "\"high\"", Some("umax"), "write a number"),
            ("1.5", "\"high\"", Some("u_curve[1]"), "list of numbers"),
            (
                "[0,1]",
                "\"0,x\"",
                Some("i_curve"),
                "`x` at point 1 is no number",
            ),
            ("\"imax\"", "\"umax\"", Some("umax"), "given twice"),
            ("\"imax\":9,", "", Some("imax"), "missing"),
            ("}", "", None, "not JSON"),
            ("}", "}}", None, "not JSON"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let refusal = one(&text).expect_err(&text);
            assert_eq!(refusal.field.as_deref(), field, "{text}: {refusal}");
            assert!(refusal.error.contains(says), "{text}: {refusal}");
            assert!(refusal.error.ends_with(&refusal.remedy), "{refusal}");
            assert!(!refusal.error.contains("untagged"), "{refusal}");
        }
    }

    #[test]
    fn a_list_is_not_a_record() {
        let by_place = r#"[1,2,"3","a","b","c",2.5,9,[0],[0]]"#;
        for text in [by_place, "7", "null", "\"weld\""] {
            let refusal = one(text).expect_err(text);
            assert!(refusal.error.contains("expected one record"), "{refusal}");
        }
        let refusal = one_or_list(&format!("[{GOOD},{by_place}]")).unwrap_err();
        assert_eq!(refusal.record, Some(2));
        assert!(
            refusal
                .error
                .starts_with("record 2: not a record: invalid type: a list"),
            "{refusal}"
        );
    }
}
