//! What stops nothing, and a person may want to do something about.

use std::collections::BTreeSet;

use weldfleet_fleet::{SettingsDigest, settings_digest};
use weldfleet_queue::{State, WorkerEntry};
use weldfleet_service::output::grouped;
use weldfleet_settings::Scheduler;
use weldfleet_stores::Day;
use weldfleet_words::{Words, words};

use super::{
    causes::AGAIN,
    report::{DayLine, Hint, OlderDay, OlderMirror, Report},
};
use crate::{
    actions::runs::MOST_DAYS,
    args::VERSION,
    clock::{DAYS_TOLD, days_told},
};

/// Stretches of older days that are named.
const MOST_STRETCHES: usize = 3;
/// Days with rows left that are no further apart are one backfill: the days between cost it little.
const NEIGHBOURS: i32 = 31;
/// A scheduler that has not asked for so long, measured by the others, is gone.
const ASKS_STILL_MS: u64 = 60_000;

/// Those that need a person first. `scheduler` and `ours` are what this program has in its settings.
pub fn hints(report: &Report, scheduler: &Scheduler, ours: &SettingsDigest) -> Vec<Hint> {
    let (later_alone, later) = match (later(report, scheduler), nothing_is_left(report)) {
        (words, true) => (words, None),
        (words, false) => (None, words),
    };
    let hint = |needs_a_person| {
        move |(code, words): (&'static str, Option<Words>)| {
            Some(Hint {
                code,
                words: words?,
                needs_a_person,
            })
        }
    };
    let wanted = [
        ("other_rows", other_rows(report, ours)),
        ("other_leases", other_leases(report, ours)),
        ("other_days", other_days(report, scheduler)),
        ("later", later_alone),
        ("dead", dead(report)),
        ("older", older(report)),
        ("no_day", no_day(report)),
        ("in_error", in_error(report)),
        ("gone", gone(report)),
        ("pause_lost", pause_lost(report)),
        ("unknown_runs", unknown_runs(report)),
        ("rows_again", rows_again(report)),
        ("late", late(report)),
    ];
    let told = [
        ("mixed", mixed(report.living_workers())),
        ("other_settings", other_settings(report)),
        ("older_mirror", older_mirror(report)),
        ("later", later),
    ];
    let wanted = wanted.into_iter().filter_map(hint(true));
    wanted
        .chain(told.into_iter().filter_map(hint(false)))
        .collect()
}

/// Whether each of what needs a person is told, by code; `None` where what it is read from is not known.
pub fn attention(report: &Report) -> Vec<(&'static str, Option<bool>)> {
    let (queue, details) = (report.workers.is_some(), report.details_at_ms.is_some());
    let read_from = [
        ("other_rows", queue),
        ("other_leases", queue),
        ("other_days", queue),
        ("later", report.rows_later.is_some()),
        ("dead", report.jobs.is_some()),
        ("older", report.older_days.is_some()),
        ("no_day", report.rows_on_no_day.is_some()),
        ("in_error", report.days.is_some()),
        ("gone", details),
        ("pause_lost", details),
        ("unknown_runs", details),
        ("rows_again", queue),
        ("late", report.mirror.is_some()),
    ];
    let told = |code| {
        let mut hints = report.hints.iter();
        hints.any(|hint| hint.needs_a_person && hint.code == code)
    };
    let problem = report.further_problems().next().is_some();
    let hints = read_from.map(|(code, known)| (code, known.then(|| told(code))));
    hints
        .into_iter()
        .chain([("problem", Some(problem))])
        .collect()
}

fn dead(report: &Report) -> Option<Words> {
    let dead = *report.jobs.as_ref()?.get(&State::Dead)?;
    (dead > 0).then(|| {
        let dead = grouped(dead);
        words!(
            "{dead} dead letters; `scheduler jobs list --state dead` shows them",
            "{dead} 个死信作业；用 `scheduler jobs list --state dead` 查看"
        )
    })
}

