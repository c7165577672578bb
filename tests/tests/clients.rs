//! HTTP clients that ask for much, hang up or fall silent: the fleet goes on.

use std::{
    fs,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};
use weldfleet_tests::{Fleet, Process, eventually, repository};

const MINUTES: Duration = Duration::from_secs(240);

/// A list of welds of about 1.8 MB.
fn much() -> Arc<String> {
    let weld = fs::read_to_string(repository().join("tests/tests/data/weld.json")).expect("a weld");
    let welds = vec![weld.trim(); 1_800_000 / weld.len()];
    Arc::new(format!("[{}]", welds.join(",")))
}

async fn address(process: &Process) -> String {
    let url = process.http().await;
    url.trim_start_matches("http://").to_owned()
}

/// From now until rows that come now are judged.
async fn live(fleet: &Fleet) -> Duration {
    fleet.simulate("today", 500, &[]);
    let began = Instant::now();
    fleet.judged(MINUTES).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn live_rows_do_not_wait_for_whoever_asks_about_records() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (_scheduler, worker) = (fleet.scheduler(), fleet.worker());
    live(&fleet).await;
    let alone = live(&fleet).await;

    // Sixty clients send 1.8 MB each and hang up.
    let (body, address) = (much(), address(&worker).await);
    let mut clients = JoinSet::new();
    for _ in 0..60 {
        let (body, address) = (body.clone(), address.clone());
        clients.spawn(async move {
            let mut stream = TcpStream::connect(&address).await?;
            let head = format!(
                "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        });
    }
    // One that waits is told to come again, in words.
    let beside = {
        let (url, body) = (format!("http://{address}/predict"), body.clone());
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            loop {
                // More at once than are let in.
                let requests: JoinSet<_> = (0..8)
                    .map(|_| client.post(&url).body(body.to_string()).send())
                    .collect();
                for answer in requests.join_all().await.into_iter().flatten() {
                    if answer.status() == 429 {
                        let again = answer.headers().get("retry-after").cloned();
                        return (again, answer.text().await.unwrap_or_default());
                    }
                }
            }
        })
    };
    let crowded = live(&fleet).await;
    assert!(
        crowded < alone * 5,
        "{crowded:?} beside clients, {alone:?} without"
    );
    while clients.join_next().await.is_some() {}
    beside.abort();
    if let Ok((again, body)) = beside.await {
        assert_eq!(again.expect("Retry-After"), "1");
        let body: serde_json::Value = serde_json::from_str(&body).expect("json");
        let error = body["error"].as_str().expect("an error");
        assert!(error.contains("worker.predict_at_once"), "{error}");
    } else {
        panic!("nobody was told to come again");
    }
    assert_eq!(fleet.queue.count("dead").await, 0);
}

/// The command with so few file descriptors.
fn with_descriptors(command: &Command, most: u32) -> Command {
    let mut limited = Command::new("bash");
    limited
        .args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_cost_no_range_and_no_end() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let run = ["run", "--log-format", "json"];
    let mut scheduler = Process::start(
        with_descriptors(&fleet.command("scheduler", &run), 100),
        fleet.folder(),
    );
    let mut worker = Process::start(
        with_descriptors(&fleet.command("worker", &run), 100),
        fleet.folder(),
    );
    let mut silent = Vec::new();
    for process in [&scheduler, &worker] {
        let address = address(process).await;
        for number in 0..70 {
            let mut stream = TcpStream::connect(&address).await.expect("connect");
            let part = if number % 2 == 0 {
                "GET / HTTP/1.1\r\nHost: "
            } else {
                "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"umax\":"
            };
            // One that was shed for a newcomer may be closed by now.
            let _ = stream.write_all(part.as_bytes()).await;
            silent.push(stream);
        }
    }
    fleet.simulate("today", 3000, &[]);
    fleet.done(MINUTES).await;
    assert_eq!(fleet.queue.count("dead").await, 0);
    for process in [&scheduler, &worker] {
        // Bodies that do not come hold their places for some seconds, and they may hold all of them.
        let url = format!("{}/readyz", process.http().await);
        eventually("ready, and says so", MINUTES, async || {
            let answer = reqwest::get(&url).await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }
    // Each of the signals that end a program in order; SIGTERM is tried where ranges are in flight.
    scheduler.signal(Signal::SIGINT);
    worker.signal(Signal::SIGHUP);
    for process in [&mut scheduler, &mut worker] {
        let status = process.ended(Duration::from_secs(15)).await;
        assert!(status.success(), "{status}");
    }
    drop(silent);
}
