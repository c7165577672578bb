//! Why nothing moves: each cause provoked on real services, and named within five seconds.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

use common::{Hands, SOON, configure, day_before, lease};
use serde_json::Value;
use weldfleet_queue::Settlement;
use weldfleet_tests::{
    Fleet, Process, Service, eventually,
    mysql::MySql,
    queue::Queue,
    status::{codes, named as named_within, status},
};

const TTL: Duration = Duration::from_secs(2);
/// How soon a cause is named.
const WITHIN: Duration = Duration::from_secs(5);

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn named(scheduler: &Process, code: &str) -> Value {
    named_within(scheduler, code, WITHIN).await
}

/// Waits until exactly these are named.
async fn all_named(scheduler: &Process, wanted: &[&str]) {
    eventually(&format!("{wanted:?} are named"), SOON, async || {
        (codes(&status(scheduler).await) == wanted).then_some(())
    })
    .await;
}

impl Living<'_> {
    /// Is listed as alive for a few seconds, as a worker is that has nothing to do.
    async fn named(&self, code: &str) -> Value {
        eventually(&format!("{code} is named"), WITHIN, async || {
            self.lives().await;
            let causes = status(self.scheduler).await["causes"].take();
            let mut causes = causes.as_array()?.iter();
            causes.find(|cause| cause["code"] == code).cloned()
        })
        .await
    }

    async fn lives(&self) {
        let (queue, worker) = (&self.hands.queue, &self.hands.worker);
        queue.register(worker, &BTreeMap::new()).await.unwrap();
    }
}

/// A worker made by hand that the scheduler sees.
struct Living<'t> {
    hands: &'t Hands,
    scheduler: &'t Process,
}

#[tokio::test]
async fn what_is_missing_is_named_alike_by_the_command_the_probe_and_the_api() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    assert_eq!(codes(&fleet.status()), ["no_leader", "no_worker"]);
    let said = fleet.succeed("scheduler", &["status", "--lang", "zh"]);
    assert!(
        said.starts_with("没有主调度器") && said.contains("`worker run`"),
        "{said}"
    );

    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    all_named(&scheduler, &["no_worker"]).await;
    fleet.succeed("scheduler", &["pause", "--reason", "tip dress"]);
    let paused = named(&scheduler, "paused").await;
    assert!(
        paused["what"]["en"].as_str().unwrap().contains("tip dress"),
        "{paused}"
    );
    eventually("everybody says the same", SOON, async || {
        let (_, ready) = scheduler.get("/readyz").await;
        let ready = json(&ready);
        let reason = ready["reasons"][0]["reason"].as_str()?.to_owned();
        let same = ready["why"] == status(&scheduler).await["causes"]
            && ready["why"] == fleet.status()["causes"]
            && reason.starts_with(paused["what"]["en"].as_str()?);
        same.then_some(())
    })
    .await;
    let shown = fleet.succeed("scheduler", &["status", "--lang", "en"]);
    assert!(
        shown.starts_with(paused["what"]["en"].as_str().unwrap()),
        "{shown}"
    );
    fleet.succeed("scheduler", &["resume"]);
    all_named(&scheduler, &["no_worker"]).await;
}

#[tokio::test]
async fn a_standby_tells_it_too_and_goes_on_telling_when_the_leader_dies() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let mut leader = fleet.scheduler();
    leader.logged("this scheduler leads", SOON).await;
    let standby = fleet.scheduler();
    standby.ready().await;
    let before = status(&standby).await["leader"].clone();
    assert_eq!(before, status(&leader).await["leader"]);
    leader.kill();
    // Long before its lease has run out.
    named(&standby, "no_leader").await;
    eventually("the standby leads", SOON, async || {
        let told = status(&standby).await["leader"].clone();
        (told != before && !told.is_null()).then_some(())
    })
    .await;
    all_named(&standby, &["no_worker"]).await;
}

