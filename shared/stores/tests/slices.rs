//! What is left to do, and runs.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{MIDNIGHT_MS, Plant, day, insert, insert_at, key, range};
use weldfleet_stores::{
    Coverage, Key, KeyOrder, KeyRange, LIVE_RUN, Range, Selection, StoreError,
    clickhouse::{Change, Event, Events, NewRun, Order, Run, RunState, Runs, SourceTable, Split},
};
use weldfleet_weld::Status;

async fn open_runs(runs: &Runs) -> Result<Vec<Run>, StoreError> {
    let mut known = runs.for_pass().await?;
    known.retain(|run| run.state == RunState::Open);
    Ok(known)
}

async fn left(table: &SourceTable, covered: &Coverage, limit: u64) -> (usize, Vec<Key>) {
    let mut stream = table
        .unprocessed_keys(
            LIVE_RUN,
            day(),
            &Selection::New,
            KeyOrder::Time,
            covered,
            limit,
        )
        .unwrap();
    let (mut seen, mut keys) = (0, Vec::new());
    while let Some(block) = stream.next().await.unwrap() {
        seen += block.keys().count();
        keys.extend(
            block
                .keys()
                .filter(|key| !covered.contains(*key))
                .map(|key| key.to_owned()),
        );
    }
    (seen, keys)
}

#[tokio::test]
async fn covered_rows_are_left_out_exactly() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    // Five welds a tick, in no order, in several parts.
    let ids: Vec<u64> = (0..5000_u64).map(|n| n * 2_654_435_761 % 5000).collect();
    let times: Vec<i64> = ids
        .iter()
        .map(|id| MIDNIGHT_MS + (*id / 5) as i64)
        .collect();
    for part in 0..5 {
        let span = part * 1000..(part + 1) * 1000;
        insert_at(&table, day(), &ids[span.clone()], &times[span]).await;
    }
    let key = |id: u64| Key {
        leading: None,
        ticks: MIDNIGHT_MS + (id / 5) as i64,
        ..key(id)
    };
    let spans = [
        (0, 1),
        (2, 2),
        (7, 61),
        (62, 62),
        (63, 64),
        (100, 1999),
        (2003, 2003),
        (4990, 4998),
    ];
    let covered = Coverage::new(
        spans
            .iter()
            .map(|(from, to)| KeyRange {
                from: key(*from),
                to: key(*to),
            })
            .collect(),
    );
    let expected: Vec<Key> = (0..5000)
        .filter(|id| !spans.iter().any(|(from, to)| (*from..=*to).contains(id)))
        .map(key)
        .collect();
    let (seen, keys) = left(&table, &covered, 100_000).await;
    assert_eq!(keys, expected);
    assert!(
        seen - expected.len() <= spans.len() * 8,
        "{seen} keys came for {}",
        expected.len()
    );
    let (_, all) = left(&table, &Coverage::default(), 100_000).await;
    assert_eq!(all.len(), 5000);
    let (_, first) = left(&table, &Coverage::default(), 10).await;
    assert_eq!(first, all[..10]);
}

#[tokio::test]
async fn ranges_are_cut_where_their_rows_are() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), [10, 20, 20, 30, 40, 50]).await;
    let whole = range(0, 99);
    let Split::Two(low, high) = table.midpoint(&whole).await.unwrap() else {
        panic!("not cut");
    };
    assert_eq!((&low.from, &low.to, low.rows), (&key(0), &key(20), 3));
    assert_eq!((&high.from, &high.to, high.rows), (&key(30), &key(99), 3));
    assert_eq!(low.to.text, "2026-11-22 00:00:00.200 20");
    assert_eq!(high.from.text, "2026-11-22 00:00:00.300 30");
    let Split::One(one) = table.midpoint(&range(15, 25)).await.unwrap() else {
        panic!("cut");
    };
    assert_eq!((&one.from, &one.to, one.rows), (&key(20), &key(20), 2));
    assert_eq!(table.midpoint(&range(60, 99)).await.unwrap(), Split::Empty);
    table
        .mark(1, "job", &low, Status::Invalid, "dropped")
        .await
        .unwrap();
    let Split::Two(low, high) = table.midpoint(&whole).await.unwrap() else {
        panic!("not cut");
    };
    assert_eq!((low.to, high.from), (key(30), key(40)));
    assert_eq!((low.rows, high.rows), (1, 2));
}