fn older(report: &Report) -> Option<Words> {
    let stretches = stretches(report.older_days.as_ref()?);
    let commands: Vec<String> = stretches
        .iter()
        .take(MOST_STRETCHES)
        .map(|(from, to)| format!("`scheduler backfill --from {from} --to {to}`"))
        .collect();
    let judges = match commands.len() {
        0 => return None,
        1 => "judges",
        _ => "judge",
    };
    let (and, and_zh) = match stretches.len() - commands.len() {
        0 => Default::default(),
        more => (
            format!("; {more} more stretches of days are older"),
            format!("；另有 {more} 段更早的日期"),
        ),
    };
    let (en, zh) = (commands.join(", "), commands.join("、"));
    Some(words!(
        "older days have rows left; {en} {judges} them{and}",
        "更早的日期还有未判定的数据；用 {zh} 补跑{and_zh}"
    ))
}

/// From when to when backfills could judge these days, the newest first. One slip of a clock must not make all of them
/// one that is longer than a backfill may be.
fn stretches(older: &[OlderDay]) -> Vec<(Day, Day)> {
    let mut days: Vec<Day> = older
        .iter()
        .filter_map(|day| day.day.parse().ok())
        .collect();
    days.sort_unstable();
    let mut stretches: Vec<(Day, Day)> = Vec::new();
    for day in days.into_iter().rev() {
        let at = Day::days_since_epoch;
        match stretches.last_mut() {
            Some((from, to))
                if at(*from) - at(day) <= NEIGHBOURS
                    && at(*to) - at(day) < i32::try_from(MOST_DAYS).unwrap_or(i32::MAX) =>
            {
                *from = day;
            }
            _ => stretches.push((day, day)),
        }
    }
    stretches
}

/// Schedulers that take other days to be live than the one that leads.
fn other_days(report: &Report, scheduler: &Scheduler) -> Option<Words> {
    let told = |says: &[String]| {
        says.iter()
            .find(|line| line.starts_with(DAYS_TOLD))
            .cloned()
    };
    let leader = told(&report.leader_says)?;
    let last = report.schedulers.iter().map(|one| one.asked_ms).max()?;
    let asks = report
        .schedulers
        .iter()
        .filter(|one| one.asked_ms + ASKS_STILL_MS >= last);
    let others = asks.filter_map(|one| Some((one.id.as_str(), told(&one.says)?)));
    let own = [("", days_told(scheduler))];
    let mut differing = others.chain(own).filter(|(_, days)| *days != leader);
    let (id, days) = differing.next()?;
    let (who, who_zh) = match id {
        "" => ("this program".to_owned(), "本程序".to_owned()),
        id => (format!("scheduler {id}"), format!("调度器 {id}")),
    };
    let shown = |told: &str| told.trim_start_matches(DAYS_TOLD).to_owned();
    let (theirs, leaders) = (shown(&days), shown(&leader));
    Some(words!(
        "{who} has other days than the leader, so that they tell different things: {theirs}, the leader {leaders}; give all the same file and restart them",
        "{who_zh} 与主调度器的日期设置不同，两者显示的内容不一致：{theirs}，主调度器为 {leaders}；请统一配置文件并重启"
    ))
}

fn no_day(report: &Report) -> Option<Words> {
    let rows = grouped(report.rows_on_no_day.filter(|rows| *rows > 0)?);
    Some(words!(
        "{rows} rows have a data_date that is no day, so nothing judges them; fix it in ClickHouse",
        "{rows} 行数据的 data_date 不是日期，不会被判定；请在 ClickHouse 中修正"
    ))
}

fn in_error(report: &Report) -> Option<Words> {
    let days = report.days.iter().flatten();
    let days: Vec<&DayLine> = days.filter(|day| day.outcomes.error > 0).collect();
    let rows = grouped(days.iter().map(|day| day.outcomes.error).sum());
    let (first, last) = (&days.first()?.day, &days.last()?.day);
    let command = format!("scheduler backfill --from {first} --to {last} --status error");
    Some(words!(
        "{rows} rows are in error, with the reason in alg_error; `{command}` judges them again",
        "{rows} 行数据判定出错，原因见 alg_error；用 `{command}` 重新判定"
    ))
}

fn gone(report: &Report) -> Option<Words> {
    let mut runs = report.runs.iter().flatten().filter(|run| run.gone > 0);
    let run = runs.next()?;
    let (id, rows) = (run.run, grouped(run.gone));
    Some(words!(
        "{rows} rows of run {id} are gone: the table has no row of their days; the run waits for them, `scheduler backfill cancel {id}` ends it",
        "补跑 {id} 的 {rows} 行数据已不在表中；补跑会等待，用 `scheduler backfill cancel {id}` 结束"
    ))
}

