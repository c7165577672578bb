//! Three primaries with a replica each. The primary of the queue's slot dies under load and its replica takes over; the
//! slot moves to another primary under load.

use std::time::Duration;

use redis::{RedisResult, Value};
use weldfleet_queue::State;

use crate::{
    dump,
    member::TTL_MS,
    replication::{ask, cut, in_sync, repair},
    server::{self, RedisServer, eventually},
    size,
    trial::{Plan, Trial},
    verdict::{Memory, judge},
};

const PRIMARIES: usize = 3;
const SLOTS: usize = 16384;

#[tokio::test]
async fn a_replica_takes_over_the_queues_slot() {
    takeovers(600, 3, 30, 1).await;
}

#[tokio::test]
#[ignore = "minutes: fault profile"]
async fn replica_after_replica_takes_over() {
    takeovers(
        size("JOBS", 20_000),
        size("MEMBERS", 8),
        50,
        size("FAILOVERS", 10),
    )
    .await;
}

#[tokio::test]
async fn the_queues_slot_moves() {
    moves(600, 3, 30, 2).await;
}

#[tokio::test]
#[ignore = "minutes: fault profile"]
async fn the_queues_slot_moves_again_and_again() {
    moves(
        size("JOBS", 20_000),
        size("MEMBERS", 8),
        50,
        size("MOVES", 20),
    )
    .await;
}

/// One attempt is all a job has: an outage that spent it would leave the job dead.
fn plan(jobs: usize, members: usize, ms: u64) -> Plan {
    Plan {
        jobs,
        members,
        ms,
        max_attempts: 1,
    }
}

async fn takeovers(jobs: usize, members: usize, ms: u64, count: usize) {
    let mut cluster = Cluster::start().await;
    let mut trial = Trial::start(&cluster.url(), &plan(jobs, members, ms)).await;
    let mut forgotten = 0;
    for n in 1..=count {
        trial.until(jobs * n / (count + 1)).await;
        forgotten += cluster.replace_primary(&mut trial).await;
    }
    trial.finish().await;
    let verdict = judge(&trial, Memory::Torn).await;
    trial.assert_no_death().await;
    assert!(forgotten > 0, "the heirs had everything: nothing was shown");
    println!(
        "cluster: {count} primaries replaced under {members} members in {:.0} s, {forgotten} acks forgotten by the heirs: {verdict}, no attempt spent",
        trial.started.elapsed().as_secs_f64()
    );
}

async fn moves(jobs: usize, members: usize, ms: u64, count: usize) {
    let cluster = Cluster::start().await;
    let mut trial = Trial::start(&cluster.url(), &plan(jobs, members, ms)).await;
    let mut keys = 0;
    for n in 1..=count {
        trial.until(jobs * n / (count + 1)).await;
        keys += cluster.move_slot(&trial).await;
        dump::assert_sound(&trial.queue).await;
    }
    trial.finish().await;
    let verdict = judge(&trial, Memory::Whole).await;
    trial.assert_no_death().await;
    println!(
        "cluster: the slot moved {count} times with {keys} keys under {members} members in {:.0} s: {verdict}, 0 acked twice, no attempt spent",
        trial.started.elapsed().as_secs_f64()
    );
}

/// The first three own the slots, the others follow them in the same order.
struct Cluster {
    servers: Vec<RedisServer>,
}

