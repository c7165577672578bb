//! `worker run`: claim, infer, write, ack, until stopped.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use apalis::prelude::{BoxDynError, WorkerBuilder};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use weldfleet_breaker::Tally;
use weldfleet_fleet::queue_failure;
use weldfleet_queue::{
    Consumer, Job, Lease, Pause, Queue, Settlement, WorkerInfo,
    apalis::{LeasedBackend, Slot},
};
use weldfleet_service::{
    Exit, Failure, Health, OrExit,
    exit::causes,
    http,
    http::StatusPage,
    metrics,
    outage::{self, CLICKHOUSE, REDIS},
    signals,
};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Class, StoreError, audit_csv,
    clickhouse::SourceTable,
    mysql::{Mirror, NokTable},
};

use crate::{
    heartbeat,
    inference::{
        changes::{self, Noticed},
        pool::Pool,
        tuning::Tuning,
    },
    judging::Judging,
    needs::{self, Needs},
    pipeline::{Gate, Mirroring, Pipeline, Writing},
};

/// Time between two looks at what `/readyz` tells.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// Runs until SIGTERM or ctrl-c.
pub async fn run(settings: &Settings) -> Result<Exit, Failure> {
    let stop = signals::stop()?;
    let metrics_handle = crate::described::install()?;
    let health = Health::default();
    health.not_ready("start", "joining the fleet");
    let settings = Arc::new(settings.clone());
    // stores are asked while models load: both take a tenth of a second
    let mut stores = tokio::spawn(stores(settings.clone(), health.clone()));
    let judging = load_judging(settings.clone()).await.or_exit(Exit::Usage)?;
    let pool = Pool::start(
        judging.judge.clone(),
        judging.models.clone(),
        judging.layout.layout,
    )
    .or_exit(Exit::Usage)?;
    let mut info = worker_info(&judging);
    let worker = info.id.to_string();
    let models = judging.models.as_ref();
    let changed = models.map(|models| changes::watch(models.catalog.clone()));

    let listener = http::bind(settings.worker.http, "worker.http")
        .await
        .or_exit(Exit::Usage)?;
    if let Ok(address) = listener.local_addr() {
        info = info.field("address", address.to_string());
    }
    let page = StatusPage {
        describe: describe(&judging, &worker, changed.unwrap_or_default()),
        health: health.clone(),
        why: None,
        metrics: metrics_handle,
        before_scrape: None,
    };
    let server_stop = CancellationToken::new();
    let router = crate::http::router(page, pool.clone(), &settings);
    let server = tokio::spawn(http::serve(listener, router, server_stop.clone()));

    tracing::info!(
        worker,
        version = env!("CARGO_PKG_VERSION"),
        device = judging.device(),
        layout = %judging.layout,
        model = judging.model_version(),
        "worker starts"
    );
    for warning in judging.warnings() {
        tracing::warn!("{warning}");
    }
    loop {
        let found = tokio::select! {
            found = &mut stores => found.context("looking at the stores")??,
            () = stop.cancelled() => break,
        };
        let (pipeline, consumer) =
            join_fleet(&settings, &health, pool.clone(), info.clone(), found)?;
        health.ready("start");
        match work(&settings, pipeline, consumer, &stop).await? {
            Ended::Stopped => break,
            Ended::Changed => {
                tracing::warn!("the source table has changed, reading it anew");
                health.not_ready("start", "the source table has changed, reading it anew");
                stores = tokio::spawn(self::stores(settings.clone(), health.clone()));
            }
        }
    }
    server_stop.cancel();
    server.await.context("http server")??;
    tracing::info!(worker, "worker ends");
    Ok(Exit::Done)
}

enum Ended {
    /// It was asked to.
    Stopped,
    /// The source table is not the one that was looked at.
    Changed,
}

