//! Serves the status page so that no client can hold the process up.
//!
//! Whoever connects costs a file descriptor that ranges need too, and may send half a request and fall silent. So
//! connections are few: a newcomer takes the place of the one that has been idle longest, and one whose body does not
//! come is idle. A request's head must come in time, no connection lasts for ever, and at the end clients are waited
//! for but briefly. The time that a *body* may take in all is for the route that reads one to say.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{ConnectInfo, Request},
};
use hyper::{
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::resource::{Resource, getrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::lock;

/// The most connections at a time, if file descriptors allow.
const CONNECTIONS: u64 = 128;
/// One in so many of the file descriptors that the process may have.
const SHARE_OF_DESCRIPTORS: u64 = 8;
/// Time between two tries to accept after one failed, for want of file descriptors say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// What clients may take.
#[derive(Debug, Clone, Copy)]
struct ConnectionLimits {
    connections: usize,
    /// Time for a request's head, counted from the connection's start or the answer before.
    head: Duration,
    /// Time after which a connection is closed behind the request it is at.
    lifetime: Duration,
    /// Time that requests get to finish once the process is to end.
    farewell: Duration,
}

impl ConnectionLimits {
    fn of_this_process() -> Self {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        let connections = (descriptors / SHARE_OF_DESCRIPTORS).clamp(4, CONNECTIONS);
        Self {
            connections: connections as usize,
            head: Duration::from_secs(10),
            lifetime: Duration::from_secs(600),
            farewell: Duration::from_secs(3),
        }
    }
}

/// The most connections at a time that this process serves.
#[must_use]
pub fn most_connections() -> usize {
    ConnectionLimits::of_this_process().connections
}

/// Serves until cancelled; then clients have three seconds to take their answers.
///
/// # Errors
/// If the listener has no address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    serve_within(ConnectionLimits::of_this_process(), listener, router, stop).await
}

async fn serve_within(
    limits: ConnectionLimits,
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("http server")?;
    tracing::info!(%address, "http listening");
    let seats = Arc::new(Seats::default());
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection");
                    sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            },
        };
        // Nobody is idle: whoever is served now keeps the place.
        let Some(seat) = seats.take(limits.connections) else {
            continue;
        };
        connections.spawn(connection(
            limits,
            stream,
            peer,
            router.clone(),
            seat,
            stop.clone(),
        ));
    }
    drop(listener);
    let ended = timeout(limits.farewell, async {
        while connections.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "http clients did not finish in time, their connections are closed"
        );
        connections.shutdown().await;
    }
    Ok(())
}

async fn connection(
    limits: ConnectionLimits,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    seat: Arc<Seat>,
    stop: CancellationToken,
) {
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let (router, seat) = (router.clone(), seat.clone());
        async move {
            seat.busy();
            let request = request.map(|body| SeatedBody {
                body,
                seat: seat.clone(),
            });
            let answer = router.oneshot(request).await;
            seat.idle();
            Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        // However it ended, there is nobody to tell but the client, and it is gone.
        _ = serving.as_mut() => return,
        () = seat.cut.cancelled() => return,
        () = stop.cancelled() => {}
        () = sleep(limits.lifetime) => {
            serving.as_mut().graceful_shutdown();
            // The request that it is at may take as long as any other.
            tokio::select! {
                _ = serving.as_mut() => return,
                () = seat.cut.cancelled() => return,
                () = stop.cancelled() => {}
            }
        }
    }
    serving.as_mut().graceful_shutdown();
    let _ = timeout(limits.farewell, serving).await;
}

#[derive(Debug, Default)]
struct Seats {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: BTreeMap<u64, Arc<Seat>>,
}

/// A request's body, which tells the seat when it is the client that is waited for.
struct SeatedBody {
    body: Incoming,
    seat: Arc<Seat>,
}

impl Body for SeatedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match polled {
            Poll::Pending => self.seat.idle(),
            Poll::Ready(_) => self.seat.busy(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// One connection's place. Given up when its connection lets go of it.
#[derive(Debug)]
struct Seat {
    /// Since when nothing is done for it: no request is served, or a body does not come.
    idle_since: Mutex<Option<Instant>>,
    /// Tells the connection to end at once.
    cut: CancellationToken,
}

impl Seat {
    fn busy(&self) {
        *lock(&self.idle_since) = None;
    }

    fn idle(&self) {
        lock(&self.idle_since).get_or_insert_with(Instant::now);
    }
}

impl Seats {
    /// A place among `most`, if need be that of the connection idle for longest; none if all are busy.
    fn take(&self, most: usize) -> Option<Arc<Seat>> {
        let mut taken = lock(&self.taken);
        // A place that only this list still knows of is free.
        taken.seats.retain(|_, seat| Arc::strong_count(seat) > 1);
        if taken.seats.len() >= most {
            let idle = taken
                .seats
                .iter()
                .filter_map(|(number, seat)| Some(((*lock(&seat.idle_since))?, *number)))
                .min()?;
            let longest = taken.seats.remove(&idle.1)?;
            longest.cut.cancel();
        }
        let seat = Arc::new(Seat {
            idle_since: Mutex::new(Some(Instant::now())),
            cut: CancellationToken::new(),
        });
        let number = taken.next;
        taken.next += 1;
        taken.seats.insert(number, seat.clone());
        Some(seat)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::Notify,
    };

    use super::*;

    const AGES: Duration = Duration::from_secs(3600);

    struct Server {
        address: std::net::SocketAddr,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<anyhow::Result<()>>,
    }

    async fn start(limits: ConnectionLimits, router: Router) -> anyhow::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve_within(limits, listener, router, stop.clone()));
        Ok(Server {
            address,
            stop,
            task,
        })
    }