impl Cluster {
    async fn start() -> Self {
        let mut bus_ports = Vec::new();
        let servers: Vec<RedisServer> = (0..2 * PRIMARIES)
            .map(|_| {
                let bus_port = server::free_port().to_string();
                let server = RedisServer::start_with(&[
                    "--appendonly",
                    "yes",
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus_port,
                    "--cluster-node-timeout",
                    "1000",
                    // a replica that was cut off for a while may take over all the same
                    "--cluster-replica-validity-factor",
                    "0",
                    "--repl-diskless-sync-delay",
                    "0",
                ]);
                bus_ports.push(bus_port);
                server
            })
            .collect();
        for (place, server) in servers.iter().enumerate().take(PRIMARIES) {
            let first = (SLOTS * place / PRIMARIES).to_string();
            let last = (SLOTS * (place + 1) / PRIMARIES - 1).to_string();
            ok(server.port, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await;
        }
        for (server, bus_port) in servers.iter().zip(&bus_ports).skip(1) {
            let port = server.port.to_string();
            ok(
                servers[0].port,
                &["CLUSTER", "MEET", "127.0.0.1", &port, bus_port],
            )
            .await;
        }
        let cluster = Self { servers };
        for server in &cluster.servers {
            cluster.knows_everybody(server.port).await;
        }
        for place in 0..PRIMARIES {
            let primary = id(cluster.servers[place].port).await;
            let replica = cluster.servers[place + PRIMARIES].port;
            ok(replica, &["CLUSTER", "REPLICATE", &primary]).await;
        }
        for place in 0..PRIMARIES {
            in_sync(cluster.servers[place].port, 1).await;
        }
        cluster.healthy().await;
        cluster
    }

    async fn knows_everybody(&self, port: u16) {
        eventually("the nodes to know each other", || async {
            let nodes = nodes(port).await?;
            let known = nodes.len() == self.servers.len()
                && nodes.iter().all(|node| !node.flags.contains("handshake"));
            known.then_some(())
        })
        .await;
    }

    /// Every node thinks that the cluster is well.
    async fn healthy(&self) {
        for server in &self.servers {
            eventually("the cluster to be well", || async {
                let info: String = ask(server.port, &["CLUSTER", "INFO"]).await.ok()?;
                info.contains("cluster_state:ok").then_some(())
            })
            .await;
        }
    }

    fn url(&self) -> String {
        let hosts: Vec<String> = self
            .servers
            .iter()
            .map(|server| format!("127.0.0.1:{}", server.port))
            .collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Place of the primary that serves `slot`, as all the living see it.
    async fn primary_of(&self, slot: u16) -> Option<usize> {
        let mut agreed = None;
        for server in &self.servers {
            let Some(nodes) = nodes(server.port).await else {
                continue;
            };
            let owner = nodes.iter().find(|node| node.serves(slot))?;
            if *agreed.get_or_insert(owner.port) != owner.port {
                return None;
            }
        }
        self.servers
            .iter()
            .position(|server| Some(server.port) == agreed)
    }

    /// Cuts its replica off, lets the fleet work on, kills the primary of the queue's slot. Returns how many acks the
    /// heir does not know.
    async fn replace_primary(&mut self, trial: &mut Trial) -> u64 {
        let slot = slot_of(trial, self.servers[0].port).await;
        let old = eventually("a primary", || self.primary_of(slot)).await;
        in_sync(self.servers[old].port, 1).await;
        let primary_id = id(self.servers[old].port).await;
        let seen = nodes(self.servers[old].port).await.unwrap();
        let replica = seen
            .iter()
            .find(|node| node.follows == primary_id)
            .unwrap()
            .port;
        cut(self.servers[old].port, &[replica]).await;
        trial.work_on(20).await;
        let known_before = done(trial).await.unwrap();
        self.servers[old].kill();
        eventually("the replica to take over", || async {
            let now = self.primary_of(slot).await?;
            (self.servers[now].port == replica).then_some(())
        })
        .await;
        let known_after = eventually("the new primary", || done(trial)).await;
        repair(&[replica]).await;
        self.servers[old].start_again();
        in_sync(replica, 1).await;
        self.healthy().await;
        known_before.saturating_sub(known_after)
    }

    /// Moves the queue's slot to another primary, key by key, while the fleet asks for it. Returns how many keys moved.
    async fn move_slot(&self, trial: &Trial) -> usize {
        let slot = slot_of(trial, self.servers[0].port).await;
        let from = eventually("a primary", || self.primary_of(slot)).await;
        let primaries: Vec<usize> = self.primaries().await;
        let position = primaries.iter().position(|place| *place == from).unwrap();
        let to = primaries[(position + 1) % primaries.len()];
        let (source, target) = (self.servers[from].port, self.servers[to].port);
        let (source_id, target_id) = (id(source).await, id(target).await);
        let slot = slot.to_string();
        ok(
            target,
            &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id],
        )
        .await;
        ok(
            source,
            &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id],
        )
        .await;
        let pending = trial.queue.keys().state(State::Pending);
        let mut moved = 0;
        loop {
            let keys: Vec<String> = ask(source, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"])
                .await
                .unwrap();
            // The key that routes every script goes last: until then scripts still come here, and find the rest gone.
            let others = keys.iter().filter(|key| **key != pending);
            let batch: Vec<&str> = others.map(String::as_str).collect();
            if batch.is_empty() {
                break;
            }
            migrate(source, target, &batch).await;
            moved += batch.len();
        }
        // a move that takes longer than a lease
        tokio::time::sleep(Duration::from_millis(TTL_MS)).await;
        migrate(source, target, &[&pending]).await;
        for port in [target, source] {
            ok(port, &["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]).await;
        }
        let number = slot.parse().unwrap();
        eventually("the cluster to agree on the slot", || async {
            (self.primary_of(number).await? == to).then_some(())
        })
        .await;
        moved + 1
    }

    async fn primaries(&self) -> Vec<usize> {
        let nodes = nodes(self.servers[0].port).await.unwrap();
        let is_primary = |port: u16| {
            nodes
                .iter()
                .any(|node| node.port == port && node.flags.contains("master"))
        };
        (0..self.servers.len())
            .filter(|place| is_primary(self.servers[*place].port))
            .collect()
    }
}

async fn slot_of(trial: &Trial, port: u16) -> u16 {
    let key = trial.queue.keys().state(State::Pending);
    ask(port, &["CLUSTER", "KEYSLOT", &key]).await.unwrap()
}

async fn migrate(source: u16, target: u16, keys: &[&str]) {
    let port = target.to_string();
    let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    words.extend(keys);
    // NOKEY: what expired or was never there need not move
    let answer: RedisResult<Value> = ask(source, &words).await;
    assert!(answer.is_ok(), "{answer:?}");
}

/// Acks that the primary of the moment has counted.
async fn done(trial: &Trial) -> Option<u64> {
    let stats = trial.queue.stats().await.ok()?;
    Some(stats.totals.get("done").copied().unwrap_or(0))
}

async fn ok(port: u16, words: &[&str]) {
    let answer: RedisResult<Value> = ask(port, words).await;
    assert!(matches!(answer, Ok(Value::Okay)), "{words:?}: {answer:?}");
}

async fn id(port: u16) -> String {
    ask(port, &["CLUSTER", "MYID"]).await.unwrap()
}

/// A line of `CLUSTER NODES`.
struct Node {
    port: u16,
    flags: String,
    /// Id of its primary, or `-`.
    follows: String,
    slots: Vec<(u16, u16)>,
}

impl Node {
    fn serves(&self, slot: u16) -> bool {
        self.slots
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&slot))
    }
}

/// How this node sees the cluster; `None` if it does not answer.
async fn nodes(port: u16) -> Option<Vec<Node>> {
    let text: String = ask(port, &["CLUSTER", "NODES"]).await.ok()?;
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (_, address) = words[1].split_once(':').unwrap();
        Node {
            port: address.split('@').next().unwrap().parse().unwrap(),
            flags: words[2].to_owned(),
            follows: words[3].to_owned(),
            slots: words[8..].iter().filter_map(|range| slots(range)).collect(),
        }
    };
    Some(text.lines().map(parse).collect())
}

/// `5`, `0-5460`; slots on their way (`[5->-…]`) are not counted.
fn slots(range: &str) -> Option<(u16, u16)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    Some((first.parse().ok()?, last.parse().ok()?))
}
