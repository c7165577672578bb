//! Why nothing moves: one pure function from what is known to the causes, each in words with its remedy.
//!
//! Everybody who wonders is told the same: `scheduler status`, `/readyz`, `GET /api/v1/status`. An undisturbed day has
//! no cause. Causes come in the order in which they matter. Those at the end only say why a fleet stands still, so they
//! are told only while it does: nothing is leased, and for some seconds nothing was claimed or enqueued. And they are
//! told only where no earlier cause explains it.

use jiff::tz::TimeZone;
use weldfleet_queue::{Pause, State, WorkerEntry};
use weldfleet_service::output::grouped;
use weldfleet_words::Words;

use super::report::{CauseLine, DayLine, Report, RunLine, StoreLine, Thresholds};
use crate::{
    clock::time_of_day,
    events::fault_in_chinese,
    pass::{BACKFILL, LIVE},
    settle,
};

/// A disk with less room than this is full for people: a merge of parts takes more.
const FULL_BYTES: u64 = 64 * 1024 * 1024;
/// Clocks of hosts that are kept right differ by less.
const CLOCKS_MAY_DIFFER_MS: u64 = 60_000;
/// How the operating system says that a disk is full.
const NO_ROOM: &str = "No space left";
/// Rows that wait no longer than this to fill a range are how rows come in.
const MOST_WAIT_MS: u64 = 5_000;
/// What explains a standstill, however rows come in, is told after so long: within five seconds, with the second for
/// which a look is good.
const SOON_MS: u64 = 3_600;
/// A long `scheduler.max_wait` is told after so long: rows are seen up to a second after they came.
const PARTIAL_MS: u64 = 2_500;
/// What nothing explains is told after so long: a slow pass over a large day explains itself.
const UNEXPLAINED_MS: u64 = 30_000;

/// Every code with whether it is alarming, for whoever counts causes.
pub const CODES: [(&str, bool); 24] = [
    ("store_away", true),
    ("store_refuses", true),
    ("store_slow", true),
    ("mirror_away", true),
    ("disk_full", true),
    ("patches_many", true),
    ("clock_differs", true),
    ("paused", true),
    ("settling", false),
    ("no_leader", true),
    ("no_worker", true),
    ("workers_wait", true),
    ("after_outage", false),
    ("back_pressure", true),
    ("back_pressure", false),
    ("run_held", false),
    ("days_unsettled", true),
    ("only_delayed", false),
    ("only_isolated", false),
    ("only_splitting", false),
    ("only_dead", true),
    ("partial_range", false),
    ("nothing_to_do", false),
    ("unexplained", true),
];

/// A reason why work does not go on as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    StoreAway {
        store: &'static str,
        why: String,
    },
    StoreRefuses {
        store: &'static str,
        why: String,
    },
    /// It is there, and nobody can say how the fleet is.
    StoreSlow {
        store: &'static str,
        why: String,
    },
    /// Judging goes on without it.
    MirrorAway {
        why: String,
    },
    DiskFull {
        place: String,
        why: String,
    },
    /// The server's limit of patch parts is half reached, or reached.
    PatchesMany {
        bytes: u64,
        limit: u64,
    },
    /// The day of who looks here may not be the plant's.
    ClockDiffers {
        seconds: u64,
    },
    Paused {
        by: String,
        reason: String,
    },
    /// The fleet stands still while a finished day is settled.
    Settling {
        until: String,
    },
    NoLeader,
    NoWorker,
    /// Workers are there, and none can work.
    WorkersWait {
        workers: usize,
        why: String,
    },
    AfterOutage {
        leases: u64,
        until: String,
    },
    BackPressure {
        live: bool,
        jobs: u64,
    },
    RunHeld {
        run: u64,
        by: String,
        why: String,
    },
    DaysUnsettled {
        first: String,
        last: String,
    },
    OnlyDelayed {
        jobs: u64,
        until: String,
    },
    OnlyIsolated {
        jobs: u64,
    },
    OnlySplitting {
        jobs: u64,
    },
    OnlyDead {
        jobs: u64,
    },
    PartialRange {
        rows: u64,
        max_wait_ms: u64,
    },
    NothingToDo,
    Unexplained {
        rows: u64,
        jobs: u64,
    },
}

/// Every cause, the most important first.
pub fn causes(report: &Report, zone: &TimeZone) -> Vec<Cause> {
    let mut found = Vec::new();
    stores(report, &mut found);
    fleet(report, zone, &mut found);
    let explained = found.iter().any(Cause::stops_everything);
    circumstances(report, &mut found);
    if !explained && leased(report) == 0 {
        found.extend(still(report, zone));
    }
    found
}

fn stores(report: &Report, found: &mut Vec<Cause>) {
    let stores = [
        ("clickhouse", &report.stores.clickhouse),
        ("redis", &report.stores.redis),
    ];
    for (store, line) in stores {
        match line {
            StoreLine::Away(why) => found.push(Cause::StoreAway {
                store,
                why: why.clone(),
            }),
            StoreLine::Refuses(why) => found.push(Cause::StoreRefuses {
                store,
                why: why.clone(),
            }),
            StoreLine::Slow(why) => found.push(Cause::StoreSlow {
                store,
                why: why.clone(),
            }),
            StoreLine::Works | StoreLine::Off => {}
        }
    }
    if let Some(disk) = report
        .disk
        .as_ref()
        .filter(|disk| disk.free_bytes < FULL_BYTES)
    {
        found.push(Cause::DiskFull {
            place: format!("clickhouse, disk {}", disk.name),
            why: format!("{} MiB free", disk.free_bytes / (1024 * 1024)),
        });
    }
    if let Some(patches) = &report.patches
        && patches.limit_bytes > 0
        && patches.bytes >= patches.limit_bytes / 2
    {
        found.push(Cause::PatchesMany {
            bytes: patches.bytes,
            limit: patches.limit_bytes,
        });
    }
}

