//! Whose fault it is that a range did not come through, and what becomes of its lease. Pure: the table of the module's
//! tests is the whole of it.
//!
//! Only what is the range's own spends its attempts: its data, its size. Everything else (the network, a password, a
//! grant, a renamed column, patch parts at their limit, a full disk) is the same for every range: the gate closes and
//! the range is given back. An error alone does not always tell the two apart, and a new server brings new codes. So
//! one rule stands behind the lists: *if the capability that the statement needs works for other rows, the fault is the
//! range's own; if it does not, it is not.* The lists only save the question.
//!
//! A model or a device that fails is asked in the same way, by a made-up weld; a folder that takes no audit file, by a
//! file beside it: where `worker.save_dir` takes one, the day's folder is at fault, and other days go on.
//!
//! The rule guards against the opposite fault, too. A range whose rows cannot be read for what looks like the server's
//! failure is excused some times, then the question is asked all the same. So no range can hold the fleet for ever.
//! Writes of no rows cannot be put to that test (a full disk and patch parts at their limit take them), and what they
//! are refused for is never the range's own.

use std::io::ErrorKind;

use weldfleet_stores::{Class, StoreError};

use super::step::Step;

/// A range is given back so often for what looks like the server's failure before that is put to the test: a
/// minute at most, since the gate waits longer each time.
pub const EXCUSES: u32 = 8;
/// Attempts at a range of many rows before it is split for an error that nobody knows. A split costs little, an attempt
/// a delay.
const TRIES: u32 = 2;

/// What is known of a stopped range.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Where it was stopped.
    pub step: Step,
    pub class: Class,
    /// Whether the capability works for other rows now; `None`: nobody has asked.
    pub works: Option<bool>,
    /// Times it was given back before, for what looked like the server's failure.
    pub excused: u32,
    /// Whether it is one weld.
    pub one_weld: bool,
    /// This attempt's number, from 1.
    pub attempt: u32,
    /// Attempts it may use up.
    pub max_attempts: u32,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Ask whether the capability works, then decide again.
    Ask,
    /// The worker waits: gate closed, lease given back, no attempt spent.
    Wait,
    /// An attempt is spent; the last one makes it a dead letter.
    Retry,
    /// Halves of it may do.
    Split,
    /// Split until the row that cannot be read stands alone, then mark that: the scheduler does both.
    Unreadable,
}

pub fn decide(case: &Case) -> Decision {
    let looks_like_the_servers = matches!(case.class, Class::Outage | Class::Refused);
    match case.step {
        Step::Fetch if case.class == Class::Data => return Decision::Unreadable,
        Step::Fetch if looks_like_the_servers && case.excused >= EXCUSES => {}
        _ if looks_like_the_servers => return Decision::Wait,
        _ => {}
    }
    match case.works {
        None => Decision::Ask,
        Some(false) => Decision::Wait,
        Some(true) => own_fault(case),
    }
}

fn own_fault(case: &Case) -> Decision {
    let last = case.attempt >= case.max_attempts;
    if !last && (case.one_weld || case.attempt < tries(case) || case.step == Step::Audit) {
        return Decision::Retry;
    }
    match case.step {
        // A half of it goes into the same folder.
        Step::Audit => Decision::Retry,
        // Its rows are committed: splitting finds none left and ends it, and the scheduler reconciles the mirror.
        Step::Mirror => Decision::Split,
        _ if !case.one_weld => Decision::Split,
        // One row, and nothing that is known to have another cause: it is its values.
        Step::Fetch if matches!(case.class, Class::Fatal | Class::Data) => Decision::Unreadable,
        _ => Decision::Retry,
    }
}

fn tries(case: &Case) -> u32 {
    match case.class {
        // Memory comes back, locks are released.
        Class::Size | Class::Retry => case.max_attempts,
        _ => TRIES,
    }
}

