//! One struct per `[section]` of the configuration file.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use weldfleet_tls::Tls;
use weldfleet_weld::{
    defects::DefectNames, rules::HitStreaks, units::CurveUnits, validation::ValidationLimits,
};

use crate::{Columns, Secret};

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
    /// Names of the tables.
    pub tables: Tables,
    /// Names of the source table's columns.
    pub columns: Columns,
    /// How the curves are stored.
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
pub struct ClickHouse {
    /// HTTP interface, `http://host:8123` or `https://host:8443`.
    pub url: String,
    pub user: String,
    /// Password; or `password_file`.
    pub password: Secret,
    /// Whose queries those for the console's pages of welds and events are; empty: `user`'s.
    pub console_user: String,
    /// Its password; or `console_password_file`.
    pub console_password: Secret,
    /// Database of every table.
    pub database: String,
    /// PEM of the authorities that the server's certificate may be signed by; empty: this machine's own.
    pub tls_ca_file: PathBuf,
    /// PEM of this client's certificate, for a server that asks for one; with `tls_key_file`.
    pub tls_cert_file: PathBuf,
    /// PEM of the certificate's private key.
    pub tls_key_file: PathBuf,
    /// What those files held when the settings were loaded; `None`: the connection is not encrypted.
    #[serde(skip)]
    pub tls: Option<Tls>,
    /// Whether `user` and `password` are those of the console, so that an error names its keys.
    #[serde(skip)]
    pub is_of_console: bool,
}

impl Default for ClickHouse {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".into(),
            user: "default".into(),
            password: Secret::default(),
            console_user: String::new(),
            console_password: Secret::default(),
            database: "weld".into(),
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls: None,
            is_of_console: false,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `redis://[user:password@]host:port/db`; or `url_file`. Once loaded it holds `user` and `password` too.
    pub url: Secret,
    /// User; takes the place of the URL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password as it is, not percent-encoded; takes the place of the URL's; or `password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Queue name; the hash tag of every key.
    pub queue: String,
    /// PEM of the authorities that the server's certificate may be signed by; empty: this machine's own.
    pub tls_ca_file: PathBuf,
    /// PEM of this client's certificate, for a server that asks for one; with `tls_key_file`.
    pub tls_cert_file: PathBuf,
    /// PEM of the certificate's private key.
    pub tls_key_file: PathBuf,
    /// What those files held when the settings were loaded; `None`: the connection is not encrypted.
    #[serde(skip)]
    pub tls: Option<Tls>,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: Secret::new("redis://127.0.0.1:6379/0"),
            user: None,
            password: None,
            queue: "infer".into(),
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls: None,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MySql {
    /// `mysql://user:password@host:port/database`; or `url_file`. Once loaded it holds `user` and `password` too.
    pub url: Secret,
    /// User; takes the place of the URL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password as it is, not percent-encoded; takes the place of the URL's; or `password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether NOK rows are mirrored at all.
    pub enabled: bool,
    /// Days before today whose records are looked after; older ones may be purged and do not come back. 0: all days.
    pub keep_days: u16,
    /// PEM of the authorities that the server's certificate may be signed by; empty: this machine's own.
    pub tls_ca_file: PathBuf,
    /// PEM of this client's certificate, for a server that asks for one; with `tls_key_file`.
    pub tls_cert_file: PathBuf,
    /// PEM of the certificate's private key.
    pub tls_key_file: PathBuf,
    /// What those files held when the settings were loaded; `None`: the connection is not encrypted.
    #[serde(skip)]
    pub tls: Option<Tls>,
    /// Our columns of a NOK weld to those of a table that an application reads already, and these alone are filled;
    /// none: the table is the fleet's own.
    pub columns: BTreeMap<String, String>,
    /// What a row of that table must have besides; theirs to a value.
    pub constants: BTreeMap<String, Constant>,
}

/// A value that every new row gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Constant {
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
}

