//! What the window holds, in a real Redis.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use weldfleet_breaker::{Limits, RangeCounts, Tally, Window, decide};
use weldfleet_queue::{Options, Queue};
use weldfleet_testkit::{Service, Services};

const LIMITS: Limits = Limits {
    invalid_share: 0.5,
    over_ranges: 20,
    over_rows: 819,
    same_verdict_rows: 1_000_000,
};

#[tokio::test]
async fn a_few_bad_rows_of_a_quiet_night_are_no_wrong_unit_and_many_are() {
    let services = Services::start(&[Service::Redis]);
    let url = services.url(Service::Redis);
    let tally = Tally::new(Queue::new(Options::new(url, "infer")).unwrap());
    let record = async |ok, unjudged| -> Window {
        let nok = 0;
        let counts = RangeCounts { ok, nok, unjudged };
        tally.record(counts, &LIMITS).await.unwrap()
    };
    for _ in 0..25 {
        record(4000, 0).await;
    }
    // The line is nearly still: each row is a range.
    let mut window = record(0, 1).await;
    for _ in 0..24 {
        window = record(0, 1).await;
    }
    assert_eq!((window.ranges, window.unjudged), (26, 25), "{window:?}");
    assert_eq!(decide(&LIMITS, &window), None);
    // It goes on being wrong.
    for _ in 0..800 {
        window = record(0, 1).await;
    }
    assert_eq!((window.ranges, window.rows), (819, 819), "{window:?}");
    assert!(decide(&LIMITS, &window).is_some());
    // Full ranges push the small ones out.
    for _ in 0..20 {
        window = record(4000, 0).await;
    }
    assert_eq!((window.ranges, window.unjudged), (20, 0), "{window:?}");
}

#[tokio::test]
async fn a_range_of_both_verdicts_or_another_one_begins_the_count_anew_and_an_empty_range_is_none()
{
    let services = Services::start(&[Service::Redis]);
    let queue = Queue::new(Options::new(services.url(Service::Redis), "infer")).unwrap();
    let tally = Tally::new(queue.clone());
    let limits = Limits {
        over_ranges: 4,
        over_rows: 1,
        ..LIMITS
    };
    let record = async |ok, nok, unjudged| -> Window {
        let counts = RangeCounts { ok, nok, unjudged };
        tally.record(counts, &limits).await.unwrap()
    };
    for (range, ranges, verdict, rows) in [
        ((5, 0, 0), 1, "OK", 5),
        ((2, 0, 9), 2, "OK", 7),
        ((0, 0, 6), 3, "OK", 7),
        ((3, 1, 0), 4, "", 0),
        ((0, 7, 0), 4, "NOK", 7),
        ((4, 0, 0), 4, "OK", 4),
    ] {
        let (ok, nok, unjudged) = range;
        let window = record(ok, nok, unjudged).await;
        let same = (window.same_verdict.as_str(), window.same_rows);
        assert_eq!(
            (window.ranges, same),
            (ranges, (verdict, rows)),
            "{range:?}"
        );
    }
    let before = record(1, 0, 0).await;
    let empty = record(0, 0, 0).await;
    assert_eq!(format!("{empty:?}"), format!("{before:?}"));
    // Nothing older than the window is kept.
    for _ in 0..100 {
        record(1, 0, 0).await;
    }
    let key = queue.keys().named("breaker:ranges");
    let kept = queue.command(redis::cmd("LLEN").arg(key)).await.unwrap();
    assert_eq!(redis::from_redis_value::<u64>(kept).unwrap(), 4);
}
