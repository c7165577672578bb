//! A Redis that answers but refuses: as good as away, in its own words, told once.

use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::AsyncCommands;
use weldfleet_queue::{Consumer, NewJob, Queue, QueueError, Settlement, State, WorkerInfo};

use crate::server::{RedisServer, eventually, free_port, program, worker};

/// How a Redis comes to refuse writes, what it says then, and how it is repaired.
const REFUSALS: [(&[&str], &str, &[&str]); 4] = [
    (
        &["CONFIG", "SET", "maxmemory", "1"],
        "OOM command not allowed",
        &["CONFIG", "SET", "maxmemory", "0"],
    ),
    (
        &["CONFIG", "SET", "min-replicas-to-write", "3"],
        "NOREPLICAS",
        &["CONFIG", "SET", "min-replicas-to-write", "0"],
    ),
    (
        &["REPLICAOF", "127.0.0.1", "1"],
        "READONLY",
        &["REPLICAOF", "NO", "ONE"],
    ),
    (
        &["CONFIG", "SET", "save", "3600 1"],
        "MISCONF",
        &["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"],
    ),
];

async fn say(server: &RedisServer, words: &[&str]) {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let _: redis::Value = command.query_async(&mut server.cli().await).await.unwrap();
}

/// A snapshot that cannot be written: its name is that of a folder.
async fn fail_to_save(server: &RedisServer) {
    let mut redis = server.cli().await;
    let dir: Vec<String> = redis::cmd("CONFIG")
        .arg(&["GET", "dir"])
        .query_async(&mut redis)
        .await
        .unwrap();
    std::fs::create_dir(std::path::Path::new(&dir[1]).join("dump.rdb")).unwrap();
    let _: redis::Value = redis::cmd("BGSAVE").query_async(&mut redis).await.unwrap();
    eventually("the snapshot to fail", || async {
        let info: String = redis::cmd("INFO")
            .arg("persistence")
            .query_async(&mut server.cli().await)
            .await
            .unwrap();
        info.contains("rdb_last_bgsave_status:err").then_some(())
    })
    .await;
}