#[tokio::test]
async fn stores_that_are_away_or_refuse_are_named_and_forgotten_when_they_are_back() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    all_named(&scheduler, &["no_worker"]).await;
    let store = |cause: &Value| cause["what"]["en"].as_str().unwrap().to_owned();

    let full: String = fleet
        .queue
        .command(&["CONFIG", "SET", "maxmemory", "1"])
        .await;
    assert_eq!(full, "OK");
    let cause = named(&scheduler, "store_refuses").await;
    assert!(
        store(&cause).starts_with("redis") && store(&cause).contains("OOM"),
        "{cause}"
    );
    let _: String = fleet
        .queue
        .command(&["CONFIG", "SET", "maxmemory", "0"])
        .await;
    all_named(&scheduler, &["no_worker"]).await;

    fleet.services.stop(Service::Redis);
    let cause = named(&scheduler, "store_away").await;
    assert!(store(&cause).starts_with("redis is away"), "{cause}");
    fleet.services.start_again(Service::Redis);
    all_named(&scheduler, &["no_worker"]).await;

    // They accept connections and answer nothing.
    for (service, code, said) in [
        (Service::ClickHouse, "store_away", "clickhouse is away"),
        (Service::Redis, "store_away", "redis is away"),
        (Service::MySql, "mirror_away", "mysql does not take"),
    ] {
        fleet.services.pause(service);
        let cause = named(&scheduler, code).await;
        assert!(store(&cause).starts_with(said), "{cause}");
        fleet.services.cont(service);
        all_named(&scheduler, &["no_worker"]).await;
    }

    fleet.services.stop(Service::MySql);
    named(&scheduler, "mirror_away").await;
    fleet.services.start_again(Service::MySql);
    all_named(&scheduler, &["no_worker"]).await;

    // A failover led to a server that takes no writes yet.
    let port = fleet.services.port(Service::MySql);
    let root = MySql::new(&format!("mysql://root:root@127.0.0.1:{port}/mysql"));
    root.execute("SET GLOBAL read_only = ON").await;
    let cause = named(&scheduler, "mirror_away").await;
    assert!(store(&cause).contains("the server is read-only"), "{cause}");
    root.execute("SET GLOBAL read_only = OFF").await;
    all_named(&scheduler, &["no_worker"]).await;

    // Somebody writes over the leader's key: each scheduler believes that another one leads.
    let queue = Queue::connect(fleet.services.url(Service::Redis)).await;
    let leader = Queue::key("leader");
    let _: () = queue.command(&["SET", &leader, "nobody"]).await;
    named(&scheduler, "no_leader").await;
}

#[tokio::test]
async fn a_clickhouse_that_is_too_slow_to_be_looked_at_is_named() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (scheduler, gate) = common::waiting_at(&fleet, "scheduler::status_rows");
    scheduler.ready().await;
    all_named(&scheduler, &["no_worker"]).await;

    let reached = gate.with_extension("reached");
    fs::remove_file(&gate).unwrap();
    fs::remove_file(&reached).unwrap();
    eventually("a look hangs", WITHIN, async || {
        scheduler.get("/readyz").await;
        reached.exists().then_some(())
    })
    .await;
    // A page of a weld has no use for the look.
    let began = Instant::now();
    scheduler.get("/ui/weld?lang=en").await;
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    // It is waited for for ten seconds.
    let slow = named_within(&scheduler, "store_slow", WITHIN * 3).await;
    assert_eq!(slow["alarming"], true);
    let told = status(&scheduler).await;
    assert!(told["problems"][0].is_string(), "{told}");
    let (_, page) = scheduler.get("/ui?lang=en").await;
    assert!(page.contains("too slowly"), "{page}");
    fs::write(&gate, "").unwrap();
    all_named(&scheduler, &["no_worker"]).await;
}

/// What ClickHouse did for others than this test: questions, and rows read for them.
async fn spent(fleet: &Fleet) -> [u64; 2] {
    let counted = "arraySum(groupArrayIf(value, event = 'SelectQuery')) AS asked, \
                   arraySum(groupArrayIf(value, event = 'SelectedRows')) AS read";
    let sql = format!(
        "SELECT concat(toString(asked), ' ', toString(read)) FROM (SELECT {counted} FROM system.events)"
    );
    let told = fleet.clickhouse.value(&sql).await;
    let (asked, read) = told.split_once(' ').unwrap();
    [asked, read].map(|number| number.parse().unwrap())
}

