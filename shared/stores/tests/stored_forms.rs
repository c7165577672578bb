//! A plant's table as its people filled it: text scalars, curves as integers, texts or one text, and rows that are not
//! the fleet's.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Plant, ok};
use weldfleet_stores::{
    Day, Key, LIVE_RUN, Range, RecordId, Selection,
    clickhouse::{RowBlock, SourceTable},
    migrate,
};
use weldfleet_weld::{Status, Verdict};

const ROWS: u64 = 200;
const DAY: &str = "20261122";

/// Welds of every variant: `u` and `i` are arrays of counts.
const WELDS: &str = "SELECT number AS k, arrayMap(x -> toUInt16(100 - (x + k) % 7), range(60)) AS u, \
     arrayMap(x -> toUInt16(98 - (x * k) % 5), range(60 + k % 3)) AS i FROM numbers(200)";

/// A weld: id, `umax`, `imax`, both curves.
type Said = (String, f32, f32, Vec<f32>, Vec<f32>);

/// How curves and maxima are stored: their types, and how `u`, `i` and the maxima of [`WELDS`] become that.
struct Form {
    curve: &'static str,
    as_curve: fn(&str) -> String,
    maximum: &'static str,
}

const FORMS: &[Form] = &[
    Form {
        curve: "Array(UInt16)",
        as_curve: |name| name.to_owned(),
        maximum: "String",
    },
    Form {
        curve: "Array(Float32)",
        as_curve: |name| name.to_owned(),
        maximum: "Float32",
    },
    Form {
        curve: "Array(Nullable(Int32))",
        as_curve: |name| name.to_owned(),
        maximum: "Decimal(9, 3)",
    },
    Form {
        curve: "Array(Float64)",
        as_curve: |name| name.to_owned(),
        maximum: "Nullable(Float64)",
    },
    Form {
        curve: "Array(String)",
        as_curve: |name| format!("arrayMap(x -> toString(x), {name})"),
        maximum: "Nullable(String)",
    },
    Form {
        curve: "Array(LowCardinality(Nullable(String)))",
        as_curve: |name| format!("arrayMap(x -> toString(x), {name})"),
        maximum: "LowCardinality(String)",
    },
    Form {
        curve: "String",
        as_curve: |name| {
            format!("concat('[', arrayStringConcat(arrayMap(x -> toString(x), {name}), ', '), ']')")
        },
        maximum: "String",
    },
    Form {
        curve: "Nullable(String)",
        as_curve: |name| format!("arrayStringConcat(arrayMap(x -> toString(x), {name}), ';')"),
        maximum: "String",
    },
    Form {
        curve: "Array(Nullable(Float32))",
        as_curve: |name| name.to_owned(),
        maximum: "Nullable(Decimal(9, 3))",
    },
];

async fn plant(form: &Form) -> Plant {
    let mut plant = Plant::bare(false);
    plant.settings.tables.source_table = "weld_detail".into();
    plant.map(&[
        ("record_id", "id"),
        ("spot_name", "spot_tag"),
        ("part_no", "part_all"),
        ("timer_name", "serial_no"),
    ]);
    plant.execute("CREATE DATABASE weld_test").await;
    plant
        .execute(&format!(
            "CREATE TABLE weld_test.weld_detail (id String, serial_no String, spot_tag Nullable(String), part_all String, \
             prog_no String, data_date String, ck_local_time DateTime64(3), ver UInt32, umax {maximum}, imax {maximum}, \
             u_curve {curve}, i_curve {curve}) ENGINE = ReplacingMergeTree(ver) PARTITION BY data_date \
             ORDER BY (data_date, ck_local_time, id)",
            maximum = form.maximum,
            curve = form.curve,
        ))
        .await;
    plant
        .execute(&format!(
            "INSERT INTO weld_test.weld_detail SELECT concat('W', leftPad(toString(k), 3, '0')), 'T1', \
             if(k % 9 = 0, NULL, if(k % 9 = 1, '0', 'S')), '7H0/809', multiIf(k % 10 = 2, '41', k % 10 = 3, '51', '12'), \
             '{DAY}', toDateTime64('2026-11-22 06:00:00', 3) + toIntervalMillisecond(10 * k), 1, '1.62', '952', {u}, {i} FROM ({WELDS})",
            u = (form.as_curve)("u"),
            i = (form.as_curve)("i"),
        ))
        .await;
    plant
}

fn everything() -> Range {
    let key = |ticks| Key {
        leading: None,
        ticks,
        id: RecordId::Text(String::new()),
        text: String::new(),
    };
    Range {
        run: LIVE_RUN,
        day: Day::new(DAY.parse().unwrap()).unwrap(),
        selection: Selection::New,
        from: key(0),
        to: key(i64::MAX),
        rows: ROWS,
        repeated_keys: false,
    }
}

async fn fetch(plant: &Plant) -> (SourceTable, RowBlock) {
    let table = plant.table().await;
    let block = table.fetch(&everything()).await.unwrap();
    (table, block)
}

