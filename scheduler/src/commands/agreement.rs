//! `scheduler evaluate --against previous_result`: our verdicts beside those of the service before.

use serde_json::{Value, json};
use weldfleet_service::{
    Exit, Failure, out, outln,
    output::{self, grouped, table},
};
use weldfleet_stores::clickhouse::{Disagreement, UnreadableText, VerdictAgreement, Verdicts};

/// Parts that are shown to people, those with the most differences; JSON has all.
const PARTS: usize = 20;

/// `outside` are rows of these days that the filter does not select: nobody here has judged them.
pub fn show(found: &VerdictAgreement, outside: u64, as_json: bool) -> Result<Exit, Failure> {
    if as_json {
        output::json(&json(found, outside))?;
        return Ok(Exit::Done);
    }
    if *found == VerdictAgreement::default() {
        outln!("no row of these days has a previous_result that is OK or NOK");
    } else {
        out!("{}", draw(found));
    }
    if outside > 0 {
        let rows = grouped(outside);
        outln!("{rows} rows of these days are outside tables.filter and are not compared");
    }
    Ok(Exit::Done)
}

fn json(found: &VerdictAgreement, outside: u64) -> Value {
    let counts = |verdicts: &Verdicts| {
        json!({
            "compared": verdicts.compared(), "agreement": verdicts.agreement(),
            "both_ok": verdicts.both_ok, "both_nok": verdicts.both_nok,
            "nok_ours_alone": verdicts.ours_alone, "nok_previous_alone": verdicts.previous_alone,
            "ours_missing": verdicts.ours_missing,
        })
    };
    let with = |name: &str, value: Value, verdicts: &Verdicts| {
        let mut line = counts(verdicts);
        line[name] = value;
        line
    };
    let days: Vec<Value> = found
        .by_day
        .iter()
        .map(|(day, verdicts)| with("day", json!(day.to_string()), verdicts))
        .collect();
    let parts: Vec<Value> = found
        .by_part
        .iter()
        .map(|(part, verdicts)| with("part_no", json!(part), verdicts))
        .collect();
    let examples: Vec<Value> = found
        .examples
        .iter()
        .map(|weld| {
            json!({
                "day": weld.day.to_string(), "record_id": weld.record_id, "part_no": weld.part_no,
                "spot_name": weld.spot_name, "ours": weld.ours, "previous": weld.previous, "explain": explain(weld),
            })
        })
        .collect();
    json!({
        "total": counts(&found.total), "days": days, "parts": parts, "examples": examples,
        "unreadable": unreadable_json(&found.unreadable), "not_selected": outside,
    })
}

pub fn unreadable_json(unreadable: &[UnreadableText]) -> Vec<Value> {
    let each = unreadable.iter();
    each.map(|text| json!({ "value": text.value, "rows": text.rows }))
        .collect()
}

/// A line for each text of a column that is no verdict.
pub fn draw_unreadable(column: &str, unreadable: &[UnreadableText]) -> String {
    let mut lines = String::new();
    for UnreadableText { value, rows } in unreadable {
        lines.push_str(&format!(
            "\n{} rows have {column} `{value}`, which is neither OK nor NOK, and are not counted",
            grouped(*rows)
        ));
    }
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines
}

/// The command that shows the weld. A shell reads what stands in single quotes as it is.
fn explain(weld: &Disagreement) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let id = &weld.record_id;
    let id = if !id.is_empty() && id.chars().all(is_plain) {
        id.clone()
    } else {
        format!("'{}'", id.replace('\'', "'\\''"))
    };
    format!("worker explain --record-id {id} --day {}", weld.day)
}

fn draw(found: &VerdictAgreement) -> String {
    const COUNTS: [&str; 6] = [
        "compared",
        "agree",
        "both NOK",
        "NOK ours alone",
        "NOK previous alone",
        "ours missing",
    ];
    let line = |name: String, verdicts: &Verdicts| {
        let agree = verdicts.agreement();
        vec![
            name,
            grouped(verdicts.compared()),
            agree.map_or_else(|| "-".to_owned(), |share| format!("{:.2}%", share * 100.0)),
            grouped(verdicts.both_nok),
            grouped(verdicts.ours_alone),
            grouped(verdicts.previous_alone),
            grouped(verdicts.ours_missing),
        ]
    };
    let headings = |first| [&[first], &COUNTS[..]].concat();
    let mut days: Vec<Vec<String>> = found
        .by_day
        .iter()
        .map(|(day, verdicts)| line(day.to_string(), verdicts))
        .collect();
    days.push(line("all".to_owned(), &found.total));
    let mut text = table(&headings("day"), &days);

    let mut parts: Vec<(&String, &Verdicts)> = found.by_part.iter().collect();
    let differing = |verdicts: &Verdicts| verdicts.ours_alone + verdicts.previous_alone;
    parts.sort_by_key(|(_, verdicts)| std::cmp::Reverse(differing(verdicts)));
    let more = parts.len().saturating_sub(PARTS);
    let parts: Vec<Vec<String>> = parts
        .into_iter()
        .take(PARTS)
        .map(|(part, verdicts)| line(part.clone(), verdicts))
        .collect();
    text.push('\n');
    text.push_str(&table(&headings("part"), &parts));
    if more > 0 {
        text.push_str(&format!("{more} parts more; --json has all\n"));
    }
    if !found.examples.is_empty() {
        text.push_str("\nthey differ, for example\n");
        let examples: Vec<Vec<String>> = found
            .examples
            .iter()
            .map(|weld| {
                vec![
                    weld.part_no.clone(),
                    weld.spot_name.clone(),
                    weld.ours.clone(),
                    weld.previous.clone(),
                    explain(weld),
                ]
            })
            .collect();
        text.push_str(&table(
            &["part", "spot", "ours", "previous", "look at it"],
            &examples,
        ));
    }
    text.push_str(&draw_unreadable("previous_result", &found.unreadable));
    text
}
