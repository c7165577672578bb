//! Curves that are stored as text: `[1, 2.5]`, `1,2.5`, `1;2.5`, JSON.
//!
//! Samples are decimal numbers, as many as there are separators plus one. White space around them, one pair of quotes
//! around each and one pair of brackets around all of them mean nothing. Where a `;` occurs it is the separator, so
//! that `1,5;2,5` is two samples that cannot be read, never four that can. What cannot be read is told, never guessed:
//! `null`, `nan` and nothing are no samples.

use std::fmt;

/// Between the samples of a list that were joined to one text: the unit separator, which is in no number.
pub const JOINED: u8 = 0x1f;
/// Most characters of an unreadable value that are shown.
const SHOWN: usize = 40;

/// A sample that is no number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSample {
    /// Its place, from 0.
    pub index: usize,
    /// Its text, shortened.
    pub value: String,
}

impl fmt::Display for BadSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at point {} is no number", self.value, self.index)
    }
}

impl std::error::Error for BadSample {}

/// Appends the samples of a whole curve. NaN stands for a sample that cannot be read, so that the length is right.
///
/// # Errors
/// The first sample that is no number.
pub fn read(text: &[u8], samples: &mut Vec<f32>) -> Result<(), BadSample> {
    let text = without_brackets(text.trim_ascii());
    if text.is_empty() {
        return Ok(());
    }
    let separator = if memchr::memchr(b';', text).is_some() {
        b';'
    } else {
        b','
    };
    read_separated(text, separator, samples)
}

/// The same of samples that were texts of their own, joined by [`JOINED`]: no other separator is one in them.
///
/// # Errors
/// The first sample that is no number.
pub fn read_joined(text: &[u8], samples: &mut Vec<f32>) -> Result<(), BadSample> {
    if text.is_empty() {
        return Ok(());
    }
    read_separated(text, JOINED, samples)
}

fn read_separated(text: &[u8], separator: u8, samples: &mut Vec<f32>) -> Result<(), BadSample> {
    let first = samples.len();
    let Some(rest) = read_plain(text, separator, samples) else {
        return Ok(());
    };
    let read = samples.len() - first;
    let mut bad = None;
    for (index, sample) in rest.split(|byte| *byte == separator).enumerate() {
        match quoted(sample).and_then(number) {
            Some(number) => samples.push(number),
            None => {
                if let Err(error) = read_sample(sample, read + index, samples) {
                    bad.get_or_insert(error);
                }
            }
        }
    }
    bad.map_or(Ok(()), Err)
}

/// Most digits of a number that is read in one pass: as an integer they are exact, and so is what they are divided by.
const PLAIN_DIGITS: usize = 9;
/// By places behind the point.
const DIVISORS: [f64; PLAIN_DIGITS + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// 1 in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Appends the samples from the front that are written plainly, `12`, ` -3.5`: nearly all that plants store. Returns
/// the text from the first other one on; `None` if there is none.
fn read_plain<'a>(text: &'a [u8], separator: u8, samples: &mut Vec<f32>) -> Option<&'a [u8]> {
    let mut start = 0;
    // Where samples end is found before they are read, so that none has to wait for the one before.
    for (block, bytes) in text.chunks(BLOCK).enumerate() {
        let mut ends = places(bytes, separator);
        while ends != 0 {
            let end = block * BLOCK + ends.trailing_zeros() as usize;
            ends &= ends - 1;
            let Some(number) = plain_between(text, start, end) else {
                return Some(&text[start..]);
            };
            samples.push(number);
            start = end + 1;
        }
    }
    match plain_between(text, start, text.len()) {
        Some(number) => {
            samples.push(number);
            None
        }
        None => Some(&text[start..]),
    }
}

/// Bytes whose separators are found at a time: a bit for each.
const BLOCK: usize = 64;

/// A bit for each of at most 64 bytes that is this one, the first one lowest.
#[inline(always)]
fn places(bytes: &[u8], byte: u8) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut places = 0;
    for (place, word) in words.iter().enumerate() {
        let other = u64::from_le_bytes(*word) ^ (EACH * u64::from(byte));
        let low = EACH * 0x7f;
        let equal = !(((other & low) + low) | other | low);
        // The high bits, one of each byte, side by side.
        let bits = (equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        places |= bits << (8 * place);
    }
    for (place, other) in rest.iter().enumerate() {
        places |= u64::from(*other == byte) << (8 * words.len() + place);
    }
    places
}

/// The number that is written plainly between two places of a text, at most one blank before it.
#[inline(always)]
fn plain_between(text: &[u8], start: usize, end: usize) -> Option<f32> {
    let digits = end - start - usize::from(text.get(start) == Some(&b' '));
    whole_before(&text[..end], digits).or_else(|| {
        let sample = &text[start..end];
        plain_number(sample)
            .filter(|(_, length)| *length == sample.len())
            .map(|(number, _)| number)
    })
}