/// Thirty backfills of old days are open: what they want is dear to know, so looks show how much it was.
#[tokio::test]
async fn a_look_costs_the_same_however_many_runs_are_open() {
    const LOOKS: usize = 6;
    const ROWS: u32 = 20_000;
    let fleet = Fleet::start().await;
    fleet.migrate();
    let old = day_before(40);
    fleet.simulate(&old, ROWS, &[]);
    let watch = async || {
        let out = fleet.folder().join("looks");
        let mut command = fleet.command("scheduler", &["status", "--watch", "--json"]);
        command.stdout(fs::File::create(&out).unwrap());
        let watching = Process::start_as_is(command, fleet.folder());
        let looks = || {
            let text = fs::read_to_string(&out).unwrap();
            text.matches("\"at_ms\"").count()
        };
        let reached = async |wanted: usize| {
            eventually("it has looked", SOON, async || {
                (looks() >= wanted).then_some(())
            })
            .await;
            (looks(), spent(&fleet).await)
        };
        // The first one reads everything.
        let (first, before) = reached(1).await;
        let (last, after) = reached(first + LOOKS).await;
        drop(watching);
        let of_a_look = |place: usize| (after[place] - before[place]) / (last - first) as u64;
        let text = fs::read_to_string(&out).unwrap();
        ([of_a_look(0), of_a_look(1)], text)
    };
    let ([asked, read], _) = watch().await;
    fleet
        .clickhouse
        .execute(&format!(
            "INSERT INTO weld_runs (run, request, `from`, `to`, force, status, state, requested_at, version) \
             SELECT 20260101000000000 + number, toString(number), {old}, {old}, 1, '', 'open', now64(3), 1 FROM numbers(30)"
        ))
        .await;
    let ([asked_with, read_with], told) = watch().await;
    let mut looks = serde_json::Deserializer::from_str(&told).into_iter::<Value>();
    let first = looks.next().unwrap().unwrap();
    let mut runs = first["runs"].as_array().unwrap().iter();
    assert!(runs.all(|run| run["left"] == ROWS), "{first}");
    println!("a look: {asked} questions, {read} rows; with 30 open runs {asked_with}, {read_with}");
    // One look more or less falls into the time.
    assert!(
        asked_with <= asked * 3 / 2,
        "{asked_with} questions, without runs {asked}"
    );
    assert!(
        read_with < read + u64::from(ROWS),
        "{read_with} rows, without runs {read}"
    );
}

#[tokio::test]
async fn what_the_jobs_of_a_still_fleet_wait_for_is_named() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    let living = Living {
        hands: &hands,
        scheduler: &scheduler,
    };
    let calm = living.named("nothing_to_do").await;
    assert_eq!(calm["alarming"], false);

    fleet.simulate("today", 1000, &[]);
    hands.pending_rows(1000).await;
    let job = hands.claim(1).await.remove(0);
    let minute = Some(Duration::from_secs(60));
    hands
        .queue
        .settle(
            &lease(&job),
            Settlement::Retry {
                error: "broken".to_owned(),
                delay: minute,
            },
        )
        .await
        .unwrap();
    living.named("only_delayed").await;

    // Forgotten, its rows are sliced anew.
    let again = async |job: &weldfleet_queue::Job| {
        assert!(hands.queue.drop_job(&job.id).await.unwrap());
        hands.pending_rows(1000).await;
        hands.claim(1).await.remove(0)
    };
    let job = again(&job).await;
    hands
        .queue
        .settle(&lease(&job), Settlement::bury("broken"))
        .await
        .unwrap();
    let dead = living.named("only_dead").await;
    assert_eq!(dead["alarming"], true);

    // Its worker fell silent: it runs isolated from then on.
    let job = again(&job).await;
    eventually("the lease has run out", SOON, async || {
        living.lives().await;
        (fleet.queue.count("leased").await == 0).then_some(())
    })
    .await;
    living.named("only_isolated").await;
    assert_eq!(fleet.queue.job(&job.id).await["isolate"], "1");
    hands.judge_all().await;
    living.named("nothing_to_do").await;
}

#[tokio::test]
async fn a_job_that_waits_to_be_split_is_named_while_the_leader_does_not() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let (scheduler, gate) = common::stopping_at(&fleet, "scheduler::before_split");
    fleet.simulate("today", 1000, &[]);
    hands.pending_rows(1000).await;
    let job = hands.claim(1).await.remove(0);
    hands
        .queue
        .settle(&lease(&job), Settlement::split("cut it"))
        .await
        .unwrap();
    let living = Living {
        hands: &hands,
        scheduler: &scheduler,
    };
    living.named("only_splitting").await;
    std::fs::write(&gate, "").unwrap();
    hands.judge_all().await;
    living.named("nothing_to_do").await;
}

#[tokio::test]
async fn rows_that_fill_no_range_yet_are_named() {
    let fleet = Fleet::with(&[("scheduler.max_wait", "60s")]).await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    fleet.simulate("today", 50, &[]);
    let living = Living {
        hands: &hands,
        scheduler: &scheduler,
    };
    let cause = living.named("partial_range").await;
    assert!(
        cause["what"]["en"].as_str().unwrap().contains("60 s"),
        "{cause}"
    );
}

/// Who asks once does not know since when rows are left: those of a fleet that was idle are no standstill yet.
#[tokio::test]
async fn rows_that_have_just_come_are_no_standstill_to_a_command() {
    let fleet = Fleet::with(&[("scheduler.max_wait", "4s")]).await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    let living = Living {
        hands: &hands,
        scheduler: &scheduler,
    };
    // Nothing was ever claimed or enqueued, which is as long ago as can be.
    living.named("nothing_to_do").await;
    fleet.simulate("today", 50, &[]);
    living.lives().await;
    let told = fleet.status();
    assert!(!codes(&told).contains(&"unexplained"), "{told}");
    hands.judge_all().await;
}

