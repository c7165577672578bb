//! The stores before a worker joins the fleet: waited for where they are away, refused where waiting cures nothing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use weldfleet_fleet::queue_failure;
use weldfleet_queue::Queue;
use weldfleet_service::{
    Exit, Failure, Health,
    exit::causes,
    outage::{self, CLICKHOUSE, REDIS},
};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Class, StoreError, audit_csv,
    clickhouse::SourceTable,
    mysql::{Mirror, NokTable},
};

use crate::{needs, pipeline::Mirroring};

/// The stores, found to be what a worker needs.
pub struct Stores {
    pub source: SourceTable,
    pub queue: Queue,
    pub mirror: Option<Mirroring>,
}

/// Waits for the stores and looks at them; ends where waiting cures nothing.
pub async fn look(settings: Arc<Settings>, health: Health) -> Result<Stores, Failure> {
    // what is wrong with the url is told at once, not once ClickHouse answers
    let queue = Queue::new(weldfleet_fleet::queue_options(&settings)).map_err(queue_failure)?;
    let source = from_clickhouse(&health, || SourceTable::inspect(&settings)).await?;
    meet_needs(&settings, &source, &health).await?;
    let mirror =
        NokTable::new(&settings)?.map(|table| Mirroring::new(Mirror::new(source.clone(), table)));
    let queue = own_queue(&settings, queue, &health).await?;
    raise_token(&source, &queue, &health).await?;
    sweep_leftovers(&settings.worker.save_dir, &queue).await;
    tokio::spawn(sweep_again(settings.worker.save_dir.clone(), queue.clone()));
    Ok(Stores {
        source,
        queue,
        mirror,
    })
}

/// What ClickHouse answers; waits while it is away, ends when something is wrong.
async fn from_clickhouse<T, F: Future<Output = Result<T, StoreError>>>(
    health: &Health,
    ask: impl Fn() -> F,
) -> Result<T, Failure> {
    loop {
        match ask().await {
            Ok(answer) => {
                outage::ends(health, CLICKHOUSE);
                return Ok(answer);
            }
            Err(error) if error.is_outage() => {
                outage::wait(health, CLICKHOUSE, &error.chain()).await
            }
            Err(error) => return Err(fatal(error)),
        }
    }
}

/// Does not start where `worker check` says that something has failed; waits for what goes by itself.
async fn meet_needs(
    settings: &Settings,
    source: &SourceTable,
    health: &Health,
) -> Result<(), Failure> {
    let clickhouse = async {
        loop {
            let (grants, works) = needs::clickhouse(source).await;
            let found = grants.into_iter().chain(works);
            if met(health, CLICKHOUSE, found).await? {
                return Ok(());
            }
        }
    };
    let save_dir = async {
        loop {
            let found = [("save_dir".to_owned(), needs::save_dir(settings).await)];
            if met(health, "save_dir", found).await? {
                return Ok(());
            }
        }
    };
    tokio::try_join!(clickhouse, save_dir, meet_mirror(settings)).map(|_| ())
}

/// A mirror that is away costs a lag; one that is wrong would cost it for ever.
async fn meet_mirror(settings: &Settings) -> Result<(), Failure> {
    let table = NokTable::new(settings).map_err(|error| unmet("mysql", error))?;
    let Some(table) = table else { return Ok(()) };
    for (what, result) in table.check_all().await {
        match result {
            Err(error) if !goes_by_itself(&error) => {
                return Err(unmet(&format!("mysql: {what}"), error));
            }
            Err(error) => {
                tracing::warn!(
                    what,
                    error = error.chain(),
                    "mirror lags, judging goes on; the scheduler reconciles it"
                );
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whether everything found works; waits a moment where something does not that goes by itself.
async fn met(
    health: &Health,
    component: &'static str,
    found: impl IntoIterator<Item = needs::Need>,
) -> Result<bool, Failure> {
    for (what, result) in found {
        match result {
            Ok(()) => {}
            Err(error) if goes_by_itself(&error) => {
                outage::wait(health, component, &error.chain_and_remedy()).await;
                return Ok(false);
            }
            Err(error) => return Err(unmet(&what, error)),
        }
    }
    outage::ends(health, component);
    Ok(true)
}

fn goes_by_itself(error: &StoreError) -> bool {
    matches!(error.class(), Class::Outage | Class::Retry | Class::Size)
}

fn unmet(what: &str, error: StoreError) -> Failure {
    let remedy = error
        .remedy()
        .unwrap_or("`worker check` looks at everything");
    let error = anyhow::Error::new(error).context(format!("{what}: does not work; {remedy}"));
    Failure::new(Exit::Failed, error)
}

fn fatal(error: StoreError) -> Failure {
    let remedy = error.remedy().unwrap_or("`scheduler migrate` prepares it");
    let error =
        anyhow::Error::new(error).context(format!("the source table cannot be used; {remedy}"));
    Failure::new(Exit::Failed, error)
}

/// Makes sure that the queue is this table's; waits while ClickHouse or Redis is away, ends where waiting cures
/// nothing.
async fn own_queue(settings: &Settings, queue: Queue, health: &Health) -> Result<Queue, Failure> {
    let owned = || weldfleet_fleet::owned(queue.clone(), settings);
    let queue = from_clickhouse(health, owned)
        .await?
        .map_err(queue_failure)?;
    loop {
        match queue.own().await {
            Ok(()) => return Ok(queue),
            Err(error) if error.is_outage() && !error.is_denied() => {
                outage::wait(health, REDIS, &causes(&error)).await;
            }
            Err(error) => return Err(queue_failure(error)),
        }
    }
}

/// Tokens must grow even if Redis has forgotten everything.
async fn raise_token(source: &SourceTable, queue: &Queue, health: &Health) -> Result<(), Failure> {
    loop {
        let floor = from_clickhouse(health, || source.max_token(&[])).await?;
        match queue.raise_token(floor).await {
            Ok(_) => {
                outage::ends(health, REDIS);
                return Ok(());
            }
            Err(error) => {
                outage::wait(health, REDIS, &causes(&error)).await;
            }
        }
    }
}

/// A worker that was killed just before this start is still listed as alive, like a living one; its files go when it no
/// longer is.
async fn sweep_again(save_dir: PathBuf, queue: Queue) {
    tokio::time::sleep(queue.options().worker_expiry() + Duration::from_secs(1)).await;
    sweep_leftovers(&save_dir, &queue).await;
}

/// Temporary audit files of workers that are no more.
async fn sweep_leftovers(save_dir: &Path, queue: &Queue) {
    let alive: Vec<String> = match queue.workers().await {
        Ok(workers) => workers
            .into_iter()
            .map(|entry| entry.id.to_string())
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot tell which workers live, leaving temporary files");
            return;
        }
    };
    let save_dir = save_dir.to_owned();
    let swept = tokio::task::spawn_blocking(move || {
        audit_csv::sweep_leftovers(&save_dir, |worker| alive.iter().any(|id| id == worker))
    })
    .await;
    match swept {
        Ok(Ok(0)) => {}
        Ok(Ok(files)) => tracing::info!(files, "removed temporary files of dead workers"),
        Ok(Err(error)) => tracing::warn!(error = error.chain(), "cannot remove temporary files"),
        Err(error) => tracing::warn!(%error, "cannot remove temporary files"),
    }
}