/// The whole number of one to eight digits that a text ends with. The bytes are looked at together, so that no branch
/// hangs on how many digits there are.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "samples are f32")]
fn whole_before(text: &[u8], digits: usize) -> Option<f32> {
    if !(1..=8).contains(&digits) {
        return None;
    }
    let word = u64::from_le_bytes(*text.last_chunk()?);
    let values = (word ^ (EACH * 0x30)) & (u64::MAX << (64 - 8 * digits));
    are_digits(values).then(|| joined(values) as f32)
}

/// Whether no byte is above nine.
#[inline(always)]
fn are_digits(values: u64) -> bool {
    (values.wrapping_add(EACH * (0x7f - 9)) | values) & (EACH * 0x80) == 0
}

/// The number that eight digits make, the first one lowest: pairs, fours and all of them are joined in three
/// multiplications, after Johnny Lee's "Fast numeric string to int" (2016).
fn joined(values: u64) -> u32 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let first = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let second = ((pairs >> 16) & PAIRS).wrapping_mul(1 + (10_000 << 32));
    (first.wrapping_add(second) >> 32) as u32
}

/// The number that a text begins with, at most one blank before it, and how many bytes it takes.
#[expect(clippy::cast_possible_truncation, reason = "samples are f32")]
fn plain_number(text: &[u8]) -> Option<(f32, usize)> {
    let mut at = usize::from(text.first() == Some(&b' '));
    let negative = text.get(at) == Some(&b'-');
    at += usize::from(negative);
    let (mut value, mut digits, mut point) = (0_u32, 0, None);
    while let Some(byte) = text.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value.wrapping_mul(10).wrapping_add(u32::from(digit));
            digits += 1;
        } else if *byte == b'.' && point.is_none() {
            point = Some(digits);
        } else {
            break;
        }
        at += 1;
    }
    if !(1..=PLAIN_DIGITS).contains(&digits) {
        return None;
    }
    let places = point.map_or(0, |before| digits - before);
    let number = (f64::from(value) / DIVISORS[places]) as f32;
    Some((if negative { -number } else { number }, at))
}

/// What stands between a pair of quotes, as lists of texts are printed: `'12'`, `"12"`.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    match text.trim_ascii() {
        [first @ (b'\'' | b'"'), inner @ .., last] if first == last => Some(inner),
        _ => None,
    }
}

/// Appends one sample, NaN where it cannot be read.
fn read_sample(text: &[u8], index: usize, samples: &mut Vec<f32>) -> Result<(), BadSample> {
    match number(text) {
        Some(number) => {
            samples.push(number);
            Ok(())
        }
        None => {
            samples.push(f32::NAN);
            Err(BadSample {
                index,
                value: shortened(text.trim_ascii()),
            })
        }
    }
}

