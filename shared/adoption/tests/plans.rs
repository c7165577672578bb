//! Old configurations, good and bad, and what becomes of them. After a wanted change:
//! `INSTA_UPDATE=always cargo nextest run -p weldfleet-adoption`, then read the diff.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use weldfleet_adoption::{
    AdoptError, Adoption, Answer, Facts, OldConfig,
    document::{self, IsKnownKey},
    facts::{MySqlColumn, SourceColumn, SourceTable},
};
use weldfleet_settings::{Settings, columns::RESULT_COLUMNS as RESULT_COLUMN_NAMES};
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
        programs: Vec::new(),
    }
}

/// The same with one more column.
fn with_column(
    mut table: SourceTable,
    name: &str,
    kind: &str,
    values: &[Option<&str>],
) -> SourceTable {
    table.columns.push(SourceColumn {
        name: name.to_owned(),
        kind: kind.to_owned(),
    });
    for (at, row) in table.rows.iter_mut().enumerate() {
        row.push(values[at % values.len()].map(str::to_owned));
    }
    table
}

fn curve(points: usize, top: usize) -> String {
    let samples: Vec<String> = (0..points)
        .map(|at| (top * at.min(20) / 20).to_string())
        .collect();
    format!("[{}]", samples.join(","))
}

/// The table that the plant's application reads.
fn application() -> Vec<MySqlColumn> {
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
        nullable: !demanded,
        demanded: *demanded,
    };
    columns.iter().map(column).collect()
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
    mysql: Answer<Vec<MySqlColumn>>,
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
    Err("connection refused".to_owned())
}

/// A configuration's name, what the servers say, and in which languages it is adopted.
type Case = (
    &'static str,
    Answer<SourceTable>,
    Answer<Vec<MySqlColumn>>,
    Languages,
);

/// Every good configuration with what its servers say.
fn cases() -> Vec<Case> {
    vec![
        ("plant", Ok(plant(300)), Ok(application()), ENGLISH),
        (
            "asked",
            Ok(plant(300)),
            Err("not asked".to_owned()),
            ENGLISH,
        ),
        ("filters", Ok(plant(300)), away(), ENGLISH),
        ("addresses", away(), away(), BOTH),
        ("mapped", Ok(chinese()), away(), CHINESE),
        ("verdicts", Ok(with_verdicts()), Ok(Vec::new()), ENGLISH),
        (
            "unusable",
            Ok(table(&[("id", "String"), ("v", "Float64")], Vec::new())),
            away(),
            ENGLISH,
        ),
        ("unknown", Ok(plant(0)), away(), ENGLISH),
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
        (Ok(application()), true),
        (Ok(Vec::new()), true),
        (away(), false),
    ] {
        let source = Ok(plant(300));
        let adopted = adopt("plant", source, mysql, ENGLISH, &Settings::knows);
        let is_live = adopted.file.lines().any(|written| written == line);
        assert_eq!(is_live, live, "{}", adopted.file);
        assert!(adopted.file.contains(line), "{}", adopted.file);
        let asks = adopted.screen.contains("? tables.result_table");
        assert_eq!(asks, !live, "{}", adopted.screen);
    }
}

/// What becomes of a configuration's text, with everything that the plant's servers say.
fn adopt_text(text: &str, source: Answer<SourceTable>, mysql: Answer<Vec<MySqlColumn>>) -> Adopted {
    let old = OldConfig::read(text).unwrap();
    let facts = Facts {
        clickhouse_url: old.clickhouse_urls().unwrap().urls[0].clone(),
        source,
        mysql,
    };
    let plan = Adoption::make(&old, &facts, "secrets", "rules.toml").unwrap();
    let file = document::render(&plan, "OLD.yaml", ENGLISH, &Settings::knows);
    let screen = document::summary(&plan, ENGLISH, &Settings::knows);
    Adopted { file, screen, plan }
}

/// Lines of the file that set this key, commented or not.
fn lines<'a>(file: &'a str, key: &str) -> Vec<&'a str> {
    let start = format!("{key} = ");
    let lines = file.lines();
    lines
        .filter(|line| line.trim_start_matches("# ").starts_with(&start))
        .collect()
}

