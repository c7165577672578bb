//! What the worker shows, and `POST /predict`.
//!
//! Whoever asks about a record must not hold up the fleet: a few requests at a time are read and judged, the others are
//! told to come again; a body has a size and must come in time; when a client hangs up its work is dropped.

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, HttpBody as _},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use tokio::{
    sync::{Semaphore, SetOnce},
    task::{JoinError, spawn_blocking},
    time::timeout,
};
use weldfleet_service::{http::StatusPage, metrics};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::FurtherNames;
use weldfleet_weld::Record;

use crate::{
    inference::pool::Pool,
    records::{Refusal, answer, one_or_list},
};

/// Time that a body may take to arrive, and that it may stand still: it has one of few turns.
const BODY_TIME: Duration = Duration::from_secs(20);
const BODY_PAUSE: Duration = Duration::from_secs(3);
/// Time that models may take to load, as a rule, while whoever asks waits.
pub const LOADING_TIME: Duration = Duration::from_secs(5);
/// Time and bytes that are spent on a body nobody wants, so that its sender reads the answer.
const REFUSED_TIME: Duration = Duration::from_secs(2);
const REFUSED_BYTES: usize = 16 * 1024 * 1024;
/// Seconds after which whoever was told to come again may.
const COME_AGAIN: &str = "1";

/// What `/predict` works with.
#[derive(Clone)]
struct Predict {
    /// Set when the models are loaded.
    pool: Arc<SetOnce<Pool>>,
    max_bytes: usize,
    at_once: u32,
    turns: Arc<Semaphore>,
    /// Numbers and texts that a record may have besides.
    further: Arc<FurtherNames>,
}

pub fn router(page: StatusPage, pool: Arc<SetOnce<Pool>>, settings: &Settings) -> Router {
    let worker = &settings.worker;
    let at_once = worker.predict_at_once;
    let state = Predict {
        pool,
        max_bytes: worker.predict_max_bytes as usize,
        at_once,
        turns: Arc::new(Semaphore::new(at_once as usize)),
        further: Arc::new(FurtherNames::of(&settings.columns)),
    };
    let predict = Router::new()
        .route("/predict", post(predict).fallback(other_method))
        .with_state(state);
    page.router().merge(predict)
}

/// An answer that holds no verdict.
struct Refused(StatusCode, Refusal);

impl Refused {
    fn new(status: StatusCode, problem: impl Display, remedy: &str) -> Self {
        Self(status, Refusal::new(problem, remedy))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, refusal) = self;
        let answer = (status, Json(refusal));
        if [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ]
        .contains(&status)
        {
            return ([(header::RETRY_AFTER, COME_AGAIN)], answer).into_response();
        }
        answer.into_response()
    }
}

impl From<JoinError> for Refused {
    fn from(error: JoinError) -> Self {
        failed(error)
    }
}

fn failed(error: impl Display) -> Refused {
    let remedy = "the worker's log may tell more";
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error, remedy)
}

/// One request, counted however it ends.
struct CountedRequest {
    began: Instant,
    /// The status code of its answer, once there is one.
    code: Option<StatusCode>,
}

impl Drop for CountedRequest {
    fn drop(&mut self) {
        let code = self
            .code
            .map_or_else(|| "gone".to_owned(), |code| code.as_str().to_owned());
        metrics::counter!("weldfleet_predict_requests_total", "code" => code).increment(1);
        metrics::histogram!("weldfleet_predict_seconds").record(self.began.elapsed());
    }
}

async fn other_method() -> impl IntoResponse {
    let refused = Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "`/predict` takes POST only",
        "POST one record or a list",
    );
    ([(header::ALLOW, Method::POST.as_str())], refused)
}

async fn predict(state: State<Predict>, request: Request) -> Result<Json<Value>, Refused> {
    let mut counted = CountedRequest {
        began: Instant::now(),
        code: None,
    };
    let answer = answered(state, request).await;
    counted.code = Some(match &answer {
        Ok(_) => StatusCode::OK,
        Err(Refused(status, _)) => *status,
    });
    answer
}

