//! A row that kills whoever judges it, and the fleet around it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    Fleet, Process,
    agree::{Truth, text},
    clickhouse::Row,
    faults::EndState,
};

/// The environment of a worker that this row kills.
pub fn poisoned_by(record_id: &str) -> (&'static str, &str) {
    ("WELDFLEET_POISON_RECORD", record_id)
}

/// Workers that the row kills, and that are started again whenever they end.
pub struct Supervisor<'f> {
    fleet: &'f Fleet,
    record_id: &'static str,
    workers: Vec<Process>,
    pub deaths: u32,
}

impl<'f> Supervisor<'f> {
    /// Over these workers and one more.
    pub fn start(fleet: &'f Fleet, record_id: &'static str, mut workers: Vec<Process>) -> Self {
        workers.push(fleet.worker_with(&[poisoned_by(record_id)]));
        Self {
            fleet,
            record_id,
            workers,
            deaths: 0,
        }
    }

    /// Waits until a condition holds.
    ///
    /// # Panics
    /// When `within` has passed.
    pub async fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut holds: impl AsyncFnMut() -> bool,
    ) {
        let deadline = Instant::now() + within;
        while !holds().await {
            assert!(
                Instant::now() < deadline,
                "waited {within:?} in vain for: {what}; {} deaths",
                self.deaths
            );
            for worker in &mut self.workers {
                if !worker.running() {
                    self.deaths += 1;
                    *worker = self.fleet.worker_with(&[poisoned_by(self.record_id)]);
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until no row of the source table lacks a verdict or reason.
    pub async fn until_judged(&mut self, within: Duration) {
        let fleet = self.fleet;
        self.until("every row has a verdict or a reason", within, async || {
            let left = "spot_records WHERE alg_complete_time IS NULL";
            fleet.clickhouse.count(left).await == 0
        })
        .await;
    }
}

/// Rows that are marked as poison.
pub async fn poison_rows(fleet: &Fleet) -> Vec<Row> {
    let poison =
        "SELECT record_id, alg_error, final_result FROM spot_records WHERE alg_status = 'poison'";
    fleet.clickhouse.rows(poison).await
}

/// This row alone of so many is poison; all others were judged as in an undisturbed run, are mirrored and audited.
pub async fn assert_costs_that_row(
    fleet: &Fleet,
    record_id: &str,
    rows: u64,
    undisturbed: &EndState,
) {
    let poison = poison_rows(fleet).await;
    assert_eq!(poison.len(), 1, "{poison:?}");
    assert_eq!(text(&poison[0], "record_id"), record_id);
    assert_eq!(text(&poison[0], "final_result"), "");
    assert!(
        text(&poison[0], "alg_error").contains("killed its worker"),
        "{poison:?}"
    );

    let disturbed = EndState::read(fleet).await;
    assert_eq!(disturbed.verdicts.len() as u64, rows);
    assert_eq!(
        beside(&disturbed, record_id),
        beside(undisturbed, record_id),
        "verdicts beside the poison"
    );

    let judged = "(SELECT * FROM spot_records WHERE alg_status != 'poison')";
    let truth = Truth::read(&fleet.clickhouse, judged).await;
    assert_eq!(truth.rows, rows - 1);
    truth.counts();
    truth.assert_mirrored(&fleet.mysql).await;
    truth.assert_audited(&fleet.save_dir());
}

/// Verdicts of all other rows, without their runs: a backfill's is named after the moment it was asked for.
fn beside(state: &EndState, record_id: &str) -> Vec<Row> {
    let others = state.verdicts.iter();
    others
        .filter(|row| text(row, "record_id") != record_id)
        .cloned()
        .map(|mut row| {
            row.remove("alg_run");
            row
        })
        .collect()
}
