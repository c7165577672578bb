//! Old configurations, good and bad, and what becomes of them. After a wanted change:
//! `INSTA_UPDATE=always cargo nextest run -p weldfleet-adoption`, then read the diff.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use weldfleet_adoption::{
    AdoptError, Adoption, Answer, Facts, OldConfig,
    document::{self, IsKnownKey},
    facts::{MySqlColumn, MySqlTable, SourceColumn, SourceTable},
};
use weldfleet_settings::Settings;
use weldfleet_words::Language;

type Languages = &'static [Language];
const ENGLISH: Languages = &[Language::English];
const CHINESE: Languages = &[Language::Chinese];
const BOTH: Languages = &[Language::Chinese, Language::English];

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
    plan: Adoption,
}

fn adopt(
    name: &str,
    source: Answer<SourceTable>,
    mysql: Answer<MySqlTable>,
    languages: Languages,
    knows: IsKnownKey<'_>,
) -> Adopted {
    let old = OldConfig::read(&text(name)).unwrap();
    let facts = Facts {
        clickhouse_url: old.clickhouse_urls().unwrap().urls[0].clone(),
        source,
        mysql,
    };
    let plan = Adoption::make(&old, &facts, "secrets", "rules.toml").unwrap();
    let file = document::render(&plan, &format!("{name}.yaml"), languages, knows);
    let screen = document::summary(&plan, languages, knows);
    Adopted { file, screen, plan }
}

fn away<T>() -> Answer<T> {
    Answer::Unknown("connection refused".to_owned())
}

/// Every good configuration with what its servers say.
fn cases() -> Vec<(
    &'static str,
    Answer<SourceTable>,
    Answer<MySqlTable>,
    Languages,
)> {
    vec![
        (
            "plant",
            Answer::Told(plant(300)),
            Answer::Told(application()),
            ENGLISH,
        ),
        (
            "asked",
            Answer::Told(plant(300)),
            Answer::Unknown("not asked".to_owned()),
            ENGLISH,
        ),
        ("filters", Answer::Told(plant(300)), away(), ENGLISH),
        ("addresses", away(), away(), BOTH),
        ("mapped", Answer::Told(chinese()), away(), CHINESE),
        (
            "verdicts",
            Answer::Told(with_verdicts()),
            Answer::Told(MySqlTable::default()),
            ENGLISH,
        ),
        (
            "unusable",
            Answer::Told(table(&[("id", "String"), ("v", "Float64")], Vec::new())),
            away(),
            ENGLISH,
        ),
        ("unknown", Answer::Told(plant(0)), away(), ENGLISH),
    ]
}

#[test]
fn what_is_written() {
    for (name, source, mysql, languages) in cases() {
        let adopted = adopt(name, source, mysql, languages, &knows_all);
        insta::assert_snapshot!(
            name,
            format!("{}\n--- on the screen\n{}", adopted.file, adopted.screen)
        );
    }
}

