//! Fetch, results and commit: fencing, alignment, late rows, groups.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::{Duration, Instant};

use common::{Plant, day, insert, insert_at, key, nok, ok, range, store_results, verdicts};
use weldfleet_stores::{Range, Selection, StoreError, clickhouse::Attempt};
use weldfleet_weld::{Outcome, Status, Verdict, columns::RESULT_COLUMN_NAMES};

fn attempt(token: u64, range: &Range) -> Attempt {
    Attempt {
        token,
        range: range.clone(),
        overrules: false,
    }
}

#[tokio::test]
async fn every_column_reaches_its_own_row_and_null_where_there_is_none() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..100).await;
    let range = range(10, 59);
    let block = table.fetch(&range).await.unwrap();
    assert_eq!(block.len(), 50);
    assert_eq!(block.weld(3).u, [13.0, 1.0, 2.0]);
    assert_eq!(block.weld(3).umax, 13.0 / 8.0);
    assert_eq!(block.key(3), key(13).as_ref());
    assert_eq!(block.time_text(3), "2026-11-22 00:00:00.130");
    assert_eq!((block.part_no(3), block.spot_name(3)), ("P1", "S1"));

    let mut given = verdicts(&block, 7, "m1");
    given[1] = Verdict::unjudged(Status::Invalid, "too_short: 3 points");
    given[2].rule_result = None;
    given[4].ml_nok_prob = None;
    store_results(&table, 77, 0, "job-a", &block, &given)
        .await
        .unwrap();
    // A repeated insert, as after a lost answer, must not shift the columns against each other.
    store_results(&table, 77, 0, "job-a", &block, &given)
        .await
        .unwrap();
    table.commit(&[attempt(77, &range)]).await.unwrap();
    assert_eq!(table.committed(&range, 77).await.unwrap(), 50);

    let columns = RESULT_COLUMN_NAMES.join(", ");
    let rows = plant
        .ask(&format!(
            "SELECT record_id, {} FROM weld_test.spot_records WHERE record_id BETWEEN 9 AND 14 ORDER BY record_id",
            columns.replace("alg_complete_time", "alg_complete_time > now() - 60")
        ))
        .await;
    let (n, measures, attempt) = ("\\N", "0.2\t0.9\t2.2", "0\t77\tjob-a");
    let expected = [
        format!("9{}", format!("\t{n}").repeat(RESULT_COLUMN_NAMES.len())),
        format!(
            "10\t1\tok\t{n}\t0.75\tNOK\tNOK\t[]\tNOK\tsoft_and\t小焊核,飞溅\t0.1\t{measures}\tm1\t{attempt}"
        ),
        format!(
            "11\t1\tinvalid\ttoo_short: 3 points{}\t{attempt}",
            format!("\t{n}").repeat(12)
        ),
        format!(
            "12\t1\tok\t{n}\t0.25\tOK\t{n}\t{n}\tOK\tsoft_and\t{n}\t2.1\t{measures}\tm1\t{attempt}"
        ),
        format!(
            "13\t1\tok\t{n}\t0.25\tOK\tOK\t[]\tOK\tsoft_and\t{n}\t3.1\t{measures}\tm1\t{attempt}"
        ),
        format!(
            "14\t1\tok\t{n}\t{n}\tOK\tOK\t[]\tOK\tsoft_and\t{n}\t4.1\t{measures}\tm1\t{attempt}"
        ),
    ];
    assert_eq!(rows, expected.join("\n"));
    let shifted = plant
        .ask(
            "SELECT count() FROM weld_test.spot_records WHERE alg_token = 77 AND alg_status = 'ok' \
             AND abs(diameter - (record_id - 10 + 0.1)) > 1e-4",
        )
        .await;
    assert_eq!(shifted, "0");

    let counts = table.day_counts(&[day()]).await.unwrap();
    assert_eq!(counts.len(), 1);
    assert_eq!(
        (
            counts[0].total,
            counts[0].left,
            counts[0].outcomes.invalid,
            counts[0].outcomes.nok
        ),
        (100, 50, 1, 8)
    );
}

