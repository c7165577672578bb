//! The console over a large fleet: a thousand workers, a hundred thousand jobs.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Hands, SOON};
use reqwest::Client;
use tokio::sync::watch;
use weldfleet_queue::{NewJob, Queue, WorkerId};
use weldfleet_testkit::{browser_python, repository};
use weldfleet_tests::{Fleet, eventually};

const WORKERS: u32 = 1000;
const JOBS: u32 = 100_000;
/// Of 95 in 100 looks at a list. The slowest of 20 took 26 ms on a machine that had three things to do at once.
const SLOWEST: Duration = Duration::from_millis(200);
const LISTED: usize = 40;
/// How long the browser looks on.
const SECONDS: &str = "60";

fn told(number: u32, beat: u32) -> BTreeMap<String, String> {
    let fields = [
        ("host", format!("gpu-{:03}", number / 8)),
        ("device", "cuda".to_owned()),
        ("model_version", "resnet-3".to_owned()),
        ("rows_per_second", (beat % 1000).to_string()),
        ("stages", "read 0.1, infer 0.8, write 0.1".to_owned()),
        ("save_dir_free_bytes", "500000000000".to_owned()),
        (
            "address",
            format!("10.0.{}.{}:9101", number / 250, number % 250),
        ),
    ];
    fields.map(|(name, text)| (name.to_owned(), text)).into()
}

/// Every worker tells of itself again and again until it is stopped.
async fn beat(queue: Queue, stop: Arc<AtomicBool>) {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        for number in 0..WORKERS {
            let id = WorkerId::from_text(format!("w-{number:04}"));
            queue.register(&id, &told(number, count)).await.unwrap();
        }
        count += 1;
    }
}

