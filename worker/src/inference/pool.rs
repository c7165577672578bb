//! The compute threads.
//!
//! A range is cut into chunks; each thread takes the next chunk, validates, asks the rules, writes the
//! tensors, infers in small batches and fuses. Chunks of the range that was given first are taken first, so
//! ranges in flight finish one after the other. A thread owns its sessions (ONNX Runtime's are not shared) and
//! opens a part's model when the first row needs it.
//!
//! Chunks of ranges go before records that somebody asked about (`POST /predict`, `check`): those wait, but for one
//! turn in [`RANGES_BEFORE_UNLEASED`] of each thread, so that a busy fleet still answers. What nobody waits for any
//! more is not computed.

use std::{ops::Range, sync::Arc, thread, time::Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, select_biased, unbounded};
use tokio::sync::mpsc;
use weldfleet_service::metrics;
use weldfleet_weld::{
    Record, Verdict,
    judge::{Judge, ModelId},
};

pub use super::pool_error::{ModelFailure, PoolError};
use super::{
    Models, compute::Compute, isolation, layout::Layout, models::first_then_rest, welds::Welds,
};
use crate::lease::HeldLease;

/// Rows a thread takes at a time, at least: whole batches.
const CHUNK_ROWS: usize = 128;
/// Chunks of ranges that a thread takes before it looks after records that somebody asked about.
const RANGES_BEFORE_UNLEASED: u32 = 16;

/// Handle on the compute threads; they end when the last handle is dropped.
#[derive(Clone)]
pub struct Pool {
    chunks: Sender<Chunk>,
    /// Of everything that has no lease.
    unleased: Sender<Chunk>,
    chunk_rows: usize,
}

struct Chunk {
    welds: Arc<dyn Welds>,
    rows: Range<usize>,
    /// A model to be tried instead.
    tried: Option<ModelId>,
    lease: Option<Arc<dyn HeldLease>>,
    done: mpsc::UnboundedSender<(usize, Result<Vec<Verdict>, PoolError>)>,
}

impl Pool {
    /// Starts the layout's threads and opens the global model in each.
    pub fn start(
        judge: Arc<Judge>,
        models: Option<Models>,
        layout: Layout,
    ) -> anyhow::Result<Self> {
        if let Some(models) = &models {
            models.try_parts(layout)?;
        }
        let (chunks, ranges) = unbounded();
        let (unleased, rest) = unbounded();
        let chunk_rows = CHUNK_ROWS.next_multiple_of(layout.batch_rows);
        metrics::gauge!("weldfleet_compute_threads").set(layout.sessions as f64);
        let ready = first_then_rest(layout.sessions, || {
            Compute::new(judge.clone(), models.clone(), layout)
        })?;
        for (number, compute) in ready.into_iter().enumerate() {
            let queues = Queues {
                ranges: ranges.clone(),
                unleased: rest.clone(),
                ranges_taken: 0,
            };
            thread::Builder::new()
                .name(format!("compute-{number}"))
                .spawn(move || run(compute, queues))
                .context("cannot start a compute thread")?;
        }
        Ok(Self {
            chunks,
            unleased,
            chunk_rows,
        })
    }

    /// Judges every row: one verdict a row, in order. Each finished chunk counts as progress of the lease.
    ///
    /// # Errors
    /// [`PoolError`]; no verdicts then.
    pub async fn judge(
        &self,
        welds: Arc<dyn Welds>,
        lease: Option<Arc<dyn HeldLease>>,
    ) -> Result<Vec<Verdict>, PoolError> {
        let (done, mut finished) = mpsc::unbounded_channel();
        let queue = if lease.is_some() {
            &self.chunks
        } else {
            &self.unleased
        };
        let mut chunks = 0;
        for start in (0..welds.count()).step_by(self.chunk_rows) {
            let chunk = Chunk {
                welds: welds.clone(),
                rows: start..(start + self.chunk_rows).min(welds.count()),
                tried: None,
                lease: lease.clone(),
                done: done.clone(),
            };
            let sent = queue.send(chunk);
            sent.map_err(|_| PoolError::Ended("every compute thread has ended"))?;
            chunks += 1;
        }
        drop(done);
        let mut judged: Vec<Vec<Verdict>> = vec![Vec::new(); chunks];
        let mut received = 0;
        while let Some((start, chunk)) = finished.recv().await {
            judged[start / self.chunk_rows] = chunk?;
            received += 1;
            if let Some(lease) = &lease {
                lease.progress();
            }
        }
        if received < chunks {
            return Err(PoolError::Ended("a compute thread ended"));
        }
        let mut verdicts = judged.concat();
        welds.refuse(&mut verdicts);
        Ok(verdicts)
    }

    /// Whether the compute thread that is free next judges by this model.
    pub async fn try_model(&self, model: ModelId) -> Result<(), PoolError> {
        let (done, mut tried) = mpsc::unbounded_channel();
        let chunk = Chunk {
            welds: Arc::new(Vec::<Record>::new()),
            rows: 0..0,
            tried: Some(model),
            lease: None,
            done,
        };
        let sent = self.chunks.send(chunk);
        sent.map_err(|_| PoolError::Ended("every compute thread has ended"))?;
        match tried.recv().await {
            Some((_, answer)) => answer.map(|_| ()),
            None => Err(PoolError::Ended("a compute thread ended")),
        }
    }
}