/// A nearly empty column may be stored sparse, and is then not read like the others.
#[tokio::test]
async fn rare_reasons_stay_with_their_rows() {
    let plant = Plant::ours(false).await;
    plant
        .execute("ALTER TABLE weld_test.weld_results MODIFY SETTING ratio_of_defaults_for_sparse_serialization = 0.5")
        .await;
    let table = plant.table().await;
    insert(&table, day(), 0..1000).await;
    let range = range(0, 999);
    let block = table.fetch(&range).await.unwrap();
    let given: Vec<Verdict> = (0..block.len())
        .map(|row| match row % 50 {
            7 => Verdict::unjudged(Status::Invalid, format!("too_short: row {row}")),
            _ => ok(),
        })
        .collect();
    store_results(&table, 77, 0, "job-a", &block, &given)
        .await
        .unwrap();
    table.commit(&[attempt(77, &range)]).await.unwrap();
    let sparse = "SELECT count() FROM system.parts_columns WHERE table = 'weld_results' AND serialization_kind = 'Sparse'";
    assert_ne!(
        plant.ask(sparse).await,
        "0",
        "nothing is stored sparse: this proves nothing"
    );
    assert_eq!(
        plant
            .ask(
                "SELECT alg_status, ifNull(alg_error, '') = if(alg_status = 'invalid', 'too_short: row ' || toString(record_id), '') \
                 AS own, count() FROM weld_test.spot_records GROUP BY ALL ORDER BY ALL"
            )
            .await,
        "invalid\t1\t20\nok\t1\t980"
    );
}

#[tokio::test]
async fn a_row_that_arrives_after_the_fetch_is_not_touched() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), (0..100).filter(|id| *id != 50)).await;
    let range = range(0, 99);
    let block = table.fetch(&range).await.unwrap();
    insert(&table, day(), [50]).await;
    let given = verdicts(&block, 10, "m1");
    store_results(&table, 1, 0, "job", &block, &given)
        .await
        .unwrap();
    table.commit(&[attempt(1, &range)]).await.unwrap();
    assert_eq!(table.committed(&range, 1).await.unwrap(), 99);
    let late = table.fetch(&range).await.unwrap();
    assert_eq!((late.len(), late.key(0)), (1, key(50).as_ref()));
}

#[tokio::test]
async fn attempts_never_mix_and_the_first_of_a_run_stands() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..2000).await;
    let whole = range(0, 1999);
    let block = table.fetch(&whole).await.unwrap();
    for (token, model) in [(1, "m1"), (2, "m2")] {
        let given: Vec<Verdict> = verdicts(&block, 10, model)
            .into_iter()
            .map(|verdict| Verdict {
                diameter: Some(token as f32),
                ..verdict
            })
            .collect();
        store_results(&table, token, 0, "job", &block, &given)
            .await
            .unwrap();
    }
    let (first, second) = (attempt(1, &whole), attempt(2, &whole));
    let (first, second) = ([first], [second]);
    let (a, b) = tokio::join!(table.commit(&first), table.commit(&second));
    a.unwrap();
    b.unwrap();
    let by_token = plant
        .ask(
            "SELECT count(), uniqExact(alg_token), countIf(model_version != 'm' || toString(alg_token) OR diameter != alg_token) \
             FROM weld_test.spot_records WHERE alg_complete_time IS NOT NULL",
        )
        .await;
    assert_eq!(by_token, "2000\t1\t0");

    // Both in one group: each row wholly one attempt's too.
    plant
        .execute("ALTER TABLE weld_test.spot_records UPDATE alg_complete_time = NULL, alg_run = NULL WHERE 1 SETTINGS mutations_sync = 1")
        .await;
    table
        .commit(&[attempt(1, &whole), attempt(2, &whole)])
        .await
        .unwrap();
    let mixed = plant
        .ask(
            "SELECT countIf(alg_complete_time IS NULL), countIf(model_version != 'm' || toString(alg_token) OR diameter != alg_token) \
             FROM weld_test.spot_records",
        )
        .await;
    assert_eq!(mixed, "0\t0");
    let key = block.key(7).to_owned();
    let attempts = table.attempts_at(day(), &key, 10).await.unwrap();
    let tokens: Vec<u64> = attempts.iter().map(|attempt| attempt.token).collect();
    assert_eq!(tokens, [2, 1]);
}