fn pause_lost(report: &Report) -> Option<Words> {
    (report.pause_lost && report.paused.is_none()).then(|| {
        words!(
            "the fleet was paused and Redis forgot that, so it is claiming again; `scheduler pause` stops it, `scheduler resume` says that it may go on",
            "系统曾被暂停，但 Redis 丢失了暂停状态，现已继续领取作业；用 `scheduler pause` 停止，或用 `scheduler resume` 确认继续"
        )
    })
}

fn unknown_runs(report: &Report) -> Option<Words> {
    let run = report.unknown_runs.first()?;
    Some(words!(
        "jobs of run {run} are in the queue, and weld_runs does not know it; `scheduler backfill cancel {run}` takes them off",
        "队列中有补跑 {run} 的作业，但 weld_runs 中没有它；用 `scheduler backfill cancel {run}` 移出"
    ))
}

/// What the leader says of rows that no job gives a verdict.
fn rows_again(report: &Report) -> Option<Words> {
    let mut says = report.leader_says.iter();
    let row = says.find_map(|line| line.strip_prefix(AGAIN)?.strip_prefix(": "))?;
    let (day, weld) = row.split_once(' ')?;
    Some(words!(
        "rows of {day} were given to workers again and again and have no verdict, the first is {weld}; give workers and schedulers the same [tables], clickhouse.url and rights (`worker check` on each host)",
        "{day} 的数据多次交给工作进程，仍没有判定，第一行是 {weld}；请统一工作进程和调度器的 [tables]、clickhouse.url 和权限（在各主机上运行 `worker check`）"
    ))
}

/// Of days that are not looked at often.
fn older_mirror(report: &Report) -> Option<Words> {
    let OlderMirror { missing, of, days } =
        report.mirror_older.filter(|older| older.missing > 0)?;
    let [missing, of] = [missing, of].map(grouped);
    Some(words!(
        "older days: {missing} of {of} NOK rows are missing from MySQL, on {days} days; the leader brings one day after another",
        "更早的日期：{of} 行 NOK 数据中，MySQL 缺少 {missing} 行，共 {days} 天；主调度器会逐日补齐"
    ))
}

fn late(report: &Report) -> Option<Words> {
    let rows: u64 = report.mirror.iter().flatten().map(|line| line.late).sum();
    let rows = grouped(Some(rows).filter(|rows| *rows > 0)?);
    Some(words!(
        "MySQL lacks {rows} NOK rows that were committed a while ago; the leader's log says why",
        "MySQL 缺少 {rows} 行较早提交的 NOK 数据；原因见主调度器日志"
    ))
}

/// Then rows of a later day are the plant's newest: a clock or the zone is wrong.
fn nothing_is_left(report: &Report) -> bool {
    let days = report.days.as_ref();
    days.is_some_and(|days| days.iter().all(|day| day.left == 0))
}

fn later(report: &Report, scheduler: &Scheduler) -> Option<Words> {
    let rows = grouped(report.rows_later.filter(|rows| *rows > 0)?);
    let (zone, lookahead) = (scheduler.timezone.name(), scheduler.lookahead_days);
    let (day, day_zh) = match lookahead {
        0 => ("today", "今天"),
        _ => ("tomorrow", "明天"),
    };
    let zone = format!("scheduler.timezone = \"{zone}\"");
    let lookahead = format!("scheduler.lookahead_days = {lookahead}");
    Some(words!(
        "{rows} rows are dated after {day} and wait for their day; {zone}, {lookahead}",
        "{rows} 行数据的日期晚于{day_zh}，到该日期才会判定；{zone}，{lookahead}"
    ))
}

/// Workers that can be compared with this program, and what they have in their settings.
fn told_settings(report: &Report) -> impl Iterator<Item = (&WorkerEntry, SettingsDigest)> {
    report.living_workers().filter_map(|worker| {
        let told = worker.fields.get(SettingsDigest::FIELD)?;
        let version = worker.fields.get("version")?;
        (*version == *VERSION).then(|| (worker, SettingsDigest::parse(told)))
    })
}

fn listed(names: &[String]) -> Words {
    Words::new(names.join(", "), names.join("、"))
}

