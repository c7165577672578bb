//! A lease as far as work under it needs to know it.

/// What is asked of a lease while its range is computed or waits to be written.
pub trait HeldLease: Send + Sync + 'static {
    /// Whether it is known to be lost.
    fn is_lost(&self) -> bool;
    /// Tells that its holder is getting on.
    fn progress(&self);
}

impl HeldLease for weldfleet_queue::Lease {
    fn is_lost(&self) -> bool {
        Self::is_lost(self)
    }

    fn progress(&self) {
        Self::progress(self);
    }
}
