//! `worker run`: claim, judge, write, ack, until stopped.

mod stores;

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::Context;
use apalis::prelude::{BoxDynError, WorkerBuilder};
use serde_json::{Value, json};
use tokio::{
    sync::{SetOnce, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use weldfleet_breaker::Tally;
use weldfleet_fleet::SettingsDigest;
use weldfleet_queue::{
    Consumer, Job, Lease, Pause, Settlement, WorkerInfo,
    apalis::{LeasedBackend, Slot},
};
use weldfleet_service::{
    Exit, Failure, Health, OrExit, environment, http,
    http::StatusPage,
    metrics,
    outage::{self, REDIS},
    signals,
};
use weldfleet_settings::Settings;

use crate::{
    args::VERSION,
    entry,
    http::LOADING_TIME,
    inference::{
        changes::{self, FileChanges},
        pool::Pool,
        tuning::Tuning,
    },
    judging::Judging,
    needs::Needs,
    pipeline::{Gate, Pipeline, Storage},
};
use stores::Stores;

/// Time between two looks at what `/readyz` tells.
const WATCH_EVERY: Duration = Duration::from_millis(250);

pub async fn run(settings: &Settings) -> Result<Exit, Failure> {
    let stop = signals::stop()?;
    let metrics_handle = crate::described::install()?;
    let health = Health::default();
    health.not_ready("start", "loading models");
    let settings = Arc::new(settings.clone());
    // Whoever watches over this process asks before the models are there: an engine may take minutes to build.
    let listener = http::bind(settings.worker.http, "worker.http").await?;
    let address = listener.local_addr();
    let (judges, answers) = (Arc::default(), Arc::<SetOnce<_>>::default());
    let page = StatusPage {
        describe: describe(answers.clone()),
        health: health.clone(),
        why: None,
        metrics: metrics_handle,
        before_scrape: None,
    };
    let server_stop = CancellationToken::new();
    let router = crate::http::router(page, Arc::clone(&judges), &settings);
    let server = tokio::spawn(http::serve(listener, router, server_stop.clone()));
    // stores are asked while models load: both take a tenth of a second
    let stores = tokio::spawn(stores::look(settings.clone(), health.clone()));
    let (judging, pool) = tokio::select! {
        loaded = load(settings.clone()) => loaded.or_exit(Exit::Usage)?,
        () = stop.cancelled() => {
            tracing::info!("stopped while models were loading");
            end_at_once()
        }
    };
    let mut info = worker_info(&judging);
    if let Ok(address) = address {
        info = info.field("address", address.to_string());
    }
    let worker = info.id.to_string();
    let models = judging.models.as_ref();
    let changed = models.map(|models| changes::watch(models.catalog.clone()));
    let on_gpu = models.is_some_and(|models| models.runtime.is_gpu());
    let gpu = on_gpu.then_some(settings.model.device_id);
    let _ = answers.set(described(&judging, &worker, changed.unwrap_or_default()));
    let _ = judges.set(pool.clone());
    health.not_ready("start", "joining the fleet");

    tracing::info!(
        worker,
        version = VERSION.as_str(),
        device = judging.device(),
        layout = %judging.layout,
        model = judging.model_version(),
        "worker starts"
    );
    for warning in judging.warnings() {
        tracing::warn!("{warning}");
    }
    stay_in_fleet(&settings, &health, &pool, &info, gpu, stores, &stop).await?;
    server_stop.cancel();
    server.await.context("http server")??;
    tracing::info!(worker, "worker ends");
    Ok(Exit::Done)
}

/// Judges until it is stopped, on another table where the table changes.
async fn stay_in_fleet(
    settings: &Arc<Settings>,
    health: &Health,
    pool: &Pool,
    info: &WorkerInfo,
    gpu: Option<u32>,
    mut stores: JoinHandle<Result<Stores, Failure>>,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    loop {
        let found = tokio::select! {
            found = &mut stores => found.context("looking at the stores")??,
            () = stop.cancelled() => return Ok(()),
        };
        let (pipeline, consumer) =
            join_fleet(settings, health, pool.clone(), info.clone(), gpu, found)?;
        health.ready("start");
        match work(settings, pipeline, consumer, stop).await? {
            Ended::Stopped => return Ok(()),
            Ended::Changed => {
                tracing::warn!("the source table has changed, reading it anew");
                health.not_ready("start", "the source table has changed, reading it anew");
                stores = tokio::spawn(stores::look(settings.clone(), health.clone()));
            }
        }
    }
}

enum Ended {
    /// It was asked to.
    Stopped,
    /// The source table is not the one that was looked at.
    Changed,
}

/// Rules and models, read, tried and opened on a thread that may block, and that nobody waits for who is asked to stop.
async fn load(settings: Arc<Settings>) -> anyhow::Result<(Judging, Pool)> {
    weldfleet_failpoints::reach("worker::load").await;
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let loaded = Judging::from_settings(&settings, Tuning::Quick).and_then(|judging| {
                let Judging {
                    judge,
                    models,
                    layout,
                    ..
                } = judging.clone();
                Ok((judging, Pool::start(judge, models, layout.layout)?))
            });
            // Nobody listens any more where the worker was stopped.
            let _ = tell.send(loaded);
        })?;
    told.await.context("loading models")?
}

