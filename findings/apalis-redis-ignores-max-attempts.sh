#!/usr/bin/env bash
# apalis-redis: a task with max_attempts(1) that fails is run again, up to 25 times
#
# Seen with apalis-core 1.0.0, apalis-redis 1.0.0 (crates.io), Redis 7.0.15 (Debian), Rust 1.95, 2026-11-29. Needs
# `redis-server` and `redis-cli` on the PATH.
#
# Expected: max_attempts is how many attempts are allowed before the task counts as failed, as apalis-core documents it,
# and apalis-redis stores it with the task. With 1 a task is run once and lies among the dead ones; without a retry
# layer, too.
# Seen: the number is stored, and the script that takes a result compares with a fixed 25. The task is due again one
# second later, then after two, three and so on, 25 times in five minutes (here: the first three). What must not be
# repeated, or costs money, is done 25 times.
#
# What to do: let the handler answer AbortError, which is dead at once, when `Attempt` says that it was the last.
set -euo pipefail
for program in redis-server redis-cli; do
    command -v "$program" >/dev/null || {
        echo "$program is not installed: apt-get install redis-server redis-tools"
        exit 2
    }
done
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -KILL "$server" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "attempts"
version = "0.0.0"
edition = "2024"
[dependencies]
apalis-core = "=1.0.0"
apalis-redis = "=1.0.0"
tokio = { version = "1", features = ["rt-multi-thread", "macros", "time"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use std::{env, process::ExitCode, sync::atomic::{AtomicUsize, Ordering}, time::{Duration, Instant}};

use apalis_core::{
    backend::TaskSink,
    error::{AbortError, BoxDynError},
    task::{attempt::Attempt, builder::TaskBuilder},
    worker::builder::WorkerBuilder,
};
use apalis_redis::{Config, RedisStorage};

static FAILED: AtomicUsize = AtomicUsize::new(0);
static ABORTED: AtomicUsize = AtomicUsize::new(0);
const AGAIN: usize = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let connection = apalis_redis::connect(env::args().nth(1).unwrap()).await.unwrap();
    // the worker looks for tasks that are due once a heartbeat
    let config = Config::default().queue("welds").heartbeat_interval(Duration::from_secs(1));
    let mut storage = RedisStorage::<bool>::new(connection).with_config(config);
    for abort in [true, false] {
        storage.push_task(TaskBuilder::new(abort).max_attempts(1).build()).await.unwrap();
    }

    let began = Instant::now();
    let worker = WorkerBuilder::new("worker").backend(storage).build(move |abort: bool, attempt: Attempt| async move {
        let runs = if abort { &ABORTED } else { &FAILED };
        let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
        let how = if abort { "AbortError" } else { "an error" };
        println!("  after {:4.1} s run {run}, attempt {}, answers {how}", began.elapsed().as_secs_f64(), attempt.current());
        let error: BoxDynError = if abort { AbortError::new("no").into() } else { "no".into() };
        Err::<(), _>(error)
    });
    tokio::spawn(worker.run());

    while FAILED.load(Ordering::SeqCst) < AGAIN && began.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (failed, aborted) = (FAILED.load(Ordering::SeqCst), ABORTED.load(Ordering::SeqCst));
    println!("with max_attempts(1): {failed} runs that failed, {aborted} that aborted");
    if (failed, aborted) == (AGAIN, 1) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
RUST
cargo build --quiet

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --bind 127.0.0.1 --port "$port" --dir "$folder" --save "" >/dev/null &
server=$!
disown "$server"
until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
target/debug/attempts "redis://127.0.0.1:$port" || { echo "the finding is out of date"; exit 1; }
stored=$(for key in $(redis-cli -p "$port" --scan --pattern 'welds:meta:*'); do redis-cli -p "$port" hget "$key" max_attempts; done | xargs)
echo "max_attempts of the two tasks in Redis: $stored"
[[ $stored == "1 1" ]] || { echo "it is not stored"; exit 1; }
echo "seen: three runs of a task that was allowed one"
