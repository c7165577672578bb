//! Metrics, alerts and dashboards, with a real Prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::Path,
    time::Instant,
};

use serde_json::Value;
use weldfleet_tests::{
    Fleet, Process, Service, eventually,
    faults::PATIENCE,
    prometheus::{DAY, FAULT, Pace, Prometheus, promtool},
    repository,
    status::{named, status},
};

/// Described, and only there once something has happened that does not happen here.
const NOT_HERE: [&str; 6] = [
    // where there is a GPU
    "weldfleet_gpu_busy_ratio",
    "weldfleet_gpu_memory_bytes",
    "weldfleet_gpu_memory_used_bytes",
    "weldfleet_hit_streak_told_timestamp_seconds",
    "weldfleet_hit_streaks",
    "weldfleet_settling_duration_seconds",
];

/// Alerts that no test here brings about with a real fault.
const NO_REAL_FAULT: [&str; 3] = [
    // nobody may set the clock of the machine that runs the tests
    "WeldfleetClockDiffers",
    // by the server's clock a day must have been complete, quiet and not settled for five minutes; its cause is tested
    // with less (`scheduler/tests/settling.rs`)
    "WeldfleetDaysUnsettled",
    // a weld that the model cannot judge has an answer of its own: only a worker that is broken as a whole has none
    "WeldfleetPredictFails",
];

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of our metrics in a text, without what a histogram adds to its own.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| word.starts_with("weldfleet_"))
        .map(|word| {
            let stripped = ["_bucket", "_sum"]
                .iter()
                .find_map(|part| word.strip_suffix(part));
            stripped.unwrap_or(word).to_owned()
        })
        .collect()
}

/// The anchors of a document's headings, as GitHub makes them, and those that are written out.
fn anchors(document: &str) -> BTreeSet<String> {
    // Every second piece is code.
    let text = document.split("```").step_by(2);
    let found = text.flat_map(str::lines).filter_map(|line| {
        if let Some(written) = line.strip_prefix("<a id=\"") {
            return written.strip_suffix("\"></a>").map(str::to_owned);
        }
        let (marks, heading) = line.split_once(' ')?;
        (!marks.is_empty() && marks.chars().all(|mark| mark == '#'))
            .then(|| heading.to_lowercase().replace(' ', "-"))
    });
    found.collect()
}

/// What is left of an alert's sentence without what Prometheus fills in.
fn fixed_words(sentence: &str) -> Vec<&str> {
    let pieces = sentence.split("{{").map(|piece| {
        let after = piece.split_once("}}").map_or(piece, |(_, after)| after);
        after.trim_matches(|letter| " '：；".contains(letter))
    });
    pieces.filter(|piece| piece.chars().count() > 1).collect()
}

/// Each alert with the lines that say what it is.
fn alerts() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    let mut name = None;
    for line in read("monitoring/alerts.yml").lines().map(str::trim) {
        if let Some(next) = line.strip_prefix("- alert: ") {
            name = Some(next.to_owned());
        } else if let Some(name) = &name {
            found.entry(name.clone()).or_default().push(line.to_owned());
        }
    }
    found
}

