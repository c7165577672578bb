//! Models that are replaced, misnamed or no models of ours, and what the library behind them keeps to itself.

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use weldfleet_tests::{
    Fleet, Process, agree::text, eventually, process::without_services, repository,
};

const MINUTES: Duration = Duration::from_secs(120);
/// A part that the simulator makes, and how a person might name its folder.
const PART: &str = "TUNNEL";
const NEARLY: &str = "a-pillar-l ";

fn copy(from: &str, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for file in ["model.onnx", "inference_config.json"] {
        fs::copy(
            repository().join(from).join("global").join(file),
            to.join(file),
        )
        .expect("copy");
    }
}

// --- check and run ---------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn check_names_parts_that_nobody_asks_for_and_a_replaced_model_judges_nothing() {
    let mut fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 300, &[]);
    let models = fleet.folder().join("models");
    copy("models", &models.join("global"));
    for part in [PART, NEARLY, "NOBODY"] {
        copy("bench/models/near-free", &models.join("parts").join(part));
    }
    fleet.set("model.model_export_dir", &models.display().to_string());
    let rules = fleet.folder().join("rules-of-parts.toml");
    let usual = fs::read_to_string(repository().join("config/rules.toml")).expect("the rules");
    let of_parts = "[parts.\"A-PILLAR-R \".expulsion]\n";
    fs::write(&rules, format!("{usual}\n{of_parts}")).expect("write");
    fleet.set("rules.file", &rules.display().to_string());

    // Two that are refused together, each of which would be judged alone.
    let twice =
        "INSERT INTO spot_records SELECT * REPLACE (umax * 1.01 AS umax) FROM spot_records LIMIT 1";
    fleet.clickhouse.execute(twice).await;

    let checked = fleet.run("worker", &["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(0), "warnings only: {said}");
    assert!(said.contains("duplicate_key"), "{said}");
    let about_parts: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("parts  "))
        .collect();
    for part in [
        r#"name part_no "A-PILLAR-L", and "a-pillar-l " has a model of its own: they are judged by the global model"#,
        r#"part_no "NOBODY" has a model of its own, and no row of"#,
        r#"part_no "a-pillar-l " has a model of its own, and no row of"#,
        r#"name part_no "A-PILLAR-R", and "A-PILLAR-R " has rules of its own: they are judged by the rules of all parts"#,
        r#"part_no "A-PILLAR-R " has rules of its own, and no row of"#,
    ] {
        let line = about_parts.iter().find(|line| line.contains(part));
        let line = line.unwrap_or_else(|| panic!("`{part}` is not in\n{said}"));
        assert!(line.starts_with("warning"), "{line}");
    }
    assert_eq!(about_parts.len(), 5, "{said}");
    assert!(
        said.contains("rows  ")
            && said.contains("of parts with a model of their own: 3 rows judged"),
        "{said}"
    );
    assert!(
        said.contains("each row alone and in batches of 32 alike, within "),
        "{said}"
    );

    // A model whose rows depend on their batch, but on their tenth neighbour only.
    copy(
        "tests/tests/data/models/tenth-neighbour",
        &models.join("global"),
    );
    let checked = fleet.run("worker", &["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    let failed: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("failed"))
        .collect();
    assert!(
        failed.len() == 1 && failed[0].contains("in a batch of up to 32 rows and"),
        "{said}"
    );
    copy("models", &models.join("global"));

    // A part's model that answers no number: its rows are found whatever the latest rows are.
    let of_part = models.join("parts").join(PART);
    copy("tests/tests/data/models/no-number", &of_part);
    let checked = fleet.run("worker", &["check", "--rows", "1"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    for part in [
        "no-number answers no number for made-up welds",
        "of parts with a model of their own: 3 rows judged without writing: 0 of them",
        r#"part "TUNNEL", model no-number: model_output: diameter is NaN"#,
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
    assert!(!said.contains("most rows cannot be judged"), "{said}");
    copy("bench/models/near-free", &of_part);

    replaced(&fleet, &models).await;
}

/// Puts another model under a running worker.
async fn replaced(fleet: &Fleet, models: &Path) {
    let says = fleet.predict("spot_records").await;
    let worker = fleet.worker();
    worker.ready().await;
    let graph = models.join("parts").join(PART).join("model.onnx");
    copy(
        "bench/models/near-free-b",
        graph.parent().expect("a folder"),
    );
    worker.logged(&graph.display().to_string(), MINUTES).await;
    let (_, about) = worker.get("/").await;
    let about: Value = serde_json::from_str(&about).expect("json");
    let changed = &about["model_files_changed"];
    assert_eq!(changed[graph.display().to_string()], "replaced", "{about}");
    eventually("both files are noticed", MINUTES, async || {
        let changed = worker.metric("weldfleet_model_files_changed", &[]).await;
        (changed == 2.0).then_some(())
    })
    .await;

    let _scheduler = fleet.scheduler();
    fleet.done(MINUTES).await;
    let rows = "SELECT record_id, part_no, model_version, diameter FROM spot_records WHERE alg_status = 'ok'";
    let mut of_part = 0;
    for row in fleet.clickhouse.rows(rows).await {
        let says = &says[&text(&row, "record_id").parse().expect("an id")];
        assert_eq!(
            text(&row, "model_version"),
            says["model_version"].as_str().expect("a version")
        );
        let (stored, said): (f32, f32) = (
            text(&row, "diameter").parse().expect("a number"),
            says["diameter"].as_f64().expect("a number") as f32,
        );
        assert_eq!(stored.to_bits(), said.to_bits(), "{row:?}");
        of_part += usize::from(text(&row, "part_no") == PART);
    }
    assert!(of_part > 10, "{of_part} rows of the part");
}

#[test]
fn a_model_that_is_none_of_ours_is_refused_before_anything_is_claimed() {
    for (model, said) in [
        (
            "transposed",
            "output `regression` is f32 [4, N], but must be f32 [N, 4]",
        ),
        ("dynamic", "a dynamically quantised model does that"),
    ] {
        let folder = repository().join("tests/tests/data/models").join(model);
        for arguments in [&["run"][..], &["predict", "tests/tests/data/weld.json"]] {
            let mut command = without_services("worker");
            command
                .args(arguments)
                .env("WELDFLEET__MODEL__MODEL_EXPORT_DIR", &folder);
            let output = command.output().expect("a worker");
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
            assert!(error.contains(said), "{arguments:?}: {error}");
            assert!(
                error.contains(&format!("{model}/global/model.onnx")),
                "{error}"
            );
        }
    }
}

#[test]
fn predict_calls_the_weld_that_a_model_fails_on_an_error_and_judges_the_others() {
    let folder = tempfile::tempdir().expect("folder");
    let records = folder.path().join("records.jsonl");
    let record = |volts: f32| {
        serde_json::json!({
            "umax": volts, "imax": 9.0, "u_curve": vec![volts; 400], "i_curve": vec![9.0; 400],
        })
        .to_string()
    };
    let lines = [1.5, 3.0, 1.6].map(record).join("\n");
    fs::write(&records, lines).expect("write");
    let output = without_services("worker")
        .args(["predict", "--json", &records.display().to_string()])
        .env(
            "WELDFLEET__MODEL__MODEL_EXPORT_DIR",
            repository().join("tests/tests/data/models/fails-above-20"),
        )
        .output()
        .expect("a worker");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let answers: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("json"))
        .collect();
    let statuses: Vec<&Value> = answers.iter().map(|one| &one["alg_status"]).collect();
    assert_eq!(statuses, ["ok", "error", "ok"], "{error}");
    let why = answers[1]["alg_error"].as_str().expect("a reason");
    assert!(why.starts_with("model_failed: "), "{why}");
    assert!(
        error.contains("rows cannot be judged together"),
        "what was judged in halves is said: {error}"
    );
}

/// `parts.json`: a part whose text names no folder has a model, and an entry that leads nowhere is told at once.
#[test]
fn a_table_gives_a_part_of_any_name_its_model() {
    let folder = tempfile::tempdir().expect("folder");
    copy("models", &folder.path().join("global"));
    copy(
        "bench/models/near-free",
        &folder.path().join("parts/7H0_809"),
    );
    let table = folder.path().join("parts.json");
    let entry = |to: &str| serde_json::json!({"7H0/809": to, "B-200": to}).to_string();
    let worker = |arguments: &[&str]| {
        let mut command = without_services("worker");
        command.args(arguments);
        command.env("WELDFLEET__MODEL__MODEL_EXPORT_DIR", folder.path());
        command.output().expect("a worker")
    };
    let weld =
        fs::read_to_string(repository().join("tests/tests/data/weld.json")).expect("a record");
    let mut weld: Value = serde_json::from_str(&weld).expect("json");
    let record = folder.path().join("weld.json");
    let mut version = |part: &str| {
        weld["part_no"] = part.into();
        fs::write(&record, weld.to_string()).expect("write");
        let output = worker(&["predict", "--json", &record.display().to_string()]);
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        said["model_version"]
            .as_str()
            .expect("a version")
            .to_owned()
    };
    fs::write(&table, entry("parts/7H0_809")).expect("write");
    let (of_part, global) = (version("7H0/809"), version("7H0_809"));
    assert_eq!(version("B-200"), of_part);
    assert_ne!(
        of_part, global,
        "a folder's name is no part where there is a table"
    );
    assert_eq!(version("7H0/810"), global);

    for (to, said) in [
        ("parts/missing", "parts/missing` is no folder"),
        ("../models", "is not below model.model_export_dir"),
    ] {
        fs::write(&table, entry(to)).expect("write");
        // What cannot be reached decides the code of `check`.
        for (arguments, code) in [(&["run"][..], 2), (&["check"], 3)] {
            let output = worker(arguments);
            let told = [&output.stdout[..], &output.stderr].concat();
            let told = String::from_utf8_lossy(&told);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
            assert!(
                told.contains(said) && told.contains(r#""7H0/809""#),
                "{told}"
            );
        }
    }
}

// --- what ONNX Runtime tells others ----------------------------------------------------------------------------------

/// A command with next to nothing in its environment: ONNX Runtime keeps quiet by itself where it finds a build
/// server's variables, and whatever wants to reach another host is sent to `proxy`.
fn at_home(home: &Path, proxy: &str) -> Command {
    let mut command = without_services("worker");
    for (name, _) in env::vars_os() {
        let kept = ["PATH", "ORT_DYLIB_PATH", "LD_LIBRARY_PATH"];
        if !kept.iter().any(|kept| name == *kept) {
            command.env_remove(name);
        }
    }
    for name in [
        "http_proxy",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env(name, proxy);
    }
    command
        .env("HOME", home)
        .env("WELDFLEET__WORKER__HTTP", "127.0.0.1:0");
    command.env("WELDFLEET__WORKER__SAVE_DIR", home.with_file_name("csv"));
    command.env("WELDFLEET__MODEL__CACHE_DIR", home.with_file_name("cache"));
    command
}

fn listen() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    thread::spawn(move || {
        while listener.accept().is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url, calls)
}

/// Where the library's own connections end, other than at our services: the remote ends of a process's sockets.
fn remote_ends(process: u32) -> Vec<String> {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .expect("a living process")
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?;
            Some(link.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut ends = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.len() > 9 && sockets.iter().any(|inode| inode == fields[9]) {
                ends.push(format!("{table} {}", fields[2]));
            }
        }
    }
    ends
}

/// Loopback and no address, as the kernel writes them.
fn is_here(end: &str) -> bool {
    let (_, address) = end.split_once(' ').expect("a table and an address");
    let (address, _) = address.split_once(':').expect("an address and a port");
    [
        "0100007F",
        "00000000",
        "00000000000000000000000001000000",
        "0000000000000000FFFF00000100007F",
        "00000000000000000000000000000000",
    ]
    .contains(&address)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_at_home_and_nobody_is_called() {
    let folder = tempfile::tempdir().expect("folder");
    let home = folder.path().join("home");
    fs::create_dir(&home).expect("home");
    let (proxy, calls) = listen();
    let kept = || -> Vec<_> {
        let entries = fs::read_dir(&home).expect("home").flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let mut command = at_home(&home, &proxy);
    let predicted = command
        .args(["predict", "tests/tests/data/weld.json"])
        .output();
    let predicted = predicted.expect("a worker");
    assert!(
        predicted.status.success(),
        "{}",
        String::from_utf8_lossy(&predicted.stderr)
    );
    assert_eq!(kept(), Vec::<std::path::PathBuf>::new(), "after predict");

    // Without services it waits for them, with its models loaded. The library writes at once and calls after ten
    // seconds.
    let mut command = at_home(&home, &proxy);
    command.args(["run", "--log-format", "json"]);
    let worker = Process::start(command, folder.path());
    worker.logged("waiting for a dependency", MINUTES).await;
    let began = std::time::Instant::now();
    let what = "twelve seconds without a call";
    eventually(what, MINUTES, async || {
        let strange: Vec<_> = remote_ends(worker.id())
            .into_iter()
            .filter(|end| !is_here(end))
            .collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert_eq!(calls.load(Ordering::Relaxed), 0, "somebody is called");
        (began.elapsed() > Duration::from_secs(12)).then_some(())
    })
    .await;
    assert_eq!(kept(), Vec::<std::path::PathBuf>::new(), "after run");
}