/// Ends the process without its exit handlers: these pull the library from under the thread that is inside it.
#[expect(
    unsafe_code,
    reason = "nothing safe ends a process without exit handlers"
)]
fn end_at_once() -> ! {
    // SAFETY: it touches no memory of ours and does not return.
    unsafe { nix::libc::_exit(Exit::Done as i32) }
}

/// Registers this worker and begins to claim.
fn join_fleet(
    settings: &Arc<Settings>,
    health: &Health,
    pool: Pool,
    info: WorkerInfo,
    gpu: Option<u32>,
    stores: Stores,
) -> Result<(Arc<Pipeline>, Consumer), Failure> {
    let Stores {
        source,
        queue,
        mirror,
    } = stores;
    let worker = info.id.to_string();
    let fields = info.fields.clone();
    let consumer = Consumer::start(queue.clone(), info)?;
    let needs = Needs::new(settings.clone(), source.clone());
    watch(health.clone(), consumer.clone(), needs.changed.clone());
    entry::keep(
        consumer.clone(),
        health.clone(),
        fields,
        settings.worker.save_dir.clone(),
        gpu,
        needs.changed.clone(),
    );
    let pipeline = Pipeline {
        storage: Storage::new(settings, source, mirror),
        pool,
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
    let watching = tokio::spawn({
        let pipeline = pipeline.clone();
        async move { pipeline.watch_table().await }
    });
    let ranges = settings.worker.ranges_in_flight as usize;
    let backend = LeasedBackend::new(consumer.clone()).concurrency(ranges);
    let handler = move |_job: Job, lease: Lease, slot: Slot| {
        let pipeline = pipeline.clone();
        async move {
            let settlement = match pipeline.process(lease, slot).await {
                Ok(counted) => counted.settlement(),
                Err(given_up) => given_up.settlement(),
            };
            Ok::<Settlement, BoxDynError>(settlement)
        }
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
    watching.abort();
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

fn say_paused(health: &Health, pause: &Pause) {
    let reason = match pause.by.as_str() {
        "" => format!("paused: {}", pause.reason), // made by hand
        by => format!("paused by {by}: {}", pause.reason),
    };
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
                outage::ends(&health, REDIS);
            } else {
                let error = redis.last_error.as_deref();
                outage::begins(&health, REDIS, error.unwrap_or("not connected yet"));
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    });
}

fn worker_info(judging: &Judging) -> WorkerInfo {
    WorkerInfo::new(&environment::host())
        .field("device", judging.device())
        .field("provider", judging.provider())
        .field("precision", judging.precision())
        .field("model_version", judging.model_version())
        .field("nok_threshold", judging.nok_threshold())
        .field(SettingsDigest::FIELD, judging.settings_digest.to_string())
        .field("version", VERSION.as_str())
}

/// What `GET /` says of this process, and of what judges once that is loaded.
fn describe(judging: Arc<SetOnce<impl Fn() -> Value + Send + Sync + 'static>>) -> http::Describe {
    Arc::new(move || {
        let judging = judging.clone();
        Box::pin(async move {
            let judging = timeout(LOADING_TIME, judging.wait()).await;
            let mut answer = json!({
                "name": "weldfleet worker",
                "version": VERSION.as_str(),
                "rows": crate::pipeline::counts::totals(),
            });
            if let (Some(answer), Ok(Value::Object(judging))) =
                (answer.as_object_mut(), judging.map(|judging| judging()))
            {
                answer.extend(judging);
            }
            answer
        })
    })
}

fn described(judging: &Judging, worker: &str, changed: FileChanges) -> impl Fn() -> Value + use<> {
    let judging = judging.describe();
    let worker = worker.to_owned();
    move || {
        let mut answer = judging.clone();
        answer["worker"] = json!(worker);
        answer["model_files_changed"] = json!(changed.all());
        answer
    }
}
