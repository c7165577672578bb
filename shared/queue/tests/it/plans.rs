//! Owners: groups, versions, leaders.

use std::time::Duration;

use weldfleet_queue::{Guard, GuardedEnqueue, LeaderToken, LeaseRef, NewJob, Queue, Settlement};

use crate::server::{RedisServer, eventually, worker};

fn guard(leader: LeaderToken, version: u64) -> Guard {
    Guard {
        leader,
        group: "0:20261122".into(),
        version,
    }
}

fn jobs(names: &[&str]) -> Vec<NewJob> {
    names
        .iter()
        .map(|&name| NewJob::new(name).group("0:20261122").priority(1))
        .collect()
}

async fn version(queue: &Queue) -> u64 {
    queue.plan("0:20261122").await.unwrap().version
}

#[tokio::test]
async fn a_guarded_enqueue_is_compare_and_set() {
    let server = RedisServer::start();
    let queue = server.queue();
    let leader = queue
        .try_lead("s1", "", &[], Duration::from_secs(10))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(version(&queue).await, 0);
    let first = queue
        .enqueue_guarded(&guard(leader, 0), &jobs(&["a", "b"]))
        .await
        .unwrap();
    let GuardedEnqueue::Enqueued {
        jobs: added,
        version: now,
    } = first
    else {
        panic!("{first:?}")
    };
    assert_eq!(added.added, 2);
    assert_eq!(version(&queue).await, now);

    let stale = queue
        .enqueue_guarded(&guard(leader, 0), &jobs(&["c"]))
        .await
        .unwrap();
    assert_eq!(
        stale,
        GuardedEnqueue::Conflict {
            jobs: Default::default(),
            version: now
        }
    );
    let ids: Vec<_> = queue
        .plan("0:20261122")
        .await
        .unwrap()
        .jobs
        .into_iter()
        .map(|job| job.id)
        .collect();
    assert_eq!(ids, ["a", "b"]);

    // what joins a plan in any way changes its version, what leaves it does not
    queue.enqueue(&jobs(&["plain"])).await.unwrap();
    let after_plain = version(&queue).await;
    assert!(after_plain > now);
    let job = queue.claim(&worker("w"), 1).await.unwrap().jobs.remove(0);
    queue
        .settle(
            &LeaseRef {
                id: job.id,
                token: job.token,
            },
            Settlement::ack(),
        )
        .await
        .unwrap();
    assert_eq!(version(&queue).await, after_plain);
    assert_eq!(queue.groups().await.unwrap()[0].outstanding, 2);
    assert_eq!(queue.stats().await.unwrap().outstanding(1), 2);
}

#[tokio::test]
async fn chunks_of_a_large_guarded_enqueue_follow_each_other() {
    let server = RedisServer::start();
    let queue = server.queue();
    let leader = queue
        .try_lead("s1", "", &[], Duration::from_secs(10))
        .await
        .unwrap()
        .unwrap();
    let many: Vec<_> = (0..1001)
        .map(|n| NewJob::new(format!("{n:05}")).group("0:20261122"))
        .collect();
    let GuardedEnqueue::Enqueued { jobs, version: now } = queue
        .enqueue_guarded(&guard(leader, 0), &many)
        .await
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(jobs.added, 1001);
    let plan = queue.plan("0:20261122").await.unwrap();
    assert_eq!((plan.jobs.len(), plan.version), (1001, now));
}

