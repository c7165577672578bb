//! What a worker needs before it claims and while it runs; `worker check` shows the same.

use std::{path::PathBuf, sync::Arc};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    StoreError, audit_csv,
    clickhouse::{Capability, SourceTable, TableWatch},
};

/// Looks at what the worker needs while it runs.
#[derive(Clone)]
pub struct Needs {
    /// For a fresh look at the table.
    settings: Arc<Settings>,
    source: SourceTable,
    /// Cancelled when the table is not the one that was looked at: the worker then reads it anew.
    pub changed: CancellationToken,
}

impl Needs {
    pub fn new(settings: Arc<Settings>, source: SourceTable) -> Self {
        Self {
            settings,
            source,
            changed: CancellationToken::new(),
        }
    }

    /// Whether the capability works now, on a table that is what it was.
    pub async fn probe(&self, capability: Capability) -> Result<(), StoreError> {
        self.look().await?;
        self.source.probe(capability).await
    }

    /// Waits until the table is another, and says why this worker cannot go on with it; not while ClickHouse is away.
    pub async fn until_another(&self) -> StoreError {
        let mut watch = TableWatch::default();
        loop {
            watch.is_due().await;
            if let Ok(true) = watch.sees_another(&self.source).await
                && let Err(error) = self.look().await
                && !error.is_outage()
            {
                return error;
            }
        }
    }

    /// Whether the table is what it was; if it is another that can be worked with, `changed` is cancelled.
    async fn look(&self) -> Result<(), StoreError> {
        let now = SourceTable::inspect(&self.settings).await?;
        if now.schema() != self.source.schema() {
            self.changed.cancel();
            return Err(StoreError::Refused {
                what: "the source table has changed".to_owned(),
                remedy: "the worker reads it anew".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether an audit file of so many bytes can be written.
    pub async fn probe_save_dir(&self, bytes: u64) -> Result<(), StoreError> {
        probe_folder(self.settings.worker.save_dir.clone(), bytes).await
    }
}

/// One thing that is needed, and whether it is there.
pub type Need = (String, Result<(), StoreError>);

/// What this account may do in ClickHouse, and whether it works; the second list is empty where a grant is missing.
pub async fn clickhouse(source: &SourceTable) -> (Vec<Need>, Vec<Need>) {
    let capabilities = Capability::ALL.map(|capability| async move {
        let what = match capability {
            Capability::Read => "reads rows",
            Capability::Store => "stores results",
            Capability::Commit => "updates rows",
            Capability::Mirror => "reads NOK rows",
        };
        (what.to_owned(), source.probe(capability).await)
    });
    let (grants, mut works) = tokio::join!(source.check_grants(), join_all(capabilities));
    if grants.iter().any(|(_, result)| result.is_err()) {
        works.clear();
    }
    (grants, works)
}

pub async fn save_dir(settings: &Settings) -> Result<(), StoreError> {
    probe_folder(settings.worker.save_dir.clone(), audit_csv::SMALL_FILE).await
}

/// Whether a file of so many bytes can be written in the folder.
async fn probe_folder(folder: PathBuf, bytes: u64) -> Result<(), StoreError> {
    let probed = tokio::task::spawn_blocking(move || audit_csv::probe(&folder, bytes)).await;
    // A probe that panics has not shown that it works.
    probed.unwrap_or_else(|panic| {
        Err(StoreError::Refused {
            what: format!("cannot look at worker.save_dir: {panic}"),
            remedy: "see the log".to_owned(),
        })
    })
}
