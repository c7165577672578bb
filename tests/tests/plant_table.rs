//! `scheduler simulate --like plant`: a table of an older system's shape, with the welds of our own.

use std::process::Output;

use weldfleet_testkit::{Service, Services};
use weldfleet_tests::{clickhouse::ClickHouse, fleet::all_of};

const DAY: &str = "20261121";
const ROWS: u64 = 3000;

struct Plant {
    services: Services,
    clickhouse: ClickHouse,
}

impl Plant {
    fn start() -> Self {
        let services = Services::start(&[Service::ClickHouse]);
        let clickhouse = ClickHouse::new(services.url(Service::ClickHouse));
        Self {
            services,
            clickhouse,
        }
    }

    fn scheduler(&self, table: &str, arguments: &[&str]) -> Output {
        self.run("scheduler", table, &[], arguments)
    }

    fn run(
        &self,
        binary: &str,
        table: &str,
        settings: &[(&str, &str)],
        arguments: &[&str],
    ) -> Output {
        let mut command = self.services.command(binary);
        command
            .envs(settings.iter().copied())
            .env("WELDFLEET__TABLES__SOURCE_TABLE", table)
            .env("WELDFLEET__CURVES__U_UNIT", "percent_of_umax")
            .env("WELDFLEET__CURVES__I_UNIT", "percent_of_imax")
            .env("WELDFLEET__MYSQL__ENABLED", "false")
            .args(arguments);
        command
            .output()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
    }

    fn simulate(&self, table: &str, more: &[&str]) -> Output {
        let rows = ROWS.to_string();
        let mut arguments = vec!["simulate", "--day", DAY, "--rows", &rows, "--seed", "7"];
        arguments.extend(more);
        self.scheduler(table, &arguments)
    }

    fn filled(&self, table: &str, more: &[&str]) {
        let output = self.simulate(table, more);
        assert!(output.status.success(), "{}", all_of(&output));
    }

    /// One number of all rows' keys, maxima and curves up to the shorter one; `u` and `i` are SQL for arrays of counts.
    async fn welds(&self, from: &str, id: &str, maxima: &str, [u, i]: [&str; 2]) -> String {
        self.clickhouse
            .value(&format!(
                "SELECT (count(), sum(cityHash64({id}, ck_local_time, {maxima}, \
                 arraySlice({u}, 1, least(length({u}), length({i}))), arraySlice({i}, 1, least(length({u}), length({i})))))) \
                 FROM {from}"
            ))
            .await
    }
}

const FORMS: [(&str, [&str; 2]); 3] = [
    ("integers", ["u_curve", "i_curve"]),
    (
        "texts",
        [
            "arrayMap(x -> toUInt16(x), u_curve)",
            "arrayMap(x -> toUInt16(x), i_curve)",
        ],
    ),
    (
        "whole-text",
        [
            "JSONExtract(u_curve, 'Array(UInt16)')",
            "JSONExtract(i_curve, 'Array(UInt16)')",
        ],
    ),
];

#[tokio::test]
async fn every_form_holds_the_counts_of_our_own_table() {
    let plant = Plant::start();
    let migrated = plant.scheduler("ours", &["migrate", "--yes"]);
    assert!(migrated.status.success(), "{}", all_of(&migrated));
    plant.filled("ours", &["--counts"]);
    let counts = ["u_curve", "i_curve"].map(|curve| format!("arrayMap(x -> toUInt16(x), {curve})"));
    let imax = "toUInt32(round(imax * 100))";
    let id = "concat('W', toString(record_id))";
    for (form, curves) in FORMS {
        let table = format!("detail_{}", form.replace('-', "_"));
        let shares = ["--resent", "0.05", "--late", "0.05"];
        plant.filled(
            &table,
            &[&["--like", "plant", "--curves", form], &shares[..]].concat(),
        );
        let last = format!("{table} FINAL");
        // A tip dress has curves of its own.
        let welds = format!("{last} WHERE prog_no = '12'");
        let theirs = plant.welds(&welds, "id", "toUInt32(imax)", curves).await;
        let same = format!("ours WHERE {id} IN (SELECT id FROM {welds})");
        let ours = plant.welds(&same, id, imax, [&counts[0], &counts[1]]).await;
        assert_eq!(theirs, ours, "{form}");

        let kinds = plant
            .clickhouse
            .value(&format!(
                "SELECT uniqExact(umax) > 30, countIf(umax IN ('0', 'None', '')) > 20, countIf(prog_no IN ('41', '51')) > 10,                  countIf(spot_tag = '0') > 20, countIf(spot_tag IS NULL) > 20, countIf(length(u_curve) != length(i_curve)) > 300,                  uniqExact(rfid) > 10 FROM {last}"
            ))
            .await;
        assert_eq!(kinds, ["1"; 7].join("\t"), "{form}");
        let versions = plant
            .clickhouse
            .count(&format!("{table} WHERE ver = 2"))
            .await;
        assert!((80..230).contains(&versions), "{versions}");
        let same_umax = plant
            .clickhouse
            .count(&format!(
                "{table} AS theirs FINAL JOIN ours ON theirs.id = {id}                  WHERE theirs.prog_no = '12' AND theirs.umax NOT IN ('0', 'None', '') AND toFloat32(theirs.umax) != ours.umax"
            ))
            .await;
        assert_eq!(same_umax, 0, "{form}");
    }

    // What the fleet needs of a table works on this one, whose key holds NULL.
    for sql in [
        "ALTER TABLE detail_integers MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1",
        "ALTER TABLE detail_integers ADD COLUMN verdict Nullable(String)",
        "UPDATE detail_integers SET verdict = 'OK' WHERE spot_tag IS NULL SETTINGS enable_lightweight_update = 1",
    ] {
        plant.clickhouse.execute(sql).await;
    }
    let judged = plant
        .clickhouse
        .count("detail_integers FINAL WHERE verdict = 'OK'")
        .await;
    assert!(judged > 20, "{judged}");
    // Columns more than its own do no harm, and rows go on behind those that are there.
    plant.filled("detail_integers", &["--like", "plant"]);
    let rows = plant.clickhouse.count("detail_integers FINAL").await;
    assert_eq!(rows, 2 * ROWS);
    let last = plant
        .clickhouse
        .value("SELECT max(toUInt32(substring(id, 2))) FROM detail_integers")
        .await;
    assert_eq!(last, (2 * ROWS).to_string());
}