/// What Redis says of the fleet; nothing while Redis is away.
fn fleet(report: &Report, zone: &TimeZone, found: &mut Vec<Cause>) {
    let Some(queue) = report.queue.as_ref().filter(|_| report.workers.is_some()) else {
        return;
    };
    let here_ms = u64::try_from(report.at_ms).unwrap_or(0);
    let off_ms = here_ms.abs_diff(queue.now_ms);
    if off_ms > CLOCKS_MAY_DIFFER_MS {
        found.push(Cause::ClockDiffers {
            seconds: off_ms / 1000,
        });
    }
    if let Some(pause) = &report.paused {
        found.push(Cause::paused(pause, queue.now_ms, zone));
    }
    if report.leader.is_none() {
        found.push(Cause::NoLeader);
    }
    let living: Vec<&WorkerEntry> = report.living_workers().collect();
    if living.is_empty() {
        found.push(Cause::NoWorker);
    } else if living.iter().all(|worker| waits_for(worker).is_some())
        && let Some((worker, why)) = living.first().and_then(|one| Some((one, waits_for(one)?)))
    {
        let cause = waiting(worker, why, living.len(), found);
        found.push(cause);
    }
    if let Some(until) = queue.kept_until_ms
        && queue.expired_leases > 0
        && until > queue.now_ms
    {
        found.push(Cause::AfterOutage {
            leases: queue.expired_leases,
            until: time_of_day(until, zone),
        });
    }
}

fn waits_for(worker: &WorkerEntry) -> Option<&str> {
    worker
        .fields
        .get("waits_for")
        .map(String::as_str)
        .filter(|why| !why.is_empty())
}

/// What all workers wait for, by what the first says; `why` begins with the component.
fn waiting(worker: &WorkerEntry, why: &str, workers: usize, found: &[Cause]) -> Cause {
    let known = |store| {
        found.iter().any(|cause| {
            matches!(cause, Cause::StoreAway { store: of, .. } | Cause::StoreRefuses { store: of, .. } if *of == store)
        })
    };
    match why.split_once(": ") {
        Some(("save_dir", reason)) if reason.contains(NO_ROOM) => Cause::DiskFull {
            place: format!(
                "worker.save_dir, {}",
                worker.fields.get("host").map_or("?", String::as_str)
            ),
            why: reason.to_owned(),
        },
        // This process can reach it, and does not write as a worker does.
        Some(("clickhouse", reason)) if !known("clickhouse") => Cause::StoreRefuses {
            store: "clickhouse",
            why: reason.to_owned(),
        },
        _ => Cause::WorkersWait {
            workers,
            why: why.to_owned(),
        },
    }
}

/// What is true whether or not anything moves.
fn circumstances(report: &Report, found: &mut Vec<Cause>) {
    let why = report.stores.mysql.why();
    if !why.is_empty() {
        let why = why.to_owned();
        found.push(Cause::MirrorAway { why });
    }
    let most = report.thresholds.max_outstanding;
    if let Some(queue) = &report.queue
        && most > 0
    {
        let jobs = |class| queue.outstanding.get(&class).copied().unwrap_or(0);
        if jobs(LIVE) >= most {
            found.push(Cause::BackPressure {
                live: true,
                jobs: jobs(LIVE),
            });
        } else if jobs(BACKFILL) >= most && leased(report) == 0 {
            // With somebody at it, that is what a large backfill looks like.
            found.push(Cause::BackPressure {
                live: false,
                jobs: jobs(BACKFILL),
            });
        }
    }
    for run in report.runs.iter().flatten() {
        if run.state == "held" && run.left.is_some_and(|rows| rows > 0) {
            found.push(Cause::RunHeld {
                run: run.run,
                by: run.changed_by.clone(),
                why: run.changed_why.clone(),
            });
        }
    }
    if let Some(patches) = &report.patches
        && let (Some(first), Some(last)) =
            (patches.days_overdue.first(), patches.days_overdue.last())
    {
        found.push(Cause::DaysUnsettled {
            first: first.clone(),
            last: last.clone(),
        });
    }
}

fn count(report: &Report, state: State) -> u64 {
    let jobs = report.jobs.as_ref();
    jobs.and_then(|jobs| jobs.get(&state)).copied().unwrap_or(0)
}

/// Jobs that somebody is at.
fn leased(report: &Report) -> u64 {
    count(report, State::Leased)
}

/// Rows that are left may be on their way for so long: until the leader looks, as often as a partial range may wait at
/// least, and until the range is full or has waited, with a second for the rest.
fn on_the_way_ms(thresholds: &Thresholds) -> u64 {
    let look = thresholds.poll_interval_ms.min(thresholds.max_wait_ms);
    thresholds.max_wait_ms.min(MOST_WAIT_MS) + look + 1000
}