#[tokio::test]
async fn back_pressure_and_a_held_run_are_named() {
    let fleet = Fleet::with(&[
        ("scheduler.max_outstanding", "2"),
        ("scheduler.batch_size", "100"),
    ])
    .await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    fleet.simulate("today", 550, &[]);
    hands.pending_rows(200).await;
    named(&scheduler, "back_pressure").await;

    let day = day_before(5);
    fleet.simulate(&day, 100, &[]);
    let asked = fleet.succeed(
        "scheduler",
        &["backfill", "--from", &day, "--to", &day, "--json"],
    );
    let run = json(&asked)["run"].to_string();
    fleet.succeed(
        "scheduler",
        &["backfill", "hold", &run, "--reason", "the night shift"],
    );
    let held = named(&scheduler, "run_held").await;
    let what = held["what"]["en"].as_str().unwrap();
    assert!(
        what.contains(&run) && what.contains("the night shift"),
        "{held}"
    );
}

#[tokio::test]
async fn leases_that_are_kept_after_an_outage_are_named_with_their_time() {
    let ttl = Duration::from_secs(8);
    let fleet = Fleet::with(&[("lease.ttl", "8s"), ("lease.renew_every", "2s")]).await;
    fleet.migrate();
    let hands = Hands::new(&fleet, ttl).await;
    let scheduler = fleet.scheduler();
    fleet.simulate("today", 1000, &[]);
    hands.pending_rows(1000).await;
    assert_eq!(hands.claim(1).await.len(), 1);
    fleet.services.pause(Service::Redis);
    // The outage itself: longer than the lease.
    tokio::time::sleep(ttl + Duration::from_secs(1)).await;
    fleet.services.cont(Service::Redis);
    let cause = named(&scheduler, "after_outage").await;
    assert!(
        cause["what"]["en"].as_str().unwrap().contains("1 leases"),
        "{cause}"
    );
    eventually("it is claimed again", SOON, async || {
        (fleet.queue.count("pending").await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn patches_near_their_limit_are_named() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let mut scheduler = fleet.scheduler();
    fleet.simulate("today", 1000, &[]);
    hands.pending_rows(1000).await;
    hands.judge_all().await;
    scheduler.kill();
    let limit = "<max_uncompressed_bytes_in_patches>1000</max_uncompressed_bytes_in_patches>";
    configure(&fleet, &format!("<merge_tree>{limit}</merge_tree>"));
    // A leader would settle them at once.
    let began = Instant::now();
    let report = fleet.status();
    let causes = codes(&report);
    assert!(causes.contains(&"patches_many"), "{causes:?}");
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn however_many_look_it_is_one_look_a_second() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let url = format!("{}/api/v1/status", scheduler.http().await);
    let began = Instant::now();
    let viewers = (0..20).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            for _ in 0..20 {
                let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
                seen.insert(json(&text)["at_ms"].as_i64().unwrap());
            }
            seen
        })
    });
    let mut seen = BTreeSet::new();
    for viewer in viewers.collect::<Vec<_>>() {
        seen.extend(viewer.await.unwrap());
    }
    let most = began.elapsed().as_secs() as usize + 2;
    assert!(
        seen.len() <= most,
        "{} looks in {:?} for 400 questions",
        seen.len(),
        began.elapsed()
    );
}

#[tokio::test]
async fn a_disk_without_room_is_named() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    // The server keeps more free than there is.
    let keep = "<keep_free_space_bytes>1000000000000000</keep_free_space_bytes>";
    configure(
        &fleet,
        &format!(
            "<storage_configuration><disks><default>{keep}</default></disks></storage_configuration>"
        ),
    );
    named(&scheduler, "disk_full").await;
}

/// A worker that does not see the rows, for a filter or a right of its own, acks its jobs all the same.
#[tokio::test]
async fn rows_that_no_job_gives_a_verdict_are_told() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 8, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    eventually("they are told", SOON * 2, async || {
        for job in hands.claim(10).await {
            hands
                .queue
                .settle(&lease(&job), Settlement::ack())
                .await
                .unwrap();
        }
        let code = ["\"rows_again\""];
        let told = scheduler.metric_if_any("weldfleet_attention", &code).await;
        (told? == 1.0).then_some(())
    })
    .await;
    let report = fleet.status();
    let said = report["hints"].to_string();
    assert!(
        said.contains("were given to workers again and again"),
        "{said}"
    );
    let told = scheduler.log();
    assert_eq!(
        told.matches("a row was given to workers again and again")
            .count(),
        1,
        "{told}"
    );
}