/// Rules and models, read on a thread that may block.
async fn load_judging(settings: Arc<Settings>) -> anyhow::Result<Judging> {
    let loading =
        tokio::task::spawn_blocking(move || Judging::from_settings(&settings, Tuning::Quick));
    loading.await.context("loading models")?
}

/// The stores, found to be what a worker needs.
struct Stores {
    source: SourceTable,
    queue: Queue,
    mirror: Option<Mirroring>,
}

/// Waits for the stores and looks at them; ends where waiting cures nothing.
async fn stores(settings: Arc<Settings>, health: Health) -> Result<Stores, Failure> {
    // what is wrong with the url is told at once, not once ClickHouse answers
    let queue = Queue::new(weldfleet_fleet::queue_options(&settings)).map_err(queue_failure)?;
    let source = from_clickhouse(&health, || SourceTable::inspect(&settings)).await?;
    meet_needs(&settings, &source, &health).await?;
    let mirror =
        NokTable::new(&settings)?.map(|table| Mirroring::new(Mirror::new(source.clone(), table)));
    let queue = take_queue(&settings, queue, &health).await?;
    raise_token(&source, &queue, &health).await?;
    sweep_leftovers(&settings.worker.save_dir, &queue).await;
    tokio::spawn(sweep_again(settings.worker.save_dir.clone(), queue.clone()));
    Ok(Stores {
        source,
        queue,
        mirror,
    })
}

/// Registers this worker and begins to claim.
fn join_fleet(
    settings: &Arc<Settings>,
    health: &Health,
    pool: Pool,
    info: WorkerInfo,
    stores: Stores,
) -> Result<(Arc<Pipeline>, Consumer), Failure> {
    let Stores {
        source,
        queue,
        mirror,
    } = stores;
    let worker = info.id.to_string();
    let fields = info.fields.clone();
    let on_gpu = fields
        .get("provider")
        .is_some_and(|provider| ["cuda", "tensorrt"].contains(&provider.as_str()));
    let gpu = on_gpu.then_some(settings.model.device_id);
    let consumer = Consumer::start(queue.clone(), info)?;
    let needs = Needs {
        settings: settings.clone(),
        changed: CancellationToken::new(),
    };
    watch(health.clone(), consumer.clone(), needs.changed.clone());
    heartbeat::keep(
        consumer.clone(),
        health.clone(),
        fields,
        settings.worker.save_dir.clone(),
        gpu,
        needs.changed.clone(),
    );
    let pipeline = Pipeline {
        writing: Writing::new(settings, &source, mirror),
        source,
        pool,
        save_dir: settings.worker.save_dir.clone(),
        worker,
        gate: Gate::new(health.clone(), consumer.clone(), needs.changed.clone()),
        tally: Tally::new(queue.clone()),
        limits: weldfleet_fleet::breaker_limits(settings),
        queue,
        needs,
        excused: Mutex::default(),
    };
    Ok((Arc::new(pipeline), consumer))
}