#[test]
fn a_condition_over_old_verdicts_is_asked_about() {
    let ck = "clickhouse: {host: ck, table: weld_detail}\n";
    let mut table = plant(300);
    table.columns.push(SourceColumn {
        name: "ai_result".to_owned(),
        kind: "String".to_owned(),
    });
    for row in &mut table.rows {
        row.push(Some("OK".to_owned()));
    }
    for (filter, column) in [
        (
            "alg_complete_time IS NULL AND prog_no != '41'",
            "alg_complete_time",
        ),
        ("(ai_result='')", "ai_result"),
        ("area = 'alg_complete_time'", ""),
    ] {
        for source in [Ok(table.clone()), away()] {
            let is_asked = source.is_ok() || column == "alg_complete_time";
            let text = format!("{ck}where: \"{filter}\"\n");
            let adopted = adopt_text(&text, source, away());
            let line = format!("filter = \"{filter}\"");
            let is_asked = !column.is_empty() && is_asked;
            let wanted = if is_asked { format!("# {line}") } else { line };
            assert_eq!(lines(&adopted.file, "filter")[0], wanted);
            let why = format!("? tables.filter: `where` asks for `{column}`");
            assert_eq!(
                adopted.screen.contains(&why),
                is_asked,
                "{}",
                adopted.screen
            );
        }
    }
}

#[test]
fn a_table_that_was_adopted_and_migrated_is_adopted_alike() {
    let verdicts = [Some("OK"), Some("NOK")];
    let old_services = |names: &[&str]| {
        names.iter().fold(plant(300), |table, name| {
            let kind = if name.starts_with("alg_") {
                "UInt64"
            } else {
                "String"
            };
            with_column(table, name, kind, &verdicts)
        })
    };
    let text = "clickhouse: {host: ck, table: weld_detail}\ntip_dress_programs: [41]\n";
    let adopted = |table: &SourceTable| adopt_text(text, Ok(table.clone()), away());
    for theirs in [
        &[][..],
        &["final_result", "defect"],
        &["alg_run", "ai_result", "rule_result"],
        &["alg_run", "alg_token", "ml_result"],
    ] {
        let table = old_services(theirs);
        let first = adopted(&table);
        let beside = lines(&first.file, "final_result");
        let expected: &[&str] = match theirs.contains(&"final_result") {
            true => &["final_result = \"weldfleet_final_result\""],
            false => &[],
        };
        assert_eq!(beside, expected, "{}", first.file);
        // What `migrate` adds by that file.
        let migrated = RESULT_COLUMN_NAMES.iter().fold(table, |table, ours| {
            let name = match theirs.contains(ours) {
                true => format!("weldfleet_{ours}"),
                false => (*ours).to_owned(),
            };
            with_column(table, &name, "Nullable(String)", &[None, Some("NOK")])
        });
        let again = adopted(&migrated);
        assert_eq!(again.file, first.file, "{theirs:?}");
        assert_eq!(again.screen, first.screen, "{theirs:?}");
    }
    // The plant has dropped its own since.
    let mut table = old_services(&[]);
    for name in ["alg_run", "alg_token", "alg_job", "weldfleet_diameter"] {
        table = with_column(table, name, "Nullable(UInt64)", &[None]);
    }
    let file = adopted(&table).file;
    assert_eq!(
        lines(&file, "diameter"),
        ["diameter = \"weldfleet_diameter\""]
    );
}