#[tokio::test]
async fn runs_outlive_who_asked_and_grow() {
    let plant = Plant::ours(false).await;
    let runs = Runs::new(&plant.settings);
    let new = |selection| NewRun {
        from: day(),
        to: day(),
        selection,
        order: Order::Newest,
        note: "it's for the night shift?".to_owned(),
        by: "ana@desk".to_owned(),
        announced: vec![(day(), 7)],
    };
    // At one moment, from several places.
    let asked = (0..8).map(|_| {
        let runs = runs.clone();
        let new = new(Selection::Force);
        tokio::spawn(async move { runs.insert(&new).await.unwrap() })
    });
    let mut ids = Vec::new();
    for task in asked.collect::<Vec<_>>() {
        ids.push(task.await.unwrap());
    }
    ids.sort_unstable();
    let mut distinct = ids.clone();
    distinct.dedup();
    assert_eq!(distinct, ids, "every request has an id of its own");
    assert!(ids.iter().all(|id| id.to_string().len() == 17));

    plant
        .execute("INSERT INTO weld_test.weld_runs (run, request, `from`, `to`, state, version) VALUES (29990101000000000, 'future', 20261122, 20261122, 'closed', 1)")
        .await;
    let statuses = Selection::Status(vec![Status::Invalid, Status::Error]);
    let next = runs.insert(&new(statuses.clone())).await.unwrap();
    assert_eq!(
        next, 29_990_101_000_000_001,
        "larger than every run, whatever the clock says"
    );

    let open = open_runs(&runs).await.unwrap();
    assert_eq!(open.len(), 9);
    assert_eq!(open[8].selection, statuses);
    assert_eq!(
        (open[0].selection.clone(), open[0].from),
        (Selection::Force, day())
    );
    runs.close(next).await.unwrap();
    runs.close(next).await.unwrap();
    assert_eq!(open_runs(&runs).await.unwrap().len(), 8);
    let closed = runs.get(next).await.unwrap().unwrap();
    assert_eq!(closed.state, RunState::Closed);
    assert!(closed.closed_ms.unwrap() >= closed.requested_ms);
    assert_eq!(runs.list(3).await.unwrap().len(), 3);
    assert_eq!(runs.list(3).await.unwrap()[0].run, next);
    assert_eq!(runs.get(5).await.unwrap(), None);
    assert_eq!(
        (closed.order, closed.note.as_str(), closed.by.as_str()),
        (Order::Newest, "it's for the night shift?", "ana@desk")
    );
    assert_eq!(
        (closed.changed_by.as_str(), closed.changed_why.as_str()),
        ("", "")
    );
    assert_eq!(closed.announced, [(day(), 7)], "kept by who closes it, too");

    // A day that left the table is missed until the run has a result of each of its rows.
    let table = plant.table().await;
    for (results, gone) in [(6, 7), (7, 0)] {
        let sql = format!(
            "INSERT INTO weld_test.weld_results (token, key_hash, run, day) \
             SELECT 1, number, {next}, {} FROM numbers({results})",
            day()
        );
        plant.execute(&sql).await;
        assert_eq!(table.gone(&closed).await.unwrap(), gone);
    }
    let _: Range = range(0, 1);
}

