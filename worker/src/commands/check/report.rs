//! What `worker check` found, line by line.

use std::fmt::Display;

use weldfleet_service::{Exit, outln, output::Paint};
use weldfleet_stores::StoreError;

use crate::needs::Need;

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

    /// What was tried, each thing with what came of it; `words` says why one failed.
    pub fn tried(
        &mut self,
        check: &str,
        found: impl IntoIterator<Item = Need>,
        words: impl Fn(&StoreError) -> String,
    ) {
        for (what, result) in found {
            match result {
                Ok(()) => self.ok(check, what),
                Err(error) => {
                    self.unreachable |= error.is_outage();
                    self.failed(check, format!("{what}: {}", words(&error)));
                }
            }
        }
    }

    /// What there is to object to, if anything; that it cannot be asked is a warning. Whether all is well.
    pub fn objection(
        &mut self,
        check: &str,
        state: State,
        found: Result<Option<impl Display>, StoreError>,
    ) -> bool {
        match found {
            Ok(None) => return true,
            Ok(Some(objection)) => self.add(check, state, objection.to_string()),
            Err(error) => self.warning(check, error.chain()),
        }
        false
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