/// `[columns], [tables]`
fn sections<'a>(names: impl IntoIterator<Item = &'a str>) -> Words {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let names: Vec<String> = names.iter().map(|name| format!("[{name}]")).collect();
    listed(&names)
}

/// The first of these workers, and how many more there are.
fn first_of(workers: &[&WorkerEntry]) -> Option<Words> {
    let id = &workers.first()?.id;
    Some(match workers.len() {
        1 => words!("{id}", "{id}"),
        all => words!("{id} and {more} more", "{id} 等 {all} 个", more = all - 1),
    })
}

/// Workers that do not see the rows which this scheduler slices: they settle a range without a verdict for those rows.
fn other_rows(report: &Report, ours: &SettingsDigest) -> Option<Words> {
    let mut workers = Vec::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (worker, theirs) in told_settings(report) {
        let differing = ours.differing(&theirs);
        let of_rows = differing.filter(|name| settings_digest::ROWS.contains(name));
        let of_rows: Vec<String> = of_rows.map(str::to_owned).collect();
        if !of_rows.is_empty() {
            workers.push(worker);
            names.extend(of_rows);
        }
    }
    let Words {
        en: who,
        zh: who_zh,
    } = first_of(&workers)?;
    let names = names.iter().map(String::as_str);
    let Words { en, zh } = sections(names);
    Some(words!(
        "worker {who} has another {en} than this scheduler, so that rows may stay without a verdict; give all the same file and restart them",
        "工作进程 {who_zh} 的 {zh} 配置与本调度器不同，部分数据可能一直没有判定；请统一配置文件并重启"
    ))
}

/// Workers whose leases last another time than this scheduler takes them to.
fn other_leases(report: &Report, ours: &SettingsDigest) -> Option<Words> {
    let differs = |theirs: &SettingsDigest| {
        ours.differing(theirs)
            .any(|name| name == settings_digest::LEASE)
    };
    let others = told_settings(report).filter(|(_, theirs)| differs(theirs));
    let others: Vec<&WorkerEntry> = others.map(|(worker, _)| worker).collect();
    let Words { en, zh } = first_of(&others)?;
    Some(words!(
        "worker {en} has another lease.ttl than this scheduler, so that a silence may be taken for a death; give all the same file and restart them",
        "工作进程 {zh} 的 lease.ttl 与本调度器不同，短暂无响应可能被当作崩溃；请统一配置文件并重启"
    ))
}

/// What to say where workers have the same model and judge by other settings.
fn other_settings(report: &Report) -> Option<Words> {
    let told: Vec<SettingsDigest> = told_settings(report).map(|(_, told)| told).collect();
    let first = told.first()?;
    let differing = told.iter().flat_map(|other| first.differing(other));
    let differing = differing.filter(|name| *name != settings_digest::LEASE);
    let Words { en, zh } = sections(differing);
    (!en.is_empty()).then(|| {
        words!(
            "workers have different {en}, so that a weld's verdict depends on who judges it; give all the same files and restart them",
            "各工作进程的 {zh} 配置不同，同一焊点的判定取决于由谁处理；请统一文件并重启"
        )
    })
}

/// What to say where one weld could get another verdict from another worker: providers agree to 1e-5, precisions do
/// not, and models may differ in anything.
fn mixed<'a>(living: impl Iterator<Item = &'a WorkerEntry>) -> Option<Words> {
    let living: Vec<_> = living.collect();
    let kinds = |field: &str| -> BTreeSet<String> {
        let told = living.iter().filter_map(|worker| worker.fields.get(field));
        told.cloned().collect()
    };
    let listed = |kinds: BTreeSet<String>| listed(&kinds.into_iter().collect::<Vec<_>>());
    let models = kinds("model_version");
    // which GPU of its host a worker has says nothing of its numbers
    let providers = kinds("device").into_iter();
    let providers = providers.map(|device| match device.split_once(':') {
        Some((provider, _)) => provider.to_owned(),
        None => device,
    });
    let devices: BTreeSet<String> = providers.collect();
    if models.len() > 1 {
        let Words { en, zh } = listed(models);
        return Some(words!(
            "workers judge by different models ({en}), so that a weld's verdict depends on who judges it",
            "工作进程使用不同的模型（{zh}），同一焊点的判定取决于由谁处理"
        ));
    }
    (devices.len() > 1).then(|| {
        let Words { en, zh } = listed(devices);
        words!(
            "workers compute on different providers ({en}), whose probabilities agree to 1e-5; model.provider names one for all",
            "工作进程使用不同的计算后端（{zh}），概率相差不超过 1e-5；用 model.provider 统一指定"
        )
    })
}