    /// A request whose head never ends.
    async fn half_sent(server: &Server) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(server.address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await?;
        Ok(stream)
    }

    /// What the server says until it closes the connection.
    async fn until_closed(mut stream: TcpStream) -> String {
        let mut said = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    }

    #[tokio::test]
    async fn half_sent_requests_leave_room_and_are_closed_in_time() -> anyhow::Result<()> {
        let limits = ConnectionLimits {
            connections: 4,
            head: Duration::from_millis(300),
            lifetime: AGES,
            farewell: AGES,
        };
        let router = Router::new().route("/", get(|| async { "here" }));
        let server = start(limits, router).await?;
        let mut waiting = Vec::new();
        for _ in 0..20 {
            waiting.push(half_sent(&server).await?);
        }
        let body = reqwest::get(format!("http://{}/", server.address)).await?;
        assert_eq!(body.text().await?, "here");
        for stream in waiting {
            // All end: those that were shed at once, the others when their head did not come.
            until_closed(stream).await;
        }
        server.stop.cancel();
        server.task.await??;
        Ok(())
    }

    #[tokio::test]
    async fn whose_body_does_not_come_makes_room_for_others() -> anyhow::Result<()> {
        let limits = ConnectionLimits {
            connections: 4,
            head: AGES,
            lifetime: AGES,
            farewell: AGES,
        };
        let reading = Arc::new(Notify::new());
        let read = reading.clone();
        let form = move |body: axum::body::Body| async move {
            read.notify_one();
            let bytes = axum::body::to_bytes(body, 100).await;
            bytes.map_or(0, |bytes| bytes.len()).to_string()
        };
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/form", axum::routing::post(form));
        let server = start(limits, router).await?;
        let mut waiting = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(server.address).await?;
            let half = b"POST /form HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc";
            stream.write_all(half).await?;
            reading.notified().await;
            waiting.push(stream);
        }
        let body = reqwest::get(format!("http://{}/", server.address)).await?;
        assert_eq!(body.text().await?, "here");
        let mut last = waiting.pop().context("a connection")?;
        last.write_all(b"def").await?;
        let said = until_closed(last).await;
        assert!(
            said.ends_with('6'),
            "only the one that was idle longest made room: {said}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn clients_do_not_delay_the_end_and_answers_under_way_are_finished() -> anyhow::Result<()>
    {
        let limits = ConnectionLimits {
            connections: 80,
            head: AGES,
            lifetime: AGES,
            farewell: Duration::from_millis(500),
        };
        let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (asked.clone(), go_on.clone());
        let slow = move || async move {
            tell.notify_one();
            wait.notified().await;
            "done"
        };
        let server = start(limits, Router::new().route("/slow", get(slow))).await?;
        let mut waiting = Vec::new();
        for _ in 0..70 {
            waiting.push(half_sent(&server).await?);
        }
        let answer = tokio::spawn(reqwest::get(format!("http://{}/slow", server.address)));
        asked.notified().await;
        server.stop.cancel();
        go_on.notify_one();
        assert_eq!(answer.await??.text().await?, "done");
        tokio::time::timeout(Duration::from_secs(20), server.task).await???;
        for stream in waiting {
            until_closed(stream).await;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_connection_does_not_last_for_ever() -> anyhow::Result<()> {
        let limits = ConnectionLimits {
            connections: 4,
            head: Duration::from_millis(300),
            lifetime: Duration::from_millis(200),
            farewell: Duration::from_millis(200),
        };
        let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (asked.clone(), go_on.clone());
        let slow = move || async move {
            tell.notify_one();
            wait.notified().await;
            "done"
        };
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/slow", get(slow));
        let server = start(limits, router).await?;
        // A request that was asked in time is answered, however long after.
        let mut late = TcpStream::connect(server.address).await?;
        late.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            .await?;
        asked.notified().await;
        until_closed(half_sent(&server).await?).await;
        until_closed(half_sent(&server).await?).await;
        go_on.notify_one();
        let said = until_closed(late).await;
        assert!(said.ends_with("done"), "{said}");
        let mut stream = TcpStream::connect(server.address).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await?;
        let said = until_closed(stream).await;
        assert!(said.ends_with("here"), "{said}");
        Ok(())
    }
}