/// Runs the apalis worker until stopped; then finishes or releases what is in flight.
async fn work(
    settings: &Settings,
    pipeline: Arc<Pipeline>,
    consumer: Consumer,
    stop: &CancellationToken,
) -> Result<Ended, Failure> {
    let changed = pipeline.needs.changed.clone();
    let ranges = settings.worker.ranges_in_flight as usize;
    let backend = LeasedBackend::new(consumer.clone()).concurrency(ranges);
    let handler = move |_job: Job, lease: Lease, slot: Slot| {
        let pipeline = pipeline.clone();
        async move { Ok::<Settlement, BoxDynError>(pipeline.process(lease, slot).await) }
    };
    let worker = WorkerBuilder::new(consumer.id().as_str())
        .backend(backend)
        .build(handler);
    let grace = settings.worker.shutdown_grace;
    let mut running = tokio::spawn(worker.run());
    let (ended, why) = tokio::select! {
        () = stop.cancelled() => (None, Ended::Stopped),
        () = changed.cancelled() => (None, Ended::Changed),
        ended = &mut running => (Some(ended), Ended::Stopped),
    };
    if let Some(ended) = ended {
        let released = consumer.shutdown(Duration::ZERO).await.released;
        tracing::error!(released, "the worker's loop ended by itself");
        return match ended {
            Ok(Ok(())) => Err(anyhow::anyhow!("the worker's loop ended by itself").into()),
            Ok(Err(error)) => Err(anyhow::anyhow!("the worker's loop ended: {error}").into()),
            Err(panic) => Err(anyhow::Error::new(panic)
                .context("the worker's loop")
                .into()),
        };
    }
    tracing::info!(grace = ?grace, leases = consumer.status().leases, "stopping: finishing ranges in flight");
    consumer.stop_claiming();
    let report = consumer.shutdown(grace).await;
    if report.released + report.unconfirmed > 0 {
        tracing::warn!(
            released = report.released,
            unconfirmed = report.unconfirmed,
            "ranges given back unfinished, no attempt spent"
        );
    }
    running.abort();
    Ok(why)
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
    let found = needs::mysql(settings).await;
    for (what, result) in found.map_err(|error| unmet("mysql", error))? {
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
    found: impl IntoIterator<Item = needs::Found>,
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
async fn take_queue(settings: &Settings, queue: Queue, health: &Health) -> Result<Queue, Failure> {
    let owner = from_clickhouse(health, || weldfleet_fleet::owner(settings)).await?;
    let queue = match owner {
        Some(owner) => queue.owned_by(owner).map_err(queue_failure)?,
        None => queue,
    };
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

fn say_paused(health: &Health, pause: &Pause) {
    let reason = format!("paused by {}: {}", pause.by, pause.reason);
    if health.not_ready("paused", reason) {
        tracing::warn!(
            by = pause.by,
            reason = pause.reason,
            "fleet is paused; `scheduler resume` goes on"
        );
    }
}

/// Keeps `/readyz` and gauges true to what the consumer sees, until `stop`.
fn watch(health: Health, consumer: Consumer, stop: CancellationToken) {
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            let status = consumer.status();
            metrics::gauge!("weldfleet_leases").set(status.leases as f64);
            match status.paused {
                Some(pause) => say_paused(&health, &pause),
                None if health.ready("paused") => tracing::info!("fleet is resumed"),
                None => {}
            }
            let redis = consumer.queue().health();
            if redis.up {
                if health.ready("redis") {
                    tracing::info!("redis works again");
                }
            } else {
                let error = redis
                    .last_error
                    .unwrap_or_else(|| "not connected yet".to_owned());
                if health.not_ready("redis", error.clone()) {
                    tracing::warn!(error, "redis does not work, claiming stops until it does");
                }
            }
            metrics::gauge!("weldfleet_dependency_up", "dependency" => "redis")
                .set(f64::from(u8::from(redis.up)));
            tokio::time::sleep(WATCH_EVERY).await;
        }
    });
}

fn worker_info(judging: &Judging) -> WorkerInfo {
    let host = hostname::get().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    WorkerInfo::new(&host)
        .field("device", judging.device())
        .field("provider", judging.provider())
        .field("precision", judging.precision())
        .field("model_version", judging.model_version())
        .field("nok_threshold", judging.nok_threshold())
        .field("version", env!("CARGO_PKG_VERSION"))
}

fn describe(judging: &Judging, worker: &str, changed: Noticed) -> http::Describe {
    let judging = judging.describe();
    let worker = worker.to_owned();
    Arc::new(move || {
        let mut answer = json!({
            "name": "weldfleet worker",
            "version": env!("CARGO_PKG_VERSION"),
            "worker": worker,
            "rows": crate::pipeline::counts::totals(),
            "model_files_changed": changed.all(),
        });
        if let (Some(answer), Some(judging)) = (answer.as_object_mut(), judging.as_object()) {
            answer.extend(judging.clone());
        }
        answer
    })
}