/// Why a fleet that could work does not; `None` if days were not all looked at.
fn still(report: &Report, zone: &TimeZone) -> Option<Cause> {
    let (queue, days) = (report.queue.as_ref()?, report.days.as_ref()?);
    let thresholds = &report.thresholds;
    let on_the_way = on_the_way_ms(thresholds);
    let waits_long = thresholds.max_wait_ms > MOST_WAIT_MS;
    let soon = if waits_long { PARTIAL_MS } else { SOON_MS };
    if queue.still_ms < soon.min(on_the_way) {
        return None;
    }
    let nothing_comes = queue.still_ms >= on_the_way;
    let [pending, delayed, splitting, dead] = [
        State::Pending,
        State::Delayed,
        State::Splitting,
        State::Dead,
    ]
    .map(|state| count(report, state));
    // What takes a moment is no reason for long: whoever should do it fails or hangs.
    let is_soon = queue.still_ms < UNEXPLAINED_MS + thresholds.max_wait_ms;
    if pending > 0 && pending == queue.isolated && is_soon {
        return Some(Cause::OnlyIsolated { jobs: pending });
    }
    if pending == 0 && splitting > 0 && is_soon {
        return Some(Cause::OnlySplitting { jobs: splitting });
    }
    if pending == 0 && delayed > 0 {
        let until = queue.next_delayed_ms.unwrap_or(queue.now_ms);
        return Some(Cause::OnlyDelayed {
            jobs: delayed,
            until: time_of_day(until, zone),
        });
    }
    if thresholds.one_day {
        return None;
    }
    let live: Vec<&DayLine> = days.iter().filter(|day| day.live).collect();
    let left: u64 = live.iter().map(|day| day.left).sum();
    let open = report.runs.iter().flatten();
    let wanted: Vec<&RunLine> = open
        .filter(|run| run.state == "open" && run.left != Some(0))
        .collect();
    if pending == 0 && left == 0 && wanted.is_empty() {
        return Some(Cause::NothingToDo);
    }
    // More rows than dead jobs hold wait for something else. Those of runs may be as they were long ago.
    let known = wanted.iter().filter(|_| report.details_age().is_none());
    let of_runs: u64 = known.filter_map(|run| run.left).sum();
    if pending == 0 && dead > 0 && nothing_comes && left + of_runs <= queue.dead_rows {
        return Some(Cause::OnlyDead { jobs: dead });
    }
    let largest = live.iter().map(|day| day.left).max().unwrap_or(0);
    let is_partial = left > 0 && largest < thresholds.batch_size && is_soon;
    if pending == 0 && is_partial && (waits_long || nothing_comes) {
        return Some(Cause::PartialRange {
            rows: left,
            max_wait_ms: thresholds.max_wait_ms,
        });
    }
    (queue.still_ms >= UNEXPLAINED_MS).then_some(Cause::Unexplained {
        rows: left + of_runs,
        jobs: pending,
    })
}

impl Cause {
    /// Somebody, or the breaker, paused the fleet, or it is for settling and ends by itself.
    pub fn paused(pause: &Pause, now_ms: u64, zone: &TimeZone) -> Self {
        if let Some(ends) = settle::ends_ms(pause).filter(|ends| *ends > now_ms) {
            let until = time_of_day(ends, zone);
            return Self::Settling { until };
        }
        Self::Paused {
            by: pause.by.clone(),
            reason: pause.reason.clone(),
        }
    }

    /// Nothing is judged while it lasts, so that a fleet that stands still needs no other reason.
    fn stops_everything(&self) -> bool {
        matches!(
            self,
            Self::StoreAway { .. }
                | Self::StoreRefuses { .. }
                | Self::DiskFull { .. }
                | Self::Paused { .. }
                | Self::Settling { .. }
                | Self::NoLeader
                | Self::NoWorker
                | Self::WorkersWait { .. }
                | Self::AfterOutage { .. }
        )
    }

    /// Whether somebody should do something; the others end by themselves, or are as somebody wanted them.
    fn is_alarming(&self) -> bool {
        !matches!(
            self,
            Self::Settling { .. }
                | Self::AfterOutage { .. }
                | Self::BackPressure { live: false, .. }
                | Self::RunHeld { .. }
                | Self::OnlyDelayed { .. }
                | Self::OnlyIsolated { .. }
                | Self::OnlySplitting { .. }
                | Self::PartialRange { .. }
                | Self::NothingToDo
        )
    }

