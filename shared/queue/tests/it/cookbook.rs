//! Every line of `docs/REDIS.md` that begins with `redis-cli` runs, against a queue in which there is something to see.

use std::{path::Path, process::Command, time::Duration};

use weldfleet_queue::{LeaseRef, NewJob, Queue, Settlement, WorkerId};

use crate::server::{RedisServer, eventually, worker};

fn job(id: &str, priority: u8) -> NewJob {
    NewJob::new(id)
        .group("0:20261122")
        .priority(priority)
        .weight(4096)
        .field("run", "0")
        .field("day", "20261122")
}

/// A day in the life: finished, running, waiting, failing, dead and splitting jobs, and a pause.
async fn stage(queue: &Queue, quick: &Queue) {
    let host = |n: u8| WorkerId::from_text(format!("press-{n}-4711-5f3a9c0{n}"));
    for n in [1, 2] {
        let fields = [
            ("host", format!("press-{n}")),
            ("device", "cuda:0".into()),
            ("model_version", "2026.11-a".into()),
        ];
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        queue.register(&host(n), &fields).await.unwrap();
    }
    // one that kills its workers, isolated the second time
    queue
        .enqueue(&[job("20261122-0-1795290900000-7c1d22e0", 0)])
        .await
        .unwrap();
    for name in ["press-3-811-00aa11bb", "press-4-812-00aa11cc"] {
        eventually("a claim", || async {
            quick.claim(&worker(name), 1).await.unwrap().jobs.pop()
        })
        .await;
    }
    eventually("a split to do", || async {
        (quick.collect().await.unwrap().splitting == 1).then_some(())
    })
    .await;
    let ids = [
        "20261122-0-1795290000000-0a1b2c3d",
        "20261122-0-1795290120000-4e5f6071",
        "20261122-0-1795290240000-8293a4b5",
        "20261122-0-1795290360000-c6d7e8f9",
        "20261122-0-1795290480000-01122334",
        "20261122-0-1795290600000-45566778",
    ];
    queue.enqueue(&ids.map(|id| job(id, 0))).await.unwrap();
    queue
        .enqueue(&[job("20261101-20261122081500000-1793479200000-99aabbcc", 1)])
        .await
        .unwrap();
    let claimed = queue.claim(&host(1), 3).await.unwrap().jobs;
    let lease = |n: usize| LeaseRef {
        id: claimed[n].id.clone(),
        token: claimed[n].token,
    };
    let results = [
        ("rows_ok", "4071"),
        ("rows_nok", "25"),
        ("rows_invalid", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    queue
        .settle(
            &lease(0),
            Settlement::Ack {
                fields: results.to_vec(),
            },
        )
        .await
        .unwrap();
    queue
        .settle(
            &lease(1),
            Settlement::bury("column umax: unit looks like mV"),
        )
        .await
        .unwrap();
    queue
        .settle(
            &lease(2),
            Settlement::Retry {
                error: "clickhouse: too many parts".to_owned(),
                delay: Some(Duration::from_secs(60)),
            },
        )
        .await
        .unwrap();
    assert_eq!(queue.claim(&host(2), 2).await.unwrap().jobs.len(), 2);
    queue
        .pause("every verdict of the last 1000000 rows is OK", "breaker")
        .await
        .unwrap();
}

#[tokio::test]
async fn every_line_of_the_cookbook_runs() {
    let server = RedisServer::start();
    let named = |options: &mut weldfleet_queue::Options| options.queue = "infer".to_owned();
    let queue = server.queue_with(|options| {
        named(options);
        options.ttl = Duration::from_secs(30);
    });
    let quick = server.queue_with(|options| {
        named(options);
        options.ttl = Duration::from_millis(150);
        options.renew_every = Duration::from_millis(50);
    });
    stage(&queue, &quick).await;
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/REDIS.md"))
            .unwrap();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("redis-cli "))
        .collect();
    assert!(lines.len() > 10, "the cookbook has {} lines", lines.len());
    for line in lines {
        let command = line.replace("redis-cli ", &format!("redis-cli -p {} ", server.port));
        let output = Command::new("bash")
            .args(["-c", &command])
            .output()
            .unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        if std::env::var_os("COOKBOOK_PRINT").is_some() {
            println!("$ {line}\n{answer}");
        }
        assert!(
            output.status.success() && !answer.contains("ERR") && !answer.contains("WRONGTYPE"),
            "{line}: {answer}"
        );
    }
}