#[tokio::test]
async fn a_run_is_held_resumed_and_cancelled_only_where_its_state_allows_it() {
    let plant = Plant::ours(false).await;
    let runs = Runs::new(&plant.settings);
    let new = NewRun {
        from: day(),
        to: day(),
        selection: Selection::New,
        order: Order::Oldest,
        note: String::new(),
        by: "ana@desk".to_owned(),
        announced: vec![(day(), 7)],
    };
    let run = runs.insert(&new).await.unwrap();
    let change = async |change| runs.change(run, change, "ben@line", "why").await.unwrap();
    let state = async |wanted| change(wanted).await.unwrap().state;

    assert_eq!(state(Change::Resume).await, RunState::Open, "not held");
    let untouched = runs.get(run).await.unwrap().unwrap();
    assert_eq!(untouched.changed_by, "", "nothing was changed");
    let held = change(Change::Hold).await.unwrap();
    assert_eq!((held.state, held.closed_ms), (RunState::Held, None));
    assert_eq!(
        (
            held.by.as_str(),
            held.changed_by.as_str(),
            held.changed_why.as_str()
        ),
        ("ana@desk", "ben@line", "why")
    );
    assert!(open_runs(&runs).await.unwrap().is_empty());
    let reorder = async |order| {
        runs.reorder(run, order, "eva@desk", "first")
            .await
            .unwrap()
            .unwrap()
    };
    let newest = reorder(Order::Newest).await;
    assert_eq!(
        (newest.state, newest.order, newest.changed_by.as_str()),
        (RunState::Held, Order::Newest, "ben@line"),
        "who holds it is told as long as it is held"
    );
    assert_eq!(newest.changed_why, "why");
    assert_eq!(reorder(Order::Oldest).await.order, Order::Oldest);
    runs.close(run).await.unwrap();
    assert_eq!(
        state(Change::Hold).await,
        RunState::Held,
        "a held run was closed"
    );
    assert_eq!(state(Change::Resume).await, RunState::Open);
    assert_eq!(open_runs(&runs).await.unwrap().len(), 1);
    let reordered = reorder(Order::Newest).await;
    assert_eq!(reordered.changed_by, "eva@desk");
    assert_eq!(reorder(Order::Oldest).await.changed_why, "first");
    let cancelled = change(Change::Cancel).await.unwrap();
    assert_eq!(cancelled.state, RunState::Cancelled);
    assert!(cancelled.closed_ms.is_some());
    let over = reorder(Order::Newest).await;
    assert_eq!(
        (over.state, over.order),
        (RunState::Cancelled, Order::Oldest)
    );
    assert_eq!(runs.for_pass().await.unwrap(), [cancelled]);
    for wanted in [Change::Resume, Change::Hold, Change::Cancel] {
        assert_eq!(state(wanted).await, RunState::Cancelled, "{wanted:?}");
    }
    assert_eq!(runs.change(5, Change::Hold, "", "").await.unwrap(), None);

    let done = runs.insert(&new).await.unwrap();
    runs.close(done).await.unwrap();
    let after = runs.change(done, Change::Cancel, "", "").await.unwrap();
    assert_eq!(after.unwrap().state, RunState::Closed);
}

#[tokio::test]
async fn events_are_kept_word_by_word() {
    let plant = Plant::ours(false).await;
    let event = |on_what: &str| Event {
        who: "ana@desk".to_owned(),
        what: "jobs drop",
        on_what: on_what.to_owned(),
        why: "it's \\ broken?\n焊".to_owned(),
        detail: String::new(),
    };
    let events: Vec<Event> = (0..1001).map(|job| event(&format!("job {job}"))).collect();
    Events::new(&plant.settings).record(&events).await.unwrap();
    Events::new(&plant.settings).record(&[]).await.unwrap();
    let kept = plant
        .ask("SELECT count(), uniqExact(on_what), any(who), any(what), any(why) FROM weld_test.weld_events")
        .await;
    assert_eq!(
        kept,
        "1001\t1001\tana@desk\tjobs drop\tit\\'s \\\\ broken?\\n焊"
    );
}