/// Ticks of the kernel that a process has used, each 10 ms.
fn cpu_ms(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |place: usize| fields[place].parse::<u64>().unwrap();
    (ticks(11) + ticks(12)) * 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_workers_and_a_hundred_thousand_jobs_are_shown_at_once() {
    let fleet = Fleet::with(&[("scheduler.poll_interval", "10s")]).await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let hands = Hands::new(&fleet, Duration::from_secs(2)).await;
    let jobs: Vec<NewJob> = (0..JOBS)
        .map(|number| NewJob {
            delay: Duration::from_secs(86_400),
            weight: 1000,
            ..NewJob::new(format!("20261129-{number:06}"))
        })
        .collect();
    for some in jobs.chunks(1000) {
        hands.queue.enqueue(some).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let beating = tokio::spawn(beat(hands.queue.clone(), stop.clone()));

    let base = scheduler.http().await;
    let client = Client::new();
    let get = async |page: &str| {
        let answer = client.get(format!("{base}{page}")).send().await.unwrap();
        answer.text().await.unwrap()
    };
    eventually("all workers are listed", SOON, async || {
        let html = get("/ui/workers").await;
        (html.matches("<tr><td>w-").count() == 200 && html.contains("1–200 / 1,000")).then_some(())
    })
    .await;
    assert!(get("/ui/jobs").await.contains("100,000 delayed"));

    let csv = get("/ui/workers.csv").await;
    assert_eq!(csv.lines().count(), 1 + WORKERS as usize);
    let last = get("/ui/workers?page=4").await;
    assert!(
        last.contains("801–1000 / 1,000") && !last.contains("rel=\"next\""),
        "{last}"
    );
    for page in ["/ui", "/ui/workers", "/ui/jobs", "/ui/workers.csv"] {
        let mut took = Vec::new();
        for _ in 0..LISTED {
            let begun = Instant::now();
            get(page).await;
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        let (median, p95) = (took[LISTED / 2], took[LISTED * 95 / 100 - 1]);
        println!("{page}: median {median:?}, 95 of 100 within {p95:?}");
        assert!(p95 < SLOWEST, "{page}: {took:?}");
    }

    let mut browser = browser_python();
    browser
        .arg(repository().join("tests/browser/updates.py"))
        .args([base.as_str(), SECONDS]);
    let status = tokio::task::spawn_blocking(move || browser.status());
    assert!(
        status.await.unwrap().unwrap().success(),
        "it says why above"
    );

    // What a tab costs that asks every two seconds.
    const LOOKS: u64 = 500;
    let before = cpu_ms(scheduler.id());
    let begun = Instant::now();
    for _ in 0..LOOKS {
        get("/ui").await;
    }
    let (cpu, wall) = (cpu_ms(scheduler.id()) - before, begun.elapsed());
    // Fifty tabs look 25 times a second: less than 1 % of two cores.
    assert!(cpu * 50 / 2 < LOOKS * 20, "{cpu} ms for {LOOKS} looks");
    println!("{LOOKS} looks at /ui: {cpu} ms of CPU in {wall:?}, the second's own upkeep included");

    stop.store(true, Ordering::Relaxed);
    beating.await.unwrap();
}

/// Tabs that are open, and how often each asks.
const TABS: usize = 50;
const EVERY: Duration = Duration::from_secs(2);
/// Each stretch of time is measured so often, without the tabs and with them in turn.
const ROUNDS: usize = 3;
const STRETCH: Duration = Duration::from_secs(5);

/// Whoever has a page open that puts its content in again as soon as there is news; each sits at another place.
async fn tab(base: String, place: usize, mut open: watch::Receiver<usize>) {
    let page = ["/ui", "/ui/backfills", "/ui/workers", "/ui/jobs"][place % 4];
    let sits = Ipv4Addr::new(127, 0, 1, 1 + u8::try_from(place).unwrap());
    let client = Client::builder().local_address(IpAddr::from(sits)).build();
    let client = client.unwrap();
    let get = async |page: &str| {
        let answer = client.get(format!("{base}{page}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{page}");
        answer
    };
    while open.wait_for(|tabs| place < *tabs).await.is_ok() {
        // They were not all opened at the same moment.
        tokio::time::sleep(EVERY * place as u32 / TABS as u32).await;
        let mut news = get("/ui/changes").await;
        while place < *open.borrow() && news.chunk().await.unwrap().is_some() {
            get(page).await.text().await.unwrap();
        }
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The same of all processes whose command line names this folder: the services.
fn cpu_of_services_ms(folder: &Path) -> u64 {
    let folder = folder.to_str().unwrap().as_bytes();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(folder.len()).any(|part| part == folder)
    })
    .map(cpu_ms)
    .sum()
}

/// How many rows a second a machine judges beside others changes by more than a hundredth from one moment to the next;
/// what CPU the fleet spends on a row changes less, and what the scheduler spends hardly. So that is bounded, and the
/// others are told.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_open_tabs_cost_less_than_a_hundredth() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (first, last) = (common::day_before(5), common::day_before(3));
    for days in 3..=5 {
        fleet.simulate(&common::day_before(days), 70_000, &[]);
    }
    let (scheduler, worker) = (fleet.scheduler(), fleet.worker());
    worker.ready().await;
    scheduler.ready().await;
    let rows = async || worker.metric("weldfleet_rows_total", &[]).await;
    let services = fleet.services.directory();
    let cpu_of_fleet =
        || cpu_ms(scheduler.id()) + cpu_ms(worker.id()) + cpu_of_services_ms(services);

    let (open, seen) = watch::channel(0);
    let base = scheduler.http().await;
    let tabs: Vec<_> = (0..TABS)
        .map(|place| tokio::spawn(tab(base.clone(), place, seen.clone())))
        .collect();
    // What the first of them asks for it shares with all others, and with who asks for metrics. That and what the
    // others cost is seen best while nothing else happens, by the quietest stretch of each kind.
    let mut at_rest = BTreeMap::from([0, 1, TABS].map(|tabs| (tabs, f64::INFINITY)));
    for _ in 0..ROUNDS {
        for (tabs, least) in &mut at_rest {
            open.send_replace(*tabs);
            tokio::time::sleep(EVERY).await;
            let (began, before) = (Instant::now(), cpu_of_fleet());
            tokio::time::sleep(STRETCH).await;
            let used = (cpu_of_fleet() - before) as f64 / began.elapsed().as_secs_f64();
            *least = least.min(used);
        }
    }
    let (none, one, fifty) = (at_rest[&0], at_rest[&1], at_rest[&TABS]);
    println!(
        "CPU of the fleet at rest: {none:.0} ms a second, with one tab {one:.0}, with {TABS} {fifty:.0}"
    );
    let [mut pace, mut of_row, mut of_scheduler, mut of_all] =
        [const { [const { Vec::new() }; 2] }; 4];
    for round in 0..ROUNDS {
        // One backfill at a time, of more than there is time for.
        let run = [
            "backfill", "--from", &first, "--to", &last, "--force", "--json",
        ];
        let asked: serde_json::Value =
            serde_json::from_str(&fleet.succeed("scheduler", &run)).unwrap();
        let before = rows().await;
        eventually("it is under way", SOON, async || {
            (rows().await > before + 1000.0).then_some(())
        })
        .await;
        for opened in [round % 2 == 0, round % 2 != 0] {
            open.send_replace(if opened { TABS } else { 0 });
            tokio::time::sleep(EVERY).await;
            let (began, before) = (Instant::now(), rows().await);
            let (all, own) = (cpu_of_fleet(), cpu_ms(scheduler.id()));
            tokio::time::sleep(STRETCH).await;
            let (seconds, judged) = (began.elapsed().as_secs_f64(), rows().await - before);
            let place = usize::from(opened);
            pace[place].push(judged / seconds);
            of_row[place].push((cpu_of_fleet() - all) as f64 * 1000.0 / judged);
            of_scheduler[place].push((cpu_ms(scheduler.id()) - own) as f64 / seconds);
            of_all[place].push((cpu_of_fleet() - all) as f64 / seconds);
        }
        let left = fleet.queue.count("pending").await;
        assert!(left > 0, "there was not enough to judge");
        fleet.succeed(
            "scheduler",
            &["backfill", "cancel", &asked["run"].to_string()],
        );
    }
    assert!(
        tabs.iter().all(|tab| !tab.is_finished()),
        "a tab was refused"
    );
    let [[without, with], [cheap, dear], [idle, busy], [working, _]] =
        [pace, of_row, of_scheduler, of_all].map(|both| both.map(median));
    let more = |with: f64, without: f64| 100.0 * (with / without - 1.0);
    println!(
        "{TABS} tabs: {with:.0} rows/s, without {without:.0} ({:+.1} %); CPU of the fleet {dear:.0} us a row, without {cheap:.0} ({:+.1} %); \
         of the scheduler {busy:.1} ms a second, without {idle:.1}; of the fleet without {working:.0}",
        more(with, without),
        more(dear, cheap),
    );
    // A hundredth of two cores, and of one for the noise of a busy machine.
    assert!(
        busy - idle < 30.0,
        "{busy} ms a second, without the tabs {idle}"
    );
    // What the first tab asks for, ClickHouse's share included; a look costs more where nothing else keeps it warm.
    assert!(
        one - none < 60.0,
        "{one} ms a second at rest with a tab, without {none}"
    );
    assert!(
        fifty - one < 50.0,
        "{fifty} ms a second at rest, with one tab {one}"
    );
}