#[test]
fn what_is_written_loads_in_this_build() {
    for (name, source, mysql, languages) in cases() {
        let adopted = adopt(name, source, mysql, languages, &Settings::knows);
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

/// The file as a person answers it by docs/ADOPT.md: the `#` before each key that is asked for taken away, or its line
/// put in the place of the one above where the file says so; a name where it has none.
fn answered(file: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let (mut asks, mut replaces) = (false, false);
    for line in file.lines() {
        let comment = line.strip_prefix("# ").unwrap_or_default();
        let key = comment.split_once(" = ").map(|(key, _)| key);
        let Some(key) = key.filter(|key| asks && !key.contains(' ')) else {
            let is_comment = line.starts_with('#');
            asks = is_comment && (asks || comment.starts_with(['?', '？']));
            replaces =
                asks && (replaces || comment.contains("put this") || comment.contains("替换"));
            lines.push(line.to_owned());
            continue;
        };
        let same_key = |line: &String| line.starts_with(&format!("{key} = "));
        let section = lines.iter().rposition(|line| line.starts_with('['));
        let above = lines
            .iter()
            .rposition(same_key)
            .filter(|at| Some(*at) > section);
        assert_eq!(above.is_some(), replaces, "{line}\n{file}");
        if let Some(above) = above {
            lines.remove(above);
        }
        let name = format!("\"column_{}\"", lines.len());
        lines.push(comment.replace("\"\"", &name));
        (asks, replaces) = (false, false);
    }
    lines.join("\n")
}

#[test]
fn what_is_answered_loads() {
    for (name, source, mysql, languages) in cases() {
        let adopted = adopt(name, source, mysql, languages, &Settings::knows);
        let file = answered(&adopted.file);
        let left = file.lines().filter(|line| line.starts_with("# url = "));
        assert_eq!(left.count(), 0, "{name}: {file}");
        toml::from_str::<toml::Table>(&file)
            .unwrap_or_else(|error| panic!("{name}: {error}\n{file}"));
        // Its answers repeat what the settings refused.
        if name == "unusable" {
            continue;
        }
        let secrets = adopted.plan.secrets.iter().map(|file| {
            let variable = format!("WELDFLEET__{}__PASSWORD", file.section.to_uppercase());
            (variable, file.secret.expose().to_owned())
        });
        Settings::from_text(&file, secrets)
            .unwrap_or_else(|error| panic!("{name}: {error}\n{file}"));
    }
}

#[test]
fn a_table_that_nobody_saw_is_not_taken_for_ours() {
    let line = "result_table = \"weld_confirm\"";
    for (mysql, live) in [
        (Answer::Told(application()), true),
        (Answer::Told(MySqlTable::default()), true),
        (away(), false),
    ] {
        let source = Answer::Told(plant(300));
        let adopted = adopt("plant", source, mysql, ENGLISH, &Settings::knows);
        let is_live = adopted.file.lines().any(|written| written == line);
        assert_eq!(is_live, live, "{}", adopted.file);
        assert!(adopted.file.contains(line), "{}", adopted.file);
        let asks = adopted.screen.contains("? tables.result_table");
        assert_eq!(asks, !live, "{}", adopted.screen);
    }
}

#[test]
fn a_column_of_old_verdicts_is_known_by_the_words_that_evaluate_knows() {
    for (kind, values, is_one) in [
        ("String", ["OK", "NOK"], true),
        ("Enum8('io' = 1, 'bad' = 2)", ["io", "bad"], true),
        (
            "LowCardinality(Nullable(String))",
            [" Good ", "不合格"],
            true,
        ),
        ("String", ["OK", "maybe"], false),
        ("UInt8", ["1", "0"], false),
    ] {
        let mut table = plant(20);
        table.columns.push(SourceColumn {
            name: "ai_result".to_owned(),
            kind: kind.to_owned(),
        });
        for (at, row) in table.rows.iter_mut().enumerate() {
            row.push(Some(values[at % 2].to_owned()));
        }
        let adopted = adopt("asked", Answer::Told(table), away(), ENGLISH, &knows_all);
        let found = adopted.file.contains("previous_result = \"ai_result\"");
        assert_eq!(found, is_one, "{kind} {values:?}");
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
        Answer::Told(plant(300)),
        Answer::Told(application()),
        ENGLISH,
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
    for (name, source, mysql, languages) in cases() {
        let adopted = adopt(name, source, mysql, languages, &knows_all);
        let shown = format!("{}{}{:?}", adopted.file, adopted.screen, adopted.plan);
        assert!(!shown.contains(SECRET), "{name}: {shown}");
    }
    for text in broken().into_iter().chain(hiding()) {
        let shown = match planned(&text) {
            Err(error) => format!("{error} {error:?}"),
            Ok(plan) => {
                let file = document::render(&plan, "OLD.yaml", BOTH, &knows_all);
                let screen = document::summary(&plan, BOTH, &knows_all);
                format!("{file}{screen}{plan:?}")
            }
        };
        assert!(!shown.contains("unter2"), "{text}: {shown}");
    }
}

fn planned(text: &str) -> Result<Adoption, AdoptError> {
    let old = OldConfig::read(text)?;
    let facts = Facts {
        clickhouse_url: old.clickhouse_urls()?.urls[0].clone(),
        source: away(),
        mysql: away(),
    };
    Adoption::make(&old, &facts, "secrets", "rules.toml")
}

/// A password where a URL, a host or another value has it, with each character that a URL needs for itself.
fn hiding() -> Vec<String> {
    let mut texts = Vec::new();
    for c in [
        "#", "/", "?", ":", "@", "%", " ", "&", "=", "://", "%23", "1#", "[", "焊",
    ] {
        let (secret, my) = (format!("h{c}unter2"), "my:3306/quality");
        for url in [
            format!("mysql+pymysql://app:{secret}@{my}"),
            format!("app:{secret}@{my}"),
            format!("mysql://{my}?user=app&password={secret}"),
            format!("mysql://{my}#{secret}"),
            // What stands behind an `@` is a host.
            format!("mysql://app:{}", secret.replace('@', ":")),
            format!("mysql://app@{my}/{secret}@unter2"),
        ] {
            texts.push(format!("clickhouse_host: ck\nmysql_dsn: '{url}'\n"));
            texts.push(format!("clickhouse_url: '{url}'\n"));
            texts.push(format!("clickhouse_host: ck\nmysql_host: '{url}'\n"));
            texts.push(format!("clickhouse_host: [ck, '{url}']\n"));
        }
        for key in [
            "mysql_db",
            "ck_db",
            "save_dir",
            "table",
            "model_dir",
            "filter",
        ] {
            for value in [
                format!("x?password={secret}"),
                format!("//app:{secret}@my/x"),
                format!("s3://key:{secret}@my/x"),
            ] {
                texts.push(format!(
                    "clickhouse_host: ck\nmysql_host: my\n{key}: \"{value}\"\n"
                ));
            }
        }
    }
    texts
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
        "mysql: {host: 'app:hunter2@my'}\n",
        "clickhouse: {host: 'http://hunter2'}\n",
        "mysql: {host: 'my hunter2'}\n",
        "mysql_dsn: 'mysql://app:1#hunter2@my/quality'\n",
        "mysql: {host: my, database: 'quality?password=hunter2'}\n",
        "save_dir: 'smb://app:hunter2@nas/csv'\n",
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
        told.push(
            match Adoption::make(&old, &facts, "secrets", "rules.toml") {
                Err(error) => error.to_string(),
                Ok(_) => format!("accepted: {text}"),
            },
        );
    }
    insta::assert_snapshot!("refused", told.join("\n"));
}
