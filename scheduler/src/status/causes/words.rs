//! What people read of a cause: what it is, and what to do.

use weldfleet_service::output::grouped;
use weldfleet_words::Words;

use super::Cause;
use crate::{
    events::{breakers_pause, fault_in_chinese},
    status::report::CauseLine,
};

/// How the mirror says that MySQL takes it, save some records.
const REFUSES: &str = "mysql refuses ";

impl Cause {
    /// What people read.
    pub fn line(&self) -> CauseLine {
        let [what, zh, remedy, remedy_zh] = self.words();
        let [told, told_zh, ..] = self.nameless().words();
        CauseLine {
            code: self.code(),
            alarming: self.is_alarming(),
            // Dead letters alone stop nothing: what comes is judged.
            stops: self.stops_everything() || matches!(self, Self::Unexplained { .. }),
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
        let [what, zh, mut remedy, mut remedy_zh] = self.usual_words();
        if let Self::BackPressure { miscounted, .. } = self
            && *miscounted > 0
        {
            remedy = format!(
                "{} of them are counted and not there, since records were removed by hand: `scheduler jobs repair`",
                grouped(*miscounted)
            );
            remedy_zh = format!(
                "其中 {} 个只有计数而作业已不存在（记录被手工删除）：用 `scheduler jobs repair`",
                grouped(*miscounted)
            );
        }
        [what, zh, remedy, remedy_zh]
    }

    fn usual_words(&self) -> [String; 4] {
        match self {
            Self::StoreAway { store, why, leader: Some(leader) } => [
                format!("{store} is away for the leader, {leader}: {why}"),
                format!("主调度器 {leader} 无法连接 {}：{}", named(store), fault_in_chinese(why)),
                "see the network between them; a standby that asks takes over by itself".to_owned(),
                "请检查两者之间的网络；备用调度器会自动接管".to_owned(),
            ],
            Self::StoreAway { store, why, leader: None } => [
                format!("{store} is away: {why}"),
                format!("无法连接 {}：{}", named(store), fault_in_chinese(why)),
                "bring it back; nothing is lost, no attempt is spent, and work goes on by itself".to_owned(),
                "请恢复它；不会丢失数据，也不消耗尝试次数，恢复后自动继续".to_owned(),
            ],
            Self::StoreRefuses { store, why } => [
                format!("{store} answers but refuses what the fleet needs: {why}"),
                format!("{} 有应答，但拒绝所需的操作：{}", named(store), fault_in_chinese(why)),
                "fix what it says; work goes on by itself".to_owned(),
                "按提示修复；之后自动继续".to_owned(),
            ],
            Self::StoreSlow { store, why } => [
                format!("{store} answers, too slowly for anybody to say how the fleet is: {why}"),
                format!("{} 有应答，但太慢，无法得知系统状态：{}", named(store), fault_in_chinese(why)),
                "see what keeps it busy (`SHOW PROCESSLIST`, its disks); judging goes on as far as it lets".to_owned(),
                "请查看其负载（`SHOW PROCESSLIST`、磁盘）；判定会尽量继续".to_owned(),
            ],
            Self::MirrorAway { why } if why.starts_with(REFUSES) => [
                why.clone(),
                fault_in_chinese(why),
                "see what of the table refuses them (a foreign key, a CHECK, a trigger, a lock, a narrow column); all others are mirrored, \
                 and these are tried again within 10 minutes".to_owned(),
                "请检查该表为何拒绝（外键、CHECK、触发器、锁、列太窄）；其余记录照常镜像，这些会在 10 分钟内重试".to_owned(),
            ],
            Self::MirrorAway { why } if why.contains("`scheduler migrate`") => [
                format!("mysql does not take the mirror: {why}"),
                format!("MySQL 镜像无法写入：{}", fault_in_chinese(why)),
                "do what it says; judging goes on, the mirror lags and catches up".to_owned(),
                "按提示修复；判定照常进行，镜像滞后，之后自动补齐".to_owned(),
            ],
            Self::MirrorAway { why } => [
                format!("mysql does not take the mirror: {why}"),
                format!("MySQL 镜像无法写入：{}", fault_in_chinese(why)),
                "bring it back; judging goes on, the mirror lags and catches up".to_owned(),
                "请恢复它；判定照常进行，镜像滞后，之后自动补齐".to_owned(),
            ],
            Self::DiskFull { place, why } => [
                format!("a disk is full ({place}): {why}"),
                format!("磁盘已满（{place}）：{}", fault_in_chinese(why)),
                "make room (`df -h`, `df -i`); work goes on by itself".to_owned(),
                "请腾出空间（`df -h`、`df -i`）；之后自动继续".to_owned(),
            ],
            Self::PatchesMany { bytes, limit } => {
                let percent = bytes.saturating_mul(100) / limit.max(&1);
                [
                    format!("patch parts of days that are not settled take {percent} % of what clickhouse allows; at 100 % no verdict can be written"),
                    format!("未整理（settle）日期的补丁 part 已占 ClickHouse 上限的 {percent} %；达到 100 % 时无法写入判定"),
                    "`scheduler settle --from D --to D --wait` settles finished days; the leader's log says why it has not".to_owned(),
                    "用 `scheduler settle --from D --to D --wait` 整理已完成的日期；未整理的原因见主调度器日志".to_owned(),
                ]
            }
            Self::ClockDiffers { store, seconds } => [
                format!("the clock here is not that of {store}, so that a scheduler here may look at another day than the plant ({seconds} s)"),
                format!("本机时钟与 {} 不一致，本机的调度器可能处理错误的日期（{seconds} 秒）", named(store)),
                "set the clocks of both hosts (NTP); rows of a day that was missed are judged then".to_owned(),
                "请校准两台主机的时钟（NTP）；之后会自动判定遗漏日期的数据".to_owned(),
            ],
            Self::Paused { by, reason } if let Some((why, remedy)) = breakers_pause(reason) => [
                format!("paused by {by}: {}", why.en),
                format!("已由熔断器暂停：{}", why.zh),
                remedy.en,
                remedy.zh,
            ],
            Self::Paused { by, reason } => [
                match (by.as_str(), reason.as_str()) {
                    ("", "") => "paused".to_owned(),
                    // Made by hand: nobody knows by whom.
                    ("", reason) => format!("paused: {reason}"),
                    (by, reason) => format!("paused by {by}: {reason}"),
                },
                match (by.as_str(), reason.as_str()) {
                    ("", "") => "已暂停".to_owned(),
                    ("", reason) => format!("已暂停：{reason}"),
                    (by, reason) => format!("已由 {by} 暂停：{reason}"),
                },
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
            Self::LeaderWaits { component, why } => [
                format!("the leader waits: {component}: {why}"),
                format!("主调度器在等待：{}：{}", named(component), fault_in_chinese(why)),
                "fix what it says; the leader's `/readyz` has all of it".to_owned(),
                "按提示修复；全文见主调度器的 `/readyz`".to_owned(),
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
                format!("Redis 或系统曾中断：{leases} 个过期租约保留到 {until}，持有者仍可续租"),
                "nothing; then they are claimed again".to_owned(),
                "无需处理；到时会重新领取".to_owned(),
            ],
            Self::BackPressure { live: true, jobs, .. } => [
                format!("{} ranges of live work are in the queue, all that scheduler.max_outstanding allows; further rows wait for room", grouped(*jobs)),
                format!("实时作业数已达到 scheduler.max_outstanding 上限（{}）；其余数据等待", grouped(*jobs)),
                "more workers; `scheduler status` shows the pace".to_owned(),
                "增加工作进程；`scheduler status` 显示速率".to_owned(),
            ],
            Self::BackPressure { live: false, jobs, .. } => [
                format!("{} ranges of backfills are in the queue, all that scheduler.max_outstanding allows", grouped(*jobs)),
                format!("补跑作业数已达到 scheduler.max_outstanding 上限（{}）", grouped(*jobs)),
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
                    format!("{days}：已完成但长时间未整理（settle）；此时备份不含判定"),
                    format!("`scheduler settle --from {first} --to {last} --wait`; the leader's log says why it has not"),
                    format!("用 `scheduler settle --from {first} --to {last} --wait`；原因见主调度器日志"),
                ]
            }
            Self::OnlyDelayed { jobs, until } => [
                format!("all {} jobs failed and wait for their next attempt, the first until {until}", grouped(*jobs)),
                format!("全部 {} 个作业失败过，等待下次尝试，最早 {until}", grouped(*jobs)),
                "`scheduler jobs list --state delayed` shows why they failed".to_owned(),
                "用 `scheduler jobs list --state delayed` 查看失败原因".to_owned(),
            ],
            Self::OnlyIsolated { jobs } => [
                format!(
                    "{} jobs may have killed a worker and run isolated: each waits for a worker that has nothing else in hand",
                    grouped(*jobs)
                ),
                format!("{} 个作业可能曾使工作进程崩溃，需单独运行：等待空闲的工作进程", grouped(*jobs)),
                "`scheduler jobs list --state pending` shows what happened to them".to_owned(),
                "用 `scheduler jobs list --state pending` 查看经过".to_owned(),
            ],
            Self::OnlySplitting { jobs } => [
                format!("{} jobs wait for the leader to cut them in halves, to find the row that kills workers", grouped(*jobs)),
                format!("{} 个作业等待主调度器二分，以找出使工作进程崩溃的数据行", grouped(*jobs)),
                "if it lasts: `scheduler jobs list --state splitting`, and the leader's log".to_owned(),
                "若持续不动：`scheduler jobs list --state splitting`，并查看主调度器日志".to_owned(),
            ],
            Self::OnlyDead { jobs } => [
                format!("rows are left, and {} dead letters need a person before theirs are judged", grouped(*jobs)),
                format!("还有数据未处理，{} 个死信作业需要人工处理", grouped(*jobs)),
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
            Self::OnlyLater { rows, lookahead_days } => {
                let rows = grouped(*rows);
                let (day, day_zh) = match lookahead_days {
                    0 => ("today", "今天"),
                    _ => ("tomorrow", "明天"),
                };
                let (remedy, remedy_zh) = match lookahead_days {
                    0 => (
                        "where a night shift carries the next day's data_date: scheduler.lookahead_days = 1; else see the timers' clocks and scheduler.timezone",
                        "若夜班数据使用次日的 data_date：设 scheduler.lookahead_days = 1；否则请检查控制器时钟和 scheduler.timezone",
                    ),
                    _ => (
                        "see the timers' clocks and scheduler.timezone",
                        "请检查控制器时钟和 scheduler.timezone",
                    ),
                };
                [
                    format!("{rows} rows are dated after {day} and wait for their day; every other row of the live days has a verdict or a reason"),
                    format!("{rows} 行数据的日期晚于{day_zh}，到该日期才会判定；实时日期里的其他数据都已有判定或原因"),
                    remedy.to_owned(),
                    remedy_zh.to_owned(),
                ]
            }
            Self::NothingToDo => [
                "nothing to do: every row of the live days and of open backfills has a verdict or a reason".to_owned(),
                "没有待处理的数据：实时日期（当天、之前 lookback_days 天，设了 lookahead_days 时还有明天）和进行中的补跑里，每一行都已有判定或原因".to_owned(),
                "nothing; new rows are judged as they come".to_owned(),
                "无需处理；新数据到达后自动判定".to_owned(),
            ],
            Self::Unexplained { rows, jobs } => [
                format!(
                    "{} rows and {} pending jobs are left, nothing moves, and none of the known causes explains it",
                    grouped(*rows),
                    grouped(*jobs)
                ),
                format!("还有 {} 行数据和 {} 个待领取作业，没有进展，且不属于已知原因", grouped(*rows), grouped(*jobs)),
                "look at `/readyz` and the logs of the leader and of a worker".to_owned(),
                "请查看主调度器和工作进程的 `/readyz` 与日志".to_owned(),
            ],
        }
    }
}

/// A store as Chinese texts name it.
fn named(store: &str) -> &str {
    match store {
        "clickhouse" => "ClickHouse",
        "redis" => "Redis",
        "mysql" => "MySQL",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use weldfleet_queue::Pause;

    use super::{super::CODES, *};

    /// One of each.
    fn all() -> Vec<Cause> {
        let text = || "X".to_owned();
        vec![
            Cause::StoreAway {
                store: "redis",
                why: text(),
                leader: None,
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
            Cause::ClockDiffers {
                store: "redis",
                seconds: 86_400,
            },
            Cause::Paused {
                by: "ana@desk".to_owned(),
                reason: "tip dress".to_owned(),
            },
            Cause::Settling {
                until: "12:00:30".to_owned(),
            },
            Cause::NoLeader,
            Cause::LeaderWaits {
                component: text(),
                why: text(),
            },
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
                miscounted: 0,
            },
            Cause::BackPressure {
                live: false,
                jobs: 1000,
                miscounted: 0,
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
            Cause::OnlyLater {
                rows: 3000,
                lookahead_days: 0,
            },
            Cause::NothingToDo,
            Cause::Unexplained {
                rows: 5000,
                jobs: 2,
            },
        ]
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

    #[test]
    fn what_is_counted_and_not_there_has_its_own_remedy() {
        let (live, jobs) = (true, 1000);
        let told = |miscounted| Cause::BackPressure {
            live,
            jobs,
            miscounted,
        };
        let remedy = told(3).line().remedy;
        assert!(remedy.en.starts_with("3 of them are counted and not there"));
        assert!(remedy.en.contains("`scheduler jobs repair`"));
        assert!(remedy.zh.contains("`scheduler jobs repair`"));
        assert!(!told(0).line().remedy.en.contains("repair"));
    }

    /// "bring it back" would send people to a MySQL that is there.
    #[test]
    fn a_mirror_that_migrate_brings_back_says_so() {
        let why = "no such table; then `scheduler migrate` creates it".to_owned();
        let told = Cause::MirrorAway { why }.line();
        assert!(told.remedy.en.starts_with("do what it says"), "{told:?}");
        assert!(told.remedy.zh.starts_with("按提示"), "{told:?}");
    }

    #[test]
    fn a_pause_made_by_hand_is_told_without_a_name() {
        let pause = Pause {
            reason: "tip dress".to_owned(),
            by: String::new(),
            since: 0,
        };
        let told = Cause::paused(&pause, 5, &TimeZone::UTC).line();
        assert_eq!(told.what.en, "paused: tip dress");
        assert_eq!(told.what.zh, "已暂停：tip dress");
        assert_eq!(told.nameless.en, "paused");
    }

    /// What is left of a sentence without its names and numbers.
    fn fixed_words(sentence: &str) -> Vec<String> {
        let mut sentence = sentence.to_owned();
        for name in [
            "X",
            "redis",
            "Redis",
            "clickhouse",
            "ClickHouse",
            "ana@desk",
            "tip dress",
        ] {
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
    fn a_store_that_only_the_leader_misses_is_said_to_be() {
        let cause = Cause::StoreAway {
            store: "clickhouse",
            why: "connection refused".to_owned(),
            leader: Some("press-1".to_owned()),
        };
        let told = cause.line().what;
        assert_eq!(
            told.en,
            "clickhouse is away for the leader, press-1: connection refused"
        );
        assert_eq!(
            told.zh,
            "主调度器 press-1 无法连接 ClickHouse：connection refused"
        );
    }

    #[test]
    fn a_mirror_that_lacks_some_records_is_not_said_to_be_away() {
        let why = "mysql refuses 1 records: weld 7 of 20261122: X".to_owned();
        let line = Cause::MirrorAway { why: why.clone() }.line();
        assert_eq!(line.what.en, why);
        assert!(!line.remedy.en.contains("bring it back"));
    }

    #[test]
    fn a_pause_of_the_breaker_says_what_to_look_at() {
        let cause = Cause::Paused {
            by: "press-1-a".to_owned(),
            reason: "breaker: the last 5000 verdicts are all OK (limit 5000); check the model, nok_threshold and the rules, \
                     then `scheduler resume`"
                .to_owned(),
        };
        let told = cause.line();
        assert_eq!(
            told.what.en,
            "paused by press-1-a: breaker: the last 5000 verdicts are all OK (limit 5000)"
        );
        assert_eq!(
            told.what.zh,
            "已由熔断器暂停：最近 5000 个判定全都是 OK（上限 5000 个）"
        );
        assert!(
            told.remedy.en.starts_with("check the model")
                && told.remedy.zh.contains("nok_threshold"),
            "{told:?}"
        );
        assert_eq!(told.nameless.zh, "已暂停");
    }

    #[test]
    fn an_alert_says_what_its_cause_says() {
        let alerts = include_str!("../../../../monitoring/alerts.yml");
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
