//! The protocol under a model checker: every interleaving of two workers and two jobs with three attempts each, with
//! workers that crash, fall silent and return, calls that are lost before or after their effect or arrive late, and a
//! Redis that forgets everything or its last write. Time is Redis time in ticks; a worker that does nothing while ticks
//! pass is one that was paused.
//!
//! The machine is the one that a real Redis is compared with step by step (`tests/it/property.rs`), the invariants are
//! the library's. The last test breaks rules on purpose and sees the checker say so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail by panicking"
)]

#[path = "../reference/mod.rs"]
mod reference;
mod system;

use std::time::{Duration, Instant};

use reference::Mutation;
use stateright::{Checker, HasDiscoveries, Model};
use system::{Faults, System};

/// Explores everything, or until something is broken, and prints how much that was.
fn explore(name: &str, system: System) -> Vec<&'static str> {
    let started = Instant::now();
    let limit = std::env::var("MODEL_LIMIT_S")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(600);
    let checker = system
        .checker()
        .threads(2)
        .timeout(Duration::from_secs(limit))
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{name}: {} states, {} unique, depth {}, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        started.elapsed().as_secs_f64()
    );
    let discoveries = checker.discoveries();
    let mut found = Vec::new();
    for (name, path) in discoveries
        .iter()
        .filter(|(name, _)| !name.starts_with("sometimes"))
    {
        println!("{name}: {:?}", path.clone().into_actions());
        found.push(*name);
    }
    if found.is_empty() {
        assert!(
            checker.is_done() && started.elapsed().as_secs() < limit,
            "{name}: not explored to the end within {limit} s"
        );
        for property in checker
            .model()
            .properties()
            .iter()
            .filter(|property| property.name.starts_with("sometimes"))
        {
            assert!(
                discoveries.contains_key(property.name),
                "{}: never, the model is too tame",
                property.name
            );
        }
    }
    found
}

const NOTHING: &[&str] = &[];

#[test]
fn a_worker_that_crashes() {
    let system = System::new(Faults {
        crashes: 1,
        ..Faults::default()
    });
    assert_eq!(explore("1 crash", system), NOTHING);
}

#[test]
fn a_redis_that_forgets() {
    let system = System::new(Faults {
        forget_all: 1,
        ..Faults::default()
    });
    assert_eq!(explore("redis forgets all once", system), NOTHING);
}

/// A minute or two each.
#[test]
#[ignore = "nightly"]
fn late_calls_and_last_writes() {
    let system = System::new(Faults {
        errors: 1,
        ..Faults::default()
    });
    assert_eq!(
        explore("1 call lost before or after its effect, or late", system),
        NOTHING
    );
    let system = System::new(Faults {
        forget_last: 1,
        ..Faults::default()
    });
    assert_eq!(
        explore("redis forgets its last write once", system),
        NOTHING
    );
}

/// Several faults together.
#[test]
#[ignore = "nightly"]
fn faults_together() {
    let system = System::new(Faults {
        crashes: 1,
        retries: true,
        ..Faults::default()
    });
    assert_eq!(explore("1 crash, failing handlers", system), NOTHING);
    let system = System::new(Faults {
        crashes: 1,
        forget_all: 1,
        ..Faults::default()
    });
    assert_eq!(explore("1 crash, redis forgets all", system), NOTHING);
}

#[test]
fn a_broken_rule_is_noticed() {
    let faults = Faults {
        crashes: 1,
        forget_all: 1,
        ..Faults::default()
    };
    let rules: [(&str, Mutation, &str); 4] = [
        (
            "no token check",
            Mutation {
                no_token_check: true,
                ..Mutation::default()
            },
            "stale tokens change nothing",
        ),
        (
            "attempts counted at ack",
            Mutation {
                attempts_at_ack: true,
                ..Mutation::default()
            },
            "every moment is consistent",
        ),
        (
            "client clock",
            Mutation {
                collect_by_client_clock: true,
                ..Mutation::default()
            },
            "a lease in force is not taken",
        ),
        (
            "tokens restart after a loss",
            Mutation {
                token_restarts: true,
                ..Mutation::default()
            },
            "tokens grow, acked jobs stay acked",
        ),
    ];
    for (name, mutation, broken) in rules {
        let found = explore(name, System::new(faults).broken_by(mutation));
        assert!(
            found.contains(&broken),
            "{name}: found {found:?}, expected {broken:?}"
        );
    }
}
