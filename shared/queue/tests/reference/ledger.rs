//! What the protocol promises over time: held against a real Redis, and against the model.

#![allow(dead_code, reason = "no suite needs all of it")]

use std::collections::{BTreeMap, BTreeSet};

use weldfleet_queue::invariants::Broken;

fn must(holds: bool, text: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds {
        return Ok(());
    }
    let (job, text) = (None, text());
    Err(Broken { job, text })
}

/// What was promised over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    largest: u64,
    /// The token that may end each job's lease now.
    valid: BTreeMap<String, u64>,
    acked: BTreeSet<String>,
    needed: BTreeSet<String>,
}

impl Ledger {
    /// A job was added.
    pub fn enqueued(&mut self, id: &str) {
        self.acked.remove(id);
        self.valid.remove(id);
        self.needed.insert(id.to_owned());
    }

    /// A claim handed out `token`.
    ///
    /// # Errors
    /// Tokens only grow; an acked job is never claimed again.
    pub fn claimed(&mut self, id: &str, token: u64) -> Result<(), Broken> {
        must(token > self.largest, || {
            format!("token {token} for {id} after {}", self.largest)
        })?;
        must(!self.acked.contains(id), || {
            format!("job {id} was acked and is claimed again")
        })?;
        self.largest = token;
        self.valid.insert(id.to_owned(), token);
        Ok(())
    }

    /// Somebody ended or renewed a lease and was told that it worked.
    ///
    /// # Errors
    /// Only the latest token may.
    pub fn accepted(&self, id: &str, token: u64) -> Result<(), Broken> {
        let valid = self.valid.get(id).copied();
        must(valid == Some(token), || {
            format!("token {token} was accepted for {id}, valid is {valid:?}")
        })
    }

    /// An ack was accepted.
    pub fn acked(&mut self, id: &str) {
        self.acked.insert(id.to_owned());
        self.needed.remove(id);
    }

    /// The owner or an operator took the job away.
    pub fn resolved(&mut self, id: &str) {
        self.needed.remove(id);
        self.valid.remove(id);
    }

    /// Redis has forgotten everything. What it promised about jobs is void; its tokens still grow.
    pub fn forgotten(&mut self) {
        self.valid.clear();
        self.acked.clear();
        self.needed.clear();
    }

    /// After [`forgotten`](Self::forgotten): Redis still (or again) has this job outstanding, under this token if it is
    /// leased.
    pub fn remembered(&mut self, id: &str, lease: Option<u64>) {
        self.needed.insert(id.to_owned());
        if let Some(token) = lease {
            self.valid.insert(id.to_owned(), token);
        }
    }

    /// The largest token handed out.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Renames tokens, keeping their order (a model makes equal situations equal). Valid tokens that `still_known` maps
    /// to 0 are forgotten: nobody can ask with them any more.
    pub fn rename(&mut self, order: impl Fn(u64) -> u64, still_known: impl Fn(u64) -> u64) {
        self.largest = order(self.largest);
        self.valid = std::mem::take(&mut self.valid)
            .into_iter()
            .map(|(id, token)| (id, still_known(token)))
            .filter(|(_, token)| *token > 0)
            .collect();
    }

    /// No outstanding job disappears.
    ///
    /// # Errors
    /// The first job that is needed and not there.
    pub fn all_there(&self, outstanding: &BTreeSet<String>) -> Result<(), Broken> {
        self.needed
            .iter()
            .find(|id| !outstanding.contains(*id))
            .map_or(Ok(()), |id| {
                let (job, text) = (Some(id.clone()), "is outstanding and not there".to_owned());
                Err(Broken { job, text })
            })
    }
}
