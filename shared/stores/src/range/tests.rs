use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn number(ticks: i64, id: u64) -> Key {
    Key {
        leading: None,
        ticks,
        id: RecordId::Number(id),
        text: format!("at {ticks} {id}"),
    }
}

#[test]
fn days_are_calendar_days() {
    for bad in [
        "20261131",
        "2026-11-22",
        "2026112",
        "202611222",
        "20260229",
        "00000000",
        "焊焊焊焊",
    ] {
        let error = bad.parse::<Day>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{bad}` is not a day; write YYYYMMDD, for example 20261122")
        );
    }
    for bad in ["19691231", "00010101", "21500101"] {
        let error = bad.parse::<Day>().unwrap_err().to_string();
        let wanted = format!("`{bad}` is outside the years 1970 to 2149");
        assert!(error.starts_with(&wanted), "{error}");
    }
    let day: Day = "20240228".parse().unwrap();
    assert_eq!(day.offset(2).unwrap().to_string(), "20240301");
    assert_eq!(day.offset(-59).unwrap().iso(), "2023-12-31");
    assert_eq!(Day::new(20_261_122).unwrap().days_since_epoch(), 20_779);
    let last = Day::new(20_240_302).unwrap();
    assert_eq!(day.to(last).count(), 4);
    assert_eq!(last.to(day).count(), 0);
}

#[test]
fn numbers_order_as_numbers_and_texts_as_bytes() {
    assert!(number(5, 9) < number(5, 10));
    assert!(number(5, 10) < number(6, 1));
    let text = |text: &str| RecordId::Text(text.into());
    assert!(text("10") < text("9"));
    assert!(text("S1A") < text("S1a") && text("S1a") < text("S1a "));
}

#[test]
fn a_job_that_is_no_range_is_named_field_by_field() {
    let range = Range {
        run: 20_261_122_000_000_001,
        day: Day::new(20_261_122).unwrap(),
        selection: "status:error,invalid".parse().unwrap(),
        from: number(1, 7),
        to: Key {
            id: RecordId::Number(u64::MAX),
            ..number(9, 0)
        },
        rows: 12,
        repeated_keys: false,
    };
    let good: HashMap<&str, String> = range.encode().into_iter().collect();
    assert_eq!(good["selection"], "status:invalid,error");
    let decode =
        |fields: &HashMap<&str, String>| Range::decode(|name| fields.get(name).map(String::as_str));
    assert_eq!(decode(&good).unwrap(), range);

    for (field, value, message) in [
        (
            "run",
            "-1",
            "job field `run` is `-1`, expected a whole number",
        ),
        (
            "day",
            "20261301",
            "`20261301` is not a day; write YYYYMMDD, for example 20261122",
        ),
        (
            "selection",
            "all",
            "job field `selection` is `all`, expected new, force or status:<list>",
        ),
        (
            "selection",
            "status:",
            "job field `status` is ``, expected ok, invalid, poison or error",
        ),
        (
            "from_id",
            "7",
            "job field `from_id` is `7`, expected n:<number> or s:<text>",
        ),
        (
            "from_ticks",
            "1.5",
            "job field `from_ticks` is `1.5`, expected a whole number",
        ),
        (
            "to_ticks",
            "0",
            "range ends before it starts: from `at 1 7` to `at 9 0`",
        ),
    ] {
        let mut bad = good.clone();
        bad.insert(field, value.into());
        assert_eq!(decode(&bad).unwrap_err().to_string(), message);
    }
    for field in good.keys() {
        let mut bad = good.clone();
        bad.remove(field);
        assert!(decode(&bad).is_err(), "{field}");
    }
}

#[test]
fn a_range_along_a_sorting_key_has_the_leading_column_at_both_ends_and_orders_by_it() {
    let led = |leading: Leading, ticks| Key {
        leading: Some(leading),
        ..number(ticks, 7)
    };
    let text = |text: &[u8]| Leading::Text(text.to_vec());
    // 'S1' of a plant that writes GBK, and NULL, which counts as the empty text
    for (from, to, encoded) in [
        (text(b""), text(b"S1"), ["s:", "s:S1"]),
        (
            text(b"S1"),
            text(b"\xba\xb8\xb5\xe3"),
            ["s:S1", "x:bab8b5e3"],
        ),
        (Leading::Number(-3), Leading::Number(12), ["n:-3", "n:12"]),
    ] {
        let range = Range {
            run: 1,
            day: Day::EPOCH,
            selection: Selection::New,
            // later in time than its end
            from: led(from, 9),
            to: led(to, 1),
            rows: 2,
            repeated_keys: true,
        };
        let good: HashMap<&str, String> = range.encode().into_iter().collect();
        assert_eq!([&good["from_leading"], &good["to_leading"]], encoded);
        let decode = |fields: &HashMap<&str, String>| {
            Range::decode(|name| fields.get(name).map(String::as_str))
        };
        assert_eq!(decode(&good).unwrap(), range);
        assert_eq!(range.keys().order(), KeyOrder::SortingKey);
        for (field, value) in [
            ("from_leading", "x:f"),
            ("to_leading", "x:fß"),
            ("to_leading", "12"),
        ] {
            let mut bad = good.clone();
            bad.insert(field, value.into());
            assert_eq!(
                decode(&bad).unwrap_err().to_string(),
                format!(
                    "job field `{field}` is `{value}`, expected n:<number>, s:<text> or x:<hexadecimal digits>"
                )
            );
        }
        for field in good.keys().filter(|field| **field != "repeated_keys") {
            let mut bad = good.clone();
            bad.remove(field);
            assert!(decode(&bad).is_err(), "{field}");
        }
    }
    assert!(led(text(b"S1"), 9) < led(text(b"S10"), 1));
    assert!(led(text(b"S1"), 1) < led(text(b"S1"), 2));
    assert!(led(text(b"S9"), 1) < led(text(b"\xba"), 1));
}

proptest! {
    #[test]
    fn text_ids_come_back_from_job_fields(from in "\\PC{0,20}", to in "\\PC{0,20}") {
        let key = |id: &str| Key { leading: None, ticks: 3, id: RecordId::Text(id.into()), text: String::new() };
        let (low, high) = if from <= to { (from, to) } else { (to, from) };
        let range = Range {
            run: LIVE_RUN,
            day: Day::new(20_261_122).unwrap(),
            selection: Selection::New,
            from: key(&low),
            to: key(&high),
            rows: 1,
            repeated_keys: false,
        };
        let fields: HashMap<&str, String> = range.encode().into_iter().collect();
        prop_assert_eq!(Range::decode(|name| fields.get(name).map(String::as_str)).unwrap(), range);
    }

    #[test]
    fn coverage_holds_exactly_its_ranges(spans in prop::collection::vec((0_i64..60, 0_i64..9), 0..20), at in 0_i64..70) {
        let ranges: Vec<KeyRange> = spans
            .iter()
            .map(|(from, length)| KeyRange { from: number(*from, 1), to: number(from + length, 5) })
            .collect();
        let covered = Coverage::new(ranges.clone());
        for id in [0, 1, 3, 5, 6] {
            let key = number(at, id);
            let inside = ranges.iter().any(|range| range.contains(key.as_ref()));
            prop_assert_eq!(covered.contains(key.as_ref()), inside);
        }
        for pair in covered.ranges().windows(2) {
            prop_assert!(pair[0].to < pair[1].from);
        }
    }
}
