//! The long-running scheduler: tasks that share nothing but the queue and ClickHouse.
//!
//! - [`owning`]: the queue is this table's, before anything else;
//! - [`leader`]: who leads; renewed on a task of its own, so that a long pass does not lose leadership; [`standing`]:
//!   whether to ask for it; [`telling`]: what the leader tells the fleet of itself;
//! - [`slicing`]: a pass each `poll_interval` or `max_wait`, whichever is shorter, or as soon as a waiting range is due
//!   or a job must be split;
//! - [`collecting`]: expired leases and due jobs, more often than passes;
//! - [`mirror_reconciler`]: the MySQL mirror, apart from passes, so that a slow or absent MySQL delays no slicing;
//!   [`touched`]: which days it checks often;
//! - [`settling`]: finished days, whose patch parts are applied;
//! - [`streaks`]: hits of a spot in a row, told to people;
//! - [`status_page`]: what `GET /` shows; [`api`]: the status of the fleet; [`outage`]: what is away, logged once;
//! - [`gauges`]: what `/metrics` says; [`discovery`]: where Prometheus finds everybody.
//!
//! A standby runs the same tasks; without leadership slicing, reconciling and settling idle. No error ends the daemon.

mod api;
mod collecting;
mod discovery;
mod gauges;
pub mod leader;
mod mirror_reconciler;
mod outage;
mod owning;
mod settling;
mod slicing;
mod standing;
mod status_page;
mod streaks;
mod telling;
mod touched;

use std::{sync::Arc, time::Duration};

use axum::middleware::{from_fn, from_fn_with_state};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use weldfleet_queue::{LeaderToken, Queue, WorkerId};
use weldfleet_service::{Failure, Health, http, http::StatusPage, signals};
use weldfleet_settings::Settings;

use crate::{console, status::cache::Cache};
use telling::Telling;
use touched::TouchedDays;

/// What the tasks share.
#[derive(Clone)]
struct Daemon {
    settings: Arc<Settings>,
    queue: Queue,
    health: Health,
    /// Proof of leadership, while it lasts.
    leads: watch::Receiver<Option<LeaderToken>>,
    /// Days that passes touched.
    touched: Arc<TouchedDays>,
    /// What the fleet is told of this scheduler while it leads.
    telling: Arc<Telling>,
    /// A pass is wanted now.
    wake: Arc<Notify>,
    /// This process, for others.
    id: Arc<str>,
    stop: CancellationToken,
}

impl Daemon {
    /// Waits for so long, or until it is to stop.
    async fn sleep(&self, wait: Duration) {
        self.stop.run_until_cancelled(sleep(wait)).await;
    }
}

/// Runs until SIGTERM or SIGINT; resigns before it returns.
pub async fn run(settings: Arc<Settings>, queue: Queue, host: &str) -> Result<(), Failure> {
    let stop = signals::stop()?;
    let listener = http::bind(settings.scheduler.http, "scheduler.http").await?;
    let metrics = gauges::install()?;
    let address = listener.local_addr().map_err(anyhow::Error::from)?;
    let address = discovery::reached(&address.to_string(), host);
    let id = WorkerId::unique(host).to_string();
    let (lead, leads) = watch::channel(None);
    let mut daemon = Daemon {
        id: id.as_str().into(),
        health: Health::default(),
        touched: Arc::default(),
        telling: Arc::default(),
        wake: Arc::default(),
        settings,
        queue,
        leads,
        stop: stop.clone(),
    };
    daemon.health.not_ready("start", "nothing was reached yet");
    tracing::info!(id, queue = daemon.settings.redis.queue, "scheduler started");

    let status = Cache::new(daemon.settings.clone())?;
    let nameless = daemon.settings.console.has_users();
    let page = StatusPage {
        describe: status_page::describe(&daemon, status.clone()),
        health: daemon.health.clone(),
        why: Some(api::why(status.clone(), nameless)),
        metrics,
        before_scrape: Some(gauges::of_fleet(status.clone())),
    };
    let access = console::Access::new(&daemon.settings);
    let router = page
        .router()
        .merge(api::router(status.clone(), access.clone()))
        .merge(discovery::router(status.clone()))
        .layer(from_fn_with_state(access, console::under_no_name))
        .merge(console::router(&daemon.settings, status, stop.clone())?)
        .layer(from_fn(console::browsers_to_console));
    let server = tokio::spawn(http::serve(listener, router, stop.clone()));
    let Some(deps) = owning::own(&daemon).await? else {
        server.await.map_err(anyhow::Error::from)??;
        return Ok(());
    };
    daemon.queue = deps.queue.clone();
    let tasks = [
        tokio::spawn(leader::keep(daemon.clone(), address, lead)),
        tokio::spawn(collecting::run(daemon.clone())),
        tokio::spawn(mirror_reconciler::run(daemon.clone())),
        tokio::spawn(settling::run(daemon.clone())),
        tokio::spawn(streaks::run(daemon.clone())),
    ];
    slicing::run(daemon, deps).await;

    // A task that panicked has said so on standard error; the others still get their orderly end.
    let mut ended = Ok(());
    for task in tasks {
        ended = ended.and(task.await);
    }
    ended?;
    server.await??;
    tracing::info!("scheduler stopped");
    Ok(())
}
