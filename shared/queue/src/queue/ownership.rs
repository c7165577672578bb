//! Whose the queue is, so that two fleets which happen to name theirs alike do not take each other's jobs.

use super::{Queue, Taken};
use crate::{
    Owner, QueueError, State,
    scripts::{Arg, Operation},
    timing::millis,
};

impl Queue {
    /// The same queue for this owner, over a connection of its own: [`own`](Self::own), [`try_lead`](Self::try_lead)
    /// and [`register`](Self::register) fail with [`QueueError::Foreign`] if it is somebody else's.
    ///
    /// # Errors
    /// [`QueueError::Options`].
    pub fn owned_by(&self, owner: Owner) -> Result<Self, QueueError> {
        let mut options = self.inner.options.clone();
        options.owner = Some(owner);
        options.validate()?;
        Self::with_refusals(options, self.inner.link.refusals())
    }

    /// Makes the queue this owner's if it is nobody's. Without an owner in the options, nothing is asked.
    ///
    /// # Errors
    /// [`QueueError::Foreign`] if it is somebody else's; else see [`QueueError`].
    pub async fn own(&self) -> Result<(), QueueError> {
        self.look_at_owner("1").await
    }

    /// As [`own`](Self::own), but changes nothing: for those who only look, or act once.
    ///
    /// # Errors
    /// See [`own`](Self::own).
    pub async fn check_owner(&self) -> Result<(), QueueError> {
        self.look_at_owner("0").await
    }

    async fn look_at_owner(&self, stamp: &str) -> Result<(), QueueError> {
        let owner = self.owner_text();
        if owner.is_empty() {
            return Ok(());
        }
        let args = [Arg::Text(&owner), Arg::Text(stamp)];
        self.run(Operation::Own, &args).await.map(drop)
    }

    /// Makes the queue this owner's, whoever had it, unless somebody still works on it. Its outstanding jobs are
    /// forgotten, since they name the other owner's work; owners rebuild their jobs.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn take(&self) -> Result<Taken, QueueError> {
        let owner = self.owner_text();
        let args = [
            Arg::Text(&owner),
            Arg::Number(millis(self.options().worker_expiry())),
        ];
        let (reply, value) = self.run(Operation::Take, &args).await?;
        let [taken, workers, leader] = reply.entries(&value)?;
        if reply.number(taken)? == 0 {
            return Ok(Taken::InUse {
                workers: reply.number(workers)?,
                leader: Some(reply.text(leader)?).filter(|id| !id.is_empty()),
            });
        }
        let mut forgotten = 0;
        for state in State::ALL.into_iter().filter(|state| *state != State::Done) {
            // By what the set lists: some may have no record.
            let listed = self
                .scan("take", "ZSCAN", &self.keys().state(state))
                .await?;
            for [id, _score] in listed.as_chunks().0 {
                self.cancel(id).await?;
                forgotten += 1;
            }
        }
        Ok(Taken::Taken { forgotten })
    }

    /// As the scripts take it; empty if nobody is named.
    pub(super) fn owner_text(&self) -> String {
        self.options()
            .owner
            .as_ref()
            .map(Owner::text)
            .unwrap_or_default()
    }
}
