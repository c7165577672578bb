//! What a person asks a worker: is all there that you need, why is this weld NOK, who are you, what do you say of this
//! record.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};
use weldfleet_tests::{
    Fleet, Process, Service,
    agree::{Counts, Truth, text},
    audit,
    fleet::parsed,
    repository,
};

const MINUTES: Duration = Duration::from_secs(120);

/// Exit code, standard output, standard error.
fn said(fleet: &Fleet, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = fleet.run("worker", arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("utf-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

// --- check -----------------------------------------------------------------------------------------------------------

/// Nothing else says that rows are hidden: each count and each pass is right about those that are shown.
#[tokio::test(flavor = "multi_thread")]
async fn check_names_a_row_policy_that_hides_rows_from_the_account() {
    let mut fleet = Fleet::with(&[("model.enabled", "false")]).await;
    fleet.migrate();
    fleet.simulate("today", 100, &[]);
    let account = |name: &str, rows: &str| {
        format!(
            "<{name}><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>\
             <databases><weld><spot_records><filter>{rows}</filter></spot_records></weld></databases></{name}>"
        )
    };
    let accounts = format!(
        "{}{}</users>",
        account("some", "part_no = 'no such'"),
        account("every", "1")
    );
    fleet.change_accounts(|users| users.replace("</users>", &accounts));

    fleet.set("clickhouse.user", "every");
    let (_, out, _) = said(&fleet, &["check"]);
    assert!(!out.contains("row policy"), "{out}");
    fleet.set("clickhouse.user", "some");
    let (code, out, _) = said(&fleet, &["check"]);
    assert_eq!(code, Some(1), "{out}");
    let line = out.lines().find(|line| line.contains("row policy"));
    let line = line.unwrap_or_else(|| panic!("{out}"));
    for told in ["failed", "no such", "USING 1 TO some", "tables.filter"] {
        assert!(line.contains(told), "{told}: {line}");
    }
    let scheduler = fleet.scheduler();
    scheduler.logged("a row policy shows", MINUTES).await;
}

// --- explain ---------------------------------------------------------------------------------------------------------

fn colours(png: &Path) -> BTreeMap<[u8; 3], usize> {
    let decoder = png::Decoder::new(File::open(png).expect("the picture"));
    let mut reader = decoder.read_info().expect("a png");
    let mut pixels = vec![0; reader.output_buffer_size()];
    let frame = reader.next_frame(&mut pixels).expect("a whole png");
    assert_eq!((frame.width, frame.height), (1280, 860));
    assert_eq!(frame.color_type, png::ColorType::Rgb);
    let mut colours = BTreeMap::new();
    for pixel in pixels.chunks_exact(3) {
        *colours.entry([pixel[0], pixel[1], pixel[2]]).or_default() += 1;
    }
    colours
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_draws_the_weld_or_says_why_it_cannot() {
    const BAD: [u8; 3] = [200, 36, 46];
    let names = "{ ml = \"小焊核\", expulsion = \"飞溅\", override = \"高置信度\" }";
    let fleet = Fleet::with(&[("fusion.defect_names", names)]).await;
    fleet.migrate();
    let spoiled = ["--nok-rate", "0.3", "--invalid-share", "0.1"];
    fleet.simulate("today", 200, &spoiled);
    let says = fleet.predict("spot_records").await;
    let one = |what: &str, wanted: &dyn Fn(&Value) -> bool| -> (String, Value) {
        let found = says.iter().find(|(_, answer)| wanted(answer));
        let (id, answer) = found.unwrap_or_else(|| panic!("none of the rows is {what}"));
        (id.to_string(), answer.clone())
    };
    let (nok, why) = one("NOK by expulsion", &|answer| {
        answer["final_result"] == "NOK" && answer["rule_hits"].to_string().contains("expulsion")
    });
    let defects = why["defect"].as_str().unwrap_or_default();
    assert!(["小焊核,飞溅", "高置信度"].contains(&defects), "{why}");
    let (ok, _) = one("OK without a hit", &|answer| {
        answer["final_result"] == "OK" && answer["rule_hits"] == json!([])
    });
    let mut further = says
        .iter()
        .filter(|(_, answer)| answer["final_result"] == "OK");
    let unread = further.next_back().map(|(id, _)| id.to_string());
    let unread = unread.unwrap_or_else(|| panic!("none of the rows is OK"));
    assert_ne!(unread, ok);
    let (invalid, reason) = one("invalid, with curves", &|answer| {
        let why = answer["alg_error"].as_str().unwrap_or_default();
        answer["alg_status"] == "invalid" && !why.starts_with("empty_curve")
    });
    let folder = fleet.folder().to_owned();
    let explain = |id: &str, more: &[&str]| {
        let png = folder.join(format!("{id}.png"));
        let png = png.display().to_string();
        let arguments = ["explain", "--record-id", id, "--png", &png];
        said(&fleet, &[&arguments, more].concat())
    };

    // Without a picture the same is told.
    let (code, told, err) = said(&fleet, &["explain", "--record-id", &nok]);
    assert_eq!(code, Some(0), "{err}");
    let (code, out, err) = explain(&nok, &[]);
    assert_eq!(code, Some(0), "{err}");
    let pictured = format!(
        "{}\n{}\n",
        told.trim_end(),
        folder.join(format!("{nok}.png")).display()
    );
    assert_eq!(out, pictured);
    let probability = why["ml_nok_prob"].as_f64().expect("a probability");
    let shown = out
        .split_once("model NOK (")
        .or(out.split_once("model OK ("));
    let shown = shown.and_then(|(_, rest)| rest.split_once(')')?.0.parse().ok());
    let shown: f64 = shown.unwrap_or_else(|| panic!("no probability in {out}"));
    assert!(
        (shown - probability).abs() <= 5.1e-5,
        "{shown} {probability}"
    );
    let hit = why["rule_hits"].as_array().and_then(|hits| hits.first());
    let hit = hit.expect("a hit");
    let number = |name: &str| hit[name].as_f64().expect("a number");
    let hit = format!(
        "\n[{} {:.3} (limit {:.3}) at {:.0} ms]",
        hit["rule"].as_str().expect("a rule"),
        number("value"),
        number("limit"),
        number("t_ms")
    );
    let config = repository().join("models/global/inference_config.json");
    let config = fs::read_to_string(config).expect("the model's configuration");
    let nok_threshold = parsed(&config)["nok_threshold"].to_string();
    for part in [
        format!("weld {nok} on "),
        format!(
            "NOK   decided by {}",
            why["decided_by"].as_str().unwrap_or("?")
        ),
        format!("({})", why["defect"].as_str().unwrap_or("?")),
        "model_version global-1".to_owned(),
        format!("nok_threshold {nok_threshold}   override_threshold 0.9999"),
        hit,
        format!("{nok}.png"),
    ] {
        assert!(out.contains(&part), "`{part}` is not in\n{out}");
    }
    let of_nok = colours(&folder.join(format!("{nok}.png")));
    assert!(of_nok.len() > 100, "{} colours", of_nok.len());
    let curves = [[30, 100, 190], [190, 90, 20], [96, 60, 160]];
    for (curve, colour) in ["U", "I", "R"].iter().zip(curves) {
        let pixels = of_nok.get(&colour).copied().unwrap_or_default();
        assert!(pixels > 300, "{pixels} pixels of {curve}");
    }
    // The verdict and the line of the hit through three charts.
    let red = of_nok.get(&BAD).copied().unwrap_or_default();
    assert!(red > 600, "{red} pixels of the hit");

    assert!(!out.contains("stored: "), "it waits for its verdict: {out}");

    let stored = format!(
        "UPDATE spot_records SET alg_complete_time = now64(3), alg_status = 'ok', final_result = 'NOK', decided_by = 'override', \
         model_version = 'global-0' WHERE record_id = {ok}"
    );
    fleet.clickhouse.execute(&stored).await;
    let (code, out, err) = explain(&ok, &[]);
    assert_eq!(code, Some(0), "{err}");
    let stored = "stored: NOK by override, model global-0";
    assert!(out.contains(stored), "{out}");
    assert!(out.contains("\nOK   decided by "), "{out}");
    let of_ok = colours(&folder.join(format!("{ok}.png")));
    assert_eq!(of_ok.get(&BAD), None, "nothing is wrong with this weld");

    // What nobody can judge is seen as it was recorded.
    let (code, out, err) = explain(&invalid, &[]);
    let reason = reason["alg_error"].as_str().expect("a reason");
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&format!("invalid: {reason}")), "{out}");
    let of_invalid = colours(&folder.join(format!("{invalid}.png")));
    let seen = curves.iter().filter_map(|colour| of_invalid.get(colour));
    assert!(
        seen.sum::<usize>() > 300,
        "{reason}: nothing of it is drawn"
    );
    let (code, _, err) = explain("987654321", &[]);
    assert_eq!(code, Some(2), "{err}");
    let unknown = "no weld with record_id `987654321` on any day in `spot_records`";
    assert!(err.contains(unknown), "{err}");
    let (code, _, err) = explain("987654322", &["--day", "20200101"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("on day 20200101"), "{err}");
    // Two welds of one id on one day: which of them it is must be said.
    let twin = format!(
        "INSERT INTO spot_records SELECT * REPLACE (ck_local_time + INTERVAL 1 SECOND AS ck_local_time) FROM spot_records \
         WHERE record_id = {nok}"
    );
    fleet.clickhouse.execute(&twin).await;
    let (code, out, err) = explain(&nok, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("1 more of this id on day "), "{out}");
    // What its row says, not what follows from it.
    for sql in [
        "ALTER TABLE spot_records MODIFY COLUMN umax Nullable(Float32)".to_owned(),
        format!(
            "ALTER TABLE spot_records UPDATE umax = NULL WHERE record_id = {unread} SETTINGS mutations_sync = 2"
        ),
    ] {
        fleet.clickhouse.execute(&sql).await;
    }
    let (code, out, err) = explain(&unread, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("invalid: missing: umax is NULL"), "{out}");
    let empty = format!(
        "INSERT INTO spot_records SELECT * REPLACE (987654320 AS record_id, [] AS u_curve, [] AS i_curve) \
         FROM (SELECT * FROM spot_records WHERE record_id = {ok})"
    );
    fleet.clickhouse.execute(&empty).await;
    let (code, _, err) = explain("987654320", &[]);
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("no curve of it can be drawn: empty_curve"),
        "{err}"
    );
    for id in ["987654320", "987654321", "987654322"] {
        let png = folder.join(format!("{id}.png"));
        assert!(!png.exists(), "a picture of nothing: {}", png.display());
    }
}

// --- check -----------------------------------------------------------------------------------------------------------

/// What a check must leave alone, in every store.
#[derive(Debug, PartialEq)]
struct Stores {
    rows: String,
    results: u64,
    mirror: Vec<Vec<String>>,
    files: BTreeSet<std::path::PathBuf>,
    redis_keys: u64,
}

impl Stores {
    async fn read(fleet: &Fleet) -> Self {
        // As text: the hash of a row with a NULL in it would be NULL.
        let rows = "SELECT count(), countIf(alg_complete_time IS NULL), groupBitXor(cityHash64(toString(tuple(*)))) FROM spot_records";
        Self {
            rows: fleet.clickhouse.value(rows).await,
            results: fleet.clickhouse.count("weld_results").await,
            mirror: fleet
                .mysql
                .rows("SELECT * FROM nok_records ORDER BY record_id")
                .await,
            files: files(&fleet.save_dir()),
            redis_keys: fleet.queue.command(&["DBSIZE"]).await,
        }
    }
}

fn files(folder: &Path) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.insert(entry.path());
        found.extend(files(&entry.path()));
    }
    found
}

