#!/usr/bin/env bash
# redis (Rust): a cluster connection sends a command again whose answer was lost, and reports success
#
# Seen with redis 1.8.1 (crates.io), Redis 7.0.15 (Debian), Rust 1.95, 2026-11-28. Needs `redis-server` on the PATH.
#
# Expected: an INCR whose answer is lost with its connection is an error, as the caller alone knows whether it may be
# run twice. So it is with the same crate's MultiplexedConnection and ConnectionManager.
# Seen: ClusterConnection connects anew and sends it again, by default up to 16 times, whatever the command: the server
# counts two, the caller sees one success. `retries(0)` ends that, and the following of MOVED, ASK, READONLY and
# TRYAGAIN with it, where nothing had been run: one number is for both.
#
# What to do: commands that may be run twice only (a token in each script), or `retries(0)` and redirections of one's own.
set -euo pipefail
command -v redis-server >/dev/null || {
    echo "redis-server is not installed: apt-get install redis-server"
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src data
cat >Cargo.toml <<'TOML'
[package]
name = "twice"
version = "0.0.0"
edition = "2024"
[dependencies]
redis = { version = "=1.8.1", default-features = false, features = ["tokio-comp", "connection-manager", "cluster-async"] }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::{thread, time::Duration};

use redis::{RedisResult, aio::ConnectionLike, cluster::ClusterClient, cmd};

/// The next answer to an INCR is read and not handed on; its connection is closed.
static LOSE: AtomicBool = AtomicBool::new(false);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hands on whole pieces in both directions, one after the other: who asks here waits for the answer.
fn between(mut near: TcpStream, mut far: TcpStream) {
    let mut piece = [0; 65536];
    far.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    loop {
        let asked = near.read(&mut piece).unwrap_or(0);
        if asked == 0 || far.write_all(&piece[..asked]).is_err() {
            return;
        }
        let is_incr = piece[..asked].windows(4).any(|word| word == b"INCR");
        while let Ok(answered @ 1..) = far.read(&mut piece) {
            if is_incr && LOSE.swap(false, SeqCst) {
                return;
            }
            if near.write_all(&piece[..answered]).is_err() {
                return;
            }
        }
    }
}

async fn incr(connection: &mut impl ConnectionLike, key: &str) -> RedisResult<i64> {
    cmd("INCR").arg(key).query_async(connection).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let (real, bus) = (free_port(), free_port().to_string());
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    let words = format!(
        "--bind 127.0.0.1 --port {real} --dir data --save --cluster-enabled yes --cluster-port {bus} \
         --cluster-announce-ip 127.0.0.1 --cluster-announce-port {port}"
    );
    let mut command = Command::new("redis-server");
    for word in words.split(' ') {
        command.arg(word);
        if word == "--save" {
            command.arg("");
        }
    }
    let _server = Server(command.stdout(Stdio::null()).spawn().unwrap());
    let plain = redis::Client::open(format!("redis://127.0.0.1:{real}/")).unwrap();
    let mut direct = loop {
        match plain.get_multiplexed_async_connection().await {
            Ok(connection) => break connection,
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    };
    let _: redis::Value = cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16383).query_async(&mut direct).await.unwrap();
    while !cmd("CLUSTER").arg("INFO").query_async::<String>(&mut direct).await.unwrap().contains("cluster_state:ok") {
        thread::sleep(Duration::from_millis(50));
    }
    thread::spawn(move || {
        for near in door.incoming().flatten() {
            let far = TcpStream::connect(("127.0.0.1", real)).unwrap();
            thread::spawn(move || between(near, far));
        }
    });

    let url = format!("redis://127.0.0.1:{port}/");
    let mut cluster = ClusterClient::new(vec![url.clone()]).unwrap().get_async_connection().await.unwrap();
    let mut manager = redis::Client::open(url).unwrap().get_connection_manager().await.unwrap();
    incr(&mut cluster, "cluster").await.unwrap();
    incr(&mut manager, "manager").await.unwrap();

    LOSE.store(true, SeqCst);
    let by_cluster = incr(&mut cluster, "cluster").await;
    LOSE.store(true, SeqCst);
    let by_manager = incr(&mut manager, "manager").await;
    let mut counted = Vec::new();
    for key in ["cluster", "manager"] {
        counted.push(cmd("GET").arg(key).query_async::<i64>(&mut direct).await.unwrap());
    }
    println!("two INCRs each, the answer to the second is lost");
    println!("ClusterConnection: {by_cluster:?}, the server counts {}", counted[0]);
    println!("ConnectionManager: {by_manager:?}, the server counts {}", counted[1]);
    let seen = by_cluster.is_ok() && by_manager.is_err() && counted == [3, 2];
    println!("{}", if seen { "seen: run twice without an error" } else { "the behaviour has changed" });
    if seen { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
RUST
cargo build --quiet
target/debug/twice