async fn answered(
    State(predict): State<Predict>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    // Whoever asks before sending has sent nothing yet.
    let asks_first = request.headers().contains_key(header::EXPECT);
    if let Some(refused) = predict.refuses(&request) {
        if !asks_first {
            swallow(request).await;
        }
        return Err(refused);
    }
    let Ok(pool) = timeout(LOADING_TIME, predict.pool.wait()).await else {
        swallow(request).await;
        return Err(Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the models are being loaded",
            "come again when /readyz does not name `start`",
        ));
    };
    let Ok(_turn) = predict.turns.clone().try_acquire_owned() else {
        if !asks_first {
            swallow(request).await;
        }
        return Err(Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            format_args!("{} requests are read or judged already", predict.at_once),
            "come again in a second, send several records as one list, or raise worker.predict_at_once",
        ));
    };
    let body = predict.read(request).await?;
    // Off the threads that keep leases alive: a body is thousands of numbers.
    let further = predict.further.clone();
    let (records, list) = spawn_blocking(move || {
        let text = str::from_utf8(&body).map_err(|error| {
            Refusal::new(format_args!("not UTF-8: {error}"), "send JSON in UTF-8")
        })?;
        one_or_list(text, &further)
    })
    .await?
    .map_err(|refusal| Refused(StatusCode::BAD_REQUEST, refusal))?;
    judge(pool, records, list).await.map(Json)
}

impl Predict {
    /// What its head says already that cannot be taken.
    fn refuses(&self, request: &Request) -> Option<Refused> {
        let encoding = request.headers().get(header::CONTENT_ENCODING);
        let plain = |encoding: &HeaderValue| {
            encoding.is_empty() || encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        };
        let encoding = encoding.filter(|encoding| !plain(encoding));
        if let Some(encoding) = encoding {
            let said = String::from_utf8_lossy(encoding.as_bytes());
            return Some(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format_args!("Content-Encoding: {said} is not taken"),
                "send JSON in UTF-8, not compressed",
            ));
        }
        (request.body().size_hint().lower() > self.max_bytes as u64).then(|| self.too_long())
    }

    fn too_long(&self) -> Refused {
        Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format_args!("the body is longer than {} bytes", self.max_bytes),
            "send fewer records at a time, or raise worker.predict_max_bytes",
        )
    }

    async fn read(&self, mut request: Request) -> Result<Vec<u8>, Refused> {
        match timeout(BODY_TIME, self.collect(request.body_mut())).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(refused)) => {
                if refused.0 != StatusCode::REQUEST_TIMEOUT {
                    swallow(request).await;
                }
                Err(refused)
            }
            Err(_) => Err(Refused::new(
                StatusCode::REQUEST_TIMEOUT,
                format_args!("the body did not come within {} s", BODY_TIME.as_secs()),
                "send it at once",
            )),
        }
    }

    async fn collect(&self, body: &mut Body) -> Result<Vec<u8>, Refused> {
        let mut bytes = Vec::new();
        loop {
            let next = timeout(BODY_PAUSE, body.frame()).await.map_err(|_| {
                Refused::new(
                    StatusCode::REQUEST_TIMEOUT,
                    format_args!("the body stood still for {} s", BODY_PAUSE.as_secs()),
                    "send it at once",
                )
            })?;
            let Some(frame) = next else {
                return Ok(bytes);
            };
            let frame = frame.map_err(|error| {
                let problem = format_args!("the body broke off: {error}");
                Refused::new(StatusCode::BAD_REQUEST, problem, "send it again")
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.max_bytes {
                return Err(self.too_long());
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// Reads a body that is not wanted: a client that is still sending may not see what it is told.
async fn swallow(request: Request) {
    let mut body = Limited::new(request.into_body(), REFUSED_BYTES);
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = timeout(REFUSED_TIME, rest).await;
}

/// One record gives one answer; a list of records a list, in order.
async fn judge(pool: &Pool, records: Vec<Record>, list: bool) -> Result<Value, Refused> {
    let records = Arc::new(records);
    let verdicts = pool.judge(records.clone(), None).await.map_err(failed)?;
    let judged = records.iter().zip(&verdicts);
    let answers = judged.map(|(record, verdict)| answer(record, verdict));
    let mut answers = answers.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    Ok(match list {
        true => Value::Array(answers),
        false => answers.pop().unwrap_or_default(),
    })
}
