//! Wrong passwords: whoever goes on guessing waits.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;
use weldfleet_service::lock;

/// Wrong passwords in a row after which somebody waits.
const WRONG: u32 = 5;
/// The same for all names from one address: behind it a whole hall may sit.
const WRONG_OF_ADDRESS: u32 = 20;
/// How long.
const WAIT: Duration = Duration::from_secs(30);
/// Names and addresses that are remembered.
const REMEMBERED: usize = 1000;
/// Characters of a name that are looked at.
const LONGEST_NAME: usize = 64;

/// Who guesses: from an address, and the name if it is about one.
type Who = (IpAddr, Option<String>);

pub struct Attempts {
    /// How many, and when the last was.
    wrong: Mutex<HashMap<Who, (u32, Instant)>>,
    /// Hashing takes memory and a core: one at a time.
    pub turn: Semaphore,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            wrong: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl Attempts {
    pub fn must_wait(&self, address: IpAddr, name: &str, now: Instant) -> bool {
        let wrong = lock(&self.wrong);
        let (one, all) = who(address, name);
        [(one, WRONG), (all, WRONG_OF_ADDRESS)]
            .iter()
            .any(|(who, most)| {
                let known = wrong.get(who);
                known.is_some_and(|(times, last)| times >= most && now < *last + WAIT)
            })
    }

    pub fn was(&self, right: bool, address: IpAddr, name: &str, now: Instant) {
        let mut wrong = lock(&self.wrong);
        wrong.retain(|_, (_, last)| now < *last + WAIT);
        let (one, all) = who(address, name);
        if right {
            // A password of one's own is no leave to guess at others'.
            wrong.remove(&one);
            return;
        }
        for who in [one, all] {
            if wrong.len() >= REMEMBERED && !wrong.contains_key(&who) {
                let oldest = wrong.iter().min_by_key(|(_, (_, last))| *last);
                if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                    wrong.remove(&oldest);
                }
            }
            let (times, last) = wrong.entry(who).or_insert((0, now));
            *times += 1;
            *last = now;
        }
    }
}

/// Whoever has an IPv6 address has the 2⁶⁴ of its network.
fn who(address: IpAddr, name: &str) -> (Who, Who) {
    let network = match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    };
    let name = name.chars().take(LONGEST_NAME).collect();
    ((network, Some(name)), (network, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn whoever_errs_five_times_waits_and_others_do_not() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for _ in 0..WRONG {
            assert!(!attempts.must_wait(v4(1), "li", now));
            attempts.was(false, v4(1), "li", now);
        }
        assert!(attempts.must_wait(v4(1), "li", now + WAIT / 2));
        assert!(!attempts.must_wait(v4(1), "li", now + WAIT));
        assert!(!attempts.must_wait(v4(2), "li", now));
        assert!(!attempts.must_wait(v4(1), "wang", now));
        attempts.was(true, v4(1), "li", now);
        assert!(!attempts.must_wait(v4(1), "li", now));
    }

    #[test]
    fn whoever_tries_many_names_waits_and_a_password_of_his_own_does_not_help() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let host = |host: u128| IpAddr::from((0x2001_0db8 << 96 | host).to_be_bytes());
        for number in 0..WRONG_OF_ADDRESS {
            assert!(!attempts.must_wait(host(7), "li", now), "{number}");
            attempts.was(false, host(number.into()), &format!("guess {number}"), now);
            attempts.was(true, host(1), "mallory", now);
        }
        assert!(attempts.must_wait(host(7), "li", now), "the same network");
        assert!(
            !attempts.must_wait(host(1 << 64), "li", now),
            "the next one"
        );
    }

    #[test]
    fn of_many_the_oldest_are_forgotten_and_never_the_last() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..2 * REMEMBERED as u32 {
            let address = IpAddr::from(number.to_be_bytes());
            attempts.was(
                false,
                address,
                "guess",
                now + Duration::from_millis(number.into()),
            );
        }
        assert_eq!(attempts.wrong.lock().unwrap().len(), REMEMBERED);
        let later = now + Duration::from_secs(5);
        for _ in 0..WRONG {
            attempts.was(false, v4(1), "li", later);
        }
        assert!(attempts.must_wait(v4(1), "li", later));
    }
}
