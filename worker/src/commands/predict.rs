//! `worker predict`: records of a file through the same code; needs no service.

use std::{
    fs,
    io::{Read, stdin},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use serde_json::json;
use weldfleet_service::{Exit, Failure, OrExit, errln, outln, stdio};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::FurtherNames;
use weldfleet_weld::{Record, Verdict, columns::MEASURES};

use crate::{
    inference::{compute::Compute, isolation, tuning::Tuning},
    judging::Judging,
    records::{self, Refusal},
};

use super::words::{Thresholds, hits};

/// Records judged between two writes.
const AT_ONCE: usize = 1024;

/// A line of the file that was meant as a record and is none.
struct Bad {
    /// From 1.
    line: usize,
    refusal: Refusal,
}

/// Judges every record of `file` in order; a line that is no record costs that line only.
pub fn run(settings: &Settings, file: &Path, json: bool) -> Result<Exit, Failure> {
    let further = FurtherNames::of(&settings.columns);
    let lines = parse(&read(file)?, &further)
        .map_err(|refusal| Failure::usage(format!("`{}`: {refusal}", file.display())))?;
    let mut records = Vec::with_capacity(lines.len());
    let mut order = Vec::with_capacity(lines.len());
    for line in lines {
        order.push(line.map(|record| records.push(record)));
    }
    let bad = order.len() - records.len();
    if records.is_empty() {
        for bad in order.iter().filter_map(|line| line.as_ref().err()) {
            say_bad(file, bad, json);
        }
        return Ok(Exit::Usage);
    }
    let judging = Judging::from_settings(settings, Tuning::OnlyRemembered).or_exit(Exit::Usage)?;
    let layout = judging.layout.layout.one_session();
    let judge = Arc::clone(&judging.judge);
    let mut compute = Compute::new(judging.judge, judging.models, layout).or_exit(Exit::Usage)?;
    let mut verdicts = Vec::new();
    let mut next = 0;
    for line in &order {
        if stdio::is_closed() {
            break;
        }
        if let Err(bad) = line {
            say_bad(file, bad, json);
            continue;
        }
        if next % AT_ONCE == 0 {
            let some = next..(next + AT_ONCE).min(records.len());
            verdicts = isolation::judge(&mut compute, &records, some)?;
        }
        let (record, verdict) = (&records[next], &verdicts[next % AT_ONCE]);
        if json {
            outln!("{}", records::answer(record, verdict)?);
        } else {
            let thresholds = Thresholds::of(&judge, record.weld().part_no);
            outln!("{}", in_words(record, verdict, thresholds));
        }
        next += 1;
    }
    Ok(if bad > 0 { Exit::Leftover } else { Exit::Done })
}

/// On standard error; with `--json` also in the verdict's place, so that answers and lines stay in step.
fn say_bad(file: &Path, bad: &Bad, json: bool) {
    let Bad { line, refusal } = bad;
    if json {
        outln!(
            "{}",
            json!({ "line": line, "error": refusal.error, "field": refusal.field, "remedy": refusal.remedy })
        );
    }
    errln!("error: `{}` line {line}: {refusal}", file.display());
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file == Path::new("-") {
        let mut text = Vec::new();
        stdin()
            .read_to_end(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    fs::read(file)
        .with_context(|| format!("cannot read `{}`", file.display()))
        .or_exit(Exit::Usage)
}

/// One record, however many lines it takes, or one a line. It is one of several lines where the whole text is an
/// object, or where no line is one: a line that was cut costs that line alone.
///
/// # Errors
/// If it holds nothing, or one record of several lines that is wrong as a whole.
fn parse(text: &[u8], further: &FurtherNames) -> Result<Vec<Result<Record, Bad>>, Refusal> {
    let lines: Vec<(&[u8], usize)> = text
        .split(|byte| *byte == b'\n')
        .zip(1..)
        .filter(|(line, _)| !line.trim_ascii().is_empty())
        .collect();
    let Some((first, _)) = lines.first() else {
        return Err(Refusal::new("holds no record", "write one record a line"));
    };
    let of_several_lines = lines.len() > 1
        && !records::is_complete(first)
        && (records::is_object(text) || !lines.iter().any(|(line, _)| records::is_object(line)));
    if of_several_lines {
        return records::one(utf8(text)?, further).map(|record| vec![Ok(record)]);
    }
    let parsed = lines.into_iter().map(|(line, number)| {
        let record = utf8(line).and_then(|line| records::one(line, further));
        record.map_err(|refusal| Bad {
            line: number,
            refusal,
        })
    });
    Ok(parsed.collect())
}

fn utf8(text: &[u8]) -> Result<&str, Refusal> {
    str::from_utf8(text)
        .map_err(|error| Refusal::new(format_args!("not UTF-8: {error}"), "write it in UTF-8"))
}

fn in_words(record: &Record, verdict: &Verdict, thresholds: Thresholds) -> String {
    let id = record
        .record_id
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string);
    let Some(result) = verdict.final_result else {
        let reason = verdict.alg_error.as_deref().unwrap_or_default();
        return format!("{id}  {}  {reason}", verdict.alg_status.as_str());
    };
    let mut text = format!("{id}  {}  by {}", result.as_str(), verdict.decision());
    if let Some(probability) = verdict.ml_nok_prob {
        let probability = thresholds.probability(probability);
        text.push_str(&format!("  nok_prob {probability}"));
    }
    for (name, read) in MEASURES {
        if let Some(value) = read(verdict) {
            let name = name.trim_end_matches("_thickness"); // there is one line for all
            text.push_str(&format!("  {name} {value:.2} mm"));
        }
    }
    for hit in hits(verdict) {
        text.push_str(&format!("  {hit}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"umax": 2, "imax": 9, "u_curve": [1, 2], "i_curve": [8, 9]}"#;

    /// Which lines are records; the refusal's text where the whole is none.
    fn parsed(text: &str) -> Result<Vec<bool>, String> {
        let further = FurtherNames::of(&Settings::default().columns);
        let lines = parse(text.as_bytes(), &further);
        lines
            .map(|lines| lines.iter().map(Result::is_ok).collect())
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_line_that_was_cut_costs_that_line_alone_wherever_it_is() {
        let cut = &RECORD[..40];
        for (first, second, third, found) in [
            (cut, RECORD, RECORD, [false, true, true]),
            (RECORD, cut, RECORD, [true, false, true]),
            (RECORD, RECORD, cut, [true, true, false]),
        ] {
            let text = format!("{first}\n{second}\n\n{third}\n");
            assert_eq!(parsed(&text), Ok(found.to_vec()), "{text}");
        }
    }

    #[test]
    fn one_record_may_take_many_lines() {
        let spread = RECORD.replace(", ", ",\n");
        assert_eq!(parsed(&spread), Ok(vec![true]));
        assert_eq!(parsed(&format!("\u{feff}{spread}")), Ok(vec![true]));
        let refused = parsed(&spread.replace("[8,", "[8 8,")).unwrap_err();
        assert!(refused.contains("not JSON"), "{refused}");
        let refused = parsed(&spread.replace("umax", "vmax")).unwrap_err();
        assert!(refused.contains("vmax"), "{refused}");
    }
}