#[test]
fn every_alert_says_what_it_is_in_both_languages_and_where_its_runbook_is_and_is_tested() {
    promtool(&["check", "rules", "alerts.yml"], "");
    promtool(&["test", "rules", "alerts_test.yml"], "");
    let (tests, runbooks) = (
        read("monitoring/alerts_test.yml"),
        anchors(&read("docs/OPERATIONS.md")),
    );
    let chinese = read("docs/OPERATIONS.zh-CN.md");
    let in_chinese = anchors(&chinese);
    assert_eq!(
        runbooks.difference(&in_chinese).collect::<Vec<_>>(),
        ["operations"],
        "its title alone has no anchor in the Chinese runbook"
    );
    let (_, here) = include_str!("monitoring.rs")
        .split_once("fn read(")
        .expect("what comes after NO_REAL_FAULT");
    let faults = format!("{here}{}", read("scheduler/tests/alerts.rs"));
    let alerts = alerts();
    assert!(alerts.len() > 20, "{alerts:?}");
    for (name, lines) in &alerts {
        let after = |key: &str| {
            let value = lines.iter().find_map(|line| line.strip_prefix(key));
            value.unwrap_or_else(|| panic!("{name} has no {key}"))
        };
        assert!(after("summary: ").is_ascii(), "{name}");
        assert!(!after("summary_zh: ").is_ascii(), "{name}");
        let runbook = after("runbook_url: docs/OPERATIONS.md#");
        assert!(runbooks.contains(runbook), "no heading for #{runbook}");
        let (_, section) = chinese
            .split_once(&format!("### {name}\n"))
            .unwrap_or_else(|| panic!("the Chinese runbook has no {name}"));
        let section = section.split("\n#").next().unwrap_or(section);
        for words in fixed_words(after("summary_zh: ")) {
            assert!(
                section.contains(words),
                "{name}: {words:?} is not in the Chinese runbook"
            );
        }
        assert!(tests.contains(&format!("- name: {name}\n")), "{name}");
        let fires = faults.contains(&format!("\"{name}\""));
        let exempt = NO_REAL_FAULT.contains(&name.as_str());
        assert!(fires != exempt, "{name}: a real fault, or a reason");
    }
}

#[test]
fn every_alarming_cause_has_its_alert() {
    let contract = read("docs/CONTRACT.md");
    let rules = read("monitoring/alerts.yml");
    let alerts: BTreeSet<&str> = rules
        .split("weldfleet_cause{code=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    // Those that end by themselves, or are as somebody wanted them.
    let quiet = [
        "settling",
        "after_outage",
        "run_held",
        "only_delayed",
        "only_isolated",
        "only_splitting",
        "partial_range",
        "only_later",
        "nothing_to_do",
    ];
    let (_, table) = contract
        .split_once("| `code` | said when |")
        .expect("the table of causes");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let codes: BTreeSet<&str> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split(',').map(|code| code.trim().trim_matches('`')))
        .filter(|code| !quiet.contains(code))
        .collect();
    assert_eq!(alerts, codes);
}

/// The targets of all panels, each with its panel.
fn targets() -> Vec<(Value, Value)> {
    let mut targets = Vec::new();
    for name in ["weldfleet-fleet", "weldfleet-workers"] {
        let text = read(&format!("monitoring/grafana/{name}.json"));
        let dashboard: Value = serde_json::from_str(&text).expect("json");
        assert_eq!(dashboard["uid"], *name);
        for panel in dashboard["panels"].as_array().expect("panels") {
            assert_eq!(panel["datasource"]["uid"], "weldfleet", "{panel}");
            for target in panel["targets"].as_array().expect("targets") {
                targets.push((panel.clone(), target.clone()));
            }
        }
    }
    assert!(targets.len() > 30, "{targets:?}");
    targets
}

/// The expressions of all panels, with the panel's title.
fn panels() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let targets = targets().into_iter();
    let panels = targets.map(|(panel, target)| (text(&panel["title"]), text(&target["expr"])));
    panels.collect()
}

/// Over a range of time a tile shows what was so within it; without its name a series shows as "1".
#[test]
fn a_panel_of_this_moment_asks_for_this_moment_and_names_what_it_shows() {
    let (mut stats, mut tables) = (0, 0);
    for (panel, target) in targets() {
        match panel["type"].as_str().expect("a type") {
            "timeseries" => continue,
            "stat" => {
                assert_eq!(panel["options"]["textMode"], "name", "{panel}");
                stats += 1;
            }
            "table" => {
                assert_eq!(target["format"], "table", "{panel}");
                tables += 1;
            }
            other => panic!("{other}"),
        }
        let asks = (&target["instant"], &target["range"]);
        assert_eq!(asks, (&Value::Bool(true), &Value::Bool(false)), "{panel}");
    }
    assert!(stats > 0 && tables > 0);
}

