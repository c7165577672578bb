//! The sessions of one compute thread, opened as rows need them.
//!
//! A session takes about as much memory as its model's files, on a GPU its buffers besides, and every thread has its
//! own: a hundred parts on sixteen threads would be 1,600 of them. So the sessions of all threads share half of the
//! memory that the process may have, or that the GPU had free at the start if that is less. A thread that is at the end
//! of its share closes the one that it has not used for longest. The global model's stays.

use std::{collections::HashMap, path::PathBuf};

use anyhow::{Context, ensure};
use weldfleet_failpoints::sick_model;
use weldfleet_weld::{features::REGRESSIONS, judge::ModelId};

use super::{
    Models, layout::Layout, probe::Probe, remedy::is_out_of_memory, session::ModelSession,
};
use crate::memory::{self, Limit};

pub struct Sessions {
    models: Models,
    layout: Layout,
    open: HashMap<ModelId, Open>,
    /// Bytes of models of parts that may be open at once; one always may.
    room: u64,
    /// Counts what was asked for.
    asked: u64,
    /// The fault hook for a model or a device that fails.
    sick: Option<PathBuf>,
}

struct Open {
    session: ModelSession,
    /// When it was asked for last.
    asked: u64,
}

/// Bytes of parts' models that each thread may have open, of this much memory; as many as there are where nobody knows
/// how much there is.
pub fn room(models: &Models, layout: Layout, memory: Option<u64>) -> u64 {
    let Some(memory) = memory else {
        return u64::MAX;
    };
    let threads = layout.sessions.max(1) as u64;
    let files = models.bytes();
    let global = models.session_bytes([ModelId::GLOBAL], layout);
    ((memory / 2).saturating_sub(files) / threads).saturating_sub(global)
}

/// What bounds the sessions: this process's memory, or the GPU's that was free at the start.
pub fn limit(models: &Models) -> Option<Limit> {
    let gpu = models.runtime.gpu_free_bytes();
    let gpu = gpu.map(|bytes| Limit {
        of: "GPU (what was free)",
        bytes,
    });
    let limits = [memory::limit(), gpu].into_iter().flatten();
    limits.min_by_key(|limit| limit.bytes)
}

impl Sessions {
    pub fn new(models: Models, layout: Layout) -> Self {
        let memory = limit(&models).map(|limit| limit.bytes);
        Self {
            room: room(&models, layout, memory),
            models,
            layout,
            open: HashMap::new(),
            asked: 0,
            sick: sick_model(),
        }
    }

    /// The session of a model, opened where it is not.
    ///
    /// # Errors
    /// If it cannot be had, not even in the place of all others.
    pub fn session(&mut self, id: ModelId) -> anyhow::Result<&mut ModelSession> {
        let sick = self.sick.as_ref().is_some_and(|file| file.exists());
        ensure!(!sick, "the fault hook says that the model is sick");
        self.asked += 1;
        if !self.open.contains_key(&id) {
            self.make_room(id);
            let session = loop {
                match self.models.open(id, self.layout) {
                    Ok(session) => break session,
                    Err(error) if self.gives_way(id, &error) => {}
                    Err(error) => return Err(error),
                }
            };
            let asked = self.asked;
            self.open.insert(id, Open { session, asked });
        }
        let open = self.open.get_mut(&id);
        let open = open.context("a session that was just opened")?;
        open.asked = self.asked;
        Ok(&mut open.session)
    }

    /// Asks a model about a weld that was made up.
    pub fn try_made_up(&mut self, id: ModelId) -> anyhow::Result<()> {
        let probe = Probe::new(self.models.catalog.set.spec(id).config(), 1);
        let (mut nok_prob, mut regression) = ([f32::NAN], [f32::NAN; REGRESSIONS]);
        let session = self.session(id)?;
        session.run(probe.rows(&mut nok_prob, &mut regression))
    }

    pub fn is_open(&self, id: ModelId) -> bool {
        self.open.contains_key(&id)
    }

    pub fn close(&mut self, id: ModelId) {
        self.open.remove(&id);
    }

    fn parts(&self) -> impl Iterator<Item = ModelId> {
        let open = self.open.keys().copied();
        open.filter(|id| *id != ModelId::GLOBAL)
    }

    fn make_room(&mut self, id: ModelId) {
        if id == ModelId::GLOBAL {
            return;
        }
        while self
            .models
            .session_bytes(self.parts().chain([id]), self.layout)
            > self.room
        {
            if !self.close_idlest(id) {
                return;
            }
        }
    }

    /// Closes models of other parts where one failed: what it lacks they may have. That is the least used one if memory
    /// lacks, so that the rest need not be opened anew, else all. Whether there was one.
    pub fn gives_way(&mut self, id: ModelId, error: &anyhow::Error) -> bool {
        if !self.close_idlest(id) {
            return false;
        }
        if is_out_of_memory(error) {
            // There is less than was reckoned with: room is made before the next one.
            let still_open = self.models.session_bytes(self.parts(), self.layout);
            self.room = self.room.min(still_open);
        } else {
            while self.close_idlest(id) {}
        }
        let model = self.models.catalog.files(id).path.display();
        let error = format!("{error:#}");
        tracing::warn!(%model, error, "a model fails, trying again without models of other parts");
        true
    }

    fn close_idlest(&mut self, but: ModelId) -> bool {
        let others = self.parts().filter(|part| *part != but);
        let Some(idlest) = others.min_by_key(|part| self.open[part].asked) else {
            return false;
        };
        let model = self.models.catalog.files(idlest).path.display();
        tracing::debug!(%model, "closed for the model of another part");
        self.close(idlest);
        true
    }
}

