//! Old configurations, good and bad, and what becomes of them. After a wanted change: `INSTA_UPDATE=always cargo nextest run -p
//! weldfleet-adoption`, then read the diff.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use weldfleet_adoption::{
    Asked, Facts, Language, OldConfig, Plan,
    document::{self, Knows},
    facts::{MySqlColumn, MySqlTable, SourceColumn, SourceTable},
};
use weldfleet_settings::Settings;

/// What every secret in the configurations holds.
const SECRET: &str = "hunter2";

fn knows_all(_: &str, _: Option<(&str, &toml::Value)>) -> bool {
    true
}

fn text(name: &str) -> String {
    let path = format!(
        "{}/tests/configurations/{name}.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The plant's table, with 300 rows of its latest day.
fn plant(rows: usize) -> SourceTable {
    let columns = [
        ("id", "String"),
        ("serial_no", "String"),
        ("spot_tag", "Nullable(String)"),
        ("part_all", "String"),
        ("prog_no", "String"),
        ("weld_time", "Nullable(DateTime)"),
        ("data_date", "String"),
        ("ck_local_time", "DateTime64(3)"),
        ("ver", "UInt32"),
        ("umax", "String"),
        ("imax", "String"),
        ("u_curve", "Array(UInt16)"),
        ("i_curve", "Array(UInt16)"),
        ("wear", "String"),
        ("tipdresscounter", "String"),
        ("energie", "String"),
        ("rfid", "String"),
        ("workshop_section", "String"),
        ("area", "String"),
    ];
    let row = |k: usize| -> Vec<Option<String>> {
        let spot = match k % 60 {
            7 => Some("0".to_owned()),
            8 => None,
            _ => Some(format!("AB010_{}", k % 40)),
        };
        let program = match k % 30 {
            2 => "41",
            3 => "51",
            _ => "12",
        };
        let umax = match k % 70 {
            5 => "0",
            6 => "None",
            9 => "",
            _ => "1.62",
        };
        let points = 420 + k % 70;
        let cell = |text: &str| Some(text.to_owned());
        vec![
            cell(&format!("W{k}")),
            cell(&format!("T{}", k % 5)),
            spot,
            cell(&format!("7H0/809 {}", k % 3)),
            cell(program),
            cell("2026-11-28 10:00:00"),
            cell("20261128"),
            cell("2026-11-28 10:00:00.000"),
            cell("1"),
            cell(umax),
            cell("952"),
            cell(&curve(points, 98)),
            cell(&curve(points + usize::from(k % 4 == 1), 98)),
            cell("12"),
            cell("17"),
            cell("None"),
            cell(&format!("BODY{k:06}")),
            cell("UB"),
            cell("L2"),
        ]
    };
    table(&columns, (0..rows).map(row).collect())
}

fn table(columns: &[(&str, &str)], rows: Vec<Vec<Option<String>>>) -> SourceTable {
    let column = |(name, kind): &(&str, &str)| SourceColumn {
        name: (*name).to_owned(),
        kind: (*kind).to_owned(),
    };
    SourceTable {
        columns: columns.iter().map(column).collect(),
        rows,
    }
}

fn curve(points: usize, top: usize) -> String {
    let samples: Vec<String> = (0..points)
        .map(|at| (top * at.min(20) / 20).to_string())
        .collect();
    format!("[{}]", samples.join(","))
}

/// The table that the plant's application reads.
fn application() -> MySqlTable {
    let columns = [
        ("nid", "int", false),
        ("workshop_section", "varchar", true),
        ("area", "varchar", true),
        ("workshop_position", "varchar", false),
        ("defect_type_alg", "varchar", true),
        ("spot_tag", "varchar", true),
        ("rfid", "varchar", true),
        ("weld_time", "datetime", false),
        ("kpi", "text", true),
        ("rec_cause", "text", true),
        ("atlas_info", "varchar", true),
        ("confirmed_at", "datetime", true),
        ("diameter", "double", false),
        ("indentation", "double", false),
    ];
    let column = |(name, kind, demanded): &(&str, &str, bool)| MySqlColumn {
        name: (*name).to_owned(),
        kind: (*kind).to_owned(),
        demanded: *demanded,
    };
    MySqlTable {
        columns: columns.iter().map(column).collect(),
    }
}

/// A plant that has text arrays in mV and A, everything called by names of its own.
fn chinese() -> SourceTable {
    let columns = [
        ("记录号", "UInt64"),
        ("日期", "Date"),
        ("时间", "DateTime"),
        ("电压峰值", "Decimal(8, 3)"),
        ("电流峰值", "Float32"),
        ("电压", "Array(String)"),
        ("电流", "String"),
        ("工段", "LowCardinality(String)"),
        ("控制器", "String"),
    ];
    let row = |k: usize| -> Vec<Option<String>> {
        let cell = |text: &str| Some(text.to_owned());
        vec![
            cell(&k.to_string()),
            cell("2026-11-28"),
            cell("2026-11-28 10:00:00"),
            cell("1450.250"),
            cell("10.5"),
            cell(
                &curve(4000, 1440)
                    .replace(',', "','")
                    .replace('[', "['")
                    .replace(']', "']"),
            ),
            cell(&curve(4000 + k % 9, 10400).replace(',', ";")),
            cell("UB"),
            cell("T1"),
        ]
    };
    table(&columns, (0..30).map(row).collect())
}

fn with_verdicts() -> SourceTable {
    let mut plant = plant(20);
    for (name, kind, value) in [
        ("final_result", "String", "OK"),
        ("diameter", "Float32", "5.1"),
        ("alg_complete_time", "DateTime", "2026-11-28 10:00:01"),
    ] {
        plant.columns.push(SourceColumn {
            name: name.to_owned(),
            kind: kind.to_owned(),
        });
        for row in &mut plant.rows {
            row.push(Some(value.to_owned()));
        }
    }
    plant
}

struct Adopted {
    file: String,
    screen: String,
    plan: Plan,
}

fn adopt(
    name: &str,
    source: Asked<SourceTable>,
    mysql: Asked<MySqlTable>,
    language: Language,
    knows: Knows<'_>,
) -> Adopted {
    let old = OldConfig::read(&text(name)).unwrap();
    let facts = Facts {
        clickhouse_url: old.clickhouse_urls().unwrap().urls[0].clone(),
        source,
        mysql,
    };
    let plan = Plan::make(&old, &facts, "secrets", "rules.toml").unwrap();
    let file = document::render(&plan, &format!("{name}.yaml"), language, knows);
    let screen = document::summary(&plan, language, knows);
    Adopted { file, screen, plan }
}

fn away<T>() -> Asked<T> {
    Asked::Unknown("connection refused".to_owned())
}

/// Every good configuration with what its servers say.
fn cases() -> Vec<(
    &'static str,
    Asked<SourceTable>,
    Asked<MySqlTable>,
    Language,
)> {
    vec![
        (
            "plant",
            Asked::Told(plant(300)),
            Asked::Told(application()),
            Language::English,
        ),
        (
            "asked",
            Asked::Told(plant(300)),
            Asked::Unknown("not asked".to_owned()),
            Language::English,
        ),
        ("addresses", away(), away(), Language::Both),
        ("mapped", Asked::Told(chinese()), away(), Language::Chinese),
        (
            "verdicts",
            Asked::Told(with_verdicts()),
            Asked::Told(MySqlTable::default()),
            Language::English,
        ),
        (
            "unusable",
            Asked::Told(table(&[("id", "String"), ("v", "Float64")], Vec::new())),
            away(),
            Language::English,
        ),
        ("unknown", Asked::Told(plant(0)), away(), Language::English),
    ]
}

#[test]
fn what_is_written() {
    for (name, source, mysql, language) in cases() {
        let adopted = adopt(name, source, mysql, language, &knows_all);
        insta::assert_snapshot!(
            name,
            format!("{}\n--- on the screen\n{}", adopted.file, adopted.screen)
        );
    }
}

#[test]
fn what_is_written_loads_in_this_build() {
    for (name, source, mysql, language) in cases() {
        let adopted = adopt(name, source, mysql, language, &Settings::knows);
        let secrets = adopted.plan.secrets.iter().map(|file| {
            let variable = format!("WELDFLEET__{}__PASSWORD", file.section.to_uppercase());
            (variable, file.secret.expose().to_owned())
        });
        let settings = Settings::from_text(&adopted.file, secrets)
            .unwrap_or_else(|error| panic!("{name}: {error}\n{}", adopted.file));
        assert!(!settings.tables.source_table.is_empty());
        for file in &adopted.plan.secrets {
            assert!(
                adopted
                    .file
                    .contains(&format!("password_file = \"secrets/{}\"", file.name))
            );
        }
    }
}

#[test]
fn a_key_that_the_build_lacks_is_a_comment() {
    let knows = |section: &str, entry: Option<(&str, &toml::Value)>| {
        section != "columns.carried"
            && !(section == "tables" && entry.is_some_and(|(key, _)| key == "filter"))
    };
    let adopted = adopt(
        "plant",
        Asked::Told(plant(300)),
        Asked::Told(application()),
        Language::English,
        &knows,
    );
    for line in [
        "# [columns.carried]",
        "# body_no = \"rfid\"",
        "# filter = \"prog_no NOT IN ('41', '51')\"",
    ] {
        assert!(
            adopted.file.lines().any(|written| written == line),
            "{line}\n{}",
            adopted.file
        );
    }
    assert!(
        adopted.screen.contains("later: tables.filter"),
        "{}",
        adopted.screen
    );
}

#[test]
fn no_secret_is_ever_shown() {
    for (name, source, mysql, language) in cases() {
        let adopted = adopt(name, source, mysql, language, &knows_all);
        let shown = format!("{}{}{:?}", adopted.file, adopted.screen, adopted.plan);
        assert!(!shown.contains(SECRET), "{name}: {shown}");
    }
    for text in broken() {
        if let Err(error) = OldConfig::read(&text) {
            assert!(
                !format!("{error} {error:?}").contains(SECRET),
                "{text}: {error}"
            );
        }
    }
}

/// What is no configuration, or none that can be adopted.
fn broken() -> Vec<String> {
    [
        "clickhouse: {host: ck, password: hunter2",
        "clickhouse:\n  password: \"hunter2\n  host: ck\n",
        "clickhouse:\n  host: ck\n password: hunter2\n",
        "clickhouse:\n\thost: ck\n\tpassword: hunter2\n",
        "password: hunter2\npassword: hunter2\n",
        "clickhouse: *hunter\n",
        "password: hunter2: x: y\n",
        "- hunter2\n- b\n",
        "",
        "a: b\n---\nc: hunter2\n",
        "? [hunter2]\n: b\n",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[test]
fn what_is_refused_is_told_with_the_remedy() {
    let mut told: Vec<String> = broken()
        .iter()
        .map(|text| match OldConfig::read(text) {
            Err(error) => error.to_string(),
            Ok(_) => format!("accepted: {text}"),
        })
        .collect();
    let planned = [
        "batch_size: 5\n",
        "clickhouse: {host: ck}\nmysql: {user: app, password: hunter2}\n",
        "clickhouse: {host: ck}\ncolumns: {u_curve: curve, i_curve: curve}\n",
        "clickhouse: {host: ck}\ncolumns: {id: a, record_id: b}\n",
    ];
    for text in planned {
        let old = OldConfig::read(text).unwrap();
        let facts = Facts {
            clickhouse_url: "http://ck:8123".to_owned(),
            source: away(),
            mysql: away(),
        };
        told.push(match Plan::make(&old, &facts, "secrets", "rules.toml") {
            Err(error) => error.to_string(),
            Ok(_) => format!("accepted: {text}"),
        });
    }
    insta::assert_snapshot!("refused", told.join("\n"));
}