#[tokio::test]
async fn an_older_run_cannot_overwrite_a_newer_one() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..20).await;
    let newer = Range {
        run: 20_261_122_000_000_001,
        selection: Selection::Force,
        ..range(0, 19)
    };
    let older = Range {
        run: 20_261_121_000_000_001,
        ..newer.clone()
    };
    let live = range(0, 19);
    let block = table.fetch(&live).await.unwrap();
    for (token, range) in [(3, &newer), (2, &older), (1, &live)] {
        let given = verdicts(&block, 3, &format!("m{token}"));
        store_results(&table, token, range.run, "job", &block, &given)
            .await
            .unwrap();
    }
    let who = async || {
        plant
            .ask("SELECT DISTINCT alg_run, alg_token, model_version FROM weld_test.spot_records")
            .await
    };
    table.commit(&[attempt(1, &live)]).await.unwrap();
    assert_eq!(who().await, "0\t1\tm1");
    table.commit(&[attempt(2, &older)]).await.unwrap();
    assert_eq!(who().await, "20261121000000001\t2\tm2");
    table.commit(&[attempt(3, &newer)]).await.unwrap();
    assert_eq!(who().await, "20261122000000001\t3\tm3");
    // Late statements of the older ones change nothing, and the older run wants nothing any more.
    table
        .commit(&[attempt(1, &live), attempt(2, &older)])
        .await
        .unwrap();
    assert_eq!(who().await, "20261122000000001\t3\tm3");
    assert!(table.fetch(&older).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_group_of_attempts_commits_in_one_statement() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..300).await;
    let mut attempts = Vec::new();
    for part in 0..3 {
        let range = range(part * 100, part * 100 + 89);
        let block = table.fetch(&range).await.unwrap();
        let given = verdicts(&block, 5, "m1");
        store_results(
            &table,
            100 + part,
            0,
            &format!("job-{part}"),
            &block,
            &given,
        )
        .await
        .unwrap();
        attempts.push(attempt(100 + part, &range));
    }
    table.commit(&attempts).await.unwrap();
    for each in &attempts {
        assert_eq!(table.committed(&each.range, each.token).await.unwrap(), 90);
    }
    let jobs = plant
        .ask("SELECT alg_job, count() FROM weld_test.spot_records GROUP BY 1 ORDER BY 1")
        .await;
    assert_eq!(jobs, "job-0\t90\njob-1\t90\njob-2\t90\n\\N\t30");
    assert_eq!(table.max_token(&[day()]).await.unwrap(), 102);
    plant.execute("TRUNCATE TABLE weld_test.weld_results").await;
    assert_eq!(table.max_token(&[day()]).await.unwrap(), 102);
    assert_eq!(table.max_token(&[]).await.unwrap(), 0);
}

#[tokio::test]
async fn rows_equal_in_the_whole_key_are_one_weld() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..10).await;
    insert(&table, day(), [4, 4, 5]).await;
    let range = range(0, 9);
    let block = table.fetch(&range).await.unwrap();
    assert_eq!(block.len(), 10);
    store_results(&table, 9, 0, "job", &block, &verdicts(&block, 4, "m1"))
        .await
        .unwrap();
    table.commit(&[attempt(9, &range)]).await.unwrap();
    assert_eq!(table.committed(&range, 9).await.unwrap(), 13);
}