#[tokio::test]
async fn whoever_leads_or_waits_to_is_listed_where_it_is_reached_until_it_withdraws() {
    let server = RedisServer::start();
    let queue = server.queue();
    let ttl = Duration::from_secs(10);
    queue.try_lead("silent", "", &[], ttl).await.unwrap();
    let ask = async |id, address, says: &[&str]| {
        let says: Vec<String> = says.iter().map(|line| (*line).to_owned()).collect();
        let asked = queue.try_lead(id, address, &says, ttl).await;
        assert_eq!(asked.unwrap(), None);
    };
    ask("s1", "press-1:9100", &[]).await;
    ask("s2", "press 2:9100", &["jobs: a\nb", "clock: off"]).await;
    let listed = async || {
        let candidates = queue.candidates().await.unwrap();
        let texts = candidates
            .into_iter()
            .map(|one| format!("{} {} {:?}", one.id, one.address, one.says));
        texts.collect::<Vec<_>>()
    };
    assert_eq!(
        listed().await,
        [
            "s1 press-1:9100 []",
            r#"s2 press 2:9100 ["jobs: a b", "clock: off"]"#
        ]
    );
    ask("s1", "press-1:9200", &[]).await;
    queue.withdraw("s2").await.unwrap();
    assert_eq!(listed().await, ["s1 press-1:9200 []"]);
    let asked = async || queue.candidates().await.unwrap()[0].asked_ms;
    let before = asked().await;

    // One that fell silent long ago goes when the next one asks.
    let key = queue.keys().named("candidates");
    let mut client = server.cli().await;
    let _: () = redis::cmd("HSET")
        .arg(&key)
        .arg("gone")
        .arg("1795900000000 press-9:9100")
        .query_async(&mut client)
        .await
        .unwrap();
    assert_eq!(listed().await.len(), 2);
    ask("s1", "press-1:9200", &[]).await;
    assert_eq!(listed().await, ["s1 press-1:9200 []"]);
    assert!(asked().await >= before);
}

#[tokio::test]
async fn a_deposed_leader_enqueues_nothing() {
    let server = RedisServer::start();
    let queue = server.queue();
    let old = queue
        .try_lead("s1", "", &[], Duration::from_millis(150))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        queue
            .try_lead("s2", "", &[], Duration::from_secs(10))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        queue
            .try_lead("s1", "", &[], Duration::from_millis(150))
            .await
            .unwrap(),
        Some(old),
        "the same leader keeps its token"
    );
    let new = eventually("the old leader to fall silent", || async {
        queue
            .try_lead("s2", "", &[], Duration::from_secs(10))
            .await
            .unwrap()
    })
    .await;
    assert!(new > old);
    assert_eq!(
        queue
            .enqueue_guarded(&guard(old, 0), &jobs(&["x"]))
            .await
            .unwrap(),
        GuardedEnqueue::Deposed {
            jobs: Default::default()
        }
    );
    assert!(!queue.resign(old).await.unwrap());
    let info = queue.leader().await.unwrap().unwrap();
    assert_eq!((info.id.as_str(), info.token), ("s2", new));
    assert!(queue.resign(new).await.unwrap());
    assert_eq!(queue.leader().await.unwrap(), None);
    assert_eq!(
        queue
            .enqueue_guarded(&guard(new, 0), &jobs(&["x"]))
            .await
            .unwrap(),
        GuardedEnqueue::Deposed {
            jobs: Default::default()
        }
    );
}

#[tokio::test]
async fn who_read_a_plan_before_it_was_revoked_adds_nothing() {
    let server = RedisServer::start();
    let queue = server.queue();
    let leader = queue.try_lead("s1", "", &[], Duration::from_secs(10)).await;
    let leader = leader.unwrap().unwrap();
    queue
        .enqueue_guarded(&guard(leader, 0), &jobs(&["a"]))
        .await
        .unwrap();
    let read = version(&queue).await;

    // Also of groups that nobody has planned yet, and of more than one call takes.
    let mut groups: Vec<String> = (0..100).map(|day| format!("7:{day}")).collect();
    groups.push("0:20261122".to_owned());
    queue.revoke(&groups).await.unwrap();
    let late = queue
        .enqueue_guarded(&guard(leader, read), &jobs(&["b"]))
        .await
        .unwrap();
    assert!(matches!(late, GuardedEnqueue::Conflict { .. }), "{late:?}");
    let plan = queue.plan("0:20261122").await.unwrap();
    assert_eq!(plan.jobs.len(), 1, "what is outstanding stays");
    assert!(plan.version > read);
    assert!(queue.plan("7:99").await.unwrap().version > 0);
    assert_eq!(
        queue.groups().await.unwrap().len(),
        1,
        "groups without jobs are not listed"
    );
}
