#!/usr/bin/env bash
# redis (Rust): an async cluster connection never leaves a primary that hangs, long after its replica took over
#
# Seen with redis 1.8.1 (crates.io), Redis 7.0.15 (Debian), Rust 1.95, 2026-11-28. Needs `redis-server` and `redis-cli`
# on the PATH.
#
# Expected: a request that times out makes the client ask the other nodes who serves the slot now, as a broken
# connection does. The cluster has replaced a hung primary within seconds.
# Seen: every request times out for as long as the primary hangs (30 s here), whether `overall_response_timeout` leaves
# room for more tries or not. A connection made anew from the same client works at once. A hung process, a host without
# power and a cut network all look like this: nobody closes the connection.
#
# What to do: after a timeout make the connection anew, or set `TcpSettings::set_user_timeout` for lost hosts (it does
# not help against a hung process, whose kernel still acknowledges).
set -euo pipefail
for program in redis-server redis-cli; do
    command -v "$program" >/dev/null || {
        echo "$program is not installed: apt-get install redis-server redis-tools"
        exit 2
    }
done
folder=$(mktemp -d)
servers=()
finish() {
    for server in "${servers[@]}"; do kill -KILL "$server" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "hung"
version = "0.0.0"
edition = "2024"
[dependencies]
redis = { version = "=1.8.1", default-features = false, features = ["tokio-comp", "cluster-async"] }
tokio = { version = "1", features = ["rt-multi-thread", "macros", "time"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use std::{env, process::{Command, ExitCode}, time::{Duration, Instant}};

use redis::{RedisResult, cluster::{ClusterClient, ClusterClientBuilder}, cluster_async::ClusterConnection, cmd};

const SECOND: Duration = Duration::from_secs(1);

async fn incr(connection: &mut ClusterConnection) -> RedisResult<i64> {
    // in the slots of the first node
    cmd("INCR").arg("bar").query_async(connection).await
}

async fn by_a_new_connection(client: &ClusterClient) -> RedisResult<i64> {
    incr(&mut client.get_async_connection().await?).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let builder = || ClusterClientBuilder::new(words[1..].to_vec()).connection_timeout(SECOND).response_timeout(SECOND);
    let usual = builder().build().unwrap();
    let patient = builder().overall_response_timeout(Some(5 * SECOND)).build().unwrap();
    let mut connections = [usual.get_async_connection().await.unwrap(), patient.get_async_connection().await.unwrap()];
    for connection in &mut connections {
        incr(connection).await.unwrap();
    }

    Command::new("kill").args(["-STOP", &words[0]]).status().unwrap();
    let began = Instant::now();
    while by_a_new_connection(&usual).await.is_err() {
        assert!(began.elapsed() < 60 * SECOND, "no replica took over");
        tokio::time::sleep(SECOND / 10).await;
    }
    println!("the first node hangs; a new connection writes after {:.1} s", began.elapsed().as_secs_f64());

    let mut never = true;
    for (name, connection) in ["usual", "with 5 s for all tries"].iter().zip(&mut connections) {
        let (began, mut tries, mut worked) = (Instant::now(), 0, 0);
        let mut last = String::new();
        while began.elapsed() < 30 * SECOND {
            tries += 1;
            match incr(connection).await {
                Ok(_) => worked += 1,
                Err(error) => last = error.to_string(),
            }
        }
        println!("the connection from before, {name}: {worked} of {tries} requests in 30 s worked, last error: {last}");
        never &= worked == 0;
    }
    let anew = by_a_new_connection(&usual).await;
    println!("a new connection of the same client: {anew:?}");
    let seen = never && anew.is_ok();
    println!("{}", if seen { "seen: it does not leave the hung primary" } else { "the behaviour has changed" });
    if seen { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
RUST
cargo build --quiet

base=$((20000 + RANDOM % 9000))
nodes=()
for place in 1 2 3 4; do
    port=$((base + place))
    mkdir "$folder/$port"
    redis-server --bind 127.0.0.1 --port "$port" --dir "$folder/$port" --save "" --cluster-enabled yes \
        --cluster-node-timeout 1000 --cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0 >/dev/null &
    servers+=("$!")
    disown
    nodes+=("127.0.0.1:$port")
    until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
done
redis-cli --cluster create "${nodes[@]:0:3}" --cluster-yes >/dev/null
first=$(redis-cli -p $((base + 1)) cluster myid)
until redis-cli --cluster add-node "${nodes[3]}" "${nodes[0]}" --cluster-slave --cluster-master-id "$first" >/dev/null; do
    sleep 0.5
done
until redis-cli -p $((base + 1)) info replication | grep -q state=online; do sleep 0.1; done
until redis-cli -p $((base + 4)) cluster info | grep -q cluster_state:ok; do sleep 0.1; done
sleep 2
target/debug/hung "${servers[0]}" "${nodes[@]/#/redis://}"
