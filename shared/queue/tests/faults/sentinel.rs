//! One primary, two replicas, three sentinels; the primary dies under load, after its replicas were cut off for a
//! while.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
};

use crate::{
    replication::{self, ask, cut, in_sync, info, repair},
    server::{self, RedisServer, eventually},
    size,
    trial::{Plan, Trial},
    verdict::{Memory, judge},
};

const MASTER: &str = "main";

#[tokio::test]
async fn sentinel_replaces_the_primary() {
    failovers(600, 3, 30, 1).await;
}

#[tokio::test]
#[ignore = "minutes: fault profile"]
async fn sentinel_replaces_primary_after_primary() {
    failovers(
        size("JOBS", 20_000),
        size("MEMBERS", 8),
        50,
        size("FAILOVERS", 10),
    )
    .await;
}

async fn failovers(jobs: usize, members: usize, ms: u64, count: usize) {
    let mut group = Group::start().await;
    // One attempt is all a job has: an outage that spent it would leave the job dead.
    let plan = Plan {
        jobs,
        members,
        ms,
        max_attempts: 1,
    };
    let mut trial = Trial::start(&group.url(), &plan).await;
    let mut forgotten = 0;
    for n in 1..=count {
        trial.until(jobs * n / (count + 1)).await;
        forgotten += group.replace_primary(&mut trial).await;
    }
    trial.finish().await;
    let verdict = judge(&trial, Memory::Torn).await;
    trial.assert_no_death().await;
    assert!(forgotten > 0, "the heirs had everything: nothing was shown");
    println!(
        "sentinel: {count} primaries replaced under {members} members in {:.0} s, {forgotten} acks forgotten by the heirs: {verdict}, no attempt spent",
        trial.started.elapsed().as_secs_f64()
    );
}

struct Group {
    servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

impl Group {
    async fn start() -> Self {
        let common = [
            "--appendonly",
            "yes",
            // else a replica may wait ten seconds for its turn
            "--repl-diskless-sync-delay",
            "0",
        ];
        let mut servers = vec![RedisServer::start_with(&common)];
        let primary = servers[0].port.to_string();
        for _ in 0..2 {
            let follows = [&common[..], &["--replicaof", "127.0.0.1", &primary]].concat();
            servers.push(RedisServer::start_with(&follows));
        }
        in_sync(servers[0].port, 2).await;
        let sentinels = (0..3).map(|_| Sentinel::start(servers[0].port)).collect();
        let group = Self { servers, sentinels };
        group.all_known().await;
        group
    }

    fn url(&self) -> String {
        let hosts: Vec<String> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port))
            .collect();
        format!("redis+sentinel://{}/{MASTER}/0", hosts.join(","))
    }

    /// Every sentinel knows the other two and both replicas, and thinks well of them.
    async fn all_known(&self) {
        let healthy = format!("name={MASTER},status=ok,");
        for sentinel in &self.sentinels {
            eventually("the sentinels to know each other", || async {
                let line = info(sentinel.port, "sentinel", "master0").await?;
                let all = line.contains(&healthy) && line.ends_with(",slaves=2,sentinels=3");
                all.then_some(())
            })
            .await;
        }
    }

    async fn primary(&self) -> u16 {
        let words = ["SENTINEL", "get-master-addr-by-name", MASTER];
        let (_, port): (String, u16) = ask(self.sentinels[0].port, &words).await.unwrap();
        port
    }

    /// Cuts the replicas off, lets the fleet work on, kills the primary. Returns how many acks the heir does not know.
    async fn replace_primary(&mut self, trial: &mut Trial) -> u64 {
        let old = self.primary().await;
        in_sync(old, 2).await;
        self.all_known().await;
        let place = self
            .servers
            .iter()
            .position(|server| server.port == old)
            .unwrap();
        let all: Vec<u16> = self.servers.iter().map(|server| server.port).collect();
        let others: Vec<u16> = all.iter().copied().filter(|port| *port != old).collect();
        cut(old, &others).await;
        trial.work_on(20).await;
        let known_before = done(trial).await.unwrap();
        self.servers[place].kill();
        eventually("sentinel to name another primary", || async {
            (self.primary().await != old).then_some(())
        })
        .await;
        let known_after = eventually("the new primary", || done(trial)).await;
        repair(&others).await;
        // sentinel would tell it after ten seconds
        let heir = self.primary().await;
        self.servers[place].start_again();
        replication::done(old, &["REPLICAOF", "127.0.0.1", &heir.to_string()]).await;
        in_sync(heir, 2).await;
        known_before.saturating_sub(known_after)
    }
}

/// Acks that the primary of the moment has counted.
async fn done(trial: &Trial) -> Option<u64> {
    let stats = trial.queue.stats().await.ok()?;
    Some(stats.totals.get("done").copied().unwrap_or(0))
}

struct Sentinel {
    port: u16,
    child: Child,
    _config: tempfile::TempDir,
}

impl Sentinel {
    fn start(primary: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sentinel.conf");
        let port = server::free_port();
        let mut config = std::fs::File::create(&path).unwrap();
        writeln!(
            config,
            "bind 127.0.0.1\nport {port}\ndir {}",
            dir.path().display()
        )
        .unwrap();
        writeln!(config, "sentinel monitor {MASTER} 127.0.0.1 {primary} 2").unwrap();
        // Sentinel connects once a second: with less, it may take a primary for down that it has just made one.
        writeln!(config, "sentinel down-after-milliseconds {MASTER} 2500").unwrap();
        writeln!(config, "sentinel failover-timeout {MASTER} 3000").unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", &server::program()])
            .arg(path)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            port,
            child,
            _config: dir,
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
