//! Workers as processes: the parent says `go`, the child says `ready`, and `started` for each job that it holds or dies
//! of.

use std::{process::Stdio, time::Duration};

use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{Error, measure, peers::Peer};

/// What a worker does with a job.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum Handler {
    Nothing,
    Hold,
    Abort,
}

impl Handler {
    pub async fn run(self) {
        match self {
            Self::Nothing => {}
            Self::Hold => {
                println!("started");
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            Self::Abort => {
                println!("started");
                std::process::abort();
            }
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Spec {
    pub peer: Peer,
    pub url: String,
    pub handler: Handler,
    /// Jobs in hand at once, in whatever way the library has them.
    pub batch: usize,
    /// Lease, where the library lets one choose and the default is not what is measured.
    pub lease_ms: Option<u64>,
}

pub async fn run(spec: &str) -> Result<(), Error> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let spec: Spec = serde_json::from_str(spec)?;
    println!("ready");
    let mut go = String::new();
    BufReader::new(tokio::io::stdin())
        .read_line(&mut go)
        .await?;
    spec.peer.work(&spec).await
}

/// The parent's side. Dropping it kills the worker.
pub struct Worker {
    child: Child,
    pid: i32,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Started, but not at work yet.
    pub async fn start(spec: &Spec) -> Result<Self, Error> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(std::env::current_exe()?)
            .arg("child")
            .arg(serde_json::to_string(spec)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout), Some(pid)) =
            (child.stdin.take(), child.stdout.take(), child.id())
        else {
            return Err("the worker has no pipes".into());
        };
        let mut worker = Self {
            child,
            pid: i32::try_from(pid)?,
            stdin,
            lines: BufReader::new(stdout).lines(),
        };
        match worker.lines.next_line().await?.as_deref() {
            Some("ready") => Ok(worker),
            other => Err(format!("the worker said {other:?}").into()),
        }
    }

    /// Started, and at work.
    pub async fn at_work(spec: &Spec) -> Result<Self, Error> {
        let mut worker = Self::start(spec).await?;
        worker.go().await?;
        Ok(worker)
    }

    pub async fn go(&mut self) -> Result<(), Error> {
        Ok(self.stdin.write_all(b"go\n").await?)
    }

    /// Waits until it has taken a job; false if it ended instead.
    pub async fn started(&mut self) -> Result<bool, Error> {
        Ok(self.lines.next_line().await?.as_deref() == Some("started"))
    }

    pub fn cpu_s(&self) -> Result<f64, Error> {
        measure::cpu_of(self.pid)
    }

    /// `kill -9`, and waits for the end.
    pub async fn kill(mut self) -> Result<(), Error> {
        Ok(self.child.kill().await?)
    }

    pub async fn ended(&mut self) -> Result<(), Error> {
        self.child.wait().await?;
        Ok(())
    }
}
