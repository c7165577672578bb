//! Real services for one test.
//!
//! [`Services::start`] runs `tools/services.sh run` as a child that ends, with everything it started, when its stdin
//! closes. So the services are gone after the test however the test ends: returning, panicking, killed by the
//! runner. Set `WELDFLEET_KEEP_SERVICES=1` to keep their folders (data and logs) for a look afterwards.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::programs::{bin, onnxruntime_library, repository, without_configuration};
use crate::tls::Certificates;

/// One of the services a test may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// ClickHouse over HTTP. Users: `default` without a password; `weld`/`weld` with all rights; `reader`/`reader`
    /// who may only SELECT and SHOW. It has no database of ours yet.
    ClickHouse,
    /// Redis with an append-only file and `noeviction`.
    Redis,
    /// MariaDB with a database `weld`. User `weld`/`weld` owns it and every database named `weld_…`; `root`/`root`
    /// may do anything.
    MySql,
}

impl Service {
    pub const ALL: [Self; 3] = [Self::ClickHouse, Self::Redis, Self::MySql];

    fn section(self) -> &'static str {
        match self {
            Self::ClickHouse => "CLICKHOUSE",
            Self::Redis => "REDIS",
            Self::MySql => "MYSQL",
        }
    }
}

/// The name that `tools/services.sh` knows it by.
impl fmt::Display for Service {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.section().to_ascii_lowercase())
    }
}

/// Running services that belong to one test; dropping it ends them and removes their data.
///
/// All calls block until the services have done what they were told (milliseconds, a graceful stop up to a second),
/// and panic with the reason if they cannot.
pub struct Services {
    supervisor: Child,
    pipes: Mutex<Option<Pipes>>,
    ready: Ready,
}

struct Pipes {
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Ready {
    env: BTreeMap<String, String>,
    directory: PathBuf,
}

impl Services {
    /// Starts fresh instances of `wanted` on ports of their own and returns when they answer, in about a second.
    ///
    /// # Panics
    /// When one of them does not come up, with the end of its log.
    pub fn start(wanted: &[Service]) -> Self {
        Self::start_encrypted(wanted, &[], None)
    }

    /// The same, where `encrypted` (Redis, MySQL) speak TLS by these certificates: Redis nothing else, and it asks for
    /// a client's certificate; MySQL both, as its accounts demand.
    ///
    /// # Panics
    /// As [`Services::start`].
    pub fn start_encrypted(
        wanted: &[Service],
        encrypted: &[Service],
        certificates: Option<&Certificates>,
    ) -> Self {
        let mut command = Command::new(repository().join("tools/services.sh"));
        command.arg("run").arg(fresh_directory());
        command.args(wanted.iter().map(Service::to_string));
        if let Some(certificates) = certificates {
            for service in encrypted {
                let variable = format!("SERVICES_TLS_{}", service.section());
                command.env(variable, certificates.folder());
            }
        }
        if env::var_os("WELDFLEET_KEEP_SERVICES").is_some() {
            command.arg("--keep");
        }
        let mut supervisor = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));

        let commands = supervisor.stdin.take().expect("stdin is piped");
        let stdout = supervisor.stdout.take().expect("stdout is piped");
        let mut answers = BufReader::new(stdout);
        let line = read_line(&mut answers);
        let Some(facts) = line.strip_prefix("ready ") else {
            panic!("services did not start; the reason is on stderr above; answer: `{line}`");
        };
        let ready = serde_json::from_str(facts)
            .unwrap_or_else(|error| panic!("services.sh answered `{line}`: {error}"));
        let pipes = Mutex::new(Some(Pipes { commands, answers }));
        Self {
            supervisor,
            pipes,
            ready,
        }
    }

    /// Starts one of each.
    pub fn start_all() -> Self {
        Self::start(&Service::ALL)
    }

    /// The URL that our config takes for this service, such as `mysql://weld:weld@127.0.0.1:23456/weld`.
    pub fn url(&self, service: Service) -> &str {
        self.variable(service, &format!("WELDFLEET__{}__URL", service.section()))
    }

    /// The TCP port it listens on, on 127.0.0.1; the same after a restart.
    pub fn port(&self, service: Service) -> u16 {
        let port = self.variable(service, &format!("SERVICES_{}_PORT", service.section()));
        port.parse()
            .unwrap_or_else(|error| panic!("port `{port}` of {service}: {error}"))
    }

    fn variable(&self, service: Service, name: &str) -> &str {
        match self.ready.env.get(name) {
            Some(value) => value,
            None => panic!("{service} is not among the services this test started"),
        }
    }

    /// The folder of their data and logs (`<service>/log`); removed when they are dropped.
    pub fn directory(&self) -> &Path {
        &self.ready.directory
    }

    /// One of our built binaries, pointed at these services, with nothing of the caller's own configuration; it runs
    /// in the repository's root unless the test says otherwise.
    ///
    /// # Panics
    /// When it has not been built; see [`bin`].
    pub fn command(&self, binary: &str) -> Command {
        let mut command = Command::new(bin(binary));
        let urls = self.ready.env.iter();
        without_configuration(&mut command)
            .envs(urls.filter(|(name, _)| name.starts_with("WELDFLEET__")))
            .env("ORT_DYLIB_PATH", onnxruntime_library())
            .current_dir(repository());
        command
    }

    /// Stops a service in the orderly way. ClickHouse has none and is killed.
    pub fn stop(&self, service: Service) {
        self.tell("stop", service);
    }

    /// Starts a stopped or killed service again: same port, same data.
    pub fn start_again(&self, service: Service) {
        self.tell("start", service);
    }

    /// Ends a service with SIGKILL.
    pub fn kill(&self, service: Service) {
        self.tell("kill", service);
    }

    /// Freezes a service (SIGSTOP): it accepts connections and answers nothing.
    pub fn pause(&self, service: Service) {
        self.tell("pause", service);
    }

    /// Lets a frozen service go on (SIGCONT).
    pub fn cont(&self, service: Service) {
        self.tell("cont", service);
    }

    fn tell(&self, verb: &str, service: Service) {
        let mut guard = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let pipes = guard.as_mut().expect("the pipes are there until drop");
        let sent = writeln!(pipes.commands, "{verb} {service}");
        let answer = match sent {
            Ok(()) => read_line(&mut pipes.answers),
            Err(error) => format!("the supervisor is gone: {error}"),
        };
        assert_eq!(answer, "ok", "{verb} {service}");
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let mut guard = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        guard.take(); // closes its stdin, which is the signal
        drop(guard);
        if let Err(error) = self.supervisor.wait() {
            eprintln!("waiting for the services' end: {error}");
        }
    }
}

/// A name no other test uses. The supervisor creates and removes it; it must be open to the services' accounts, which
/// a private temporary folder would not be.
fn fresh_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let started = process::id();
    let name = format!("weldfleet-services-{started}-{count}");
    env::temp_dir().join(name)
}

/// One line without its end; empty when the supervisor has ended.
fn read_line(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    if let Err(error) = answers.read_line(&mut line) {
        panic!("reading from services.sh: {error}");
    }
    line.trim_end().to_owned()
}