#[cfg(test)]
impl Sessions {
    /// No model judges while this file exists.
    pub fn sick_while(&mut self, file: PathBuf) {
        self.sick = Some(file);
    }

    /// Puts another session in the place of the global model's.
    pub fn replace_global(&mut self, session: ModelSession) {
        let asked = self.asked;
        self.open.insert(ModelId::GLOBAL, Open { session, asked });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use weldfleet_settings::Provider;
    use weldfleet_testkit::{onnxruntime_library, repository};

    use super::*;

    const LAYOUT: Layout = Layout {
        sessions: 2,
        threads: 1,
        batch_rows: 8,
    };

    /// A global model and those of these parts.
    fn models(parts: &[(&str, &str)]) -> (tempfile::TempDir, Models) {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts
            .iter()
            .map(|(part, model)| (format!("parts/{part}"), *model));
        for (to, model) in parts.chain([("global".to_owned(), "good")]) {
            let to = folder.path().join(to);
            fs::create_dir_all(&to).unwrap();
            let from = repository().join("tests/tests/data/models").join(model);
            for file in ["model.onnx", "inference_config.json"] {
                fs::copy(from.join("global").join(file), to.join(file)).unwrap();
            }
        }
        let models = Models::in_folder(&onnxruntime_library(), folder.path());
        (folder, models)
    }

    fn sessions(models: &Models, room: u64) -> Sessions {
        Sessions {
            room,
            ..Sessions::new(models.clone(), LAYOUT)
        }
    }

    #[test]
    fn the_part_that_was_not_asked_for_longest_makes_room_and_the_global_model_stays() {
        let (_folder, models) = models(&[("A", "good"), ("B", "good"), ("C", "good")]);
        let id = |part: &str| models.set().for_part(part);
        let one = models.catalog.files(id("A")).bytes();
        let mut sessions = sessions(&models, 2 * one);
        let open = |sessions: &Sessions| ["", "A", "B", "C"].map(|part| sessions.is_open(id(part)));
        for part in ["", "A", "B", "A", "C"] {
            sessions.session(id(part)).unwrap();
        }
        assert_eq!(open(&sessions), [true, true, false, true]);
        sessions.room = one;
        sessions.session(id("B")).unwrap();
        assert_eq!(open(&sessions), [true, false, true, false]);
        sessions.room = 0;
        sessions.session(id("C")).unwrap();
        assert_eq!(
            open(&sessions),
            [true, false, false, true],
            "one always may be"
        );
    }

    #[test]
    fn threads_share_half_of_the_memory_less_the_files_and_the_global_sessions() {
        let (_folder, models) = models(&[("A", "good"), ("B", "good")]);
        let one = models.catalog.global().bytes();
        assert_eq!(models.bytes(), 3 * one);
        assert_eq!(room(&models, LAYOUT, Some(2 * (3 + 2 * 5) * one)), 4 * one);
        assert_eq!(room(&models, LAYOUT, Some(one)), 0);
        assert_eq!(room(&models, LAYOUT, None), u64::MAX);
    }

    #[test]
    fn where_memory_lacks_only_the_idlest_gives_way() {
        let (_folder, models) = models(&[("A", "good"), ("B", "good"), ("C", "good")]);
        let id = |part: &str| models.set().for_part(part);
        let mut sessions = sessions(&models, u64::MAX);
        for part in ["B", "A", "C", ""] {
            sessions.session(id(part)).unwrap();
        }
        let open = |sessions: &Sessions| ["A", "B", "C", ""].map(|part| sessions.is_open(id(part)));
        let no_memory = anyhow::anyhow!("CUDA failure 2: out of memory");
        assert!(sessions.gives_way(id("C"), &no_memory));
        assert_eq!(open(&sessions), [true, false, true, true]);
        assert!(sessions.gives_way(id("C"), &no_memory));
        assert_eq!(open(&sessions), [false, false, true, true]);
        assert!(!sessions.gives_way(id("C"), &no_memory), "nothing is left");
    }

    #[test]
    fn a_session_on_a_gpu_takes_its_buffers_too() {
        let (_folder, mut models) = models(&[]);
        let one = models.catalog.global().bytes();
        assert_eq!(models.session_bytes([ModelId::GLOBAL], LAYOUT), one);
        models.runtime = models.runtime.forced(Provider::Cuda, false);
        // Eight rows of four channels of 100 points, and five results, on host and device.
        let buffers = 2 * 8 * (4 * 100 + 5) * 4;
        let taken = models.session_bytes([ModelId::GLOBAL], LAYOUT);
        assert_eq!(taken, one + buffers);
        let memory = 2 * (one + 2 * (taken + 7));
        assert_eq!(room(&models, LAYOUT, Some(memory)), 7);
        models.runtime = models.runtime.with_gpu_free_bytes(4711);
        assert_eq!(limit(&models).map(|limit| limit.bytes), Some(4711));
        models.runtime = models.runtime.forced(Provider::Cpu, false);
        assert_ne!(limit(&models).map(|limit| limit.bytes), Some(4711));
    }

    #[test]
    fn before_a_session_is_refused_idle_ones_give_way() {
        let (_folder, models) = models(&[("A", "good"), ("B", "transposed")]);
        let id = |part: &str| models.set().for_part(part);
        let mut sessions = sessions(&models, u64::MAX);
        for part in ["", "A"] {
            sessions.session(id(part)).unwrap();
        }
        assert!(sessions.session(id("B")).is_err());
        assert!(!sessions.is_open(id("A")) && sessions.is_open(ModelId::GLOBAL));
        assert!(sessions.session(id("A")).is_ok());
    }
}
