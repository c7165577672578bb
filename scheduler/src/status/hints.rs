//! What stops nothing, and a person may want to do something about.

use std::collections::BTreeSet;

use weldfleet_fleet::{Agreement, agreement};
use weldfleet_queue::{State, WorkerEntry};
use weldfleet_service::output::grouped;
use weldfleet_words::Words;

use super::report::{DayLine, Hint, Report};

/// Those that need a person first. `zone` is what the scheduler's day is told by, `ours` what it has in its settings.
pub fn hints(report: &Report, zone: &str, ours: &Agreement) -> Vec<Hint> {
    let (later_alone, later) = match (later(report, zone), nothing_is_left(report)) {
        (words, true) => (words, None),
        (words, false) => (None, words),
    };
    let wanted = [
        other_rows(report, ours),
        later_alone,
        dead(report),
        older(report),
        no_day(report),
        in_error(report),
        late(report),
    ];
    let needed = wanted.into_iter().flatten().map(|words| (words, true));
    let told = [
        mixed(report.living_workers()),
        other_settings(report),
        later,
    ];
    let told = told.into_iter().flatten().map(|words| (words, false));
    let hint = |(words, needs_a_person)| Hint {
        words,
        needs_a_person,
    };
    needed.chain(told).map(hint).collect()
}

fn dead(report: &Report) -> Option<Words> {
    let dead = *report.jobs.as_ref()?.get(&State::Dead)?;
    (dead > 0).then(|| {
        Words::new(
            format!("{dead} dead letters; `scheduler jobs list --state dead` shows them"),
            format!("{dead} 个死信作业；用 `scheduler jobs list --state dead` 查看"),
        )
    })
}

fn older(report: &Report) -> Option<Words> {
    let older = report.older_days.as_ref()?;
    let days = format!("--from {} --to {}", older.first()?.day, older.last()?.day);
    Some(Words::new(
        format!("older days have rows left; `scheduler backfill {days}` judges them"),
        format!("更早的日期还有未判定的数据；用 `scheduler backfill {days}` 补跑"),
    ))
}

fn no_day(report: &Report) -> Option<Words> {
    let rows = report.rows_on_no_day.filter(|rows| *rows > 0)?;
    Some(Words::new(
        format!(
            "{rows} rows have a data_date that is no day, so nothing judges them; fix it in ClickHouse"
        ),
        format!("{rows} 行数据的 data_date 不是日期，不会被判定；请在 ClickHouse 中修正"),
    ))
}

fn in_error(report: &Report) -> Option<Words> {
    let days = report.days.iter().flatten();
    let days: Vec<&DayLine> = days.filter(|day| day.outcomes.error > 0).collect();
    let rows: u64 = days.iter().map(|day| day.outcomes.error).sum();
    let (first, last) = (&days.first()?.day, &days.last()?.day);
    let command = format!("scheduler backfill --from {first} --to {last} --status error");
    Some(Words::new(
        format!(
            "{rows} rows are in error, with the reason in alg_error; `{command}` judges them again"
        ),
        format!("{rows} 行数据判定出错，原因见 alg_error；用 `{command}` 重新判定"),
    ))
}

fn late(report: &Report) -> Option<Words> {
    let rows: u64 = report.mirror.iter().flatten().map(|line| line.late).sum();
    let rows = grouped(Some(rows).filter(|rows| *rows > 0)?);
    Some(Words::new(
        format!(
            "MySQL lacks {rows} NOK rows that were committed a while ago; the leader's log says why"
        ),
        format!("MySQL 缺少 {rows} 行较早提交的 NOK 数据；原因见主调度器日志"),
    ))
}

/// Then rows of a later day are the plant's newest: a clock or the zone is wrong.
fn nothing_is_left(report: &Report) -> bool {
    let days = report.days.as_ref();
    days.is_some_and(|days| days.iter().all(|day| day.left == 0))
}

fn later(report: &Report, zone: &str) -> Option<Words> {
    let rows = report.rows_later.filter(|rows| *rows > 0)?;
    Some(Words::new(
        format!(
            "{rows} rows are dated after today and wait for their day; scheduler.timezone = \"{zone}\""
        ),
        format!("{rows} 行数据的日期晚于今天，等待到期；scheduler.timezone = \"{zone}\""),
    ))
}

/// Workers that can be compared with this program, and what they have in their settings.
fn told_settings(report: &Report) -> impl Iterator<Item = (&WorkerEntry, Agreement)> {
    report.living_workers().filter_map(|worker| {
        let told = worker.fields.get(Agreement::FIELD)?;
        let version = worker.fields.get("version")?;
        (version == env!("CARGO_PKG_VERSION")).then(|| (worker, Agreement::parse(told)))
    })
}

/// `[columns], [tables]`
fn sections<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let names = names.iter().map(|name| format!("[{name}]"));
    names.collect::<Vec<_>>().join(", ")
}