/// What one thread takes from.
struct Queues {
    ranges: Receiver<Chunk>,
    unleased: Receiver<Chunk>,
    /// Since the last one that was none.
    ranges_taken: u32,
}

impl Queues {
    /// The next chunk that somebody still waits for; none when the pool is no more.
    fn next(&mut self) -> Option<Chunk> {
        loop {
            let due = self.ranges_taken >= RANGES_BEFORE_UNLEASED;
            let unleased = due.then(|| self.unleased.try_recv().ok()).flatten();
            let (chunk, of_range) = match unleased {
                Some(chunk) => (chunk, false),
                None => select_biased! {
                    recv(self.ranges) -> chunk => (chunk.ok()?, true),
                    recv(self.unleased) -> chunk => (chunk.ok()?, false),
                },
            };
            if chunk.done.is_closed() {
                continue;
            }
            self.ranges_taken = match of_range {
                true => (self.ranges_taken + 1).min(RANGES_BEFORE_UNLEASED),
                false => 0,
            };
            return Some(chunk);
        }
    }
}

fn run(mut compute: Compute, mut queues: Queues) {
    loop {
        let waiting = Instant::now();
        let Some(chunk) = queues.next() else { return };
        metrics::histogram!("weldfleet_compute_wait_seconds").record(waiting.elapsed());
        let busy = Instant::now();
        let result = judge_chunk(&mut compute, &chunk);
        metrics::histogram!("weldfleet_compute_busy_seconds").record(busy.elapsed());
        // The range may have been given up meanwhile; then nobody waits for this.
        let _ = chunk.done.send((chunk.rows.start, result));
    }
}

fn judge_chunk(compute: &mut Compute, chunk: &Chunk) -> Result<Vec<Verdict>, PoolError> {
    if chunk.lease.as_ref().is_some_and(|lease| lease.is_lost()) {
        return Err(PoolError::Cancelled);
    }
    if let Some(model) = chunk.tried {
        compute.try_model(model)?;
    }
    Ok(isolation::judge(
        compute,
        chunk.welds.as_ref(),
        chunk.rows.clone(),
    )?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use weldfleet_settings::{Model, Settings};
    use weldfleet_weld::rules::{RuleSet, RulesFile};

    use super::*;

    #[derive(Default)]
    struct Paper(AtomicUsize);

    impl HeldLease for Paper {
        fn is_lost(&self) -> bool {
            false
        }

        fn progress(&self) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    #[tokio::test]
    async fn each_chunk_is_progress_of_the_lease() {
        let settings = Settings::default();
        let rules = RuleSet::new(&RulesFile::from_toml("").unwrap(), 1.0);
        let judge = Judge::new(
            settings.curves,
            settings.validation,
            None,
            Some(rules),
            0.9999,
        );
        let layout = Layout::without_model(1, &Model::default());
        let pool = Pool::start(Arc::new(judge.unwrap()), None, layout).unwrap();
        let record = serde_json::json!({
            "part_no": "", "umax": 1.5, "imax": 9.0, "u_curve": vec![1.5; 400], "i_curve": vec![9.0; 400],
        });
        let record: Record = serde_json::from_value(record).unwrap();
        let lease = Arc::new(Paper::default());
        let welds = Arc::new(vec![record; 3 * CHUNK_ROWS]);
        let verdicts = pool.judge(welds, Some(lease.clone())).await.unwrap();
        assert_eq!(verdicts.len(), 3 * CHUNK_ROWS);
        assert_eq!(lease.0.load(Ordering::Acquire), 3);
    }

    /// A chunk whose number is its first row, and whoever waits for it.
    type Waits = mpsc::UnboundedReceiver<(usize, Result<Vec<Verdict>, PoolError>)>;
    fn chunk(number: usize) -> (Chunk, Waits) {
        let (done, waiting) = mpsc::unbounded_channel();
        let chunk = Chunk {
            welds: Arc::new(Vec::<Record>::new()),
            rows: number..number,
            tried: None,
            lease: None,
            done,
        };
        (chunk, waiting)
    }

    #[test]
    fn ranges_go_first_the_rest_is_not_forgotten_and_what_nobody_waits_for_is_not_computed() {
        let (to_ranges, ranges) = unbounded();
        let (to_unleased, unleased) = unbounded();
        let mut waiting = Vec::new();
        for number in 0..20 {
            let (chunk, waits) = chunk(number);
            to_ranges.send(chunk).unwrap();
            waiting.push(waits);
        }
        for number in 100..103 {
            let (chunk, waits) = chunk(number);
            to_unleased.send(chunk).unwrap();
            waiting.push(waits);
        }
        // The clients of range 3 and of record 100 have gone.
        waiting.remove(20);
        waiting.remove(3);
        let mut queues = Queues {
            ranges,
            unleased,
            ranges_taken: 0,
        };
        let order: Vec<usize> = (0..21)
            .filter_map(|_| queues.next().map(|chunk| chunk.rows.start))
            .collect();
        let first: Vec<usize> = (0..17).filter(|number| *number != 3).collect();
        let then = [101, 17, 18, 19, 102];
        assert_eq!(order, [&first[..], &then].concat());
        drop((to_ranges, to_unleased));
        assert!(queues.next().is_none(), "a thread ends with its pool");
    }
}
