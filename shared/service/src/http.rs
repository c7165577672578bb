//! The status page of a binary: its routes; `server.rs` serves them.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use crate::server::{most_connections, serve};
use crate::{Health, recorder};

/// What an answer says, made anew at each call; it must not take long.
pub type Describe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Value> + Send>> + Send + Sync>;

/// Brings metrics up to date; it must not take long.
pub type BeforeScrape = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

#[derive(Clone)]
pub struct StatusPage {
    /// Content of `GET /`.
    pub describe: Describe,
    /// Source of `/readyz`.
    pub health: Health,
    /// What `/readyz` answers beside its reasons, as `why`, where the program can tell.
    pub why: Option<Describe>,
    /// Source of `/metrics`.
    pub metrics: recorder::Handle,
    /// What is awaited before they are rendered, where the program looks something up for them.
    pub before_scrape: Option<BeforeScrape>,
}

impl StatusPage {
    /// The routes every binary has.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(describe))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn describe(State(page): State<StatusPage>) -> Json<Value> {
    Json((page.describe)().await)
}

async fn ready(State(page): State<StatusPage>) -> Response {
    let reasons = page.health.reasons();
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut body = json!({ "ready": reasons.is_empty(), "reasons": reasons });
    if let Some(why) = &page.why {
        body["why"] = why().await;
    }
    (status, Json(body)).into_response()
}

async fn metrics(State(page): State<StatusPage>) -> Response {
    if let Some(before_scrape) = &page.before_scrape {
        before_scrape().await;
    }
    let content_type = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (content_type, page.metrics.render()).into_response()
}

/// Binds the listener; `key` names the setting in the error.
///
/// # Errors
/// If the address cannot be bound.
pub async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}; give another address with {key} (port 0 takes a free one)"
        )
    })
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn readiness_gives_its_reasons() -> anyhow::Result<()> {
        let health = Health::default();
        let page = StatusPage {
            describe: Arc::new(|| Box::pin(async { json!({"name": "worker"}) })),
            health: health.clone(),
            why: None,
            metrics: crate::recorder::install(&[])?,
            before_scrape: None,
        };
        crate::metrics::counter!("weldfleet_rows_total", "status" => "ok").increment(3);
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), "worker.http").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, page.router(), stop.clone()));

        let ready = reqwest::get(format!("{base}/readyz")).await?;
        assert_eq!(ready.status(), 200);
        health.not_ready("redis", "connection refused");
        let waiting = reqwest::get(format!("{base}/readyz")).await?;
        assert_eq!(waiting.status(), 503);
        let body: Value = waiting.json().await?;
        assert_eq!(body["reasons"][0]["component"], "redis");
        let metrics = reqwest::get(format!("{base}/metrics"))
            .await?
            .text()
            .await?;
        assert!(
            metrics.contains("weldfleet_rows_total{status=\"ok\"} 3"),
            "{metrics}"
        );

        stop.cancel();
        server.await??;
        Ok(())
    }
}