/// One line of the table in `docs/OPERATIONS.md` for each metric that these texts have.
fn described(texts: &[&str]) -> BTreeMap<String, String> {
    let (mut types, mut lines) = (BTreeMap::new(), BTreeMap::new());
    let all = || texts.iter().flat_map(|text| text.lines());
    for line in all().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a type");
        types.insert(name, kind);
    }
    for line in all().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').expect("a text");
        let unit = ["seconds", "bytes", "rows"]
            .into_iter()
            .find(|unit| name.split('_').any(|word| word == *unit));
        let row = format!(
            "| `{name}` | {} | {} | {help} |",
            types[name],
            unit.unwrap_or("–")
        );
        lines.insert(name.to_owned(), row);
    }
    assert_eq!(types.len(), lines.len(), "a metric without HELP");
    lines
}

/// `promtool` has nothing against what it says; returns that.
async fn checked(process: &Process) -> String {
    let (code, text) = process.get("/metrics").await;
    assert_eq!(code, 200);
    promtool(&["check", "metrics"], &text);
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_finds_everybody_is_silent_on_a_quiet_day_and_fires_for_a_store_that_is_away()
 {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (scheduler, worker) = (fleet.scheduler(), fleet.worker());
    worker.ready().await;
    scheduler.ready().await;
    let standby = fleet.scheduler();
    named(&scheduler, "nothing_to_do", PATIENCE).await;
    named(&standby, "nothing_to_do", PATIENCE).await;

    let prometheus = Prometheus::start(&scheduler, fleet.folder(), &DAY).await;
    let address = async |process: &Process| process.http().await.replace("http://", "");
    let mut schedulers = vec![address(&scheduler).await, address(&standby).await];
    schedulers.sort();
    let workers = vec![address(&worker).await];
    eventually("everybody is scraped", PATIENCE, async || {
        let mut found = prometheus.answering("scheduler").await;
        found.sort();
        (found == schedulers && prometheus.answering("worker").await == workers).then_some(())
    })
    .await;
    // It looks for targets only each five seconds, so that it begins with nobody there.
    eventually("nothing fires", PATIENCE, async || {
        let firing = r#"ALERTS{alertstate="firing"}"#;
        prometheus.query(firing).await.is_empty().then_some(())
    })
    .await;
    let began = Instant::now();

    // A quiet day.
    for (since, until) in [("06:00", "10:00"), ("10:00", "14:00")] {
        fleet.simulate("today", 8000, &["--since", since, "--until", until]);
        fleet.judged(PATIENCE).await;
    }
    let weld = read("tests/tests/data/weld.json");
    let predict = format!("{}/predict", worker.http().await);
    for body in [weld.clone(), weld, "no record".to_owned()] {
        let client = reqwest::Client::new();
        client.post(&predict).body(body).send().await.expect("sent");
    }
    named(&scheduler, "nothing_to_do", PATIENCE).await;
    let judged =
        r#"sum(weldfleet_rows_total) == 16000 and sum(weldfleet_predict_requests_total) == 3"#;
    eventually("prometheus has seen all of it", PATIENCE, async || {
        let seen = prometheus.query(judged).await;
        (!seen.is_empty()).then_some(())
    })
    .await;
    // A series that begins with its first failure hides it from `increase`.
    let failures = r#"weldfleet_predict_requests_total{code="500"} == 0"#;
    assert!(!prometheus.query(failures).await.is_empty());
    // What was named above may have been seen before the rows came.
    eventually("nothing but an end is told", PATIENCE, async || {
        let causes = prometheus.query("weldfleet_cause == 1").await;
        let mut causes = causes.iter().map(|one| &one["metric"]["code"]);
        let ended = causes.len() > 0 && causes.all(|code| code == "nothing_to_do");
        ended.then_some(())
    })
    .await;

    for (title, expression) in panels() {
        if !expression.contains("ALERTS") {
            // A rate needs two looks at a series.
            let shown = format!("{title}: {expression} gives something");
            eventually(&shown, PATIENCE, async || {
                let series = prometheus.query(&expression).await;
                (!series.is_empty()).then_some(())
            })
            .await;
        }
    }

    let texts = [
        checked(&scheduler).await,
        checked(&standby).await,
        checked(&worker).await,
    ];
    for text in &texts {
        assert!(!text.contains("day="), "{text}");
    }
    let described = described(&texts.each_ref().map(String::as_str));
    let operations = read("docs/OPERATIONS.md");
    let missing: Vec<&str> = described
        .values()
        .map(String::as_str)
        .filter(|row| !operations.contains(*row))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/OPERATIONS.md lacks:\n{}",
        missing.join("\n")
    );
    let mut known: BTreeSet<String> = described.keys().cloned().collect();
    known.extend(NOT_HERE.map(str::to_owned));
    let mut named_elsewhere = metrics_in(&read("monitoring/alerts.yml"));
    named_elsewhere.extend(
        panels()
            .iter()
            .flat_map(|(_, expression)| metrics_in(expression)),
    );
    named_elsewhere.extend(metrics_in(&operations));
    let chinese = metrics_in(&read("docs/OPERATIONS.zh-CN.md"));
    let of_both = metrics_in(&operations);
    let differing: Vec<_> = chinese.symmetric_difference(&of_both).collect();
    assert!(differing.is_empty(), "{differing:?} are in one runbook");
    let unknown: Vec<_> = named_elsewhere.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?} are nobody's metrics");

    let fired = prometheus.fired_since(began).await;
    assert!(fired.is_empty(), "on a quiet day: {fired:?}");

    // ClickHouse goes away.
    fleet.services.kill(Service::ClickHouse);
    let alert = eventually("the alert fires", PATIENCE, async || {
        prometheus.firing("WeldfleetStoreAway").await
    })
    .await;
    let annotations = &alert["annotations"];
    for key in ["summary", "summary_zh", "runbook_url"] {
        assert!(annotations[key].is_string(), "{alert}");
    }
    for (title, expression) in panels() {
        if expression.contains("ALERTS") {
            let series = prometheus.query(&expression).await;
            assert!(!series.is_empty(), "{title}: {expression} gives nothing");
        }
    }
    for process in [&scheduler, &standby, &worker] {
        checked(process).await;
    }
    fleet.services.start_again(Service::ClickHouse);
    eventually("the alert ends", PATIENCE, async || {
        let firing = prometheus.firing("WeldfleetStoreAway").await;
        firing.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_meets_fires_its_alerts() {
    let mut fleet = Fleet::start().await;
    fleet.migrate();
    let models = fleet.folder().join("models/global");
    fs::create_dir_all(&models).expect("folder");
    let copy = |from: &str, change: (&str, &str)| {
        let from = repository().join(from).join("global");
        fs::copy(from.join("model.onnx"), models.join("model.onnx")).expect("copy");
        let config = fs::read_to_string(from.join("inference_config.json")).expect("read");
        assert!(config.contains(change.0), "{config}");
        let config = config.replace(change.0, change.1);
        fs::write(models.join("inference_config.json"), config).expect("write");
    };
    copy("models", ("", ""));
    let folder = fleet.folder().join("models").display().to_string();
    fleet.set("model.model_export_dir", &folder);
    let (scheduler, mut worker) = (fleet.scheduler(), fleet.worker());
    worker.ready().await;
    scheduler.ready().await;
    // What is full is a matter of the disk: a little less than there is.
    let free = eventually("the worker has looked at its disk", PATIENCE, async || {
        worker
            .metric_if_any("weldfleet_save_dir_free_bytes", &[])
            .await
    })
    .await as u64;
    let pace = Pace {
        save_dir_bytes: Some(free.saturating_sub(FILLED / 2)),
        ..FAULT
    };
    let prometheus = Prometheus::start(&scheduler, fleet.folder(), &pace).await;

    let scraped = async |worker: &Process| {
        let address = worker.http().await.replace("http://", "");
        eventually("the worker is scraped", PATIENCE, async || {
            let found = prometheus.answering("worker").await;
            found.contains(&address).then_some(())
        })
        .await;
    };
    scraped(&worker).await;

    // A file fills the disk.
    fs::create_dir_all(fleet.save_dir()).expect("folder");
    let large = fleet.save_dir().join("large");
    let fault = Instant::now();
    fill(&large);
    prometheus.fires(fault, &["WeldfleetSaveDirFills"]).await;
    fs::remove_file(large).expect("remove");

    let many = ["--nok-rate", "0.3", "--invalid-share", "0.2"];
    let fault = Instant::now();
    fleet.simulate("today", 1000, &many);
    fleet.judged(PATIENCE).await;
    prometheus.fires(fault, &["WeldfleetManyInvalid"]).await;

    // MySQL goes away; the model's files are replaced.
    let fault = Instant::now();
    fleet.services.kill(Service::MySql);
    copy("models", ("\"scale\": [", "\"scale\":  ["));
    fleet.simulate("today", 500, &many);
    fleet.judged(PATIENCE).await;
    prometheus
        .fires(
            fault,
            &[
                "WeldfleetMirrorAway",
                "WeldfleetMirrorLags",
                "WeldfleetModelFilesChanged",
            ],
        )
        .await;
    fleet.services.start_again(Service::MySql);
    let behind = ["weldfleet_mirror_lag_rows", "weldfleet_mirror_kept_rows"];
    for name in behind {
        eventually(&format!("{name} is 0"), PATIENCE, async || {
            (scheduler.metric_if_any(name, &[]).await? == 0.0).then_some(())
        })
        .await;
    }
    // The day leaves the source.
    let day = fleet.day_before(0).await;
    let fault = Instant::now();
    let drop = format!("ALTER TABLE spot_records DROP PARTITION {day}");
    fleet.clickhouse.execute(&drop).await;
    prometheus.fires(fault, &["WeldfleetMirrorKept"]).await;

    // The folder of the audit files is none any more.
    let fault = Instant::now();
    fs::remove_dir_all(fleet.save_dir()).expect("remove");
    fs::write(fleet.save_dir(), "in the way").expect("write");
    fleet.simulate("today", 200, &[]);
    prometheus.fires(fault, &["WeldfleetWorkersWait"]).await;
    fs::remove_file(fleet.save_dir()).expect("remove");
    fleet.judged(PATIENCE).await;

    // It dies, and is listed when the queue has forgotten it.
    let died = worker.http().await.replace("http://", "");
    let fault = Instant::now();
    worker.kill();
    prometheus.fires(fault, &["WeldfleetTargetDown"]).await;
    eventually("the queue has forgotten it", PATIENCE, async || {
        let workers = status(&scheduler).await["workers"].take();
        workers.as_array()?.is_empty().then_some(())
    })
    .await;
    let (_, listed) = scheduler.get("/sd").await;
    assert!(listed.contains(&died), "{listed}");

    // A model whose numbers are too large for it.
    copy(
        "tests/tests/data/models/good",
        ("[1, 1, 1, 1]", "[3e38, 1, 1, 1]"),
    );
    let worker = fleet.worker();
    scraped(&worker).await;
    let fault = Instant::now();
    fleet.simulate("today", 200, &[]);
    prometheus.fires(fault, &["WeldfleetRowsInError"]).await;
}

/// Bytes of a file that fills a disk; others may write and remove files meanwhile.
const FILLED: u64 = 1 << 30;

fn fill(path: &Path) {
    let mut file = fs::File::create(path).expect("create");
    let block = vec![7; 1 << 20];
    for _ in 0..FILLED >> 20 {
        file.write_all(&block).expect("write");
    }
}