#[cfg(test)]
mod tests {
    use weldfleet_queue::Candidate;
    use weldfleet_stores::clickhouse::OutcomeCounts;

    use super::{
        super::{
            report::{MirrorLine, RunLine},
            worker_entry,
        },
        *,
    };

    fn worker(device: &str, model_version: &str, silent_ms: u64) -> WorkerEntry {
        WorkerEntry {
            silent_ms,
            ..worker_entry(&[("device", device), ("model_version", model_version)])
        }
    }

    #[test]
    fn a_fleet_whose_verdicts_may_differ_is_said_to_be_mixed() {
        let alike = [worker("cuda:0", "m-1", 0), worker("cuda:3", "m-1", 0)];
        assert_eq!(mixed(alike.iter()), None);
        // One that fell silent judges nothing.
        let mut report = Report {
            workers: Some(vec![
                worker("cpu", "m-1", 0),
                worker("openvino", "m-2", 15_001),
            ]),
            ..Report::default()
        };
        report.thresholds.silent_ms = 15_000;
        assert_eq!(
            hints(&report, &Scheduler::default(), &SettingsDigest::default()),
            []
        );
        let providers = [worker("cpu", "m-1", 0), worker("openvino", "m-1", 0)];
        let said = mixed(providers.iter()).unwrap().en;
        assert!(
            said.contains("(cpu, openvino)") && said.contains("1e-5"),
            "{said}"
        );
        let precisions = [
            worker("openvino", "m-1", 0),
            worker("openvino+bf16", "m-1+bf16", 0),
        ];
        let said = mixed(precisions.iter()).unwrap().en;
        assert!(said.contains("different models (m-1, m-1+bf16)"), "{said}");
        let halves = [
            worker("tensorrt:0", "m-1", 0),
            worker("tensorrt+fp16:1", "m-1+fp16", 0),
        ];
        let said = mixed(halves.iter()).unwrap().en;
        assert!(said.contains("different models (m-1, m-1+fp16)"), "{said}");
        let versions = [worker("cpu", "plant:1", 0), worker("cpu", "plant:2", 0)];
        let said = mixed(versions.iter()).unwrap().en;
        assert!(
            said.contains("different models (plant:1, plant:2)"),
            "{said}"
        );
    }

    #[test]
    fn settings_that_differ_are_named_where_versions_are_the_same() {
        let ours = SettingsDigest::default()
            .with("tables", &1)
            .with("columns", &1);
        let worker = |version: &str, tables: u8, rules: u8| {
            let told = ours
                .clone()
                .with("tables", &tables)
                .with("rules", &rules)
                .to_string();
            worker_entry(&[
                ("device", "cpu"),
                ("version", version),
                (SettingsDigest::FIELD, told.as_str()),
            ])
        };
        let said = |workers: Vec<WorkerEntry>| {
            let report = Report {
                workers: Some(workers),
                ..Report::default()
            };
            let told = hints(&report, &Scheduler::default(), &ours);
            told.into_iter()
                .map(|hint| (hint.needs_a_person, hint.words.en))
                .collect::<Vec<_>>()
        };
        let version = VERSION.as_str();
        assert_eq!(said(vec![worker(version, 1, 1), worker("0.0.0", 2, 2)]), []);
        let rows = said(vec![worker(version, 2, 1)]);
        assert!(
            rows[0].0
                && rows[0]
                    .1
                    .contains("has another [tables] than this scheduler"),
            "{rows:?}"
        );
        let rules = said(vec![worker(version, 1, 1), worker(version, 1, 2)]);
        assert!(
            !rules[0].0 && rules[0].1.contains("workers have different [rules],"),
            "{rules:?}"
        );
        assert_eq!(rules.len(), 1);
    }