fn chain(error: &QueueError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

/// What a test's subscriber writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let out = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || out.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

fn quick(server: &RedisServer) -> Queue {
    server.queue_with(|options| {
        options.ttl = Duration::from_millis(900);
        options.renew_every = Duration::from_millis(200);
        options.idle_poll = Duration::from_millis(300);
    })
}

#[tokio::test]
async fn a_redis_that_refuses_writes_is_as_good_as_away_and_costs_no_attempt() {
    for (break_it, words, repair_it) in REFUSALS {
        let server = RedisServer::start();
        let queue = quick(&server);
        let (log, guard) = log();
        let jobs = ["held", "waits"].map(|id| {
            let mut job = NewJob::new(id).group("day");
            job.max_attempts = Some(1);
            job
        });
        queue.enqueue(&jobs).await.unwrap();
        let info = WorkerInfo {
            id: worker("w"),
            fields: BTreeMap::new(),
        };
        let consumer = Consumer::start(queue.clone(), info).unwrap();
        let held = consumer.next(1).await.unwrap().remove(0);
        eventually("redis to work", || async {
            consumer.queue().health().up.then_some(())
        })
        .await;

        say(&server, break_it).await;
        if words == "MISCONF" {
            fail_to_save(&server).await;
        }
        let health = eventually("the worker to notice", || async {
            Some(consumer.queue().health()).filter(|health| !health.up)
        })
        .await;
        assert!(
            health.last_error.as_ref().unwrap().contains(words),
            "{health:?}"
        );
        let error = queue.works().await.unwrap_err();
        assert!(
            matches!(error, QueueError::RefusesWrites { .. }) && error.is_outage(),
            "{error:?}"
        );
        let text = chain(&error);
        assert!(
            text.contains("refuses writes") && text.contains(words),
            "{text}"
        );
        assert!(!text.contains("script"), "{text}");

        // Other members, and the settlement of what is held, for longer than a lease lasts.
        let settled = tokio::spawn({
            let held = held.clone();
            async move { held.settle(Settlement::ack()).await }
        });
        let others = tokio::spawn({
            let queue = quick(&server);
            async move {
                // a claim trusts that what went through a moment ago still does
                tokio::time::sleep(queue.options().ttl / 15).await;
                for _ in 0..40 {
                    let _ = queue.collect().await;
                    let claim = queue.claim(&worker("other"), 1).await;
                    assert!(claim.is_err() || claim.unwrap().jobs.is_empty(), "{words}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
        others.await.unwrap();
        assert!(
            !consumer.queue().health().up,
            "{words}: it was never said to work meanwhile"
        );
        say(&server, repair_it).await;
        eventually("the worker to go on", || async {
            consumer.queue().health().up.then_some(())
        })
        .await;
        let settled = settled.await.unwrap();
        assert_eq!(
            settled,
            weldfleet_queue::Settled::Settled(State::Done),
            "{words}"
        );
        let next = consumer.next(1).await.unwrap().remove(0);
        assert_eq!(
            (next.job().attempts, next.job().deaths),
            (1, 0),
            "{words}: no attempt was spent"
        );
        next.settle(Settlement::ack()).await;
        drop(guard);
        let log = log.text();
        for (line, most) in [("redis refuses writes", 2), ("trying again", 0)] {
            let lines = log.matches(line).count();
            assert!(lines <= most, "{words}: {lines} lines of {line:?}:\n{log}");
        }
        consumer.shutdown(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn what_redis_refuses_is_told_by_key_not_by_line_of_a_script() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    for (key, value, wanted) in [
        (
            "pending",
            "x",
            "key weldfleet:{test}:pending is a string, not a zset",
        ),
        ("token", "many", "key weldfleet:{test}:token is no number"),
        (
            "counts",
            "x",
            "key weldfleet:{test}:counts is a string, not a hash",
        ),
    ] {
        let () = redis::cmd("FLUSHALL")
            .query_async(&mut redis)
            .await
            .unwrap();
        if key != "pending" {
            queue.enqueue(&[NewJob::new("j")]).await.unwrap();
            let () = redis.del(queue.keys().named(key)).await.unwrap();
        }
        let () = redis.set(queue.keys().named(key), value).await.unwrap();
        let error = match key {
            "counts" => queue.enqueue(&[NewJob::new("k")]).await.unwrap_err(),
            _ => queue.claim(&worker("w"), 1).await.unwrap_err(),
        };
        let text = chain(&error);
        assert!(!error.is_outage() && text.contains(wanted), "{text}");
        assert!(
            text.contains("delete it") && !text.contains("user_script") && !text.contains("f_"),
            "{text}"
        );
        assert!(
            !queue.health().up,
            "an operation of the protocol does not work"
        );
    }
    let () = redis::cmd("FLUSHALL")
        .query_async(&mut redis)
        .await
        .unwrap();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    queue.claim(&worker("w"), 1).await.unwrap();
    assert!(queue.health().up, "it works again");
}

#[tokio::test]
async fn wrong_credentials_are_told_from_an_outage() {
    let server = RedisServer::start();
    say(&server, &["CONFIG", "SET", "requirepass", "pa#s/s"]).await;
    let url = |login: &str| format!("redis://{login}127.0.0.1:{}/0", server.port);
    let queue = |url: String| Queue::new(weldfleet_queue::Options::new(url, "q")).unwrap();
    for (login, code) in [
        ("", "NOAUTH"),
        (":s3cret@", "WRONGPASS"),
        ("nobody:s3cret@", "WRONGPASS"),
    ] {
        let error = queue(url(login)).works().await.unwrap_err();
        let text = chain(&error);
        assert!(error.is_denied() && error.is_outage(), "{text}");
        assert!(
            text.contains(code) && !format!("{text} {error:?}").contains("s3cret"),
            "{text}"
        );
    }
    for login in [":pa%23s%2Fs@", "default:pa%23s%2fs@"] {
        queue(url(login)).works().await.unwrap();
    }
    let redis = redis::Client::open(url(":pa%23s%2Fs@")).unwrap();
    let mut redis = redis.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("ACL")
        .arg(&[
            "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+evalsha", "+eval",
        ])
        .query_async(&mut redis)
        .await
        .unwrap();
    let reader = queue(url("reader:pw@"));
    let error = reader.works().await.unwrap_err();
    assert!(
        error.is_denied() && chain(&error).contains("NOPERM"),
        "{error:?}"
    );
    let error = reader.claim(&worker("w"), 1).await.unwrap_err();
    assert!(
        error.is_outage(),
        "a lost right costs no job an attempt: {error:?}"
    );
}

#[tokio::test]
async fn the_port_of_something_else_is_named_as_that() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let queue = Queue::new(weldfleet_queue::Options::new(
        format!("redis://127.0.0.1:{port}"),
        "q",
    ))
    .unwrap();
    let error = queue.works().await.unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains("does not speak the protocol of redis"),
        "{text}"
    );
}

/// Another tenant's script holds Redis up, or its clients take every connection: nobody here has failed.
#[tokio::test]
async fn a_redis_that_is_busy_for_others_is_an_outage() {
    let server = RedisServer::start_with(&["--busy-reply-threshold", "50"]);
    let queue = server.queue();
    queue.works().await.unwrap();
    let (mut tenant, mut other) = (server.cli().await, server.cli().await);
    let script = tokio::spawn(async move {
        redis::cmd("EVAL")
            .arg("while true do end")
            .arg(0)
            .query_async::<()>(&mut tenant)
            .await
    });
    let error = eventually("the script to be noticed", || async {
        let error = queue.claim(&worker("w"), 1).await.err()?;
        chain(&error).contains("BUSY").then_some(error)
    })
    .await;
    assert!(error.is_outage(), "{error:?}");
    assert!(chain(&error).contains("SCRIPT KILL"), "{error:?}");
    let () = redis::cmd("SCRIPT")
        .arg("KILL")
        .query_async(&mut other)
        .await
        .unwrap();
    script.await.unwrap().unwrap_err();
    eventually("redis", || async { queue.works().await.ok() }).await;

    say(&server, &["CONFIG", "SET", "maxclients", "1"]).await;
    let error = server.queue().works().await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
}

/// Who may only read can ask what jobs wait for, of a Redis that nobody else has looked at since it started.
#[tokio::test]
async fn what_jobs_wait_for_can_be_asked_without_the_right_to_write() {
    let mut server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(300);
        options.renew_every = Duration::from_millis(100);
    });
    queue
        .register(&worker("w"), &Default::default())
        .await
        .unwrap();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    queue.claim(&worker("w"), 1).await.unwrap();
    server.kill();
    server.start_again();
    let acl = "ACL SETUSER reader on >pw ~* -@all +eval +evalsha +time +info +@read";
    say(&server, &acl.split(' ').collect::<Vec<_>>()).await;
    let url = server.url().replace("redis://", "redis://reader:pw@");
    let reader = server.queue_with(|options| options.url = url);
    let waiting = eventually("the lease to run out", || async {
        let waiting = reader.waiting().await.unwrap();
        (waiting.expired == 1).then_some(waiting)
    })
    .await;
    assert!(waiting.kept_until.is_some(), "{waiting:?}");
}

/// A sentinel may want a login of its own: it is tried with the primary's, and named where that fails.
#[tokio::test]
async fn a_sentinel_that_wants_a_password_gets_that_of_the_url() {
    let server = RedisServer::start();
    say(&server, &["CONFIG", "SET", "requirepass", "pw"]).await;
    let dir = tempfile::tempdir().unwrap();
    let (config, port) = (dir.path().join("sentinel.conf"), free_port());
    let text = format!(
        "port {port}\ndir {}\nrequirepass pw\nsentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main pw\n",
        dir.path().display(),
        server.port
    );
    std::fs::write(&config, text).unwrap();
    let mut sentinel = std::process::Command::new("setpriv")
        .args(["--pdeathsig", "KILL", &program()])
        .arg(&config)
        .arg("--sentinel")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let of = |password: &str| {
        let url = format!("redis+sentinel://:{password}@127.0.0.1:{port}/main/0");
        server.queue_with(|options| options.url = url)
    };
    let works = eventually("the sentinel", || async {
        match of("pw").works().await {
            Err(error) if !error.is_denied() => None,
            other => Some(other),
        }
    })
    .await;
    let refused = of("s3cret").works().await;
    sentinel.kill().unwrap();
    sentinel.wait().unwrap();
    works.unwrap();
    let error = refused.unwrap_err();
    let text = chain(&error);
    assert!(error.is_denied(), "{text}");
    assert!(
        text.contains(&format!("sentinel 127.0.0.1:{port}")),
        "{text}"
    );
    assert!(
        text.contains("WRONGPASS") && !text.contains("s3cret"),
        "{text}"
    );
}
