//! A private Redis on the first core; it dies with this process.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use redis::aio::MultiplexedConnection;

use crate::Error;

pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    pub async fn start() -> Result<Self, Error> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "taskset", "-c", "0", "redis-server"])
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--port",
                &port.to_string(),
            ])
            .stdout(Stdio::null())
            .spawn()?;
        let mut server = Self {
            child,
            url: format!("redis://127.0.0.1:{port}/0"),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Ok(mut connection) = server.connect().await
                && redis::cmd("PING")
                    .query_async::<String>(&mut connection)
                    .await
                    .is_ok()
            {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(format!(
                    "redis-server on port {port} ended ({status}): is it installed?"
                )
                .into());
            }
            if Instant::now() > deadline {
                return Err(format!("redis-server on port {port} does not answer").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn connect(&self) -> Result<MultiplexedConnection, Error> {
        Ok(redis::Client::open(self.url.as_str())?
            .get_multiplexed_async_connection()
            .await?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Leaves the first core to Redis, for this process and all it starts.
pub fn leave_the_first_core() -> Result<(), Error> {
    let cores = std::thread::available_parallelism()?.get();
    if cores < 2 {
        return Err("there is one core: Redis and its clients would share it, and no figure would mean anything".into());
    }
    let mut others = CpuSet::new();
    for core in 1..cores {
        others.set(core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &others)?)
}
