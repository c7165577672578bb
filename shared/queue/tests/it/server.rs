//! A private Redis on a free port in a temporary directory; it dies with the test that started it.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use weldfleet_queue::{Options, Queue, WorkerId};

pub struct RedisServer {
    pub port: u16,
    dir: tempfile::TempDir,
    child: Child,
    extra: Vec<String>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub fn start_with(extra: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let extra: Vec<String> = extra.iter().map(|&arg| arg.to_owned()).collect();
        // another process may take the port between the look and the start
        for _ in 0..5 {
            let port = free_port();
            let mut server = Self {
                port,
                child: spawn(port, &dir, &extra),
                dir: tempfile::tempdir().unwrap(),
                extra: extra.clone(),
            };
            if server.answers() {
                server.dir = dir;
                return server;
            }
        }
        panic!("redis-server does not start: is it installed?");
    }

    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        let client = redis::Client::open(self.url()).unwrap();
        while Instant::now() < deadline {
            if let Ok(mut connection) =
                client.get_connection_with_timeout(Duration::from_millis(200))
                && redis::cmd("PING").query::<String>(&mut connection).is_ok()
            {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Ends it like a power cut.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again over the same data.
    pub fn start_again(&mut self) {
        self.child = spawn(self.port, &self.dir, &self.extra);
        assert!(self.answers(), "redis does not come back");
    }

    pub fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    pub fn queue(&self) -> Queue {
        self.queue_with(|_| {})
    }

    /// A queue with a lease of two seconds unless `change` says otherwise.
    pub fn queue_with(&self, change: impl FnOnce(&mut Options)) -> Queue {
        let mut options = Options::new(self.url(), "test");
        options.ttl = Duration::from_secs(2);
        options.renew_every = Duration::from_millis(500);
        options.weight_field = "rows".to_owned();
        change(&mut options);
        Queue::new(options).unwrap()
    }

    /// A plain connection, as a person with redis-cli has it.
    pub async fn cli(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.url())
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap()
    }
}

/// One that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// `$REDIS_SERVER`, the path of a Redis or a Valkey, else the one that is installed.
pub fn program() -> String {
    std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

fn spawn(port: u16, dir: &tempfile::TempDir, extra: &[String]) -> Child {
    Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            &program(),
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--dir",
        ])
        .arg(dir.path())
        .args(extra)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A worker that exists only by name.
pub fn worker(name: &str) -> WorkerId {
    WorkerId::from_text(name)
}

/// Tries until `what` gives something, at most ten seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited ten seconds for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