/// Verdicts of a block's rows: OK save what cannot be read.
fn verdicts(block: &RowBlock) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = (0..block.len()).map(|_| ok()).collect();
    block.refuse(&mut verdicts);
    verdicts
}

async fn commit(table: &SourceTable, token: u64, block: &RowBlock) {
    common::commit(table, token, &everything(), block, &verdicts(block)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_says_the_same() {
    let mut said: Option<Vec<Said>> = None;
    for form in FORMS {
        let plant = plant(form).await;
        plant.migrate().await;
        let (_, block) = fetch(&plant).await;
        let rows: Vec<_> = (0..block.len())
            .map(|row| {
                let weld = block.weld(row);
                let id = block.id(row).to_string();
                (id, weld.umax, weld.imax, weld.u.to_vec(), weld.i.to_vec())
            })
            .collect();
        assert_eq!(rows.len() as u64, ROWS, "{}", form.curve);
        assert_eq!((rows[7].1, rows[7].2), (1.62, 952.0), "{}", form.maximum);
        assert!(
            verdicts(&block)
                .iter()
                .all(|verdict| verdict.alg_error.is_none())
        );
        match &said {
            None => said = Some(rows),
            Some(said) => assert_eq!(said, &rows, "{} and {}", form.curve, form.maximum),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_costs_its_row_and_no_other() {
    const OF_TEXT: [(&str, &str, &str); 3] = [
        (
            "umax",
            "'None'",
            "missing: umax is `None`, which is no number",
        ),
        ("imax", "''", "missing: imax is empty"),
        (
            "umax",
            "'1.4 V'",
            "missing: umax is `1.4 V`, which is no number",
        ),
    ];
    let bad = "curve_text: u_curve: `x9` at point 1 is no number";
    let null = "curve_text: u_curve: `NULL` at point 1 is no number";
    let no_umax = ("umax", "NULL", "missing: umax is NULL");
    let nulls = ("u_curve", "[1, NULL, NULL]", null);
    for (form, spoiled) in [
        (
            &FORMS[4],
            [
                &OF_TEXT[..],
                &[no_umax, ("u_curve", "['1', 'x9', '3']", bad)],
            ]
            .concat(),
        ),
        (
            &FORMS[6],
            [&OF_TEXT[..], &[("u_curve", "'[1, x9, 3]'", bad)]].concat(),
        ),
        (&FORMS[2], vec![nulls]),
        (&FORMS[3], vec![no_umax]),
        (&FORMS[5], vec![("u_curve", "['1', NULL]", null)]),
        (
            &FORMS[8],
            vec![
                no_umax,
                ("imax", "NULL", "missing: imax is NULL"),
                nulls,
                ("i_curve", "[1, nan, 3]", ""),
            ],
        ),
    ] {
        let plant = plant(form).await;
        plant.migrate().await;
        let mut expected = Vec::new();
        for (number, (column, value, reason)) in (5..).zip(&spoiled) {
            let id = format!("W{number:03}");
            if !reason.is_empty() {
                expected.push(format!("{id}\t{reason}"));
            }
            plant
                .execute(&format!(
                    "INSERT INTO weld_test.weld_detail SELECT * REPLACE (2 AS ver, {value} AS {column}) \
                     FROM weld_test.weld_detail WHERE id = '{id}'"
                ))
                .await;
        }
        let (table, block) = fetch(&plant).await;
        assert_eq!(block.len() as u64, ROWS, "the newest versions only");
        // NaN is a number that is stored; what is not there is empty in an audit file.
        for row in 0..block.len() {
            let id = block.id(row).to_string();
            for (place, name) in ["umax", "imax"].into_iter().enumerate() {
                let said = format!("{id}\tmissing: {name} ");
                let is_missing = expected.iter().any(|reason| reason.starts_with(&said));
                assert_eq!(block.maxima(row)[place].is_none(), is_missing, "{said}");
            }
        }
        commit(&table, 1, &block).await;
        let invalid = plant
            .ask("SELECT id, alg_error FROM weld_test.weld_detail FINAL WHERE alg_status = 'invalid' ORDER BY id")
            .await;
        assert_eq!(
            invalid.lines().collect::<Vec<_>>(),
            expected,
            "{} and {}",
            form.curve,
            form.maximum
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_ours_are_never_read_counted_or_written() {
    let mut plant = plant(&FORMS[0]).await;
    plant.settings.tables.filter =
        "prog_no NOT IN ('41', '51') AND spot_tag != '0' -- neither tip dresses nor dry shots"
            .into();
    let error = migrate::plan(&plant.settings)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tables.filter"),
        "a comment would swallow what follows: {error}"
    );
    plant.settings.tables.filter = "prog_no NOT IN ('41', '51')\n AND spot_tag != '0'".into();
    plant.migrate().await;
    let ours: u64 = plant
        .ask("SELECT count() FROM weld_test.weld_detail WHERE prog_no NOT IN ('41', '51') AND spot_tag != '0'")
        .await
        .trim()
        .parse()
        .unwrap();
    assert!(ours > 0 && ours < ROWS);
    let (table, block) = fetch(&plant).await;
    let day = everything().day;
    assert_eq!(block.len() as u64, ours);
    let counts = table.day_counts(&[day]).await.unwrap();
    assert_eq!((counts[0].total, counts[0].left), (ours, ours));
    assert_eq!(table.not_selected(&[day]).await.unwrap(), ROWS - ours);

    // Its timer says afterwards that it was a tip dress: it keeps what it has.
    let turned = block.id(0).to_string();
    plant
        .execute(&format!(
            "UPDATE weld_test.weld_detail SET prog_no = '41' WHERE id = '{turned}'"
        ))
        .await;
    commit(&table, 1, &block).await;
    let judged = plant
        .ask("SELECT countIf(alg_complete_time IS NOT NULL), countIf(alg_complete_time IS NOT NULL AND prog_no IN ('41', '51')) \
              FROM weld_test.weld_detail")
        .await;
    assert_eq!(judged.trim(), format!("{}\t0", ours - 1));
    let counts = table.day_counts(&[day]).await.unwrap();
    assert_eq!((counts[0].total, counts[0].left), (ours - 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_row_the_last_version_counts_alone() {
    let mut plant = plant(&FORMS[0]).await;
    plant.settings.tables.filter = "prog_no NOT IN ('41', '51')".into();
    plant.migrate().await;
    plant
        .execute("SYSTEM STOP MERGES weld_test.weld_detail")
        .await;
    let again = async |id: &str, ver: u32, program: &str| {
        let sql = format!(
            "INSERT INTO weld_test.weld_detail SELECT * REPLACE ({ver} AS ver, '{program}' AS prog_no) \
             FROM weld_test.weld_detail FINAL WHERE id = '{id}'"
        );
        plant.execute(&sql).await;
    };
    let ours = ROWS - 40;
    let left = async |table: &SourceTable| {
        let range = everything();
        let keys = [range.keys()];
        let counted = table
            .count_wanted(LIVE_RUN, range.day, &range.selection, &keys)
            .await;
        counted.unwrap()[0]
    };
    let table = plant.table().await;
    assert_eq!(left(&table).await, ours);
    // One that is sent again is no row more, and one that turns out to be a tip dress is none of ours.
    again("W006", 2, "12").await;
    again("W005", 2, "41").await;
    assert_eq!(
        left(&table).await,
        ours - 1,
        "a dead letter of it has not grown"
    );
    let (table, block) = fetch(&plant).await;
    assert_eq!(block.len() as u64, ours - 1);
    let ids = |name: &str| {
        (0..block.len())
            .filter(|row| block.id(*row).to_string() == name)
            .count()
    };
    assert_eq!((ids("W005"), ids("W006")), (0, 1));
    commit(&table, 1, &block).await;
    assert_eq!(left(&table).await, 0);
    // The same after it was judged.
    again("W007", 2, "51").await;
    let counts = table.day_counts(&[everything().day]).await.unwrap();
    assert_eq!((counts[0].total, counts[0].left), (ours - 2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_be_read_is_named() {
    let mut plant = plant(&FORMS[0]).await;
    plant.migrate().await;
    for (filter, said) in [
        ("prog_nr = '12'", "prog_nr"),
        ("prog_no =", "Syntax error"),
        ("1) OR (1", "Syntax error"),
        ("prog_no", "filter"),
        ("prog_no = '12'; DROP TABLE x", "Syntax error"),
        ("count() > 0", "count()"),
        (
            "alg_complete_time IS NULL",
            "result column `alg_complete_time`",
        ),
        (
            "prog_no = '12' OR coalesce(weld_detail.final_result, decided_by) = 'OK'",
            "result column `final_result`, `decided_by`",
        ),
    ] {
        plant.settings.tables.filter = filter.into();
        for error in [
            SourceTable::inspect(&plant.settings).await.err().unwrap(),
            migrate::plan(&plant.settings).await.unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains("tables.filter") && error.contains(filter) && error.contains(said),
                "{filter}: {error}"
            );
        }
    }
    // A name in a text is no column.
    plant.settings.tables.filter = "prog_no != 'alg_complete_time'".into();
    assert_eq!(fetch(&plant).await.1.len() as u64, ROWS);
    // It would fail at the first row that it is asked of.
    plant.settings.tables.filter = "throwIf(umax != '') = 0".into();
    let table = plant.table().await;
    assert!(table.fetch(&everything()).await.is_err());

    plant.settings.tables.filter = "0".into();
    let (table, block) = fetch(&plant).await;
    assert!(block.is_empty());
    assert_eq!(table.not_selected(&[everything().day]).await.unwrap(), ROWS);
    let status: Vec<Status> = verdicts(&block)
        .iter()
        .map(|verdict| verdict.alg_status)
        .collect();
    assert!(status.is_empty());
}