impl Default for MySql {
    fn default() -> Self {
        Self {
            url: Secret::new("mysql://weld:weld@127.0.0.1:3306/weld"),
            user: None,
            password: None,
            enabled: true,
            keep_days: 0,
            tls_ca_file: PathBuf::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls: None,
            columns: BTreeMap::new(),
            constants: BTreeMap::new(),
        }
    }
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

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Who may sign in, as `scheduler users` keeps it; empty: whoever is on this host may look and change nothing.
    pub users_file: PathBuf,
    /// Addresses of proxies whose word holds: from where, under which address and by which user they are asked.
    pub trusted_proxies: Vec<IpAddr>,
    /// The header in which they name the user; empty: they only forward.
    pub user_header: String,
    /// Shifts by name: when each begins, by the plant's clock. One lasts until the next begins.
    pub shifts: BTreeMap<String, Time>,
}

impl Console {
    /// Whether people can sign in.
    pub fn has_users(&self) -> bool {
        !self.users_file.as_os_str().is_empty()
    }

    /// The shift that goes on, and when it began; without shifts the day.
    pub fn shift_at(&self, now: DateTime) -> (&str, DateTime) {
        let days = [now.date(), now.date().saturating_sub(1.day())];
        let begun = days.into_iter().flat_map(|day| {
            let shifts = self.shifts.iter();
            shifts.map(move |(name, begins)| (name.as_str(), day.to_datetime(*begins)))
        });
        begun
            .filter(|(_, begins)| *begins <= now)
            .max_by_key(|(_, begins)| *begins)
            .unwrap_or(("", now.date().to_datetime(Time::midnight())))
    }

    /// The day on which the shift of this name began last; today where there is none such.
    pub fn last_began(&self, name: &str, now: DateTime) -> Date {
        match self.shifts.get(name) {
            Some(begins) if now.time() < *begins => now.date().saturating_sub(1.day()),
            _ => now.date(),
        }
    }

    /// From when to when a shift is; `None` if there is none of this name.
    pub fn shift(&self, name: &str) -> Option<(Time, Time)> {
        let from = *self.shifts.get(name)?;
        let later = self.shifts.values().filter(|other| **other > from).min();
        let to = later.or(self.shifts.values().min()).copied()?;
        Some((from, to))
    }
}

impl Default for Console {
    fn default() -> Self {
        Self {
            users_file: PathBuf::new(),
            trusted_proxies: Vec::new(),
            user_header: "X-Forwarded-User".to_owned(),
            shifts: BTreeMap::new(),
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

    /// The zone's IANA name.
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

/// Where a model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// A GPU if there is one, else the CPU: by OpenVINO where its plugin is installed and faster, or by ONNX Runtime
    /// itself.
    #[default]
    Auto,
    /// ONNX Runtime's own CPU provider.
    Cpu,
    /// OpenVINO on the CPU, or refuse to start.
    Openvino,
    /// CUDA, or refuse to start.
    Cuda,
    /// TensorRT, or refuse to start.
    Tensorrt,
}

impl Provider {
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda | Self::Tensorrt)
    }

    /// The name used in configuration and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Openvino => "openvino",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
        }
    }
}

/// In which numbers a model computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    F32,
    /// 8 bits of mantissa; OpenVINO only. Rows judged so say it in `model_version`.
    Bf16,
    /// 11 bits of mantissa where TensorRT finds that faster, as `model.fp16` allows; said in `model_version` too.
    #[serde(skip)]
    Fp16,
}

impl Precision {
    /// The name used in configuration, on screens, and by OpenVINO.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
        }
    }

    /// What it puts behind a model's version or a device: `+bf16`; nothing for f32.
    pub fn suffix(self) -> String {
        match self {
            Self::F32 => String::new(),
            other => format!("+{}", other.name()),
        }
    }

    /// A model's own version, of one that may say in which numbers it was computed.
    pub fn without_suffix(version: &str) -> &str {
        let told = [Self::Bf16, Self::Fp16].iter();
        let mut without = told.filter_map(|precision| version.strip_suffix(&precision.suffix()));
        without.next().unwrap_or(version)
    }
}

