//! The other tables of the documentation.

use std::fmt::Write as _;

use super::Document;
use crate::numbers::shown;

/// The machine in a line.
pub fn machine(document: &Document) -> String {
    let machine = document.machine();
    let text = |name: &str| machine[name].as_str().unwrap_or("?").to_owned();
    let number = |name: &str| {
        machine[name]
            .as_f64()
            .map_or("?".to_owned(), |n| format!("{n:.0}"))
    };
    format!(
        "{} cores of an {}, {} GB of memory, Linux {}; ClickHouse {}, Redis {}, ONNX Runtime {}, all on the same cores.\n",
        number("cores"),
        text("cpu"),
        number("memory_gb"),
        text("kernel"),
        text("clickhouse"),
        text("redis"),
        text("onnxruntime"),
    )
}

/// One worker with each model, and the limits beside it.
pub fn stages(document: &Document) -> String {
    const SECTIONS: [&str; 4] = [
        "worker end to end, cnn",
        "worker end to end, near-free",
        "ONNX Runtime alone, cnn: best",
        "ClickHouse alone: Native, discarded, 2 streams",
    ];
    const ROWS: &[(&str, [&str; 4])] = &[
        ("rows/s", ["rows/s"; 4]),
        (
            "CPU of the process, µs a row",
            [
                "worker CPU, µs a row",
                "worker CPU, µs a row",
                "CPU, µs a row",
                "",
            ],
        ),
        ("… read", ["  fetch, µs a row", "  fetch, µs a row", "", ""]),
        (
            "… validation, rules, features",
            ["  prepare, µs a row", "  prepare, µs a row", "", ""],
        ),
        (
            "… inference",
            [
                "  infer, µs a row",
                "  infer, µs a row",
                "CPU, µs a row",
                "",
            ],
        ),
        (
            "… fusion",
            ["  conclude, µs a row", "  conclude, µs a row", "", ""],
        ),
        (
            "… audit file",
            ["  audit, µs a row", "  audit, µs a row", "", ""],
        ),
        ("… results, UPDATE, mirror", ["", "", "", ""]),
        (
            "… sockets, Redis, runtime",
            [
                "  the rest (HTTP, Redis, runtime), µs a row",
                "  the rest (HTTP, Redis, runtime), µs a row",
                "",
                "",
            ],
        ),
        (
            "ClickHouse CPU, µs a row",
            [
                "ClickHouse CPU, µs a row",
                "ClickHouse CPU, µs a row",
                "",
                "ClickHouse CPU, µs a row",
            ],
        ),
        ("Redis and MySQL CPU, µs a row", ["", "", "", ""]),
        (
            "worker's peak memory, MB",
            ["worker peak memory, MB", "worker peak memory, MB", "", ""],
        ),
        (
            "read, bytes a row",
            [
                "read from ClickHouse, bytes a row",
                "read from ClickHouse, bytes a row",
                "",
                "bytes a row",
            ],
        ),
        (
            "written, bytes a row",
            [
                "written to ClickHouse, bytes a row",
                "written to ClickHouse, bytes a row",
                "",
                "",
            ],
        ),
    ];
    let mut out = String::from(
        "| | worker, CNN | worker, near-free model | raw ONNX Runtime, CNN | raw ClickHouse read |\n|---|---|---|---|---|\n",
    );
    for (name, quantities) in ROWS {
        let _ = write!(out, "| {name} |");
        for (section, quantity) in SECTIONS.iter().zip(quantities) {
            let several: &[&str] = match *name {
                "… results, UPDATE, mirror" => &[
                    "  encode, µs a row",
                    "  store, µs a row",
                    "  commit, µs a row",
                    "  mirror, µs a row",
                ],
                "Redis and MySQL CPU, µs a row" => &["Redis CPU, µs a row", "MySQL CPU, µs a row"],
                _ => &[quantity],
            };
            let found: Vec<f64> = several
                .iter()
                .filter_map(|quantity| document.get(section, quantity))
                .map(|measured| measured.median)
                .collect();
            let value = if found.is_empty() {
                String::new()
            } else {
                shown(found.iter().sum())
            };
            let _ = write!(out, " {value} |");
        }
        out.push('\n');
    }
    out
}

