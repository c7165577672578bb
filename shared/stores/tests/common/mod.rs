//! One plant: private servers, a database, settings that point there, and a few ways to make rows and verdicts.

#![allow(dead_code, reason = "each suite uses its part")]

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use weldfleet_settings::{Secret, Settings};
use weldfleet_stores::{
    Day, Key, LIVE_RUN, Range, RecordId, Selection, StoreError,
    clickhouse::{Attempt, EncodedResults, RowBlock, Server, SimulatedRows, SourceTable},
    migrate,
    mysql::{CommittedRange, Mirror, MirrorChange, NokTable},
};
use weldfleet_testkit::{Service, Services};
use weldfleet_weld::{DecidedBy, Outcome, Status, Verdict};

pub const DAY: u32 = 20_261_122;

pub struct Plant {
    pub services: Services,
    pub settings: Settings,
    pub server: Server,
}

impl Plant {
    /// ClickHouse alone, or with MySQL; nothing migrated.
    pub fn bare(with_mysql: bool) -> Self {
        let mut wanted = vec![Service::ClickHouse];
        if with_mysql {
            wanted.push(Service::MySql);
        }
        let services = Services::start(&wanted);
        let mut settings = Settings::default();
        settings.clickhouse.url = services.url(Service::ClickHouse).to_owned();
        settings.clickhouse.database = "weld_test".into();
        settings.mysql.enabled = with_mysql;
        if with_mysql {
            settings.mysql.url = Secret::new(services.url(Service::MySql));
        }
        let server = Server::new(&settings.clickhouse);
        Self {
            services,
            settings,
            server,
        }
    }

    /// With our own tables.
    pub async fn ours(with_mysql: bool) -> Self {
        let plant = Self::bare(with_mysql);
        plant.migrate().await;
        plant
    }

    pub fn map(&mut self, columns: &[(&str, &str)]) {
        let map: serde_json::Map<String, serde_json::Value> = columns
            .iter()
            .map(|(ours, theirs)| ((*ours).to_owned(), (*theirs).into()))
            .collect();
        self.settings.columns = serde_json::from_value(map.into()).unwrap();
    }

    pub async fn migrate(&self) {
        let plan = migrate::plan(&self.settings).await.unwrap();
        migrate::apply(&self.settings, &plan).await.unwrap();
    }

    pub async fn table(&self) -> SourceTable {
        SourceTable::inspect(&self.settings).await.unwrap()
    }

    pub async fn mirror(&self) -> Mirror {
        let table = NokTable::new(&self.settings).unwrap().unwrap();
        Mirror::new(self.table().await, table)
    }

    pub async fn execute(&self, sql: &str) {
        self.server.execute("test", sql).await.unwrap();
    }

    /// Tab-separated answer of ClickHouse.
    pub async fn ask(&self, sql: &str) -> String {
        let url = self.settings.clickhouse.url.clone();
        let output = tokio::process::Command::new("curl")
            .args(["-sS", "--fail-with-body", &url, "--data-binary", sql])
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{sql}\n{text}");
        text.trim_end().to_owned()
    }

    pub async fn mysql(&self, sql: &str) -> Vec<String> {
        let opts = mysql_async::Opts::from_url(self.settings.mysql.url.expose()).unwrap();
        let mut conn = mysql_async::Conn::new(opts).await.unwrap();
        let rows: Vec<mysql_async::Row> = conn.query(sql).await.unwrap();
        conn.disconnect().await.unwrap();
        rows.into_iter()
            .map(|row| {
                row.unwrap()
                    .into_iter()
                    .map(|value| match value {
                        mysql_async::Value::NULL => "NULL".to_owned(),
                        mysql_async::Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
                        other => other.as_sql(true),
                    })
                    .collect::<Vec<_>>()
                    .join("|")
            })
            .collect()
    }
}

pub fn day() -> Day {
    Day::new(DAY).unwrap()
}

/// Milliseconds of 2026-11-22 00:00 UTC.
pub const MIDNIGHT_MS: i64 = 1_795_305_600_000;

/// Inserts plain welds with these ids at `MIDNIGHT_MS + 10 · id` ms.
pub async fn insert(table: &SourceTable, day: Day, ids: impl IntoIterator<Item = u64>) {
    let ids: Vec<u64> = ids.into_iter().collect();
    let times: Vec<i64> = ids.iter().map(|id| MIDNIGHT_MS + 10 * *id as i64).collect();
    insert_at(table, day, &ids, &times).await;
}