#[test]
fn chinese_names_are_known_and_a_missing_part_or_spot_is_asked_for() {
    let ck = "clickhouse: {host: ck, table: weld_detail}\n";
    let names = [
        ("record_id", "记录号", "String"),
        ("data_date", "日期", "String"),
        ("ck_local_time", "时间", "DateTime64(3)"),
        ("part_no", "零件", "String"),
        ("spot_name", "焊点编号", "String"),
        ("timer_name", "控制器编号", "String"),
        ("umax", "最大电压", "Float64"),
        ("imax", "最大电流", "Float64"),
        ("u_curve", "电压曲线", "Array(Float32)"),
        ("i_curve", "电流曲线", "Array(Float32)"),
        ("program", "焊接程序", "String"),
        ("wear_percent", "电极磨损", "Float64"),
        ("tip_dress_count", "修磨次数", "UInt32"),
        ("energy", "焊接能量", "Float64"),
        ("force_kn", "电极压力", "Float64"),
    ];
    let columns = names.map(|(_, theirs, kind)| (theirs, kind));
    let adopted = adopt_text(ck, Ok(table(&columns, Vec::new())), away());
    for (ours, theirs, _) in names {
        let line = format!("{ours} = \"{theirs}\"");
        assert_eq!(lines(&adopted.file, ours), [line], "{}", adopted.file);
    }
    let mut others = table(&columns, Vec::new());
    for column in &mut others.columns[3..6] {
        column.name = format!("{}?", column.name);
    }
    let adopted = adopt_text(ck, Ok(others), away());
    for (ours, is_asked) in [
        ("part_no", true),
        ("spot_name", true),
        ("timer_name", false),
    ] {
        let asks = adopted.screen.contains(&format!("? columns.{ours}:"));
        assert_eq!(asks, is_asked, "{}", adopted.screen);
    }
}

#[test]
fn programs_are_asked_about_wherever_the_old_file_says_nothing() {
    let ck = "clickhouse: {host: ck, table: weld_detail}\n";
    let counted = |programs: &[(Option<&str>, u64)], text: &str| {
        let mut table = plant(300);
        for row in &mut table.rows {
            row[4] = Some("12".to_owned());
        }
        let programs = programs.iter();
        table.programs = programs
            .map(|(program, rows)| (program.map(str::to_owned), *rows))
            .collect();
        adopt_text(&format!("{ck}{text}"), Ok(table), away())
    };
    // The newest rows have one program alone; the day has tip dresses.
    let day = [(Some("12"), 90_000), (None, 7), (Some("51"), 3)];
    let adopted = counted(&day, "");
    assert_eq!(
        lines(&adopted.file, "filter")[0],
        "# filter = \"prog_no NOT IN ('51')\""
    );
    let shown = "`prog_no` of the newest days: '12' ×90000, NULL ×7, '51' ×3";
    assert!(adopted.screen.contains(shown), "{}", adopted.screen);
    let adopted = counted(&[], "");
    assert_eq!(
        lines(&adopted.file, "filter")[0],
        "# filter = \"prog_no NOT IN ('?')\""
    );
    assert!(
        adopted
            .screen
            .contains("`prog_no` of the last rows: '12' ×300")
    );
    for said in ["where: \"area = 'L2'\"\n", "tip_dress_programs: [7]\n"] {
        let adopted = counted(&[], said);
        assert!(
            !adopted.screen.contains("which programs"),
            "{}",
            adopted.screen
        );
    }

    // No column of programs, or nobody saw the table.
    let mut table = plant(300);
    table.columns[4].name = "recipe".to_owned();
    for (source, names) in [
        (Ok(table), "it may be one of recipe, ver"),
        (away(), "the table was not seen"),
    ] {
        let adopted = adopt_text(ck, source.clone(), away());
        let asked = "# filter = \"column_of_programs NOT IN ('41', '51')\"";
        assert_eq!(lines(&adopted.file, "filter")[0], asked);
        assert!(adopted.screen.contains(names), "{}", adopted.screen);
        let skipped = adopt_text(&format!("{ck}skip_programs: [7]\n"), source.clone(), away());
        let asked = "# filter = \"column_of_programs NOT IN ('7')\"";
        assert_eq!(lines(&skipped.file, "filter")[0], asked);
        assert!(skipped.screen.contains("`skip_programs` needs the column"));
        let filtered = adopt_text(&format!("{ck}where: \"area = 'L2'\"\n"), source, away());
        assert!(
            !filtered.file.contains("column_of_programs"),
            "{}",
            filtered.file
        );
    }
}