/// Looks at days of every size.
pub fn slicing(document: &Document) -> String {
    const QUANTITIES: [&str; 5] = [
        "first keys after, ms",
        "whole look, ms",
        "ClickHouse CPU, ms",
        "client memory grew by, MB",
        "ClickHouse memory grew by, MB",
    ];
    let mut titles: Vec<(u64, &str)> = document
        .titles()
        .filter_map(|title| {
            let size = title
                .strip_prefix("slicing a day of ")?
                .strip_suffix(" million rows")?;
            Some((size.parse().ok()?, title))
        })
        .collect();
    titles.sort_unstable();
    let mut out = String::from("| million rows | ");
    out += &QUANTITIES.join(" | ");
    out += " |\n|---|---|---|---|---|---|\n";
    for (size, title) in titles {
        let _ = write!(out, "| {size} |");
        for quantity in QUANTITIES {
            let _ = write!(out, " {} |", median(document, title, quantity));
        }
        out.push('\n');
    }
    out
}

/// A day's write-backs from first to last.
pub fn write_backs(document: &Document) -> String {
    const SECTION: &str = "write-backs on one day, by tenths";
    const QUANTITIES: [&str; 12] = [
        "whole look, ms",
        "read of a range p50, ms",
        "read of a range p99, ms",
        "insert of results p50, ms",
        "UPDATE p50, ms",
        "UPDATE p99, ms",
        "ClickHouse CPU, ms a write-back",
        "write-backs/s",
        "parts",
        "patch parts",
        "patch parts, MB",
        "ClickHouse memory, MB",
    ];
    let mut out = format!(
        "{} write-backs on a day of {} million rows; before the first where there is a value, then after each tenth:\n\n",
        median(document, SECTION, "write-backs"),
        median(document, SECTION, "rows of the day, million"),
    );
    out += "| | before | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for quantity in QUANTITIES {
        let Some(measured) = document.get(SECTION, quantity) else {
            continue;
        };
        let before = if measured.runs.len() > 10 { "" } else { " |" };
        let values: Vec<String> = measured.runs.iter().copied().map(shown).collect();
        let _ = writeln!(out, "| {quantity} |{before} {} |", values.join(" | "));
    }
    out
}

/// Every fleet by the number of its workers.
pub fn fleets(document: &Document) -> String {
    const QUANTITIES: [&str; 14] = [
        "rows/s",
        "devices busy, %",
        "cores busy, %",
        "  by ClickHouse, %",
        "  by the workers, %",
        "  by Redis, %",
        "  by MySQL, %",
        "ClickHouse CPU, µs a row",
        "worker CPU, µs a row",
        "Redis CPU, µs a range",
        "UPDATEs/s",
        "rows an UPDATE",
        "UPDATE with its wait, ms",
        "UPDATEs under way or waiting",
    ];
    let mut out = String::new();
    for title in document
        .titles()
        .filter(|title| title.starts_with("fleet, "))
    {
        let device = title.trim_start_matches("fleet, ");
        let cells = |quantity: &str| -> Vec<String> {
            document
                .get(title, quantity)
                .map(|measured| measured.runs.iter().copied().map(shown).collect())
                .unwrap_or_default()
        };
        let sizes: Vec<String> = document
            .get(title, "workers")
            .map(|measured| {
                measured
                    .runs
                    .iter()
                    .map(|size| format!("{size:.0}"))
                    .collect()
            })
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "| workers, each with a {device} | {} |",
            sizes.join(" | ")
        );
        let _ = writeln!(out, "|---|{}", "---|".repeat(sizes.len()));
        for quantity in QUANTITIES {
            let _ = writeln!(
                out,
                "| {} | {} |",
                quantity.replace("  ", "… "),
                cells(quantity).join(" | ")
            );
        }
        let _ = writeln!(
            out,
            "| used up | {} |\n",
            document.words(title, "limit").join(" | ")
        );
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

fn median(document: &Document, section: &str, quantity: &str) -> String {
    document
        .get(section, quantity)
        .map_or_else(String::new, |measured| shown(measured.median))
}