pub async fn insert_at(table: &SourceTable, day: Day, ids: &[u64], times: &[i64]) {
    let rows = ids.len();
    let ends: Vec<u64> = (1..=rows as u64).map(|row| row * 3).collect();
    let curve: Vec<f32> = ids.iter().flat_map(|id| [*id as f32, 1.0, 2.0]).collect();
    let scalar: Vec<f32> = ids.iter().map(|id| *id as f32 / 8.0).collect();
    table
        .insert_simulated(&SimulatedRows {
            day,
            id_prefix: "w",
            record_id: ids,
            time_unix_ms: times,
            part_no: &vec!["P1"; rows],
            spot_name: &vec!["S1"; rows],
            timer_name: &vec!["T1"; rows],
            umax: &scalar,
            imax: &scalar,
            u_ends: &ends,
            u_values: &curve,
            i_ends: &ends,
            i_values: &curve,
            label: &vec!["OK"; rows],
            label_defect: &vec!["none"; rows],
            measured_diameter: &scalar,
            measured_indentation: &scalar,
            measured_front_thickness: &scalar,
            measured_stack_thickness: &scalar,
        })
        .await
        .unwrap();
}

/// A key of our own table.
pub fn key(id: u64) -> Key {
    Key {
        leading: None,
        ticks: MIDNIGHT_MS + 10 * id as i64,
        id: RecordId::Number(id),
        text: String::new(),
    }
}

pub fn range(from: u64, to: u64) -> Range {
    Range {
        run: LIVE_RUN,
        day: day(),
        selection: Selection::New,
        from: key(from),
        to: key(to),
        rows: to - from + 1,
        repeated_keys: false,
    }
}

pub fn ok() -> Verdict {
    Verdict {
        alg_status: Status::Ok,
        alg_error: None,
        ml_nok_prob: Some(0.25),
        ml_result: Some(Outcome::Ok),
        rule_result: Some(Outcome::Ok),
        rule_hits: Vec::new(),
        final_result: Some(Outcome::Ok),
        decided_by: Some(DecidedBy::SoftAnd),
        defect: None,
        diameter: Some(5.1),
        indentation: Some(0.2),
        front_thickness: Some(0.9),
        stack_thickness: Some(2.2),
        model_version: Some(Arc::from("m1")),
    }
}

pub fn nok() -> Verdict {
    Verdict {
        ml_nok_prob: Some(0.75),
        ml_result: Some(Outcome::Nok),
        rule_result: Some(Outcome::Nok),
        final_result: Some(Outcome::Nok),
        defect: Some(Arc::from("小焊核,飞溅")),
        ..ok()
    }
}

/// NOK for every row whose number is divisible by this, the model's name in every row.
pub fn verdicts(block: &RowBlock, nok_every: usize, model: &str) -> Vec<Verdict> {
    (0..block.len())
        .map(|row| {
            let base = if row % nok_every == 0 { nok() } else { ok() };
            Verdict {
                diameter: Some(row as f32 + 0.1),
                model_version: Some(Arc::from(model)),
                ..base
            }
        })
        .collect()
}

/// A verdict for each row, by its id.
pub fn verdicts_by_id(block: &RowBlock, verdict: impl Fn(&str) -> Verdict) -> Vec<Verdict> {
    let ids = (0..block.len()).map(|row| block.id(row).to_string());
    ids.map(|id| verdict(&id)).collect()
}

/// Stores an attempt's results under its token. `verdicts[k]` is of row `k` of the block.
pub async fn store_results(
    table: &SourceTable,
    token: u64,
    run: u64,
    job: &str,
    block: &RowBlock,
    verdicts: &[Verdict],
) -> Result<(), StoreError> {
    let encoded = EncodedResults::new(token, run, job, block, verdicts)?;
    table.insert_results(&[&encoded]).await
}

/// Stores what an attempt found; the attempt, not committed.
pub async fn store(
    table: &SourceTable,
    token: u64,
    range: &Range,
    block: &RowBlock,
    verdicts: &[Verdict],
) -> Attempt {
    store_results(table, token, range.run, "job", block, verdicts)
        .await
        .unwrap();
    Attempt {
        token,
        range: range.clone(),
        overrules: block.overrules(),
    }
}

/// Stores what an attempt found, and commits it.
pub async fn commit(
    table: &SourceTable,
    token: u64,
    range: &Range,
    block: &RowBlock,
    verdicts: &[Verdict],
) {
    let attempt = store(table, token, range, block, verdicts).await;
    table.commit(&[attempt]).await.unwrap();
}

/// Mirrors the range, whoever committed it.
pub async fn mirror_range(mirror: &Mirror, range: &Range) -> Result<MirrorChange, StoreError> {
    let committed = CommittedRange {
        range: range.clone(),
        first_token: None,
    };
    mirror.mirror_all(&[&committed]).await
}

pub fn changed(inserted: u64, updated: u64, removed: u64) -> MirrorChange {
    MirrorChange {
        inserted,
        updated,
        removed,
        ..MirrorChange::default()
    }
}
