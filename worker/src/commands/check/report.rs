//! What `worker check` found, line by line.

use weldfleet_service::{Exit, outln, output::Paint};

/// How one thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, serde::Serialize)]
pub struct Finding {
    check: String,
    state: State,
    text: String,
}

/// What was found so far; prints as it goes unless asked for JSON.
pub struct Report {
    pub findings: Vec<Finding>,
    quiet: bool,
    pub unreachable: bool,
}

impl Report {
    pub fn new(quiet: bool) -> Self {
        Self {
            findings: Vec::new(),
            quiet,
            unreachable: false,
        }
    }

    pub fn add(&mut self, check: &str, state: State, text: impl Into<String>) {
        let text = text.into();
        if !self.quiet {
            let paint = Paint::for_stdout();
            let mark = match state {
                State::Ok => paint.green("ok     "),
                State::Warning => paint.yellow("warning"),
                State::Failed => paint.red("failed "),
            };
            outln!(
                "{mark}  {check:<12} {}",
                text.replace('\n', "\n                      ")
            );
        }
        self.findings.push(Finding {
            check: check.to_owned(),
            state,
            text,
        });
    }

    pub fn ok(&mut self, check: &str, text: impl Into<String>) {
        self.add(check, State::Ok, text);
    }

    pub fn warning(&mut self, check: &str, text: impl Into<String>) {
        self.add(check, State::Warning, text);
    }

    pub fn failed(&mut self, check: &str, text: impl Into<String>) {
        self.add(check, State::Failed, text);
    }

    pub fn exit(&self) -> Exit {
        let failed = self
            .findings
            .iter()
            .any(|finding| finding.state == State::Failed);
        match (failed, self.unreachable) {
            (_, true) => Exit::Unreachable,
            (true, false) => Exit::Failed,
            (false, false) => Exit::Done,
        }
    }
}
