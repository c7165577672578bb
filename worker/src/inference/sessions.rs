//! The sessions of one compute thread, opened as rows need them.
//!
//! A session takes about as much memory as its model's files, and every thread has its own: a hundred parts on sixteen
//! threads would be 1,600 of them. So the sessions of all threads share half of the memory that the process may have.
//! A thread that is at the end of its share closes the one that it has not used for longest. The global model's stays.

use std::{collections::HashMap, path::PathBuf};

use anyhow::{Context, ensure};
use weldfleet_failpoints::sick_model;
use weldfleet_weld::{features::REGRESSIONS, judge::ModelId};

use super::{Models, layout::Layout, session::ModelSession, tuning::probe::Probe};
use crate::memory;

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
    let files = models.bytes(models.ids());
    let global = models.bytes([ModelId::GLOBAL]);
    ((memory / 2).saturating_sub(files) / threads).saturating_sub(global)
}

impl Sessions {
    pub fn new(models: Models, layout: Layout) -> Self {
        let memory = memory::limit().map(|limit| limit.bytes);
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
            let session = match self.models.open(id, self.layout) {
                // What it lacks the others may have.
                Err(_) if self.close_other_parts(id) > 0 => self.models.open(id, self.layout),
                opened => opened,
            }?;
            let asked = self.asked;
            self.open.insert(id, Open { session, asked });
        }
        let open = self.open.get_mut(&id);
        let open = open.context("a session that was just opened")?;
        open.asked = self.asked;
        Ok(&mut open.session)
    }

    /// Asks a model about a weld that was made up.
    ///
    /// # Errors
    /// As of [`Sessions::session`]; or what the model says.
    pub fn try_made_up(&mut self, id: ModelId) -> anyhow::Result<()> {
        let probe = Probe::new(self.models.catalog.set().spec(id).config(), 1);
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
        while self.models.bytes(self.parts().chain([id])) > self.room {
            let idle = self.parts().min_by_key(|part| self.open[part].asked);
            let Some(idle) = idle else { return };
            let model = self.models.catalog.files(idle).path().display().to_string();
            tracing::debug!(model, "closed for the model of another part");
            self.close(idle);
        }
    }

    pub fn close_other_parts(&mut self, id: ModelId) -> usize {
        let others: Vec<ModelId> = self.parts().filter(|part| *part != id).collect();
        for part in &others {
            self.close(*part);
        }
        others.len()
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
        let one = models.bytes([id("A")]);
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
        let one = models.bytes([ModelId::GLOBAL]);
        assert_eq!(models.bytes(models.ids()), 3 * one);
        assert_eq!(room(&models, LAYOUT, Some(2 * (3 + 2 * 5) * one)), 4 * one);
        assert_eq!(room(&models, LAYOUT, Some(one)), 0);
        assert_eq!(room(&models, LAYOUT, None), u64::MAX);
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
