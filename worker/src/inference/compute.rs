//! One compute thread's own things: sessions, buffers, and judging with them.

use std::{collections::HashMap, sync::Arc, time::Instant};

use anyhow::Context;
use weldfleet_failpoints::poison_record;
use weldfleet_service::metrics;
use weldfleet_weld::{
    Verdict,
    judge::{Batch, Judge, ModelId, Prepared, Workspace},
};

use super::{Models, layout::Layout, session::ModelSession, welds::Welds};
use crate::clock::busy;

/// Judges rows on the calling thread.
pub struct Compute {
    judge: Arc<Judge>,
    sessions: Option<Sessions>,
    batch_rows: usize,
    poison: Option<String>,
    workspace: Workspace,
    prepared: Prepared,
}

impl Compute {
    /// Opens the global model, if models are on.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn new(judge: Arc<Judge>, models: Option<Models>, layout: Layout) -> anyhow::Result<Self> {
        let mut sessions = models.map(|models| Sessions::new(models, layout));
        if let Some(sessions) = &mut sessions {
            sessions.open_global()?;
        }
        Ok(Self {
            judge,
            sessions,
            batch_rows: layout.batch_rows,
            poison: poison_record(),
            workspace: Workspace::default(),
            prepared: Prepared::default(),
        })
    }

    /// One verdict a row, in order.
    ///
    /// # Errors
    /// If the model fails as a whole; no verdicts then.
    pub fn judge(
        &mut self,
        welds: &dyn Welds,
        rows: std::ops::Range<usize>,
    ) -> anyhow::Result<Vec<Verdict>> {
        self.abort_on_poison(welds, rows.clone());
        let mut verdicts = Vec::with_capacity(rows.len());
        let Self {
            judge,
            sessions,
            workspace,
            prepared,
            ..
        } = self;
        // A batch goes all the way before the next one begins, so that its tensor (16 kB a row) is still in the core's
        // cache when the model reads it.
        for start in rows.clone().step_by(self.batch_rows) {
            let block = start..rows.end.min(start + self.batch_rows);
            busy("prepare", || {
                judge.prepare(block.map(|row| welds.weld(row)), workspace, prepared)
            });
            busy("infer", || {
                prepared
                    .batches(self.batch_rows)
                    .try_for_each(|batch| infer(sessions.as_mut(), batch))
            })?;
            busy("conclude", || judge.conclude(prepared, &mut verdicts));
        }
        Ok(verdicts)
    }

    /// Forgets half-done work, after a panic.
    pub fn reset(&mut self) {
        self.workspace = Workspace::default();
        self.prepared = Prepared::default();
    }

    /// The fault hook for a record that kills its worker.
    fn abort_on_poison(&self, welds: &dyn Welds, mut rows: std::ops::Range<usize>) {
        let Some(poison) = &self.poison else { return };
        if rows.any(|row| welds.record_id(row) == *poison) {
            std::process::abort();
        }
    }
}

/// The sessions of one thread, opened as rows need them.
struct Sessions {
    models: Models,
    layout: Layout,
    open: HashMap<ModelId, ModelSession>,
}

impl Sessions {
    fn new(models: Models, layout: Layout) -> Self {
        Self {
            models,
            layout,
            open: HashMap::new(),
        }
    }

    fn open_global(&mut self) -> anyhow::Result<()> {
        self.session(ModelId::GLOBAL).map(|_| ())
    }

    fn session(&mut self, id: ModelId) -> anyhow::Result<&mut ModelSession> {
        if !self.open.contains_key(&id) {
            let session = self.models.open(id, self.layout)?;
            self.open.insert(id, session);
        }
        self.open
            .get_mut(&id)
            .context("a session that was just opened")
    }
}

fn infer(sessions: Option<&mut Sessions>, batch: Batch<'_>) -> anyhow::Result<()> {
    let sessions = sessions.context("a batch to infer although the model is off")?;
    let started = Instant::now();
    sessions.session(batch.model)?.infer(batch)?;
    metrics::histogram!("weldfleet_inference_seconds").record(started.elapsed());
    Ok(())
}
