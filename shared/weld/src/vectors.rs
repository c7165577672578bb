//! One program for every machine, and its loops for the vector unit that the machine has.

/// Runs a loop in the widest version that the processor can: AVX2 where it has it, else what every processor of its
/// kind has. The versions come from the same source and give the same numbers; nothing is contracted. Only what is
/// inlined into `work` gains, so it is a closure marked `#[inline(always)]`, around loops and small functions.
#[inline(always)]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