/// The class of an error as far as a range is concerned.
pub fn class_of(error: &StoreError) -> Class {
    match error {
        // Silent to this range; it may be too much for a server that answers others.
        StoreError::ClickHouseSilent { .. } => Class::Size,
        // A file that was not written leaves room, so that the next one may do, for a moment.
        StoreError::File { source, .. }
            if matches!(
                source.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            ) =>
        {
            Class::Outage
        }
        StoreError::File { .. } => Class::Fatal,
        error => error.class(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Case = Case {
        step: Step::Fetch,
        class: Class::Fatal,
        works: None,
        excused: 0,
        one_weld: false,
        attempt: 1,
        max_attempts: 5,
    };
    const STORES: [Step; 4] = [Step::Fetch, Step::Store, Step::Commit, Step::Mirror];
    const CLASSES: [Class; 6] = [
        Class::Outage,
        Class::Refused,
        Class::Retry,
        Class::Size,
        Class::Data,
        Class::Fatal,
    ];

    fn every_case() -> impl Iterator<Item = Case> {
        let steps = [
            Step::Fetch,
            Step::Judge,
            Step::Audit,
            Step::Store,
            Step::Commit,
            Step::Mirror,
        ];
        steps.into_iter().flat_map(|step| {
            CLASSES.into_iter().flat_map(move |class| {
                [None, Some(false), Some(true)]
                    .into_iter()
                    .flat_map(move |works| {
                        [(0, false), (0, true), (EXCUSES, false), (EXCUSES, true)]
                            .into_iter()
                            .flat_map(move |(excused, one_weld)| {
                                (1..=5).map(move |attempt| Case {
                                    step,
                                    class,
                                    works,
                                    excused,
                                    one_weld,
                                    attempt,
                                    ..FRESH
                                })
                            })
                    })
            })
        })
    }

    #[test]
    fn no_attempt_is_spent_while_the_capability_does_not_work() {
        for case in every_case().filter(|case| case.works == Some(false)) {
            let data = case.step == Step::Fetch && case.class == Class::Data;
            let decision = decide(&case);
            assert!(
                decision == Decision::Wait || data && decision == Decision::Unreadable,
                "{case:?}: {decision:?}"
            );
        }
    }

    #[test]
    fn every_case_ends_after_one_question() {
        for case in every_case().filter(|case| case.works.is_some()) {
            assert_ne!(decide(&case), Decision::Ask, "{case:?}");
        }
    }

    #[test]
    fn nothing_holds_the_fleet_for_ever() {
        // Wherever the capability works, at most so many releases and attempts come before the end.
        let works = every_case().filter(|case| case.works == Some(true));
        for case in works.filter(|case| case.step == Step::Fetch) {
            let may_wait = matches!(case.class, Class::Outage | Class::Refused);
            let waits = decide(&case) == Decision::Wait;
            assert_eq!(waits, may_wait && case.excused < EXCUSES, "{case:?}");
        }
    }

    #[test]
    fn a_range_of_many_rows_is_never_dead_for_its_own_fault() {
        // Of a folder none of its rows can be without.
        for case in every_case().filter(|case| case.step != Step::Audit) {
            let dies = decide(&case) == Decision::Retry && case.attempt == case.max_attempts;
            assert!(!dies || case.one_weld, "{case:?}");
        }
    }

    #[test]
    fn a_full_disk_is_waited_for_and_a_days_folder_is_asked_about() {
        for (kind, asked) in [
            (ErrorKind::StorageFull, false),
            (ErrorKind::QuotaExceeded, false),
            (ErrorKind::NotADirectory, true),
            (ErrorKind::PermissionDenied, true),
            (ErrorKind::Other, true),
        ] {
            let error = StoreError::File {
                what: "write an audit file",
                path: "csv/20261122/x".into(),
                bytes: 9,
                source: kind.into(),
            };
            let case = Case {
                step: Step::Audit,
                class: class_of(&error),
                ..FRESH
            };
            let first = if asked { Decision::Ask } else { Decision::Wait };
            assert_eq!(decide(&case), first, "{kind}");
            for (attempt, works, decision) in [
                (1, false, Decision::Wait),
                (1, true, Decision::Retry),
                (5, true, Decision::Retry),
            ] {
                let case = Case {
                    attempt,
                    works: Some(works),
                    ..case
                };
                let decision = if asked { decision } else { Decision::Wait };
                assert_eq!(decide(&case), decision, "{kind}, attempt {attempt}");
            }
        }
    }

    #[test]
    fn a_row_is_marked_only_for_its_values() {
        for case in every_case() {
            if decide(&case) == Decision::Unreadable {
                assert_eq!(case.step, Step::Fetch, "{case:?}");
                let by_its_code = case.class == Class::Data;
                let by_exclusion = case.one_weld
                    && case.works == Some(true)
                    && case.attempt == case.max_attempts
                    && case.class == Class::Fatal;
                assert!(by_its_code || by_exclusion, "{case:?}");
            }
        }
    }

    #[test]
    fn every_known_code_ends_as_its_list_says() {
        use weldfleet_stores::errors::CLICKHOUSE_CODES;
        for (code, class, name) in CLICKHOUSE_CODES {
            for step in STORES {
                let case = Case {
                    step,
                    class: *class,
                    ..FRESH
                };
                let expected = match class {
                    Class::Outage | Class::Refused => Decision::Wait,
                    Class::Data if step == Step::Fetch => Decision::Unreadable,
                    _ => Decision::Ask,
                };
                assert_eq!(decide(&case), expected, "{code} {name} at {step:?}");
            }
        }
        // One that nobody knows.
        assert_eq!(decide(&FRESH), Decision::Ask);
        let own = Case {
            works: Some(true),
            ..FRESH
        };
        assert_eq!(decide(&own), Decision::Retry);
        assert_eq!(decide(&Case { attempt: 2, ..own }), Decision::Split);
        let last = Case {
            one_weld: true,
            attempt: 5,
            ..own
        };
        assert_eq!(decide(&last), Decision::Unreadable);
        let memory = Case {
            class: Class::Size,
            ..own
        };
        assert_eq!(
            decide(&Case {
                attempt: 4,
                ..memory
            }),
            Decision::Retry
        );
        assert_eq!(
            decide(&Case {
                attempt: 5,
                ..memory
            }),
            Decision::Split
        );
    }
}