    /// For machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::StoreAway { .. } => "store_away",
            Self::StoreRefuses { .. } => "store_refuses",
            Self::StoreSlow { .. } => "store_slow",
            Self::MirrorAway { .. } => "mirror_away",
            Self::DiskFull { .. } => "disk_full",
            Self::PatchesMany { .. } => "patches_many",
            Self::ClockDiffers { .. } => "clock_differs",
            Self::Paused { .. } => "paused",
            Self::Settling { .. } => "settling",
            Self::NoLeader => "no_leader",
            Self::NoWorker => "no_worker",
            Self::WorkersWait { .. } => "workers_wait",
            Self::AfterOutage { .. } => "after_outage",
            Self::BackPressure { .. } => "back_pressure",
            Self::RunHeld { .. } => "run_held",
            Self::DaysUnsettled { .. } => "days_unsettled",
            Self::OnlyDelayed { .. } => "only_delayed",
            Self::OnlyIsolated { .. } => "only_isolated",
            Self::OnlySplitting { .. } => "only_splitting",
            Self::OnlyDead { .. } => "only_dead",
            Self::PartialRange { .. } => "partial_range",
            Self::NothingToDo => "nothing_to_do",
            Self::Unexplained { .. } => "unexplained",
        }
    }

    /// What people read.
    pub fn line(&self) -> CauseLine {
        let [what, zh, remedy, remedy_zh] = self.words();
        let [told, told_zh, ..] = self.nameless().words();
        CauseLine {
            code: self.code(),
            alarming: self.is_alarming(),
            stops: self.stops_everything()
                || matches!(self, Self::OnlyDead { .. } | Self::Unexplained { .. }),
            what: Words::new(what, zh),
            nameless: Words::new(told, told_zh),
            remedy: Words::new(remedy, remedy_zh),
        }
    }

    /// The same without what people are called and have written.
    fn nameless(&self) -> Self {
        match self {
            Self::Paused { .. } => Self::Paused {
                by: String::new(),
                reason: String::new(),
            },
            Self::RunHeld { run, .. } => Self::RunHeld {
                run: *run,
                by: String::new(),
                why: String::new(),
            },
            other => other.clone(),
        }
    }

    /// What it is and what to do, each in English and in Chinese.
    fn words(&self) -> [String; 4] {
        match self {
            Self::StoreAway { store, why } => [
                format!("{store} is away: {why}"),
                format!("{store} 无法连接：{why}"),
                "bring it back; nothing is lost, no attempt is spent, and work goes on by itself".to_owned(),
                "请恢复它；不会丢失数据，也不消耗尝试次数，恢复后自动继续".to_owned(),
            ],
            Self::StoreRefuses { store, why } => [
                format!("{store} answers but refuses what the fleet needs: {why}"),
                format!("{store} 有应答，但拒绝所需的操作：{}", fault_in_chinese(why)),
                "fix what it says; work goes on by itself".to_owned(),
                "按提示修复；之后自动继续".to_owned(),
            ],
            Self::StoreSlow { store, why } => [
                format!("{store} answers, too slowly for anybody to say how the fleet is: {why}"),
                format!("{store} 有应答，但太慢，无法得知系统状态：{why}"),
                "see what keeps it busy (`SHOW PROCESSLIST`, its disks); judging goes on as far as it lets".to_owned(),
                "请查看其负载（`SHOW PROCESSLIST`、磁盘）；判定会尽量继续".to_owned(),
            ],
            Self::MirrorAway { why } => [
                format!("mysql does not take the mirror: {why}"),
                format!("MySQL 镜像无法写入：{}", fault_in_chinese(why)),
                "bring it back; judging goes on, the mirror lags and catches up".to_owned(),
                "请恢复它；判定照常进行，镜像滞后，之后自动补齐".to_owned(),
            ],
            Self::DiskFull { place, why } => [
                format!("a disk is full ({place}): {why}"),
                format!("磁盘已满（{place}）：{why}"),
                "make room; work goes on by itself".to_owned(),
                "请腾出空间；之后自动继续".to_owned(),
            ],
            Self::PatchesMany { bytes, limit } => {
                let percent = bytes.saturating_mul(100) / limit.max(&1);
                [
                    format!("patch parts of days that are not settled take {percent} % of what clickhouse allows; at 100 % no verdict can be written"),
                    format!("未整理日期的补丁 part 已占 ClickHouse 上限的 {percent} %；达到 100 % 时无法写入判定"),
                    "`scheduler settle --from D --to D --wait` settles finished days; the leader's log says why it has not".to_owned(),
                    "用 `scheduler settle --from D --to D --wait` 整理已完成的日期；未整理的原因见主调度器日志".to_owned(),
                ]
            }
            Self::ClockDiffers { seconds } => [
                format!("the clock here is not that of redis, so that a scheduler here may look at another day than the plant ({seconds} s)"),
                format!("本机时钟与 Redis 不一致，本机的调度器可能处理错误的日期（{seconds} s）"),
                "set the clocks of both hosts (NTP); rows of a day that was missed are judged then".to_owned(),
                "请校准两台主机的时钟（NTP）；之后自动补判遗漏日期的数据".to_owned(),
            ],
            Self::Paused { by, .. } if by.is_empty() => [
                "paused".to_owned(),
                "已暂停".to_owned(),
                "`scheduler resume` lets the fleet go on".to_owned(),
                "用 `scheduler resume` 恢复".to_owned(),
            ],
            Self::Paused { by, reason } => [
                format!("paused by {by}: {reason}"),
                format!("已由 {by} 暂停：{reason}"),
                "`scheduler resume` lets the fleet go on".to_owned(),
                "用 `scheduler resume` 恢复".to_owned(),
            ],
            Self::Settling { until } => [
                format!("a finished day is settled, and the fleet stands still for it until {until} at the latest"),
                format!("正在整理已完成的日期，全部暂停，最迟到 {until}"),
                "nothing; it ends by itself".to_owned(),
                "无需处理；之后自动继续".to_owned(),
            ],
            Self::NoLeader => [
                "no scheduler leads, so no work is made".to_owned(),
                "没有主调度器，不会产生新的作业".to_owned(),
                "`scheduler run` starts one; a standby takes over within 10 s".to_owned(),
                "用 `scheduler run` 启动；备用调度器会在 10 秒内接管".to_owned(),
            ],
            Self::NoWorker => [
                "no worker is running".to_owned(),
                "没有正在运行的工作进程".to_owned(),
                "`worker run` starts one; `worker check` says what keeps it from starting".to_owned(),
                "用 `worker run` 启动；无法启动时用 `worker check` 查原因".to_owned(),
            ],
            Self::WorkersWait { workers, why } => [
                format!("{workers} workers are running and none can work: {why}"),
                format!("{workers} 个工作进程在运行，但都无法工作：{}", fault_in_chinese(why)),
                "fix what it says; `worker check` on that host looks at everything".to_owned(),
                "按提示修复；在该主机上用 `worker check` 全面检查".to_owned(),
            ],
            Self::AfterOutage { leases, until } => [
                format!("redis, or the whole fleet, was away: {leases} leases that ran out are kept until {until}, since their holders may still renew them"),
                format!("Redis 或整个系统曾中断：{leases} 个过期租约保留到 {until}，持有者仍可续租"),
                "nothing; then they are claimed again".to_owned(),
                "无需处理；到时会重新领取".to_owned(),
            ],
            Self::BackPressure { live: true, jobs } => [
                format!("{} ranges of live work are in the queue, all that scheduler.max_outstanding allows; further rows wait for room", grouped(*jobs)),
                format!("实时作业已有 {} 个，达到 scheduler.max_outstanding 上限；其余数据等待", grouped(*jobs)),
                "more workers; `scheduler status` shows the pace".to_owned(),
                "增加工作进程；`scheduler status` 显示速率".to_owned(),
            ],
            Self::BackPressure { live: false, jobs } => [
                format!("{} ranges of backfills are in the queue, all that scheduler.max_outstanding allows", grouped(*jobs)),
                format!("补跑作业已有 {} 个，达到 scheduler.max_outstanding 上限", grouped(*jobs)),
                "nothing; they go on when live work leaves room".to_owned(),
                "无需处理；实时作业空闲后继续".to_owned(),
            ],
            Self::RunHeld { run, by, why } => {
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                let (held, zh) = match by.as_str() {
                    "" => ("is held".to_owned(), "已搁置".to_owned()),
                    by => (format!("is held by {by}{why}"), format!("已由 {by} 搁置{}", why.replacen(": ", "：", 1))),
                };
                [
                    format!("backfill {run} {held}"),
                    format!("补跑 {run} {zh}"),
                    format!("`scheduler backfill resume {run}` lets it go on"),
                    format!("用 `scheduler backfill resume {run}` 继续"),
                ]
            }
            Self::DaysUnsettled { first, last } => {
                let days = if first == last { first.clone() } else { format!("{first}..{last}") };
                [
                    format!("{days}: complete, and not settled for long; a backup would leave the verdicts out"),
                    format!("{days}：已完成但长时间未整理；此时备份不含判定"),
                    format!("`scheduler settle --from {first} --to {last} --wait`; the leader's log says why it has not"),
                    format!("用 `scheduler settle --from {first} --to {last} --wait`；原因见主调度器日志"),
                ]
            }
            Self::OnlyDelayed { jobs, until } => [
                format!("all {jobs} jobs failed and wait for their next attempt, the first until {until}"),
                format!("全部 {jobs} 个作业失败过，等待下次尝试，最早 {until}"),
                "`scheduler jobs list --state delayed` shows why they failed".to_owned(),
                "用 `scheduler jobs list --state delayed` 查看失败原因".to_owned(),
            ],
            Self::OnlyIsolated { jobs } => [
                format!("{jobs} jobs may have killed a worker and run isolated: each waits for a worker that has nothing else in hand"),
                format!("{jobs} 个作业可能曾使工作进程崩溃，需单独运行：等待空闲的工作进程"),
                "`scheduler jobs list --state pending` shows what happened to them".to_owned(),
                "用 `scheduler jobs list --state pending` 查看经过".to_owned(),
            ],
            Self::OnlySplitting { jobs } => [
                format!("{jobs} jobs wait for the leader to cut them in halves, to find the row that kills workers"),
                format!("{jobs} 个作业等待主调度器二分，以找出使工作进程崩溃的数据行"),
                "if it lasts: `scheduler jobs list --state splitting`, and the leader's log".to_owned(),
                "若持续不动：`scheduler jobs list --state splitting`，并查看主调度器日志".to_owned(),
            ],
            Self::OnlyDead { jobs } => [
                format!("rows are left, and {jobs} dead letters need a person before theirs are judged"),
                format!("还有数据未处理，{jobs} 个死信作业需要人工处理"),
                "`scheduler jobs list --state dead` says why; then `jobs retry` or `jobs drop`".to_owned(),
                "用 `scheduler jobs list --state dead` 查原因，再 `jobs retry` 或 `jobs drop`".to_owned(),
            ],
            Self::PartialRange { rows, max_wait_ms } => {
                let seconds = max_wait_ms.div_ceil(1000);
                [
                    format!("{} rows do not fill a range yet; they go {seconds} s after they were seen at the latest", grouped(*rows)),
                    format!("{} 行数据还不满一个区间；最迟在发现后 {seconds} 秒处理", grouped(*rows)),
                    "nothing; scheduler.max_wait says how long".to_owned(),
                    "无需处理；等待时间由 scheduler.max_wait 决定".to_owned(),
                ]
            }
            Self::NothingToDo => [
                "nothing to do: every row of the live days and of open backfills has a verdict or a reason".to_owned(),
                "没有待处理的数据：当前日期和已提交补跑的每一行都有判定或原因".to_owned(),
                "nothing; new rows are judged as they come".to_owned(),
                "无需处理；新数据到达后自动判定".to_owned(),
            ],
            Self::Unexplained { rows, jobs } => [
                format!("{} rows and {jobs} pending jobs are left, nothing moves, and none of the known causes explains it", grouped(*rows)),
                format!("还有 {} 行数据和 {jobs} 个待领取作业，没有进展，且不属于已知原因", grouped(*rows)),
                "look at `/readyz` and the logs of the leader and of a worker".to_owned(),
                "请查看主调度器和工作进程的 `/readyz` 与日志".to_owned(),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        super::{
            report::{DiskLine, PatchLine, QueueFacts, Stores},
            worker_entry,
        },
        *,
    };

    fn worker(waits_for: &str) -> WorkerEntry {
        worker_entry(&[("host", "press-2"), ("waits_for", waits_for)])
    }

    /// A fleet that can work, has 10,000 rows left, and has stood still for ten seconds.
    fn still_fleet() -> Report {
        Report {
            at_ms: 1_795_900_000_000,
            stores: Stores {
                redis: StoreLine::Works,
                clickhouse: StoreLine::Works,
                mysql: StoreLine::Works,
                ..Stores::default()
            },
            days: Some(vec![DayLine {
                live: true,
                left: 10_000,
                total: 20_000,
                ..DayLine::default()
            }]),
            runs: Some(Vec::new()),
            jobs: Some(BTreeMap::new()),
            queue: Some(QueueFacts {
                now_ms: 1_795_900_000_000,
                still_ms: 10_000,
                ..QueueFacts::default()
            }),
            workers: Some(vec![worker("")]),
            leader: Some("press-1".to_owned()),
            thresholds: Thresholds {
                batch_size: 4096,
                max_outstanding: 1000,
                max_wait_ms: 5000,
                poll_interval_ms: 2000,
                silent_ms: 15_000,
                ..Thresholds::default()
            },
            ..Report::default()
        }
    }

    fn codes(change: impl FnOnce(&mut Report)) -> Vec<&'static str> {
        let mut report = still_fleet();
        change(&mut report);
        causes(&report, &TimeZone::UTC)
            .iter()
            .map(Cause::code)
            .collect()
    }

    fn jobs(report: &mut Report, state: State, count: u64) {
        report.jobs.get_or_insert_default().insert(state, count);
    }

    fn queue(report: &mut Report) -> &mut QueueFacts {
        report.queue.get_or_insert_default()
    }

    fn left(report: &mut Report, rows: u64) {
        for day in report.days.iter_mut().flatten() {
            day.left = rows;
        }
    }

    #[test]
    fn while_something_moves_there_is_no_cause() {
        let none: [&str; 0] = [];
        assert_eq!(codes(|report| jobs(report, State::Leased, 1)), none);
        // Rows may be on their way.
        assert_eq!(codes(|report| queue(report).still_ms = 3_599), none);
        let waiting = |dead, max_wait_ms, still_ms| {
            codes(|report| {
                left(report, 1000);
                jobs(report, State::Dead, dead);
                queue(report).dead_rows = 1000 * dead;
                report.thresholds.max_wait_ms = max_wait_ms;
                queue(report).still_ms = still_ms;
            })
        };
        for (dead, code) in [(0, "partial_range"), (1, "only_dead")] {
            assert_eq!(waiting(dead, 5000, 7_999), none);
            assert_eq!(waiting(dead, 5000, 8_000), [code]);
        }
        // A long wait is told of in less than five seconds, with the one until rows are seen, and the one for which a
        // look is good.
        assert_eq!(waiting(0, 60_000, 2_499), none);
        assert_eq!(waiting(0, 60_000, 2_500), ["partial_range"]);
        // At shipped settings it is told of in less than five seconds, with the second for which a look is good.
        let shipped = |still_ms| {
            codes(|report| {
                (
                    report.thresholds.max_wait_ms,
                    report.thresholds.poll_interval_ms,
                ) = (1300, 2000);
                queue(report).still_ms = still_ms;
                left(report, 0);
            })
        };
        assert_eq!(shipped(3599), none);
        assert_eq!(shipped(3600), ["nothing_to_do"]);
        // A slow pass over a large day.
        assert_eq!(codes(|_| {}), none);
        assert_eq!(
            codes(|report| {
                jobs(report, State::Leased, 3);
                jobs(report, State::Dead, 1);
                jobs(report, State::Delayed, 1);
                queue(report).outstanding.insert(BACKFILL, 1000);
            }),
            none
        );
    }

    #[test]
    fn a_store_that_is_away_or_refuses_is_named_even_while_something_moves() {
        let away = |report: &mut Report| {
            report.stores.clickhouse = StoreLine::Away("connection refused".to_owned());
            report.days = None;
            jobs(report, State::Leased, 1);
        };
        assert_eq!(codes(away), ["store_away"]);
        let refuses = |report: &mut Report| {
            report.stores.redis = StoreLine::Refuses("OOM".to_owned());
        };
        assert_eq!(codes(refuses), ["store_refuses"]);
        let gone = |report: &mut Report| {
            report.stores.redis = StoreLine::Away("connection refused".to_owned());
            (report.queue, report.workers, report.jobs, report.leader) = (None, None, None, None);
        };
        assert_eq!(
            codes(gone),
            ["store_away"],
            "nothing is said of workers nobody can see"
        );
        let slow = |report: &mut Report| {
            report.stores.clickhouse = StoreLine::Slow("10 s".to_owned());
            report.days = None;
        };
        assert_eq!(codes(slow), ["store_slow"]);
        let mirror = |report: &mut Report| {
            report.stores.mysql = StoreLine::Away("connection refused".to_owned());
            jobs(report, State::Leased, 1);
        };
        assert_eq!(codes(mirror), ["mirror_away"]);
    }

    #[test]
    fn what_workers_say_they_wait_for_is_told_as_what_it_is() {
        let said = |why: &str| codes(|report| report.workers = Some(vec![worker(why)]));
        assert_eq!(
            said("clickhouse: code 497, not enough privileges"),
            ["store_refuses"]
        );
        assert_eq!(
            said("save_dir: data/csv: No space left on device (os error 28)"),
            ["disk_full"]
        );
        assert_eq!(said("save_dir: permission denied"), ["workers_wait"]);
        // One that can work is enough.
        let none: [&str; 0] = [];
        assert_eq!(
            codes(|report| report.workers = Some(vec![worker("clickhouse: away"), worker("")])),
            none
        );
        // Known already from our own look.
        let both = |report: &mut Report| {
            report.stores.clickhouse = StoreLine::Away("connection refused".to_owned());
            report.workers = Some(vec![worker("clickhouse: connection refused")]);
        };
        assert_eq!(codes(both), ["store_away", "workers_wait"]);
    }

    #[test]
    fn a_full_disk_and_patches_near_their_limit_are_named() {
        let disk = |free_bytes| {
            codes(|report| {
                report.disk = Some(DiskLine {
                    name: "default".to_owned(),
                    free_bytes,
                })
            })
        };
        assert_eq!(disk(FULL_BYTES - 1), ["disk_full"]);
        assert!(disk(FULL_BYTES).is_empty());
        let patches = |bytes, limit_bytes, overdue: &[&str]| {
            codes(|report| {
                jobs(report, State::Leased, 1);
                report.patches = Some(PatchLine {
                    bytes,
                    limit_bytes,
                    days_overdue: overdue.iter().map(|day| (*day).to_owned()).collect(),
                    days_unsettled: vec!["20261127".to_owned()],
                })
            })
        };
        assert_eq!(patches(50, 100, &[]), ["patches_many"]);
        assert!(patches(49, 100, &[]).is_empty());
        assert!(patches(50, 0, &[]).is_empty());
        assert_eq!(patches(1, 100, &["20261126"]), ["days_unsettled"]);
    }

    #[test]
    fn a_fleet_without_leader_or_worker_or_on_pause_says_so_and_nothing_less() {
        assert_eq!(codes(|report| report.leader = None), ["no_leader"]);
        assert_eq!(
            codes(|report| report.workers = Some(Vec::new())),
            ["no_worker"]
        );
        let silent = |report: &mut Report| {
            for worker in report.workers.iter_mut().flatten() {
                worker.silent_ms = 15_001;
            }
        };
        assert_eq!(codes(silent), ["no_worker"]);
        let all = |report: &mut Report| {
            report.paused = Some(Pause {
                reason: "tip dress".to_owned(),
                by: "ana@desk".to_owned(),
                since: 0,
            });
            report.leader = None;
            report.workers = Some(Vec::new());
            jobs(report, State::Delayed, 4);
        };
        assert_eq!(codes(all), ["paused", "no_leader", "no_worker"]);
    }

    #[test]
    fn a_pause_for_settling_is_calm_until_it_should_have_ended() {
        let settling = |age_ms| {
            codes(|report| {
                report.paused = Some(Pause {
                    reason: "of an older release".to_owned(),
                    by: "settling, press-1".to_owned(),
                    since: queue(report).now_ms - age_ms,
                })
            })
        };
        assert_eq!(settling(599_999), ["settling"]);
        assert_eq!(settling(600_000), ["paused"]);
    }

    #[test]
    fn leases_that_are_kept_after_an_outage_are_named_until_their_time() {
        let kept = |expired, until_from_now: i64| {
            codes(|report| {
                jobs(report, State::Leased, expired);
                let queue = queue(report);
                queue.expired_leases = expired;
                queue.kept_until_ms = queue.now_ms.checked_add_signed(until_from_now);
            })
        };
        assert_eq!(kept(2, 500), ["after_outage"]);
        assert!(kept(2, -1).is_empty());
        assert!(!kept(0, 500).contains(&"after_outage"));
    }

    #[test]
    fn back_pressure_of_live_work_is_named_always_and_of_backfills_when_nobody_is_at_them() {
        let full = |class, leased| {
            codes(|report| {
                queue(report).outstanding.insert(class, 1000);
                jobs(report, State::Pending, 1000);
                jobs(report, State::Leased, leased);
            })
        };
        assert_eq!(full(LIVE, 1), ["back_pressure"]);
        assert_eq!(full(BACKFILL, 0), ["back_pressure"]);
        assert!(full(BACKFILL, 1).is_empty());
    }

    #[test]
    fn a_held_run_is_named_while_it_wants_rows() {
        let held = |left| {
            codes(|report| {
                jobs(report, State::Leased, 1);
                report.runs = Some(vec![RunLine {
                    state: "held",
                    left: Some(left),
                    ..RunLine::default()
                }]);
            })
        };
        assert_eq!(held(1), ["run_held"]);
        assert!(held(0).is_empty());
    }

    #[test]
    fn what_a_still_fleet_waits_for_is_found_in_its_jobs() {
        assert_eq!(
            codes(|report| jobs(report, State::Delayed, 2)),
            ["only_delayed"]
        );
        assert_eq!(
            codes(|report| jobs(report, State::Splitting, 2)),
            ["only_splitting"]
        );
        let isolated = |all| {
            codes(|report| {
                jobs(report, State::Pending, all);
                queue(report).isolated = 2;
            })
        };
        assert_eq!(isolated(2), ["only_isolated"]);
        assert!(isolated(3).is_empty());
        let dead = |rows, of_run| {
            codes(|report| {
                jobs(report, State::Dead, 2);
                queue(report).dead_rows = 10_000;
                left(report, rows);
                report.runs = Some(vec![RunLine {
                    state: "open",
                    left: Some(of_run),
                    ..RunLine::default()
                }]);
            })
        };
        assert_eq!(dead(9_000, 1_000), ["only_dead"]);
        assert!(dead(10_000, 1).is_empty(), "other rows wait for something");
        assert!(dead(10_001, 0).is_empty());
    }

    #[test]
    fn what_takes_a_moment_explains_no_long_standstill() {
        let after = |still_ms: u64, change: fn(&mut Report)| {
            codes(|report| {
                change(report);
                queue(report).still_ms = still_ms;
            })
        };
        for (change, code) in [
            (
                (|report| {
                    jobs(report, State::Pending, 2);
                    queue(report).isolated = 2;
                }) as fn(&mut Report),
                "only_isolated",
            ),
            (|report| jobs(report, State::Splitting, 2), "only_splitting"),
            (|report| left(report, 4095), "partial_range"),
        ] {
            assert_eq!(after(UNEXPLAINED_MS + 4999, change), [code]);
            assert_eq!(after(UNEXPLAINED_MS + 5000, change), ["unexplained"]);
        }
    }

    #[test]
    fn what_a_still_fleet_waits_for_is_found_in_its_rows() {
        assert_eq!(codes(|report| left(report, 4095)), ["partial_range"]);
        assert!(codes(|report| left(report, 4096)).is_empty());
        assert_eq!(codes(|report| left(report, 0)), ["nothing_to_do"]);
        let open = |report: &mut Report| {
            left(report, 0);
            report.runs = Some(vec![RunLine {
                state: "open",
                left: Some(7),
                ..RunLine::default()
            }]);
        };
        assert!(codes(open).is_empty(), "a run is about to be sliced");
        let one_day = |report: &mut Report| {
            left(report, 0);
            report.thresholds.one_day = true;
        };
        assert!(codes(one_day).is_empty(), "other days were not looked at");
        let long = |report: &mut Report| queue(report).still_ms = UNEXPLAINED_MS;
        assert_eq!(codes(long), ["unexplained"]);
    }

    /// One of each.
    fn all() -> Vec<Cause> {
        let text = || "X".to_owned();
        vec![
            Cause::StoreAway {
                store: "redis",
                why: text(),
            },
            Cause::StoreRefuses {
                store: "clickhouse",
                why: text(),
            },
            Cause::StoreSlow {
                store: "clickhouse",
                why: text(),
            },
            Cause::MirrorAway { why: text() },
            Cause::DiskFull {
                place: text(),
                why: text(),
            },
            Cause::PatchesMany {
                bytes: 5,
                limit: 10,
            },
            Cause::ClockDiffers { seconds: 86_400 },
            Cause::Paused {
                by: "ana@desk".to_owned(),
                reason: "tip dress".to_owned(),
            },
            Cause::Settling {
                until: "12:00:30".to_owned(),
            },
            Cause::NoLeader,
            Cause::NoWorker,
            Cause::WorkersWait {
                workers: 3,
                why: text(),
            },
            Cause::AfterOutage {
                leases: 2,
                until: "12:00:30".to_owned(),
            },
            Cause::BackPressure {
                live: true,
                jobs: 1000,
            },
            Cause::BackPressure {
                live: false,
                jobs: 1000,
            },
            Cause::RunHeld {
                run: 7,
                by: "ana@desk".to_owned(),
                why: "night shift".to_owned(),
            },
            Cause::DaysUnsettled {
                first: "20261125".to_owned(),
                last: "20261126".to_owned(),
            },
            Cause::OnlyDelayed {
                jobs: 2,
                until: "12:00:30".to_owned(),
            },
            Cause::OnlyIsolated { jobs: 2 },
            Cause::OnlySplitting { jobs: 2 },
            Cause::OnlyDead { jobs: 2 },
            Cause::PartialRange {
                rows: 1234,
                max_wait_ms: 5000,
            },
            Cause::NothingToDo,
            Cause::Unexplained {
                rows: 5000,
                jobs: 2,
            },
        ]
    }

    #[test]
    fn a_clock_that_differs_is_named_beside_what_it_makes_look_fine() {
        let told = |at_ms| {
            codes(|report| {
                report.at_ms += at_ms;
                left(report, 0);
            })
        };
        assert_eq!(told(-60_000), ["nothing_to_do"]);
        assert_eq!(told(-86_400_000), ["clock_differs", "nothing_to_do"]);
        assert_eq!(told(60_001), ["clock_differs", "nothing_to_do"]);
    }

    #[test]
    fn every_cause_has_its_words_and_a_remedy_in_both_languages() {
        let all = all();
        let lines: Vec<String> = all
            .iter()
            .map(|cause| {
                let told = cause.line();
                format!(
                    "{}{}\n  {}\n  {}\n  {}\n  {}",
                    told.code,
                    if told.alarming { " !" } else { "" },
                    told.what.en,
                    told.remedy.en,
                    told.what.zh,
                    told.remedy.zh
                )
            })
            .collect();
        insta::assert_snapshot!("causes", lines.join("\n"));
        let codes: Vec<_> = all
            .iter()
            .map(|cause| (cause.code(), cause.is_alarming()))
            .collect();
        assert_eq!(codes, CODES);
    }

    /// What is left of a sentence without its names and numbers.
    fn fixed_words(sentence: &str) -> Vec<String> {
        let mut sentence = sentence.to_owned();
        for name in ["X", "redis", "clickhouse", "ana@desk", "tip dress"] {
            sentence = sentence.replace(name, "0");
        }
        let pieces = sentence.split(|letter: char| letter.is_ascii_digit());
        // Measure words belong to their numbers.
        let around = " :：;；,，.%()（）个行";
        pieces
            .map(|piece| {
                piece
                    .trim_matches(|letter| around.contains(letter))
                    .to_owned()
            })
            .filter(|piece| piece.chars().count() > 1)
            .collect()
    }

    #[test]
    fn an_alert_says_what_its_cause_says() {
        let alerts = include_str!("../../../monitoring/alerts.yml");
        for cause in all().into_iter().filter(Cause::is_alarming) {
            let told = cause.line();
            let which = format!("code=\"{}\", alarming=\"true\"", told.code);
            let (_, alert) = alerts.split_once(&which).expect(told.code);
            let says = |key: &str| {
                let line = alert.lines().find_map(|line| line.trim().strip_prefix(key));
                line.expect(told.code)
            };
            for (sentence, summary) in [
                (&told.what.en, says("summary: ")),
                (&told.what.zh, says("summary_zh: ")),
            ] {
                for words in fixed_words(sentence) {
                    assert!(
                        summary.contains(&words),
                        "{}: {words:?} in {summary}",
                        told.code
                    );
                }
            }
        }
    }
}
