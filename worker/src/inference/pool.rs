//! The compute threads.
//!
//! A range is cut into chunks; each thread takes the next chunk, validates, asks the rules, writes the
//! tensors, infers in small batches and fuses. Chunks of the range that was given first are taken first, so
//! ranges in flight finish one after the other. A thread owns its sessions (ONNX Runtime's are not shared) and
//! opens a part's model when the first row needs it.

use std::{ops::Range, sync::Arc, thread, time::Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::mpsc;
use weldfleet_queue::Lease;
use weldfleet_telemetry::metrics;
use weldfleet_weld::{Verdict, judge::Judge};

use super::{Models, compute::Compute, first_then_rest, isolation, layout::Layout, welds::Welds};

/// Rows a thread takes at a time, at least: whole batches.
const CHUNK_ROWS: usize = 128;

/// Why a range was not judged.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The lease was lost meanwhile.
    #[error("cancelled")]
    Cancelled,
    /// The model failed as a whole.
    #[error("{0}")]
    Model(String),
    /// A compute thread ended.
    #[error("{0}")]
    Ended(&'static str),
}

/// Handle on the compute threads; they end when the last handle is dropped.
#[derive(Clone)]
pub struct Pool {
    chunks: Sender<Chunk>,
    chunk_rows: usize,
}

struct Chunk {
    welds: Arc<dyn Welds>,
    rows: Range<usize>,
    lease: Option<Lease>,
    done: mpsc::UnboundedSender<(usize, Result<Vec<Verdict>, PoolError>)>,
}

impl Pool {
    /// Starts the layout's threads and opens the global model in each.
    ///
    /// # Errors
    /// If a model cannot be opened or a thread cannot be started.
    pub fn start(
        judge: Arc<Judge>,
        models: Option<Models>,
        layout: Layout,
    ) -> anyhow::Result<Self> {
        if let Some(models) = &models {
            models.try_parts(layout)?;
        }
        let (chunks, queue) = unbounded();
        let chunk_rows = CHUNK_ROWS.next_multiple_of(layout.batch_rows);
        let ready = first_then_rest(layout.sessions, || {
            Compute::new(judge.clone(), models.clone(), layout)
        })?;
        for (number, compute) in ready.into_iter().enumerate() {
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("compute-{number}"))
                .spawn(move || run(compute, &queue))
                .context("cannot start a compute thread")?;
        }
        Ok(Self { chunks, chunk_rows })
    }

    /// Judges every row: one verdict a row, in order. Each finished chunk counts as progress of the lease.
    ///
    /// # Errors
    /// [`PoolError`]; no verdicts then.
    pub async fn judge(
        &self,
        welds: Arc<dyn Welds>,
        lease: Option<&Lease>,
    ) -> Result<Vec<Verdict>, PoolError> {
        let (done, mut finished) = mpsc::unbounded_channel();
        let mut chunks = 0;
        for start in (0..welds.count()).step_by(self.chunk_rows) {
            let chunk = Chunk {
                welds: welds.clone(),
                rows: start..(start + self.chunk_rows).min(welds.count()),
                lease: lease.cloned(),
                done: done.clone(),
            };
            let sent = self.chunks.send(chunk);
            sent.map_err(|_| PoolError::Ended("every compute thread has ended"))?;
            chunks += 1;
        }
        drop(done);
        let mut parts: Vec<Vec<Verdict>> = vec![Vec::new(); chunks];
        let mut received = 0;
        while let Some((start, part)) = finished.recv().await {
            parts[start / self.chunk_rows] = part?;
            received += 1;
            if let Some(lease) = lease {
                lease.progress();
            }
        }
        if received < chunks {
            return Err(PoolError::Ended("a compute thread ended"));
        }
        Ok(parts.concat())
    }
}

fn run(mut compute: Compute, queue: &Receiver<Chunk>) {
    loop {
        let waiting = Instant::now();
        let Ok(chunk) = queue.recv() else { return };
        metrics::counter!("weldfleet_compute_wait_microseconds_total")
            .increment(waiting.elapsed().as_micros() as u64);
        let busy = Instant::now();
        let result = judge_chunk(&mut compute, &chunk);
        metrics::counter!("weldfleet_compute_busy_microseconds_total")
            .increment(busy.elapsed().as_micros() as u64);
        // The range may have been given up meanwhile; then nobody waits for this.
        let _ = chunk.done.send((chunk.rows.start, result));
    }
}

fn judge_chunk(compute: &mut Compute, chunk: &Chunk) -> Result<Vec<Verdict>, PoolError> {
    if chunk.lease.as_ref().is_some_and(Lease::is_lost) {
        return Err(PoolError::Cancelled);
    }
    isolation::judge(compute, chunk.welds.as_ref(), chunk.rows.clone())
}
