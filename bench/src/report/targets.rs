//! What was promised, and whether it is kept.

use std::fmt::Write as _;

use super::{Document, Measured};
use crate::numbers::shown;

const RAW: &str = "ONNX Runtime alone, cnn: best";
const CNN: &str = "worker end to end, cnn";
const FREE: &str = "worker end to end, near-free";
const LIVE: &str = "live, CNN";
const LARGE: &str = "slicing a day of 100 million rows";
const WRITES: &str = "write-backs on one day, by tenths";

/// Worker CPU besides the model that the CNN's target allows, µs a row.
const ALLOWED_US: f64 = 10.0;

enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// What the cores would allow if everything but the model cost [`ALLOWED_US`] and the ClickHouse CPU that was
    /// measured.
    WhatCoresAllow,
}

struct Target {
    name: &'static str,
    section: &'static str,
    quantity: &'static str,
    wanted: Wanted,
}

const TARGETS: &[Target] = &[
    Target {
        name: "CNN, rows/s",
        section: CNN,
        quantity: "rows/s",
        wanted: Wanted::WhatCoresAllow,
    },
    Target {
        name: "CNN, inference in the worker's CPU, %",
        section: CNN,
        quantity: "inference, share of the worker's CPU, %",
        wanted: Wanted::AtLeast(93.0),
    },
    Target {
        name: "CNN, compute threads waiting for rows, %",
        section: CNN,
        quantity: "compute threads waiting, % of the middle",
        wanted: Wanted::AtMost(1.0),
    },
    Target {
        name: "CNN, worker's peak memory, MB",
        section: CNN,
        quantity: "worker peak memory, MB",
        wanted: Wanted::AtMost(250.0),
    },
    Target {
        name: "start to first claim, ms",
        section: CNN,
        quantity: "start of the worker to its first claim, ms",
        wanted: Wanted::AtMost(1000.0),
    },
    Target {
        name: "near-free model, rows/s",
        section: FREE,
        quantity: "rows/s",
        wanted: Wanted::AtLeast(75_000.0),
    },
    Target {
        name: "near-free, worker CPU besides inference, µs a row",
        section: FREE,
        quantity: "worker CPU besides inference, µs a row",
        wanted: Wanted::AtMost(10.0),
    },
    Target {
        name: "near-free, ClickHouse CPU, µs a row",
        section: FREE,
        quantity: "ClickHouse CPU, µs a row",
        wanted: Wanted::AtMost(13.0),
    },
    Target {
        name: "live at 600 rows/s, weld to verdict p99, ms",
        section: LIVE,
        quantity: "weld to verdict p99, ms",
        wanted: Wanted::AtMost(7000.0),
    },
    Target {
        name: "a look at 100 million rows, 1 million of them without a verdict, ms",
        section: LARGE,
        quantity: "whole look, ms",
        wanted: Wanted::AtMost(500.0),
    },
    Target {
        name: "the same as write-backs go on, the slowest, ms",
        section: WRITES,
        quantity: "whole look, ms",
        wanted: Wanted::AtMost(500.0),
    },
];

/// Rows a second that the cores allow the CNN.
fn cores_allow(document: &Document) -> Option<f64> {
    let raw = document.get(RAW, "rows/s")?.median;
    let model = document.get(RAW, "CPU, µs a row")?.median;
    let clickhouse = document.get(CNN, "ClickHouse CPU, µs a row")?.median;
    Some(raw * model / (model + ALLOWED_US + clickhouse))
}

impl Target {
    fn measured(&self, document: &Document) -> Option<Measured> {
        let mut measured = document.get(self.section, self.quantity)?;
        if self.section == WRITES {
            measured.median = measured.high;
        }
        Some(measured)
    }

    /// The target in words, and by how many percent it is missed; negative where it is kept.
    fn judge(&self, document: &Document, value: f64) -> Option<(String, f64)> {
        let (sign, limit, missed) = match self.wanted {
            Wanted::AtLeast(limit) => ("≥", limit, (limit - value) / limit),
            Wanted::AtMost(limit) => ("≤", limit, (value - limit) / limit),
            Wanted::WhatCoresAllow => {
                let limit = cores_allow(document)?;
                ("≥", limit, (limit - value) / limit)
            }
        };
        Some((format!("{sign} {}", shown(limit)), 100.0 * missed))
    }
}

/// Every target with its figure.
pub fn table(document: &Document) -> String {
    let mut out =
        String::from("| target | wanted | measured | spread | |\n|---|---|---|---|---|\n");
    for target in TARGETS {
        let judged = target.measured(document).and_then(|measured| {
            let (wanted, percent) = target.judge(document, measured.median)?;
            Some((measured, wanted, percent))
        });
        let Some((measured, wanted, percent)) = judged else {
            continue;
        };
        let spread = match measured.runs.as_slice() {
            [] | [_] => "–".to_owned(),
            _ => format!("{} to {}", shown(measured.low), shown(measured.high)),
        };
        let verdict = if percent <= 0.0 {
            "met".to_owned()
        } else {
            format!("missed by {percent:.1} %")
        };
        let _ = writeln!(
            out,
            "| {} | {wanted} | {} | {spread} | {verdict} |",
            target.name,
            shown(measured.median)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn document(sections: &[(&str, &str, f64)]) -> Document {
        let mut measured = Map::new();
        for (section, quantity, value) in sections {
            let entry = measured
                .entry((*section).to_owned())
                .or_insert_with(|| json!({}));
            entry[*quantity] =
                json!({ "median": value, "low": value, "high": value, "runs": [value] });
        }
        Document::new(Value::Null, measured)
    }

    #[test]
    fn a_target_is_met_or_missed_by_so_much() {
        let document = document(&[
            (FREE, "rows/s", 60_000.0),
            (FREE, "ClickHouse CPU, µs a row", 13.0),
        ]);
        let table = table(&document);
        assert!(
            table
                .contains("| near-free model, rows/s | ≥ 75,000 | 60,000 | – | missed by 20.0 % |"),
            "{table}"
        );
        assert!(table.contains("| ≤ 13.0 | 13.0 | – | met |"), "{table}");
        assert_eq!(
            table.lines().count(),
            4,
            "what was not measured is not judged\n{table}"
        );
    }

    #[test]
    fn the_cnn_is_held_against_what_the_cores_allow() {
        let document = document(&[
            (RAW, "rows/s", 10_000.0),
            (RAW, "CPU, µs a row", 180.0),
            (CNN, "ClickHouse CPU, µs a row", 10.0),
            (CNN, "rows/s", 8_100.0),
        ]);
        let table = table(&document);
        assert!(
            table.contains("| ≥ 9,000 | 8,100 | – | missed by 10.0 % |"),
            "{table}"
        );
    }
}