#[tokio::test]
async fn marks_go_the_same_way_and_status_selects_them() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..10).await;
    let marked = table
        .mark(
            5,
            "job",
            &range(3, 4),
            Status::Poison,
            "killed its worker 'twice'",
        )
        .await
        .unwrap();
    assert_eq!(marked, 2);
    assert_eq!(
        plant
            .ask("SELECT DISTINCT alg_status, alg_error, final_result, rule_hits, alg_token FROM weld_test.spot_records WHERE record_id IN (3, 4)")
            .await,
        "poison\tkilled its worker \\'twice\\'\t\\N\t\\N\t5"
    );
    let again = Range {
        run: 20_261_122_000_000_001,
        selection: Selection::Status(vec![Status::Poison, Status::Error]),
        ..range(0, 9)
    };
    let block = table.fetch(&again).await.unwrap();
    assert_eq!(block.len(), 2);
    store_results(&table, 6, again.run, "job", &block, &[ok(), nok()])
        .await
        .unwrap();
    table.commit(&[attempt(6, &again)]).await.unwrap();
    let counts = table.day_counts(&[day()]).await.unwrap();
    assert_eq!(
        (
            counts[0].outcomes.ok,
            counts[0].outcomes.nok,
            counts[0].outcomes.poison,
            counts[0].left
        ),
        (1, 1, 0, 8)
    );
    // A mark of rows that are taken changes nothing.
    let late = table
        .mark(7, "job", &range(3, 4), Status::Invalid, "dropped")
        .await
        .unwrap();
    assert_eq!(late, 0);
    assert_eq!(ok().final_result, Some(Outcome::Ok));
}

#[tokio::test]
async fn an_unreachable_server_is_an_outage_and_a_missing_table_is_not() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    plant
        .execute("DROP TABLE weld_test.weld_results SYNC")
        .await;
    let block = {
        insert_at(&table, day(), &[1], &[common::MIDNIGHT_MS]).await;
        table.fetch(&range(0, 9)).await.unwrap()
    };
    let error = store_results(&table, 1, 0, "job", &block, &[ok()])
        .await
        .unwrap_err();
    assert!(!error.is_outage(), "{}", error.chain());
    assert!(matches!(
        error,
        StoreError::ClickHouse { code: Some(60), .. }
    ));

    plant.services.kill(weldfleet_testkit::Service::ClickHouse);
    let error = table.fetch(&range(0, 9)).await.unwrap_err();
    assert!(error.is_outage(), "{}", error.chain());
}

#[tokio::test]
async fn a_commit_waits_its_turn_for_longer_than_the_server_may_be_silent() {
    const PATIENCE: Duration = Duration::from_secs(1);
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..100).await;
    let range = range(10, 59);
    let block = table.fetch(&range).await.unwrap();
    let given = verdicts(&block, 7, "m1");
    store_results(&table, 77, 0, "job-a", &block, &given)
        .await
        .unwrap();

    let slow = "UPDATE weld_test.spot_records SET alg_error = toString(sleepEachRow(0.1)) WHERE record_id < 50 AND alg_status IS NULL \
                SETTINGS allow_experimental_lightweight_update = 1, function_sleep_max_microseconds_per_block = 60000000";
    let others = async {
        plant.execute(slow).await;
        Instant::now()
    };
    let ours = async {
        let running =
            "SELECT count() FROM system.processes WHERE query LIKE 'UPDATE%sleepEachRow%'";
        while plant.ask(running).await == "0" {
            tokio::task::yield_now().await;
        }
        let began = Instant::now();
        let patient = table.clone().with_patience(PATIENCE);
        patient.commit(&[attempt(77, &range)]).await.unwrap();
        (began, Instant::now())
    };
    let (others_ended, (began, ended)) = tokio::join!(others, ours);
    assert!(
        others_ended - began > 2 * PATIENCE,
        "the line was too short to prove anything"
    );
    assert!(ended > others_ended, "ours did not wait for its turn");
    assert_eq!(table.committed(&range, 77).await.unwrap(), 50);
}