#[tokio::test]
async fn no_table_of_another_shape_is_touched() {
    let plant = Plant::start();
    // It makes the database, too.
    plant.filled("detail", &["--like", "plant", "--curves", "texts"]);
    plant
        .clickhouse
        .execute("CREATE TABLE other (id String, umax Float32) ENGINE = MergeTree ORDER BY id")
        .await;
    let refused = plant.simulate("other", &["--like", "plant"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = all_of(&refused);
    for wanted in [
        "table `other`: its engine is MergeTree, not ReplacingMergeTree; name a table that does not exist yet",
        "column `umax` is Float32, not String",
        "it has no column `rfid`",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
    assert_eq!(plant.clickhouse.count("other").await, 0);

    let refused = plant.simulate("detail", &["--like", "plant"]);
    assert_eq!(refused.status.code(), Some(1));
    let wanted = "column `u_curve` is Array(String), not Array(UInt16); give the --curves that the table has";
    assert!(all_of(&refused).contains(wanted), "{}", all_of(&refused));

    for (arguments, wanted) in [
        (
            &["--invalid-share", "0.1"][..],
            "--invalid-share is not for --like plant",
        ),
        (&["--points", "1200"], "--points 1200 is more than 1000"),
        (
            &["--late", "2"],
            "late_share is 2, give a share from 0 to 1",
        ),
        (&["--later-after", "soon"], "`soon` is no time to wait"),
        (&["--counts"], "cannot be used with"),
    ] {
        let refused = plant.simulate("detail", &[&["--like", "plant"], arguments].concat());
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(all_of(&refused).contains(wanted), "{}", all_of(&refused));
    }
    assert_eq!(plant.clickhouse.count("detail FINAL").await, ROWS);

    // The same table, as a plant has it.
    let texts = ["--like", "plant", "--curves", "texts"];
    plant
        .clickhouse
        .execute("ALTER TABLE detail MODIFY COMMENT ''")
        .await;
    let refused = plant.simulate("detail", &texts);
    assert_eq!(refused.status.code(), Some(2));
    let wanted = "rows and was not made by weldfleet";
    assert!(all_of(&refused).contains(wanted), "{}", all_of(&refused));
    assert_eq!(plant.clickhouse.count("detail FINAL").await, ROWS);
    plant.filled("detail", &[&texts[..], &["--yes"]].concat());
    assert_eq!(plant.clickhouse.count("detail FINAL").await, 2 * ROWS);
}

#[tokio::test]
async fn a_filter_that_selects_nothing_is_told() {
    let plant = Plant::start();
    plant.filled("detail", &["--like", "plant"]);
    let settings = |filter| {
        [
            ("WELDFLEET__COLUMNS__RECORD_ID", "id"),
            ("WELDFLEET__COLUMNS__PART_NO", "part_all"),
            ("WELDFLEET__COLUMNS__SPOT_NAME", "spot_tag"),
            ("WELDFLEET__COLUMNS__TIMER_NAME", "serial_no"),
            ("WELDFLEET__CURVES__IMAX_UNIT", "A"),
            ("WELDFLEET__CURVES__IMAX_SCALE", "10"),
            ("WELDFLEET__TABLES__FILTER", filter),
        ]
    };
    let warning = "tables.filter = `prog_no = ' 12'` selects none of the table's ";
    for (filter, warns) in [("prog_no = ' 12'", true), ("prog_no = '12'", false)] {
        for arguments in [
            &["migrate", "--dry-run"][..],
            &["migrate", "--yes"],
            &["migrate"],
        ] {
            let output = plant.run("scheduler", "detail", &settings(filter), arguments);
            assert!(output.status.success(), "{}", all_of(&output));
            assert_eq!(
                all_of(&output).contains(warning),
                warns,
                "{}",
                all_of(&output)
            );
        }
        let check = all_of(&plant.run("worker", "detail", &settings(filter), &["check"]));
        assert_eq!(
            check.contains(&format!("warning  filter       {warning}")),
            warns,
            "{check}"
        );
        assert_eq!(
            check.contains(&format!("ok       filter       {filter}")),
            !warns,
            "{check}"
        );
    }
}