#[test]
fn a_verdict_column_of_any_name_is_found_by_its_words() {
    let ck = "clickhouse: {host: ck, table: weld_detail}\n";
    let judged = || {
        with_column(
            plant(300),
            "judge",
            "String",
            &[Some("合格"), Some("不合格"), None],
        )
    };
    let filter = "prog_no NOT IN (41, 51) AND judge IS NULL";
    let text = format!("{ck}where: \"{filter}\"\n");
    let adopted = adopt_text(&text, Ok(judged()), away());
    assert_eq!(
        lines(&adopted.file, "previous_result"),
        ["previous_result = \"judge\""]
    );
    assert_eq!(
        lines(&adopted.file, "filter")[0],
        format!("# filter = \"{filter}\"")
    );
    assert!(
        adopted.screen.contains("`where` asks for `judge`"),
        "{}",
        adopted.screen
    );

    let two = || {
        with_column(
            judged(),
            "check",
            "Enum8('OK' = 1, 'NG' = 2)",
            &[Some("OK")],
        )
    };
    let adopted = adopt_text(&text, Ok(two()), away());
    assert_eq!(
        lines(&adopted.file, "previous_result"),
        ["# previous_result = \"judge\""]
    );
    assert!(
        adopted
            .screen
            .contains("nothing but OK and NOK is in: judge, check")
    );
    assert!(
        adopted.screen.contains("`where` asks for `judge`"),
        "{}",
        adopted.screen
    );

    let told = format!("{text}columns: {{previous_result: check}}\n");
    for (source, line) in [
        (Ok(two()), "previous_result = \"check\""),
        (away(), "previous_result = \"check\""),
        (Ok(judged()), "# previous_result = \"check\""),
    ] {
        let adopted = adopt_text(&told, source, away());
        assert_eq!(lines(&adopted.file, "previous_result"), [line]);
        assert!(
            !adopted.screen.contains("unknown old keys"),
            "{}",
            adopted.screen
        );
    }
}

#[test]
fn a_key_of_our_own_name_is_not_taken_for_another() {
    for text in [
        "columns: {ck_local_time: ck_local_time, weld_time: weld_time}",
        "columns: {weld_time: weld_time, ck_local_time: ck_local_time}",
    ] {
        let text = format!("clickhouse: {{host: ck, table: weld_detail}}\n{text}\n");
        let file = adopt_text(&text, Ok(plant(300)), away()).file;
        let settings = Settings::from_text(&file, []).unwrap();
        assert_eq!(settings.columns.name("ck_local_time"), "ck_local_time");
        let carried: Vec<_> = settings.columns.carried().collect();
        assert!(carried.contains(&("weld_time", "weld_time")), "{file}");
    }
}