/// The most that a thousand welds judged in bf16 may differ from f32. Labels of real welds scatter by a tenth of a
/// millimetre.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bf16Limits {
    /// Share of welds with another verdict.
    pub verdict_changes: f64,
    pub nok_prob: f32,
    /// Any regression, mm.
    pub millimetres: f32,
}

impl Default for Bf16Limits {
    fn default() -> Self {
        Self {
            verdict_changes: 0.001,
            nok_prob: 0.05,
            millimetres: 0.05,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// Whether the ONNX model judges.
    pub enabled: bool,
    /// Folder that holds `global/` and optionally `parts/<part_no>/`, or `parts.json` with a folder for any part.
    pub model_export_dir: PathBuf,
    pub provider: Provider,
    pub precision: Precision,
    /// What bf16 may change before `worker check` refuses it.
    pub bf16_limits: Bf16Limits,
    /// OpenVINO's plugin for ONNX Runtime; empty: `openvino/` beside ONNX Runtime or the program.
    pub openvino_plugin: PathBuf,
    /// GPU index among those the process sees; one process feeds one GPU.
    pub device_id: u32,
    /// Compute threads, each with a single-threaded session of its own; 0: the layout that tuning finds. On a GPU they
    /// prepare batches and feed the device, so that their number is that of the batches in flight.
    pub threads: u32,
    /// Rows of one inference; 0: tuned.
    pub batch_rows: u32,
    /// Folder of what is found out once: tuned layouts, TensorRT's engines.
    pub cache_dir: PathBuf,
    /// Whether TensorRT may compute in half precision; results then differ from those of other devices, and rows say so.
    pub fp16: bool,
    /// Overrides the model's own threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nok_threshold: Option<f32>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            enabled: true,
            model_export_dir: "models".into(),
            provider: Provider::Auto,
            precision: Precision::F32,
            bf16_limits: Bf16Limits::default(),
            openvino_plugin: PathBuf::new(),
            device_id: 0,
            threads: 0,
            batch_rows: 0,
            cache_dir: "data/cache".into(),
            fp16: false,
            nok_threshold: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_says_in_which_numbers_a_model_was_computed() {
        for (precision, version) in [
            (Precision::F32, "m-1"),
            (Precision::Bf16, "m-1+bf16"),
            (Precision::Fp16, "m-1+fp16"),
        ] {
            assert_eq!(format!("m-1{}", precision.suffix()), version);
            assert_eq!(Precision::without_suffix(version), "m-1");
        }
    }

    #[test]
    fn a_shift_lasts_until_the_next_begins() {
        let text = "shifts = { early = \"06:00\", late = \"14:00\", night = \"22:00\" }";
        let console: Console = toml::from_str(text).unwrap();
        let hours = |name| {
            console
                .shift(name)
                .map(|(from, to)| (from.hour(), to.hour()))
        };
        assert_eq!(hours("early"), Some((6, 14)));
        assert_eq!(hours("night"), Some((22, 6)));
        assert_eq!(hours("noon"), None);
        let at = |day, hour| jiff::civil::date(2026, 11, day).at(hour, 0, 0, 0);
        assert_eq!(console.shift_at(at(29, 15)), ("late", at(29, 14)));
        assert_eq!(console.shift_at(at(29, 3)), ("night", at(28, 22)));
        let began = |name, now| console.last_began(name, now).day();
        assert_eq!(
            [began("night", at(29, 3)), began("night", at(29, 22))],
            [28, 29]
        );
        assert_eq!([began("late", at(29, 3)), began("", at(29, 3))], [28, 29]);
        assert_eq!(Console::default().shift_at(at(29, 3)), ("", at(29, 0)));
        assert!(toml::from_str::<Console>("shifts = { early = \"25:00\" }").is_err());
    }
}
