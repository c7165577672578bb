//! What must be true when a fleet has worked everything off.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{ledger::Ledger, store::Note, trial::Trial};

/// May Redis have forgotten something that it had confirmed?
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Whole,
    Torn,
}

/// What happened; none of it is wrong.
pub struct Verdict {
    jobs: usize,
    claims: usize,
    repeated: usize,
    refused: usize,
    deaths: u64,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} jobs, {} claims: 0 lost, 0 stale effects accepted ({} refused), {} repeated under a newer token, {} leases ran out, tokens grew",
            self.jobs, self.claims, self.refused, self.repeated, self.deaths
        )
    }
}

/// # Panics
/// If something was lost, a stale token did anything, a token was given out twice or shrank; or, with whole memory, if
/// anything was acked twice or claimed after its ack.
pub async fn judge(trial: &Trial, memory: Memory) -> Verdict {
    let (claims, acks) = (trial.store.claims().await, trial.store.acks().await);
    let stats = trial.queue.stats().await.unwrap();

    let committed = trial.store.committed().await;
    assert_eq!(committed.len(), trial.jobs, "every job has its effect");

    let handed_out: BTreeSet<_> = claims.iter().map(key).collect();
    let (repeated, refused, effective) = effects(trial, &handed_out).await;
    tokens_grow(&claims);
    let accepted: BTreeSet<_> = acks.iter().map(key).collect();
    for ack in &accepted {
        // A Redis that forgot a newer claim takes the older one's ack; the store, which forgets nothing, had refused
        // its effect.
        let covered = memory == Memory::Torn && refused.contains(ack);
        assert!(
            effective.contains(ack) || covered,
            "{ack:?} was acked without an effect"
        );
    }
    replay(&claims, &accepted, memory);
    if memory == Memory::Whole {
        assert_eq!(
            stats.totals.get("done"),
            Some(&(trial.jobs as u64)),
            "acks accepted"
        );
        // one that had disappeared would have been added again by its owner, without having left
        let total = |what| stats.totals.get(what).copied().unwrap_or(0);
        assert_eq!(
            total("added"),
            trial.jobs as u64 + total("left"),
            "{stats:?}"
        );
    }
    crate::dump::assert_sound(&trial.queue).await;
    Verdict {
        jobs: trial.jobs,
        claims: claims.len(),
        repeated,
        refused: refused.len(),
        deaths: stats.totals.get("deaths").copied().unwrap_or(0),
    }
}

fn key(note: &Note) -> (String, u64) {
    (note.job.clone(), note.token)
}

/// The store took an effect only from a token that a claim had given out and that was newer than all it had of this job
/// before. Returns how many jobs' effects were replaced by a newer token's, and which effects were refused and which
/// accepted.
async fn effects(
    trial: &Trial,
    handed_out: &BTreeSet<(String, u64)>,
) -> (usize, BTreeSet<(String, u64)>, BTreeSet<(String, u64)>) {
    let (mut repeated, mut refused) = (0, BTreeSet::new());
    let mut newest = BTreeMap::<String, u64>::new();
    let mut effective = BTreeSet::new();
    for write in trial.store.writes().await {
        let (job, token) = (write.job, write.token);
        assert!(
            handed_out.contains(&(job.clone(), token)),
            "{job}: nobody was given token {token}"
        );
        let before = newest.get(&job).copied().unwrap_or(0);
        if write.committed {
            assert!(token > before, "{job}: {token} was accepted after {before}");
            repeated += usize::from(before > 0);
            effective.insert((job.clone(), token));
            newest.insert(job, token);
        } else {
            assert!(token < before, "{job}: {token} was refused after {before}");
            refused.insert((job, token));
        }
    }
    (repeated, refused, effective)
}

/// Each member saw its own tokens grow, through everything that happened to Redis meanwhile.
fn tokens_grow(claims: &[Note]) {
    let mut last = BTreeMap::<&str, u64>::new();
    for claim in claims {
        let before = last.insert(&claim.member, claim.token).unwrap_or(0);
        assert!(
            claim.token > before,
            "{} was given {} after {before}",
            claim.member,
            claim.token
        );
    }
}

/// All claims in the order of their tokens, with the acks that were accepted, as the model's ledger wants them.
fn replay(claims: &[Note], accepted: &BTreeSet<(String, u64)>, memory: Memory) {
    let mut in_order: Vec<&Note> = claims.iter().collect();
    in_order.sort_by_key(|claim| claim.token);
    let mut ledger = Ledger::default();
    for claim in in_order {
        ledger.claimed(&claim.job, claim.token).unwrap();
        if accepted.contains(&key(claim)) {
            ledger.accepted(&claim.job, claim.token).unwrap();
            if memory == Memory::Whole {
                ledger.acked(&claim.job);
            }
        }
    }
}
