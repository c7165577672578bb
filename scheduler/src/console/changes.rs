//! Tells an open page by server-sent events that there is news, so that it asks for its content again. The content goes
//! the way of every page: who may see it is looked at there.
//!
//! A browser holds six connections to a host over HTTP/1.1, for pages too. So streams of one visitor are few; a page
//! that gets none asks every two seconds by itself.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::{
        IntoResponse as _, Response,
        sse::{Event, Sse},
    },
};
use futures::stream::{self, StreamExt as _};
use tokio::time::sleep;
use weldfleet_service::lock;

use super::{Console, PATIENCE, visitor::Visitor};

/// Where they are asked for.
pub const PATH: &str = "/ui/changes";
/// From one word to the next; longer where a look at the fleet takes long.
const EVERY: Duration = Duration::from_secs(2);
/// Then the browser connects anew.
const LIFETIME: Duration = Duration::from_secs(600);
/// Streams of one visitor.
const OF_ONE: usize = 3;

/// A name, if people sign in, and where its owner sits.
type Who = (Option<String>, IpAddr);

/// The streams that are open, and how many there may be of all.
#[derive(Clone)]
pub struct Streams(Arc<Mutex<HashMap<Who, usize>>>, usize);

/// One of them, however it ends.
struct Open(Streams, Who);

impl Streams {
    /// At most half of the connections that there may be.
    pub fn of(connections: usize) -> Self {
        Self(Arc::default(), connections / 2)
    }

    fn open(&self, who: Who) -> Option<Open> {
        let mut open = lock(&self.0);
        let (all, own) = (open.values().sum::<usize>(), open.get(&who).copied());
        let own = own.unwrap_or_default();
        if all >= self.1 || own >= OF_ONE {
            return None;
        }
        open.insert(who.clone(), own + 1);
        Some(Open(self.clone(), who))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = lock(&self.0.0);
        if let Some(own) = open.get_mut(&self.1) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// News until the browser goes, the scheduler ends or [`LIFETIME`] is over; 204 where there are too many already, which
/// tells a browser not to try again.
pub(super) async fn changes(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let sits = console.access.client_of(&request);
    let Some(open) = console.streams.open((visitor.name, sits)) else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let stop = console.stop.clone();
    let news = stream::unfold((console.cache, open), async |(cache, open)| {
        sleep(EVERY).await;
        // A page says itself how old its content is: one that cannot be renewed is asked for all the same.
        let _ = cache.get(PATIENCE).await;
        let event = Event::default().data("look");
        Some((Ok::<_, Infallible>(event), (cache, open)))
    });
    let news = news.take_until(stop.run_until_cancelled_owned(sleep(LIFETIME)));
    // A proxy that keeps answers back until they are long would keep these for minutes.
    ([("x-accel-buffering", "no")], Sse::new(news.boxed())).into_response()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn one_visitor_has_few_streams_and_all_together_half_of_the_connections() {
        let streams = Streams::of(128);
        let who = |name: &str, host| (Some(name.to_owned()), Ipv4Addr::new(10, 0, 0, host).into());
        let own: Vec<Open> = (0..OF_ONE)
            .filter_map(|_| streams.open(who("li", 1)))
            .collect();
        assert_eq!(own.len(), OF_ONE);
        assert!(streams.open(who("li", 1)).is_none());
        let elsewhere = streams.open(who("li", 2));
        assert!(elsewhere.is_some());
        let all: Vec<Open> = (0..200)
            .filter_map(|host| streams.open(who("wang", host)))
            .collect();
        assert_eq!(all.len(), 64 - OF_ONE - 1);
        drop(own);
        assert!(streams.open(who("li", 1)).is_some());
        drop((all, elsewhere));
        assert!(lock(&streams.0).is_empty());
    }
}