    #[test]
    fn a_worker_with_another_ttl_than_the_scheduler_is_named_alone() {
        let with = |ttl: &str| SettingsDigest::default().with(settings_digest::LEASE, &ttl);
        let told = ["30s", "6s"].map(|ttl| with(ttl).to_string());
        let worker = |told: &str| {
            worker_entry(&[
                ("device", "cpu"),
                ("version", VERSION.as_str()),
                (SettingsDigest::FIELD, told),
            ])
        };
        let report = Report {
            workers: Some(told.iter().map(|told| worker(told)).collect()),
            ..Report::default()
        };
        let told = hints(&report, &Scheduler::default(), &with("30s"));
        assert_eq!(told.len(), 1, "{told:?}");
        let said = &told[0].words;
        assert!(said.en.contains("has another lease.ttl"), "{said:?}");
        assert!(!said.en.contains("more"), "{said:?}");
    }

    #[test]
    fn two_models_of_one_version_text_are_told_apart_by_their_content() {
        let with = |weights: &str| {
            let told = SettingsDigest::default()
                .with("model", &weights)
                .to_string();
            worker_entry(&[
                ("device", "cpu"),
                ("version", VERSION.as_str()),
                ("model_version", "global-1"),
                (SettingsDigest::FIELD, told.as_str()),
            ])
        };
        let report = Report {
            workers: Some(vec![with("these"), with("others")]),
            ..Report::default()
        };
        let told = hints(&report, &Scheduler::default(), &SettingsDigest::default());
        let told: Vec<&str> = told.iter().map(|hint| hint.words.en.as_str()).collect();
        assert!(
            told.len() == 1 && told[0].contains("workers have different [model],"),
            "{told:?}"
        );
    }

    #[test]
    fn what_needs_a_person_is_told_before_what_does_not() {
        let report = Report {
            jobs: Some([(State::Dead, 2)].into()),
            rows_later: Some(7),
            older_days: Some(vec![OlderDay {
                day: "20261101".to_owned(),
                left: 3,
            }]),
            ..Report::default()
        };
        let told = hints(&report, &Scheduler::default(), &SettingsDigest::default());
        let told: Vec<(&str, bool)> = told
            .iter()
            .map(|hint| (&hint.words.en[..7], hint.needs_a_person))
            .collect();
        assert_eq!(
            told,
            [("2 dead ", true), ("older d", true), ("7 rows ", false)]
        );
    }

    /// Every hint that needs a person.
    fn all() -> Report {
        let settings = SettingsDigest::default()
            .with("tables", &2)
            .with(settings_digest::LEASE, &"6s")
            .to_string();
        let worker = worker_entry(&[
            ("version", VERSION.as_str()),
            (SettingsDigest::FIELD, settings.as_str()),
        ]);
        let candidate = Candidate {
            id: "b".to_owned(),
            says: vec![format!("{DAYS_TOLD}lookback_days=7")],
            ..Candidate::default()
        };
        let day = "20261101".to_owned();
        Report {
            workers: Some(vec![worker]),
            leader_says: vec![
                days_told(&Scheduler::default()),
                format!("{AGAIN}: 20261101 2026-11-01 06:00:00.000 x: 7"),
            ],
            schedulers: vec![candidate],
            rows_later: Some(7),
            jobs: Some([(State::Dead, 2)].into()),
            older_days: Some(vec![OlderDay {
                day: day.clone(),
                left: 3,
            }]),
            rows_on_no_day: Some(1),
            days: Some(vec![DayLine {
                outcomes: OutcomeCounts {
                    error: 1,
                    ..OutcomeCounts::default()
                },
                ..DayLine::default()
            }]),
            runs: Some(vec![RunLine {
                gone: 3,
                ..RunLine::default()
            }]),
            details_at_ms: Some(7),
            pause_lost: true,
            unknown_runs: vec![7],
            mirror: Some(vec![MirrorLine {
                day,
                committed: 2,
                mirrored: 1,
                kept: 0,
                equal: false,
                late: 1,
            }]),
            problems: vec!["mysql: slow".to_owned()],
            ..Report::default()
        }
    }

