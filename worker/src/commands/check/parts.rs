//! Parts that have a model or rules of their own, beside those of the latest days.

use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::{LatestDays, PartRows, SourceTable};
use weldfleet_weld::rules::RuleSet;

use super::{part_names, report::Report};
use crate::{inference::catalog::Catalog, judging::Judging};

/// Parts of a day that are looked at; a body shop welds some hundred.
const MOST_PARTS: u32 = 10_000;

/// What a part may have of its own, in words for people.
struct Own<'a> {
    parts: &'a [String],
    /// "a model", "rules"
    what: &'static str,
    /// What judges a part that has none.
    instead: &'static str,
    /// How a part is named like its rows.
    remedy: String,
}

/// Compares the part numbers that models are named after, and those of the rules, with those of the latest days.
pub async fn check(
    settings: &Settings,
    judging: &Judging,
    source: &SourceTable,
    report: &mut Report,
) {
    let catalog = judging.models.as_ref().map(|models| &models.catalog);
    for folder in catalog.iter().flat_map(|catalog| catalog.unnamed()) {
        report.warning(
            "parts",
            format!(
                "`{}` holds a model, but no entry of `{}` names it: it judges nothing",
                folder.display(),
                catalog
                    .map(Catalog::table_path)
                    .unwrap_or_default()
                    .display()
            ),
        );
    }
    let named_by_table = catalog.is_some_and(|catalog| catalog.table().is_some());
    let models = Own {
        parts: catalog.map_or(&[], |catalog| &catalog.parts),
        what: "a model",
        instead: "the global model",
        remedy: match named_by_table {
            true => "write it in parts.json as the rows do".to_owned(),
            false => "name its folder as the rows do".to_owned(),
        },
    };
    let of_rules = judging.judge.rules().map(RuleSet::parts);
    let rules = Own {
        parts: of_rules.as_deref().unwrap_or_default(),
        what: "rules",
        instead: "the rules of all parts",
        remedy: format!(
            "write it in `{}` as the rows do",
            settings.rules.file.display()
        ),
    };
    if models.parts.is_empty() && rules.parts.is_empty() {
        return;
    }
    let (days, rows) = match source.parts_of_latest_days(MOST_PARTS).await {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return report.failed("parts", error.chain()),
    };
    if rows.len() >= MOST_PARTS as usize {
        return report.warning(
            "parts",
            format!("{days} has {MOST_PARTS} part numbers or more, too many to compare with those that have a model or rules"),
        );
    }
    for own in [models, rules] {
        own.compare(&days, &rows, report);
    }
}

impl Own<'_> {
    fn compare(&self, days: &LatestDays, rows: &[PartRows], report: &mut Report) {
        let what = self.what;
        let names = part_names::compare(self.parts, rows);
        for (row, alike) in &names.near {
            // Quoted with escapes, so that blanks and what cannot be seen can.
            let alike: Vec<String> = alike.iter().map(|part| format!("{part:?}")).collect();
            report.warning(
                "parts",
                format!(
                    "{} rows of {days} name part_no {:?}, and {} has {what} of its own: they are judged by {}; {}",
                    row.rows,
                    row.part_no,
                    alike.join(" and "),
                    self.instead,
                    self.remedy
                ),
            );
        }
        for part in &names.unasked {
            report.warning(
                "parts",
                format!("part_no {part:?} has {what} of its own, and no row of {days} names it"),
            );
        }
        if !self.parts.is_empty() && names == part_names::PartNames::default() {
            report.ok(
                "parts",
                format!(
                    "{} with {what} of their own, each seen on {days}",
                    self.parts.len()
                ),
            );
        }
    }
}
