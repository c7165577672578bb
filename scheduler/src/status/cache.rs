//! The status of the whole fleet, for however many viewers: gathered when somebody asks and what is known is older than
//! a second, by one look at a time. A look that takes long is taken less often, so that viewers never cost the stores
//! more than a fixed share; [`details`](super::details) have a smaller share of their own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, watch};
use weldfleet_service::Failure;
use weldfleet_settings::Settings;

use super::{
    gather::{Gatherer, Look},
    report::Report,
};

/// How old what is shown may be, at least.
const FRESH: Duration = Duration::from_secs(1);
/// A look that took so long is good for so many times that.
const SHARE: u32 = 5;

/// How long a look waits for details that are wanted at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the last look saw.
#[derive(Clone)]
struct LastLook {
    report: Arc<Report>,
    ended: Instant,
    /// Until when it is fresh.
    fresh: Instant,
}

/// One per process. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    gatherer: Arc<Mutex<Gatherer>>,
    looking: Arc<AtomicBool>,
    seen: watch::Sender<Option<LastLook>>,
}

impl Cache {
    /// Connects at the first question.
    pub fn new(settings: Arc<Settings>) -> Result<Self, Failure> {
        Ok(Self {
            gatherer: Arc::new(Mutex::new(Gatherer::new(settings, None)?)),
            looking: Arc::default(),
            seen: watch::Sender::new(None),
        })
    }

    /// The newest report and its age; waits at most `patience` for a fresh one, then takes what there is. `None` if
    /// nothing was seen yet.
    pub async fn get(&self, patience: Duration) -> Option<(Arc<Report>, Duration)> {
        let mut news = self.seen.subscribe();
        let fresh = news
            .borrow_and_update()
            .as_ref()
            .is_some_and(|seen| Instant::now() < seen.fresh);
        if !fresh {
            self.look();
            // Whoever looks tells everybody; the time may run out before.
            let _ = tokio::time::timeout(patience, news.changed()).await;
        }
        let seen = self.seen.borrow().clone()?;
        Some((seen.report, seen.ended.elapsed()))
    }

    /// Starts a look, unless one is under way. It goes on if nobody waits for it any more.
    fn look(&self) {
        if self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let cache = self.clone();
        tokio::spawn(async move {
            let _looking = Looking(cache.looking.clone());
            let looked = cache.gatherer.lock().await.look(PATIENCE).await;
            match looked {
                Ok(Look { report, took }) => {
                    let ended = Instant::now();
                    cache.seen.send_replace(Some(LastLook {
                        report: Arc::new(report),
                        ended,
                        fresh: ended + FRESH.max(took * SHARE),
                    }));
                }
                Err(failure) => {
                    tracing::debug!(error = %failure.error, "the status cannot be told")
                }
            }
        });
    }
}

/// A look that is under way, however it ends.
struct Looking(Arc<AtomicBool>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