    #[test]
    fn whatever_needs_a_person_is_counted_by_its_code() {
        let ours = SettingsDigest::default()
            .with("tables", &1)
            .with(settings_digest::LEASE, &"30s");
        let mut report = all();
        report.hints = hints(&report, &Scheduler::default(), &ours);
        let needed = report.hints.iter().filter(|hint| hint.needs_a_person);
        let mut codes: Vec<&str> = needed.map(|hint| hint.code).collect();
        codes.push("problem");
        let told = |of: bool| codes.iter().map(|code| (*code, Some(of))).collect();
        let wanted: Vec<(&str, Option<bool>)> = told(true);
        assert_eq!(attention(&report), wanted);
        let again = report.hints.iter().find(|hint| hint.code == "rows_again");
        let said = &again.unwrap().words.en;
        assert!(said.starts_with("rows of 20261101 "), "{said}");
        assert!(said.contains("is 2026-11-01 06:00:00.000 x: 7;"), "{said}");
        (report.hints, report.problems) = (Vec::new(), Vec::new());
        let wanted: Vec<(&str, Option<bool>)> = told(false);
        assert_eq!(attention(&report), wanted);
        let known = attention(&Report::default()).into_iter();
        let known: Vec<&str> = known
            .filter_map(|(code, told)| told.and(Some(code)))
            .collect();
        assert_eq!(known, ["problem"], "where nothing was read");
    }

    #[test]
    fn what_needs_a_person_has_one_alert() {
        // By another metric.
        let own = ["later", "dead", "older", "no_day", "in_error", "late"];
        let codes = attention(&Report::default()).into_iter();
        let others: Vec<&str> = codes
            .map(|(code, _)| code)
            .filter(|code| !own.contains(code))
            .collect();
        let alert = format!("weldfleet_attention{{code=~\"{}\"}}", others.join("|"));
        let alerts = include_str!("../../../monitoring/alerts.yml");
        assert!(alerts.contains(&alert), "{alert}");
    }

    #[test]
    fn each_command_for_older_days_is_one_that_works() {
        let said = |days: &[&str]| {
            let day = |day: &&str| OlderDay {
                day: (*day).to_owned(),
                left: 3,
            };
            let report = Report {
                older_days: Some(days.iter().map(day).collect()),
                ..Report::default()
            };
            older(&report).map(|words| words.en)
        };
        assert_eq!(said(&[]), None);
        let told = said(&["20000101", "20261009", "20261102", "20261103"]).unwrap();
        assert_eq!(
            told,
            "older days have rows left; `scheduler backfill --from 20261009 --to 20261103`, \
             `scheduler backfill --from 20000101 --to 20000101` judge them"
        );
        let many = said(&["20000101", "20100101", "20200101", "20230101", "20260101"]).unwrap();
        assert!(many.ends_with("--to 20200101` judge them; 2 more stretches of days are older"));
        // Rows of twelve years, month by month.
        let months = (2014..2026).flat_map(|year| (1..=12).map(move |month| (year, month)));
        let months: Vec<OlderDay> = months
            .map(|(year, month)| OlderDay {
                day: format!("{year}{month:02}01"),
                left: 1,
            })
            .collect();
        let found = stretches(&months);
        assert!(found.len() > 1);
        for (from, to) in found {
            assert!(from.to(to).count() <= MOST_DAYS, "{from} {to}");
        }
    }

    #[test]
    fn a_scheduler_with_other_days_than_the_leader_is_named() {
        let candidate = |id: &str, says: String, asked_ms| Candidate {
            id: id.to_owned(),
            says: vec![says],
            asked_ms,
            ..Candidate::default()
        };
        let told = |lookback_days| {
            days_told(&Scheduler {
                lookback_days,
                ..Scheduler::default()
            })
        };
        let said = |standby: &str, asked_ms, ours: u16| {
            let report = Report {
                leader_says: vec!["jobs: X".to_owned(), told(1)],
                schedulers: vec![
                    candidate("a", told(1), 100_000),
                    candidate("b", standby.to_owned(), asked_ms),
                ],
                ..Report::default()
            };
            let scheduler = Scheduler {
                lookback_days: ours,
                ..Scheduler::default()
            };
            other_days(&report, &scheduler).map(|words| words.en)
        };
        assert_eq!(said(&told(1), 99_000, 1), None);
        let other = said(&told(2), 99_000, 1).unwrap();
        assert!(
            other.starts_with("scheduler b has other days than the leader")
                && other.contains("lookback_days=2"),
            "{other}"
        );
        assert_eq!(said(&told(2), 39_000, 1), None, "it is gone");
        assert_eq!(said("jobs: of an older release", 99_000, 1), None);
        let own = said(&told(1), 99_000, 2).unwrap();
        assert!(own.starts_with("this program has other days"), "{own}");
    }
}
