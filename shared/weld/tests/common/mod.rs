//! The three steps of judging, one after the other.

use weldfleet_weld::{
    Verdict, Weld,
    judge::{Batch, Judge, ModelId, Prepared, Workspace},
};

/// One verdict a weld, in order; batches have at most `batch_rows` rows.
pub fn judged<'a, E>(
    judge: &Judge,
    welds: impl IntoIterator<Item = Weld<'a>>,
    batch_rows: usize,
    mut infer: impl FnMut(ModelId, Batch<'_>) -> Result<(), E>,
    workspace: &mut Workspace,
    prepared: &mut Prepared,
) -> Result<Vec<Verdict>, E> {
    judge.prepare(welds, workspace, prepared);
    for (model, batch) in prepared.batches(batch_rows) {
        infer(model, batch)?;
    }
    let mut verdicts = Vec::new();
    judge.conclude(prepared, &mut verdicts);
    Ok(verdicts)
}
