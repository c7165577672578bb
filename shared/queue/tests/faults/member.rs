//! One member of the fleet, as a process.

use std::process::{Child, Command};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Lease of the fleets in these tests.
pub const TTL_MS: u64 = 2000;

pub struct Member {
    pub name: String,
    child: Child,
}

impl Member {
    /// Starts the example `member`; it dies with the test.
    pub fn start(url: &str, store_url: &str, queue: &str, name: &str, max_jobs: u32) -> Self {
        // target/<profile>/deps/<this test>
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("examples/member");
        assert!(
            program.is_file(),
            "{} does not exist; build it: cargo build --package weldfleet-queue --example member",
            program.display()
        );
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args([url, store_url, queue, name])
            .args([TTL_MS.to_string(), max_jobs.to_string()])
            .spawn()
            .unwrap();
        Self {
            name: name.to_owned(),
            child,
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn assert_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "member {} ended: {ended:?}", self.name);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