#[test]
fn a_map_of_columns_is_read_in_each_form_or_named() {
    let map = |columns: &str| {
        let text = format!("clickhouse: {{host: ck, table: weld_detail}}\ncolumns: {columns}\n");
        let adopted = adopt_text(&text, away(), away());
        let told: Vec<(String, toml::Value)> = adopted
            .plan
            .items
            .iter()
            .filter(|item| item.why.en.starts_with("from `columns"))
            .map(|item| (item.key.clone(), item.value.clone()))
            .collect();
        let told: Vec<String> = told
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        (told.join(" "), adopted.plan.unknown.join(" "))
    };
    for (columns, told, unknown) in [
        (
            "{umax: {column: u, unit: V}, imax: {name: i}, id: {field: no}}",
            "record_id=\"no\" umax=\"u\" imax=\"i\"",
            "",
        ),
        (
            "{umax: [u], curves: {u_curve: a}}",
            "umax=\"u\" u_curve=\"a\"",
            "",
        ),
        ("[umax: u, imax: i]", "umax=\"u\" imax=\"i\"", ""),
        // A name of ours surely means it; another, of the same, may.
        ("{id: a, record_id: b}", "record_id=\"b\"", "columns.id"),
        ("{record_id: b, id: a}", "record_id=\"b\"", "columns.id"),
        ("[id, umax]", "", "columns"),
        ("all", "", "columns"),
        (
            "{umax: [u, v], imax: null, u_curve: '', colour: c, deep: {x: {y: 1}}}",
            "",
            "columns.umax columns.imax columns.u_curve columns.colour columns.deep.x.y",
        ),
    ] {
        let (found, left) = map(columns);
        assert_eq!(
            (
                found.as_str(),
                left.split(' ')
                    .filter(|key| !key.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
                    .as_str()
            ),
            (told, unknown),
            "{columns}"
        );
    }
}

#[test]
fn a_table_that_no_key_names_has_its_own_remedy() {
    let no_answer = || Err(String::new());
    let text = "clickhouse: {host: ck}\nwelds: {my_table: x}\n";
    let screen = adopt_text(text, no_answer(), away()).screen;
    assert!(
        screen.contains("add `clickhouse.table: NAME` to it"),
        "{screen}"
    );
    assert!(screen.contains("may name it: `welds.my_table`"), "{screen}");
    assert!(!screen.contains("could not be asked"), "{screen}");
    let named = "clickhouse: {host: ck, tables: [weld.x, y]}\n";
    let adopted = adopt_text(named, away(), away());
    assert_eq!(
        lines(&adopted.file, "source_table"),
        ["source_table = \"x\""]
    );
    assert_eq!(lines(&adopted.file, "database"), ["database = \"weld\""]);
    let screen = adopted.screen;
    assert!(screen.contains("`clickhouse.tables` names several; weld.x was taken, not y"));
    assert!(screen.contains("ClickHouse could not be asked"), "{screen}");
}

#[test]
fn old_rules_are_taken_over_by_their_values_or_asked_about() {
    let ck = "clickhouse: {host: ck, table: weld_detail}\n";
    let adopted = |text: &str| adopt_text(&format!("{ck}{text}\n"), away(), away());
    let plain = adopted("").plan.rules.unwrap();
    let with = adopted(
        "rule: {single_height: 0.08, multi_height: 0.05, min_begin_ms: 60, min_width_ms: 25, multi_count: 4}",
    );
    let rules = with.plan.rules.unwrap();
    let changed: Vec<&str> = rules
        .lines()
        .zip(plain.lines())
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a)
        .collect();
    assert_eq!(
        changed,
        [
            "flag_mohm = 0.08",
            "warn_mohm = 0.05",
            "min_width_ms = 25.0",
            "begin_after_ms = 60.0"
        ]
    );
    assert_eq!(lines(&with.file, "file"), ["file = \"rules.toml\""]);
    assert!(
        with.file.contains("hit_streaks = { resistance_peak = 4 }"),
        "{}",
        with.file
    );
    assert!(with.file.contains("an event, a line"), "{}", with.file);
    assert!(!with.screen.contains("unknown old keys"), "{}", with.screen);

    for (text, named) in [
        ("rules: {threshold: 0.04}", "rules.threshold"),
        ("rule: {single_height: 65}", "rule.single_height"),
        ("rule: {single_height: 0.03}", "rule.single_height"),
        (
            "rule_model: {smoothing: 5, min_width_ms: 20}",
            "rule_model.smoothing",
        ),
    ] {
        let asked = adopted(text);
        assert_eq!(lines(&asked.file, "file"), ["# file = \"rules.toml\""]);
        assert!(
            asked.screen.contains(&format!("what `{named}` says")),
            "{}",
            asked.screen
        );
        assert!(asked.plan.rules.is_some());
    }
    let off = adopted("rule: {use_rule: false, threshold: 0.04}");
    assert!(off.plan.rules.is_none() && off.file.contains("enabled = false"));
}

#[test]
fn one_key_is_named_once_and_lengths_of_no_usual_weld_are_asked_about() {
    let text = "clickhouse: {host: ck, table: weld_detail}\nMYSQL_URL: mysql://my:3306/quality\n";
    let mut table = plant(300);
    for row in &mut table.rows {
        row[12] = Some(curve(1200, 98));
    }
    let adopted = adopt_text(text, Ok(table), Ok(application()));
    assert!(
        adopted.file.contains("from `MYSQL_URL`\n"),
        "{}",
        adopted.file
    );
    assert_eq!(
        lines(&adopted.file, "sample_interval_ms"),
        ["# sample_interval_ms = 1.0"]
    );
}

