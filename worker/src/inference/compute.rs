//! One compute thread's own things: sessions, buffers, and judging with them.

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use weldfleet_failpoints::poison_record;
use weldfleet_service::{exit, metrics};
use weldfleet_weld::{
    Verdict,
    judge::{Batch, Judge, ModelId, Prepared, Workspace},
};

use super::{Models, layout::Layout, pool_error::ModelFailure, sessions::Sessions, welds::Welds};
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
    pub fn new(judge: Arc<Judge>, models: Option<Models>, layout: Layout) -> anyhow::Result<Self> {
        let mut sessions = models.map(|models| Sessions::new(models, layout));
        if let Some(sessions) = &mut sessions {
            sessions.session(ModelId::GLOBAL)?;
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
    /// If a model fails on them; no verdicts then.
    pub fn judge(
        &mut self,
        welds: &dyn Welds,
        rows: std::ops::Range<usize>,
    ) -> Result<Vec<Verdict>, ModelFailure> {
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
                    .try_for_each(|(model, batch)| infer(sessions.as_mut(), model, batch))
            })?;
            busy("conclude", || judge.conclude(prepared, &mut verdicts));
        }
        Ok(verdicts)
    }

    /// Whether a model judges a made-up weld; in a new session, if the open one does not.
    pub fn try_model(&mut self, model: ModelId) -> Result<(), ModelFailure> {
        let Some(sessions) = &mut self.sessions else {
            return Ok(());
        };
        if sessions.is_open(model) {
            let Err(error) = sessions.try_made_up(model) else {
                return Ok(());
            };
            let error = exit::chain(&error);
            tracing::warn!(error, "a model judges no made-up weld, opening it anew");
        }
        loop {
            // What broke a session (memory, a stream of the device) may be over for the next one.
            sessions.close(model);
            match sessions.try_made_up(model) {
                Ok(()) => return Ok(()),
                Err(error) if sessions.gives_way(model, &error) => {}
                Err(error) => return Err(failure(model, &error)),
            }
        }
    }

    /// What rows that this model judges say of it.
    pub fn version(&self, model: Option<ModelId>) -> Option<Arc<str>> {
        let models = self.judge.models().zip(model);
        models.map(|(models, model)| models.spec(model).version())
    }

    /// A row on which this model failed.
    pub fn in_error(&self, model: Option<ModelId>, reason: String) -> Verdict {
        self.judge.in_error(model, reason)
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

fn infer(
    sessions: Option<&mut Sessions>,
    model: ModelId,
    batch: Batch<'_>,
) -> Result<(), ModelFailure> {
    let started = Instant::now();
    let inferred = sessions
        .context("a batch to infer although the model is off")
        .and_then(|sessions| sessions.session(model)?.run(batch));
    inferred.map_err(|error| failure(model, &error))?;
    metrics::histogram!("weldfleet_inference_seconds").record(started.elapsed());
    Ok(())
}

fn failure(model: ModelId, error: &anyhow::Error) -> ModelFailure {
    let reason = exit::chain(error);
    ModelFailure { model, reason }
}

#[cfg(test)]
impl Compute {
    pub fn sessions(&mut self) -> &mut Sessions {
        self.sessions.as_mut().expect("a model")
    }
}
