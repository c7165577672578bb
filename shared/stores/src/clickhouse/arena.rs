//! The memory of curves, used again: a range's samples fill some ten megabytes, and fresh pages for them cost as much
//! as copying the samples.

use std::sync::{Arc, Mutex};

use crate::lock;

/// An arena that grew beyond this for an unusual range is not kept.
const MOST_BYTES: usize = 64 << 20;

/// Both curves of some rows, end to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arena {
    pub u_ends: Vec<u64>,
    pub u_values: Vec<f32>,
    pub i_ends: Vec<u64>,
    pub i_values: Vec<f32>,
}

impl Arena {
    fn clear(&mut self) {
        self.u_ends.clear();
        self.u_values.clear();
        self.i_ends.clear();
        self.i_values.clear();
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        (self.u_values.capacity() + self.i_values.capacity()) * size_of::<f32>()
            + (self.u_ends.capacity() + self.i_ends.capacity()) * size_of::<u64>()
    }
}

/// Arenas that are free. There are never more than there were blocks alive at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spare(Arc<Mutex<Vec<Arena>>>);

impl Spare {
    /// An empty arena, a used one if there is one.
    pub(crate) fn take(&self) -> Arena {
        lock(&self.0).pop().unwrap_or_default()
    }

    /// Gives an arena back.
    pub(crate) fn put(&self, mut arena: Arena) {
        if (1..=MOST_BYTES).contains(&arena.bytes()) {
            arena.clear();
            lock(&self.0).push(arena);
        }
    }
}