/// Workers that do not see the rows which this scheduler slices: they settle a range without a verdict for those rows.
fn other_rows(report: &Report, ours: &Agreement) -> Option<Words> {
    let mut ids = Vec::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (worker, theirs) in told_settings(report) {
        let differing = ours.differing(&theirs);
        let of_rows = differing.filter(|name| agreement::ROWS.contains(name));
        let of_rows: Vec<String> = of_rows.map(str::to_owned).collect();
        if !of_rows.is_empty() {
            ids.push(worker.id.to_string());
            names.extend(of_rows);
        }
    }
    let first = ids.first()?;
    let whose = match ids.len() {
        1 => first.clone(),
        more => format!("{first} and {} more", more - 1),
    };
    let whose_zh = match ids.len() {
        1 => first.clone(),
        more => format!("{first} 等 {more} 个"),
    };
    let names = sections(names.iter().map(String::as_str));
    Some(Words::new(
        format!(
            "worker {whose} has another {names} than this scheduler, so that rows may stay without a verdict; give all the same file and restart them"
        ),
        format!(
            "工作进程 {whose_zh} 的 {names} 配置与本调度器不同，部分数据可能一直没有判定；请统一配置文件并重启"
        ),
    ))
}

/// What to say where workers have the same model and judge by other settings.
fn other_settings(report: &Report) -> Option<Words> {
    let told: Vec<Agreement> = told_settings(report).map(|(_, told)| told).collect();
    let first = told.first()?;
    let differing = told.iter().flat_map(|other| first.differing(other));
    let names = sections(differing);
    (!names.is_empty()).then(|| {
        Words::new(
            format!(
                "workers have different {names}, so that a weld's verdict depends on who judges it; give all the same files and restart them"
            ),
            format!("各工作进程的 {names} 配置不同，同一焊点的判定取决于由谁处理；请统一文件并重启"),
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
    let listed = |kinds: BTreeSet<String>| kinds.into_iter().collect::<Vec<_>>().join(", ");
    let models = kinds("model_version");
    // which GPU of its host a worker has says nothing of its numbers
    let providers = kinds("device").into_iter();
    let providers = providers.map(|device| match device.split_once(':') {
        Some((provider, _)) => provider.to_owned(),
        None => device,
    });
    let devices: BTreeSet<String> = providers.collect();
    if models.len() > 1 {
        let models = listed(models);
        return Some(Words::new(
            format!(
                "workers judge by different models ({models}), so that a weld's verdict depends on who judges it"
            ),
            format!("工作进程使用不同的模型（{models}），同一焊点的判定取决于由谁处理"),
        ));
    }
    (devices.len() > 1).then(|| {
        let devices = listed(devices);
        Words::new(
            format!("workers compute on different providers ({devices}), whose probabilities agree to 1e-5; model.provider names one for all"),
            format!("工作进程使用不同的计算后端（{devices}），概率相差不超过 1e-5；用 model.provider 统一指定"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{report::OlderDay, worker_entry},
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
        assert_eq!(hints(&report, "UTC", &Agreement::default()), []);
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
        let versions = [worker("cpu", "plant:1", 0), worker("cpu", "plant:2", 0)];
        let said = mixed(versions.iter()).unwrap().en;
        assert!(
            said.contains("different models (plant:1, plant:2)"),
            "{said}"
        );
    }

    #[test]
    fn settings_that_differ_are_named_where_versions_are_the_same() {
        let ours = Agreement::default().with("tables", &1).with("columns", &1);
        let worker = |version: &str, tables: u8, rules: u8| {
            let told = ours
                .clone()
                .with("tables", &tables)
                .with("rules", &rules)
                .to_string();
            worker_entry(&[
                ("device", "cpu"),
                ("version", version),
                (Agreement::FIELD, told.as_str()),
            ])
        };
        let said = |workers: Vec<WorkerEntry>| {
            let report = Report {
                workers: Some(workers),
                ..Report::default()
            };
            let told = hints(&report, "UTC", &ours);
            told.into_iter()
                .map(|hint| (hint.needs_a_person, hint.words.en))
                .collect::<Vec<_>>()
        };
        let version = env!("CARGO_PKG_VERSION");
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
    fn two_models_of_one_version_text_are_told_apart_by_their_content() {
        let with = |weights: &str| {
            let told = Agreement::default().with("model", &weights).to_string();
            worker_entry(&[
                ("device", "cpu"),
                ("version", env!("CARGO_PKG_VERSION")),
                ("model_version", "global-1"),
                (Agreement::FIELD, told.as_str()),
            ])
        };
        let report = Report {
            workers: Some(vec![with("these"), with("others")]),
            ..Report::default()
        };
        let told = hints(&report, "UTC", &Agreement::default());
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
        let told = hints(&report, "UTC", &Agreement::default());
        let told: Vec<(&str, bool)> = told
            .iter()
            .map(|hint| (&hint.words.en[..7], hint.needs_a_person))
            .collect();
        assert_eq!(
            told,
            [("2 dead ", true), ("older d", true), ("7 rows ", false)]
        );
    }
}