/// Half of today is judged, by a scheduler and a worker that are gone; the later half is not.
async fn half_judged() -> Fleet {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let spoiled = ["--nok-rate", "0.2", "--invalid-share", "0.1"];
    let morning = [&spoiled[..], &["--until", "06:00"]].concat();
    fleet.simulate("today", 300, &morning);
    {
        let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
        fleet.done(MINUTES).await;
    }
    let evening = [&spoiled[..], &["--since", "18:00"]].concat();
    fleet.simulate("today", 300, &evening);
    assert!(!audit::files(&fleet.save_dir()).is_empty());
    fleet
}

/// The rows that a check looks at: the latest.
const LATEST: &str = "(SELECT * FROM spot_records ORDER BY ck_local_time DESC LIMIT 100)";

/// What is to be seen in the latest rows: judged, NOK, and the reasons of the others.
async fn expected(fleet: &Fleet) -> (usize, usize, BTreeMap<String, usize>) {
    let says = fleet.predict(LATEST).await;
    assert_eq!(says.len(), 100);
    let with = |result: &str| {
        let answers = says.values();
        answers
            .filter(|says| says["final_result"] == result)
            .count()
    };
    let (ok, nok) = (with("OK"), with("NOK"));
    let mut reasons = BTreeMap::new();
    for reason in says.values().filter_map(|says| says["alg_error"].as_str()) {
        let code = reason.split(':').next().unwrap_or_default();
        *reasons.entry(code.to_owned()).or_default() += 1;
    }
    assert!(reasons.len() > 1 && nok > 5, "{reasons:?} {nok}");
    (ok + nok, nok, reasons)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_judges_100_rows_and_writes_nothing() {
    let mut fleet = half_judged().await;
    let before = Stores::read(&fleet).await;
    let (judged, nok, reasons) = expected(&fleet).await;

    let (code, out, err) = said(&fleet, &["check"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(Stores::read(&fleet).await, before, "a check has written");
    let summary = format!("100 rows judged without writing: {judged} of them, {nok} NOK");
    assert!(out.contains(&summary), "`{summary}` is not in\n{out}");
    assert!(out.contains(" rule hits: "), "{out}");
    for (reason, count) in &reasons {
        let line = format!(" {count} x {reason}\n");
        assert!(out.contains(&line), "`{line}` is not in\n{out}");
    }
    let lines: Vec<&str> = out.lines().collect();
    for part in [
        "model",
        "memory",
        "rules",
        "clickhouse",
        "columns",
        "grant",
        "mysql",
        "redis",
        "save_dir",
        "rows",
    ] {
        let told = lines
            .iter()
            .any(|line| line.split_whitespace().take(2).eq(["ok", part]));
        assert!(told, "no line says that {part} is ok:\n{out}");
    }

    let (code, out, err) = said(&fleet, &["check", "--json"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(Stores::read(&fleet).await, before, "a check has written");
    let told = parsed(&out);
    assert_eq!(told["ok"], true);
    for check in told["checks"].as_array().expect("checks") {
        let fields: Vec<&String> = check.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["check", "state", "text"], "{check}");
        assert!(
            check["state"] == "ok" || check["state"] == "warning",
            "{check}"
        );
    }
    let sample = &told["sample"];
    assert_eq!(sample["rows"], 100);
    assert_eq!(
        (&sample["judged"], &sample["nok"], &sample["reasons"]),
        (&json!(judged), &json!(nok), &json!(reasons))
    );
    let maxima = format!(
        "SELECT max(umax), max(arrayMax(arrayFilter(x -> isFinite(x), u_curve))), max(imax), \
         max(arrayMax(arrayFilter(x -> isFinite(x), i_curve))) FROM {LATEST} WHERE isFinite(umax) AND isFinite(imax)"
    );
    let maxima = fleet.clickhouse.value(&maxima).await;
    let names = ["umax", "u_curve maximum", "imax", "i_curve maximum"];
    for (name, stored) in names.iter().zip(maxima.split('\t')) {
        let stored: f32 = stored.parse().expect("a number");
        let shown = sample["as_stored"][name]["max"].as_f64().expect("a number") as f32;
        assert_eq!(
            shown.to_bits(),
            stored.to_bits(),
            "{name}: {shown} {stored}"
        );
    }

    // Rules by which every pause is an interruption.
    let rules = fleet.folder().join("no-pause.toml");
    fs::write(&rules, "[pulses]\nprepulse_ms = [1.0, 2.0]\n").expect("write");
    fleet.set("rules.file", &rules.display().to_string());
    let (code, out, err) = said(&fleet, &["check"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let hits = format!("rule hits: interruption in {judged} of {judged}");
    assert!(out.contains(&hits), "`{hits}` is not in\n{out}");
    let warned = format!("interruption makes {judged} of {judged} welds NOK by nok_on");
    let line = out.lines().find(|line| line.contains(&warned));
    let line = line.unwrap_or_else(|| panic!("`{warned}` is not in\n{out}"));
    assert!(
        line.starts_with("warning") && line.contains("[pulses]"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_fails_where_a_grant_is_missing() {
    let mut fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 120, &[]);
    // One timer's clock is years ahead.
    let ahead = "INSERT INTO spot_records (data_date, ck_local_time, record_id) VALUES (20991231, now64(3), 4000000)";
    fleet.clickhouse.execute(ahead).await;
    let before = Stores::read(&fleet).await;
    fleet.set("clickhouse.user", "reader");
    fleet.set("clickhouse.password", "reader");
    let (code, out, err) = said(&fleet, &["check"]);
    assert_eq!(code, Some(1), "{out}{err}");
    let failed: Vec<&str> = out
        .lines()
        .filter(|line| line.starts_with("failed"))
        .collect();
    assert_eq!(failed.len(), 2, "{out}");
    for (line, grant, table) in [
        (failed[0], "ALTER UPDATE", "spot_records"),
        (failed[1], "INSERT", "weld_results"),
    ] {
        let says = format!("clickhouse user may not {grant} on ");
        assert!(
            line.contains(&says) && line.contains(table) && line.contains("GRANT"),
            "{line}"
        );
    }
    assert!(out.contains("100 rows judged without writing"), "{out}");
    let hidden = "1 rows are dated after tomorrow or on no day, and left out here";
    assert!(out.contains(hidden), "{out}");
    let (code, out, _) = said(&fleet, &["check", "--json"]);
    assert_eq!(code, Some(1), "{out}");
    let told = parsed(&out);
    assert_eq!(told["ok"], false);
    let failed = told["checks"].as_array().expect("checks").iter();
    let failed: Vec<&Value> = failed.filter(|check| check["state"] == "failed").collect();
    assert_eq!(failed.len(), 2, "{told}");
    assert!(failed.iter().all(|check| check["check"] == "grant"));
    assert_eq!(Stores::read(&fleet).await, before, "a check has written");
}

// --- http ------------------------------------------------------------------------------------------------------------

async fn about(process: &Process) -> Value {
    let (code, body) = process.get("/").await;
    assert_eq!(code, 200);
    parsed(&body)
}

async fn post(worker: &Process, body: String) -> (u16, String) {
    let url = format!("{}/predict", worker.http().await);
    let request = reqwest::Client::new().post(url).body(body);
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("body"))
}

/// A value in single precision, whoever printed it.
fn single(value: &Value) -> Option<u32> {
    value.as_f64().map(|number| (number as f32).to_bits())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_programs_tell_who_they_are_and_what_they_did() {
    let mut fleet = Fleet::start().await;
    fleet.migrate();
    let spoiled = ["--nok-rate", "0.1", "--invalid-share", "0.02"];
    fleet.simulate("today", 600, &spoiled);
    let (scheduler, worker) = (fleet.scheduler(), fleet.worker());
    fleet.done(MINUTES).await;
    let counts = Truth::read(&fleet.clickhouse, "spot_records")
        .await
        .counts();
    let model = fs::read_to_string(repository().join("models/global/inference_config.json"));
    let model = parsed(&model.expect("the model's configuration"));

    let told = about(&worker).await;
    assert_eq!(told["name"], "weldfleet worker");
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["model_version"], model["model_version"]);
    assert_eq!(
        single(&told["nok_threshold"]),
        single(&model["nok_threshold"])
    );
    assert_eq!(single(&told["override_threshold"]), single(&json!(0.9999)));
    assert_eq!((&told["ml"], &told["rules"]), (&json!(true), &json!(true)));
    assert_eq!(
        (&told["device"], &told["part_models"]),
        (&json!("cpu"), &json!(0))
    );
    assert_eq!(Counts::of_json(&told["rows"]), counts);

    let told = about(&scheduler).await;
    assert_eq!(told["name"], "scheduler");
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&told["role"], &told["queue"]),
        (&json!("leader"), &json!("infer"))
    );
    assert_eq!((&told["ml"], &told["rules"]), (&json!(true), &json!(true)));
    let thresholds = &told["thresholds"];
    assert_eq!(thresholds["override_threshold"], 0.9999);
    assert_eq!(thresholds["batch_size"], 1000);
    let told = weldfleet_tests::eventually("the scheduler has counted", MINUTES, async || {
        let told = about(&scheduler).await;
        let days = told["counts"]["days"].as_array()?.clone();
        let today = days.into_iter().find(|day| day["total"] == 600)?;
        (today["left"] == 0 && told["counts"]["outstanding"] != Value::Null)
            .then_some((today, told))
    });
    let (today, told) = told.await;
    assert_eq!(Counts::of_json(&today), counts);
    assert_eq!(
        (&told["paused"], &told["counts"]["open_runs"]),
        (&Value::Null, &json!(0))
    );

    for process in [&scheduler, &worker] {
        assert_eq!(process.get("/healthz").await, (200, "ok\n".to_owned()));
        let (code, body) = process.get("/readyz").await;
        let told = parsed(&body);
        assert_eq!(
            (code, &told["ready"], &told["reasons"]),
            (200, &json!(true), &json!([]))
        );
        let causes = told["why"].as_array().into_iter().flatten();
        for cause in causes {
            assert_eq!(cause["alarming"], false, "{cause}");
        }
    }
    metrics_are_named(
        &worker,
        &[
            "weldfleet_rows_total",
            "weldfleet_ranges_total",
            "weldfleet_range_seconds",
            "weldfleet_stage_seconds",
            "weldfleet_leases",
            "weldfleet_dependency_up",
            "weldfleet_build_info",
            "weldfleet_compute_threads",
        ],
    )
    .await;
    metrics_are_named(
        &scheduler,
        &[
            "weldfleet_day_rows",
            "weldfleet_rows_left",
            "weldfleet_jobs",
            "weldfleet_jobs_outstanding",
            "weldfleet_oldest_pending_seconds",
            "weldfleet_pass_duration_seconds",
            "weldfleet_ranges_enqueued_total",
            "weldfleet_runs_open",
            "weldfleet_scheduler_leader",
            "weldfleet_dependency_up",
            "weldfleet_workers",
            "weldfleet_cause",
            "weldfleet_attention",
            "weldfleet_build_info",
            "weldfleet_oldest_held_seconds",
            "weldfleet_paused",
            "weldfleet_mirror_up",
            "weldfleet_mirror_lag_rows",
            "weldfleet_mirror_kept_rows",
            "weldfleet_mirror_older_rows_missing",
        ],
    )
    .await;

    // A judge that is switched off is told too.
    fleet.set("rules.enabled", "false");
    let told = about(&fleet.worker()).await;
    assert_eq!((&told["ml"], &told["rules"]), (&json!(true), &json!(false)));
    fleet.set("rules.enabled", "true");
    fleet.set("model.enabled", "false");
    let told = about(&fleet.worker()).await;
    assert_eq!((&told["ml"], &told["rules"]), (&json!(false), &json!(true)));
    assert_eq!(told["nok_threshold"], Value::Null);
}

/// Prometheus can read it, every name is ours, and dashboards find these.
async fn metrics_are_named(process: &Process, wanted: &[&str]) {
    let (code, text) = process.get("/metrics").await;
    assert_eq!(code, 200);
    let samples: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let mut names = BTreeSet::new();
    for sample in &samples {
        let (series, value) = sample.rsplit_once(' ').expect("a name and a value");
        assert!(value.parse::<f64>().is_ok(), "{sample}");
        names.insert(series.split('{').next().unwrap_or_default());
    }
    let strange: Vec<_> = names
        .iter()
        .filter(|name| !name.starts_with("weldfleet_"))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    for name in wanted {
        let parts = [(*name).to_owned(), format!("{name}_sum")];
        assert!(
            parts.iter().any(|name| names.contains(name.as_str())),
            "no {name} in {names:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn predict_over_http_and_on_the_command_line_give_the_same_answers() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let spoiled = ["--nok-rate", "0.3", "--invalid-share", "0.1"];
    fleet.simulate("today", 100, &spoiled);
    let worker = fleet.worker();
    let records = fleet
        .clickhouse
        .execute(
            "SELECT record_id, data_date, toString(ck_local_time) AS ck_local_time, part_no, spot_name, timer_name, umax, imax, \
             u_curve, i_curve FROM spot_records ORDER BY record_id FORMAT JSONEachRow SETTINGS \
             output_format_json_quote_denormals = 0, output_format_json_quote_64bit_integers = 0",
        )
        .await;
    let file = fleet.folder().join("records.jsonl");
    fs::write(&file, &records).expect("write");
    let file = file.display().to_string();
    let printed = fleet.succeed("worker", &["predict", "--json", &file]);
    let printed: Vec<Value> = printed.lines().map(parsed).collect();
    assert_eq!(printed.len(), 100);
    let results = |answer: &Value| text(answer.as_object().expect("an object"), "final_result");
    let results: BTreeSet<String> = printed.iter().map(results).collect();
    assert_eq!(results.len(), 3, "OK, NOK and neither: {results:?}");

    let lines: Vec<&str> = records.lines().collect();
    for (record, printed) in lines.iter().zip(&printed).take(20) {
        let (code, body) = post(&worker, (*record).to_owned()).await;
        assert_eq!((code, parsed(&body)), (200, printed.clone()));
    }
    let (code, body) = post(&worker, format!("[{}]", lines.join(","))).await;
    assert_eq!(code, 200, "{body}");
    assert_eq!(parsed(&body), Value::Array(printed));

    // Between two values: half a number is no end of the file.
    let cut = lines[0].rfind(',').expect("a comma") + 1;
    for (bad, says) in [
        (
            lines[0].replace("\"umax\"", "\"vmax\""),
            "`vmax`: unknown key",
        ),
        (
            lines[0].replace("\"u_curve\":[", "\"u_curve\":[\"high\","),
            "high",
        ),
        (lines[0][..cut].to_owned(), "EOF"),
    ] {
        let (code, body) = post(&worker, bad).await;
        let error = parsed(&body)["error"]
            .as_str()
            .expect("an error")
            .to_owned();
        assert_eq!(code, 400, "{error}");
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(worker.get("/predict").await.0, 405);
    // It is judged here and now: no service is asked.
    fleet.services.stop(Service::Redis);
    let (code, _) = post(&worker, lines[0].to_owned()).await;
    assert_eq!(code, 200);
}

/// Who starts is told what the settings of Redis put at risk.
#[tokio::test]
async fn a_redis_that_may_drop_jobs_is_warned_of_at_start() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let dangerous = ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"];
    fleet.queue.command::<()>(&dangerous).await;
    for process in [fleet.scheduler(), fleet.worker()] {
        let warning = "maxmemory-policy is allkeys-lru: redis may silently drop jobs";
        process.logged(warning, MINUTES).await;
    }
}