#[test]
fn programs_that_nobody_named_are_proposed_only_where_they_dress_tips() {
    let with = |programs: [&str; 3]| {
        let mut table = plant(300);
        for (at, row) in table.rows.iter_mut().enumerate() {
            row[4] = Some(programs[at % 3].to_owned());
        }
        let text = "clickhouse: {host: ck, table: weld_detail}";
        adopt_text(text, Ok(table), away()).file
    };
    let dry = "ifNull(spot_tag, '') NOT IN ('', '0')";
    for (programs, proposed) in [
        (["12", "13", "41"], "prog_no NOT IN ('41')"),
        (["41", "51", "12"], "prog_no NOT IN ('41', '51')"),
        (["12", "13", "14"], "prog_no NOT IN ('?')"),
    ] {
        let expected = [
            format!("# filter = \"{proposed}\""),
            format!("# filter = \"({proposed}) AND ({dry})\""),
        ];
        assert_eq!(lines(&with(programs), "filter"), expected);
    }
}

#[test]
fn a_result_table_may_name_its_database() {
    let with = |mysql: &str| {
        let text =
            format!("clickhouse: {{host: ck}}\nmysql: {{host: my, table: quality.nok{mysql}}}\n");
        adopt_text(&text, away(), Ok(application()))
    };
    for mysql in ["", ", database: quality"] {
        let file = with(mysql).file;
        assert_eq!(lines(&file, "result_table"), ["result_table = \"nok\""]);
        assert!(file.contains("url = \"mysql://my:3306/quality\""), "{file}");
    }
    let adopted = with(", database: other");
    assert_eq!(
        lines(&adopted.file, "result_table"),
        ["# result_table = \"nok\""]
    );
    let why = "`mysql.table` names the database `quality`, and `mysql.database` names `other`";
    assert!(adopted.screen.contains(why), "{}", adopted.screen);
}

#[test]
fn a_server_of_mysql_is_not_overlooked() {
    let ck = "clickhouse: {host: ck}\n";
    let understood = adopt_text(&format!("{ck}mysql_conf: {{host: my}}\n"), away(), away());
    assert!(understood.file.contains("url = \"mysql://my:3306/weld\""));
    for (text, key) in [
        ("output_db: {type: mysql, host: my}", "output_db.type"),
        ("sinks: {mariadb: {pool: 4}}", "sinks.mariadb.pool"),
        ("nok_db: 'jdbc:mysql:hunter2'", "nok_db"),
    ] {
        let adopted = adopt_text(&format!("{ck}{text}\n"), away(), away());
        assert_eq!(lines(&adopted.file, "enabled"), [""; 0], "{}", adopted.file);
        let why = format!("? mysql.url: `{key}` has to do with a MySQL server");
        assert!(adopted.screen.contains(&why), "{}", adopted.screen);
        assert!(!adopted.screen.contains(SECRET), "{}", adopted.screen);
    }
}

#[test]
fn a_reference_is_asked_about_or_refused_as_one() {
    let text = "clickhouse: {host: ck, user: '${CK_USER}', database: weld, table: weld_detail}\n\
                save_dir: ${DATA_DIR}/csv\nmodel_export_dir: ~/export\n";
    let adopted = adopt_text(text, away(), away());
    for (key, line) in [
        ("user", "# user = \"${CK_USER}\""),
        ("save_dir", "# save_dir = \"${DATA_DIR}/csv\""),
        ("model_export_dir", "# model_export_dir = \"~/export\""),
    ] {
        assert_eq!(lines(&adopted.file, key), [line]);
    }
    assert!(
        adopted.screen.contains("a reference (`${…}`, `~`)"),
        "{}",
        adopted.screen
    );
    for (text, key) in [
        (
            "clickhouse: {host: '${CK_HOST:-10.0.0.1}'}",
            "clickhouse.host",
        ),
        (
            "clickhouse: {host: ck, port: '${CK_PORT}'}",
            "clickhouse.port",
        ),
        (
            "clickhouse_url: 'http://${CK_HOST}:8123/weld'",
            "clickhouse_url",
        ),
        (
            "clickhouse: {host: ck}\nmysql: {host: my, database: '${DB}'}",
            "mysql.database",
        ),
    ] {
        let key = key.to_owned();
        let refused = OldConfig::read(text).map(|_| ());
        assert_eq!(refused, Err(AdoptError::Reference { key }), "{text}");
    }
}

