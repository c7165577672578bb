//! One struct per `[section]` of the configuration file.

mod console;
mod model;
mod stores;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use weldfleet_weld::{
    defects::DefectNames, rules::HitStreaks, units::CurveUnits, validation::ValidationLimits,
};

use crate::Columns;

pub use console::Console;
pub use model::{Bf16Limits, Model, Precision, Provider};
pub use stores::{ClickHouse, Constant, MySql, Redis};

/// The whole configuration. Build it with [`Settings::load`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the rows are.
    pub clickhouse: ClickHouse,
    /// Where the work is.
    pub redis: Redis,
    /// Where the people who act on NOK welds look.
    pub mysql: MySql,
    pub tables: Tables,
    /// Names of the source table's columns.
    pub columns: Columns,
    pub curves: CurveUnits,
    /// What a weld must look like to be judged.
    pub validation: ValidationLimits,
    pub scheduler: Scheduler,
    /// What people see in a browser, and who they are.
    pub console: Console,
    pub lease: Lease,
    pub worker: Worker,
    pub model: Model,
    pub rules: Rules,
    /// How the two are fused.
    pub fusion: Fusion,
    /// When the fleet stops itself.
    pub breaker: Breaker,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tables {
    /// ClickHouse table of welds, one row each.
    pub source_table: String,
    /// SQL over the plant's columns: rows that it does not select are not the fleet's.
    pub filter: String,
    /// MySQL table of NOK welds.
    pub result_table: String,
    /// How long attempts' results are kept in ClickHouse after their copy to the rows.
    #[serde(with = "crate::duration")]
    pub results_ttl: Duration,
    /// Time without a write after which the patch parts of a complete day that is over are applied.
    #[serde(with = "crate::duration")]
    pub settle_after: Duration,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            source_table: "spot_records".into(),
            filter: String::new(),
            result_table: "nok_records".into(),
            results_ttl: Duration::from_secs(7 * 24 * 3600),
            settle_after: Duration::from_secs(10 * 60),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scheduler {
    /// Rows a range aims at.
    pub batch_size: u32,
    #[serde(with = "crate::duration")]
    pub poll_interval: Duration,
    /// How long a partial range may wait to fill up, from when it was first seen.
    #[serde(with = "crate::duration")]
    pub max_wait: Duration,
    /// Days before today that are looked at for late rows.
    pub lookback_days: u16,
    /// Days after today that are live, too: 1 where a night shift carries the next day's date.
    pub lookahead_days: u16,
    /// Jobs outstanding per priority class.
    pub max_outstanding: u32,
    /// IANA time zone whose midnight ends a day.
    pub timezone: Zone,
    /// Hits of a spot in a row that are told.
    pub hit_streaks: HitStreaks,
    /// Listener of status and metrics.
    pub http: SocketAddr,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            batch_size: 4096,
            poll_interval: Duration::from_secs(2),
            max_wait: Duration::from_millis(1300),
            lookback_days: 1,
            lookahead_days: 0,
            max_outstanding: 1000,
            timezone: Zone::default(),
            hit_streaks: HitStreaks::default(),
            http: SocketAddr::from(([127, 0, 0, 1], 9100)),
        }
    }
}

/// An IANA time zone by name, checked when the configuration is read.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::UTC))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        TimeZone::get(&name).map(Zone).map_err(|_| {
            D::Error::custom(format!(
                "unknown time zone `{name}`, expected an IANA name such as Asia/Shanghai or Europe/Berlin"
            ))
        })
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lease {
    /// Time after which an unrenewed job is given to another worker.
    #[serde(with = "crate::duration")]
    pub ttl: Duration,
    #[serde(with = "crate::duration")]
    pub renew_every: Duration,
    /// Claims a job may use up before it is a dead letter.
    pub max_attempts: u32,
    /// Time without progress after which a worker lets its lease go.
    #[serde(with = "crate::duration")]
    pub job_timeout: Duration,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            renew_every: Duration::from_secs(10),
            max_attempts: 5,
            job_timeout: Duration::from_secs(600),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Ranges whose rows one worker holds at a time: one computing, one being fetched, one in its audit file.
    pub ranges_in_flight: u32,
    /// Ranges that may wait, beside those and without their rows, to share a write-back; they wait a second at most.
    /// 1: each range is written by itself. With `ranges_in_flight = 1` there are none beside.
    pub commit_group: u32,
    /// Most bytes of decoded curves of one range; one that has more is split, a row that alone has more is `invalid`.
    pub max_range_bytes: u64,
    /// Folder of the audit csv.gz files.
    pub save_dir: PathBuf,
    /// Time a stopping worker gives its ranges to finish before it releases them.
    #[serde(with = "crate::duration")]
    pub shutdown_grace: Duration,
    /// Listener of status, metrics and predict.
    pub http: SocketAddr,
    /// The longest body of `POST /predict`, in bytes.
    pub predict_max_bytes: u32,
    /// Requests of `POST /predict` that are read and judged at a time; more are answered 429.
    pub predict_at_once: u32,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            ranges_in_flight: 3,
            commit_group: 16,
            max_range_bytes: 128 << 20,
            save_dir: "data/csv".into(),
            shutdown_grace: Duration::from_secs(60),
            http: SocketAddr::from(([127, 0, 0, 1], 9101)),
            predict_max_bytes: 2 * 1024 * 1024,
            predict_at_once: 4,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether the rule model judges.
    pub enabled: bool,
    /// Thresholds, bands and per-part overrides.
    pub file: PathBuf,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            enabled: true,
            file: "config/rules.toml".into(),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fusion {
    /// NOK probability from which the model overrules the rules (absolute).
    pub override_threshold: f32,
    /// What people call the defect that a judge or rule finds.
    pub defect_names: DefectNames,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            override_threshold: 0.9999,
            defect_names: DefectNames::default(),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Share of invalid and error rows above which the fleet pauses.
    pub invalid_share: f64,
    /// Ranges over which the share is taken.
    pub over_ranges: u32,
    /// Rows of one and the same verdict in a row after which the fleet pauses.
    pub same_verdict_rows: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            invalid_share: 0.5,
            over_ranges: 20,
            same_verdict_rows: 1_000_000,
        }
    }
}