/// A decimal number, white space around it aside; `None` for anything else, `nan`, `inf` and nothing included.
#[must_use]
pub fn number(text: &[u8]) -> Option<f32> {
    if let Some((plain, length)) = plain_number(text)
        && length == text.len()
    {
        return Some(plain);
    }
    let text = text.trim_ascii();
    let decimal = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    if !text.iter().all(decimal) {
        return None;
    }
    let number: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// What an unreadable value is shown as.
#[must_use]
pub fn shortened(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn without_brackets(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"[")
        .and_then(|inner| inner.strip_suffix(b"]"))
        .map_or(text, <[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn curve(text: &str) -> Result<Vec<f32>, String> {
        let mut samples = Vec::new();
        read(text.as_bytes(), &mut samples)
            .map(|()| samples)
            .map_err(|bad| bad.to_string())
    }

    #[test]
    fn every_form_is_read() {
        for text in [
            "[1, 2.5, -3]",
            "1,2.5,-3",
            "1;2.5;-3",
            " [ 1.0 ,2.5e0,\n-3.0 ] ",
            "[1;2.5;-3]",
            "01,+2.50,-0.3e1",
            r#"["1","2.5","-3"]"#,
            "['1', '2.5', ' -3 ']",
            r#"1;"2.5";'-3'"#,
        ] {
            assert_eq!(curve(text).unwrap(), [1.0, 2.5, -3.0], "{text}");
        }
        for text in ["", "  ", "[]", "[ ]"] {
            assert_eq!(curve(text).unwrap(), [0.0; 0], "{text:?}");
        }
        assert_eq!(
            curve("16777217,0.1,1e-50").unwrap(),
            [16_777_217_f32, 0.1, 0.0]
        );
    }

    #[test]
    fn what_is_no_number_is_told_with_its_place() {
        for (text, said) in [
            ("[1, null, 3]", "`null` at point 1 is no number"),
            ("1,,3", "`` at point 1 is no number"),
            ("1,2,", "`` at point 2 is no number"),
            ("1,5;2,5", "`1,5` at point 0 is no number"),
            ("[1, 2", "`[1` at point 0 is no number"),
            ("1 2 3", "`1 2 3` at point 0 is no number"),
            ("nan,1", "`nan` at point 0 is no number"),
            ("1,inf", "`inf` at point 1 is no number"),
            ("1,1e39", "`1e39` at point 1 is no number"),
            ("0x10", "`0x10` at point 0 is no number"),
            (r#"["1",""]"#, r#"`""` at point 1 is no number"#),
            (r#"["1",'2"]"#, r#"`'2"` at point 1 is no number"#),
            (r#"""1"",2"#, r#"`""1""` at point 0 is no number"#),
            (r#"["1","null"]"#, r#"`"null"` at point 1 is no number"#),
            ("\"", "`\"` at point 0 is no number"),
            ("None", "`None` at point 0 is no number"),
        ] {
            assert_eq!(curve(text).unwrap_err(), said, "{text}");
        }
        let long = "x".repeat(100);
        let said = curve(&long).unwrap_err();
        assert_eq!(
            said,
            format!("`{}…` at point 0 is no number", "x".repeat(40))
        );
    }

    #[test]
    fn samples_that_were_texts_of_their_own_are_parted_by_nothing_else() {
        let joined = |samples: &[&str]| {
            let mut read = Vec::new();
            let text = samples.join("\u{1f}");
            read_joined(text.as_bytes(), &mut read)
                .map(|()| read)
                .map_err(|bad| bad.to_string())
        };
        assert_eq!(
            joined(&["1", " 2.5", "-3", "'4'"]).unwrap(),
            [1.0, 2.5, -3.0, 4.0]
        );
        assert_eq!(joined(&[]).unwrap(), [0.0; 0]);
        for (sample, said) in [
            ("2,5", "`2,5` at point 1 is no number"),
            ("2;5", "`2;5` at point 1 is no number"),
            ("NULL", "`NULL` at point 1 is no number"),
            ("", "`` at point 1 is no number"),
            ("[2]", "`[2]` at point 1 is no number"),
        ] {
            assert_eq!(joined(&["1", sample, "3"]).unwrap_err(), said);
        }
    }

    #[test]
    fn a_bad_sample_keeps_the_length() {
        let mut samples = Vec::new();
        read(b"1,x,3", &mut samples).unwrap_err();
        assert_eq!(samples.len(), 3);
        assert!(samples[1].is_nan());
    }

    #[test]
    fn a_number_alone_is_read_as_in_a_curve() {
        for text in [
            "0",
            "7",
            "12",
            "345",
            "6789",
            "01234",
            "567890",
            "1234567",
            "12345678",
            "123456789",
        ] {
            let expected: f32 = text.parse().unwrap();
            assert_eq!(number(text.as_bytes()), Some(expected), "{text}");
            for place in 0..text.len() {
                let mut broken = text.as_bytes().to_vec();
                for byte in [b'/', b':', b'x', 0xb0] {
                    broken[place] = byte;
                    assert_eq!(number(&broken), None, "{text} with {byte:#x} at {place}");
                }
            }
        }
        assert_eq!(number(b""), None);
    }

    /// The same by other means: Rust's own numbers in `f64`, rounded once.
    fn plainly(text: &str) -> Option<Vec<f32>> {
        let text = text.trim();
        let text = match text.strip_prefix('[') {
            Some(inner) if inner.ends_with(']') => inner[..inner.len() - 1].trim(),
            _ => text,
        };
        if text.is_empty() {
            return Some(Vec::new());
        }
        let separator = if text.contains(';') { ';' } else { ',' };
        text.split(separator)
            .map(|sample| {
                let sample = sample.trim();
                let inner = ["'", "\""]
                    .into_iter()
                    .find_map(|quote| sample.strip_prefix(quote)?.strip_suffix(quote));
                let sample = inner.unwrap_or(sample).trim();
                let looks = sample.starts_with(|first: char| "+-.0123456789".contains(first));
                let value: f32 = sample.parse().ok().filter(|_| looks)?;
                value.is_finite().then_some(value)
            })
            .collect()
    }

    fn sample() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => (0_u32..70_000).prop_map(|count| count.to_string()),
            3 => (-10.0_f32..10.0).prop_map(|value| value.to_string()),
            1 => any::<f32>().prop_map(|value| format!("{value:e}")),
            2 => (0_u32..70_000, prop::sample::select(vec!["'", "\""])).prop_map(|(count, quote)| format!("{quote}{count}{quote}")),
            1 => "[-+. 0-9eEnulNoaif'\"x]{0,6}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn texts_are_read_as_a_plain_parser_reads_them(
            samples in prop::collection::vec(sample(), 0..12),
            separator in prop::sample::select(vec![",", ", ", ";", " ; "]),
            brackets in any::<bool>(),
            cut in prop::option::of(0_usize..60),
        ) {
            let mut text = samples.join(separator);
            if brackets {
                text = format!("[{text}]");
            }
            if let Some(cut) = cut {
                text.truncate(cut);
            }
            let read = curve(&text).ok();
            let bits = |curve: Vec<f32>| curve.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(read.map(bits), plainly(&text).map(bits), "{:?}", text);
        }
    }
}