#[test]
fn a_unit_that_cannot_be_told_has_the_true_reason() {
    let mut table = plant(300);
    table.columns[11].name = "wave".to_owned();
    let text = "clickhouse: {host: ck, table: weld_detail}";
    let screen = adopt_text(text, Ok(table), away()).screen;
    let why = "the column of `u_curve`, which would tell it, was not found";
    assert!(screen.contains(why), "{screen}");
    assert!(!screen.contains("rows that would tell it"), "{screen}");
}

/// Columns of MySQL, `!` before the type of one that takes no NULL.
fn mysql_columns(columns: &[(&str, &str)]) -> Vec<MySqlColumn> {
    let column = |(name, kind): &(&str, &str)| MySqlColumn {
        name: (*name).to_owned(),
        kind: kind.trim_start_matches('!').to_owned(),
        nullable: !kind.starts_with('!'),
        demanded: kind.starts_with('!'),
    };
    columns.iter().map(column).collect()
}

#[test]
fn an_applications_table_stays_the_applications_once_it_was_adopted() {
    let key = ["data_date", "ck_ticks", "ck_local_time", "record_id"];
    let adopted = |own: &[(&str, &str)], key: &[(&str, &str)]| {
        let mut table = application();
        table.extend(mysql_columns(own));
        table.extend(mysql_columns(key));
        adopt(
            "plant",
            Ok(plant(300)),
            Ok(table),
            ENGLISH,
            &Settings::knows,
        )
        .file
    };
    let first = adopted(&[], &[]);
    assert!(first.contains("[mysql.columns]"), "{first}");
    assert_eq!(adopted(&[], &key.map(|name| (name, "bigint"))), first);
    let fleets = adopted(&[], &key.map(|name| (name, "!bigint")));
    assert!(!fleets.contains("[mysql.columns]"), "{fleets}");
    // An id of its own, beside which `migrate` adds another.
    let own = [("record_id", "int")];
    let line = "record_id = \"weldfleet_record_id\"";
    let again = key.map(|name| match name {
        "record_id" => ("weldfleet_record_id", "varchar"),
        name => (name, "bigint"),
    });
    for added in [&[][..], &again[..]] {
        let file = adopted(&own, added);
        let ours = file.lines().filter(|line| line.contains("\"weldfleet_"));
        assert_eq!(ours.collect::<Vec<_>>(), [line], "{file}");
    }
}

#[test]
fn a_column_of_mysql_that_migrate_would_refuse_is_asked_about() {
    let mut table = application();
    let refused = ["weld_time", "defect_type_alg", "diameter"];
    table.retain(|column| !refused.contains(&column.name.as_str()));
    table.extend(mysql_columns(&[
        ("weld_time", "!datetime"),
        ("defect_type_alg", "!enum"),
        ("diameter", "int"),
    ]));
    let adopted = adopt(
        "plant",
        Ok(plant(300)),
        Ok(table),
        ENGLISH,
        &Settings::knows,
    );
    for (line, why) in [
        ("weld_time = \"weld_time\"", "it takes no NULL"),
        ("defect = \"defect_type_alg\"", "its type is enum"),
        ("diameter = \"diameter\"", "its type is int"),
    ] {
        let asked = format!("\n# {line}\n");
        assert!(adopted.file.contains(&asked), "{line}\n{}", adopted.file);
        assert!(adopted.screen.contains(why), "{why}\n{}", adopted.screen);
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
        let adopted = adopt("asked", Ok(table), away(), ENGLISH, &knows_all);
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
    let adopted = adopt("plant", Ok(plant(300)), Ok(application()), ENGLISH, &knows);
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
        "clickhouse: {host: ck}\ncolumns: {id: a, uuid: b}\n",
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
