//! Dead jobs: the oldest, which pages group and count, and all, for an export.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, time::timeout};
use weldfleet_queue::{Job, Queue, State};

use super::problem::Problem;

/// How old the list may be.
const FRESH: Duration = Duration::from_secs(1);
/// How long Redis may take to list them.
const PATIENCE: Duration = Duration::from_secs(2);
/// Jobs that are read at a time where all are wanted.
const PAGE: u32 = 1000;
/// Dead jobs that are grouped.
pub const MOST_DEAD: u32 = 1000;

/// Dead jobs, or why they cannot be read.
pub type Dead = Result<Arc<Vec<Job>>, Problem>;

/// Reads them, and remembers when they were read last and what was found. Cheap to clone.
#[derive(Clone)]
pub struct DeadJobs {
    queue: Queue,
    known: Arc<Mutex<Option<(Instant, Dead)>>>,
}

impl DeadJobs {
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            known: Arc::default(),
        }
    }

    /// Asked for at most once a second, however many look.
    pub async fn oldest(&self) -> Dead {
        let mut known = self.known.lock().await;
        if let Some((at, jobs)) = &*known
            && at.elapsed() < FRESH
        {
            return jobs.clone();
        }
        let page = self.queue.list(State::Dead, 0, MOST_DEAD);
        let jobs = match timeout(PATIENCE, page).await {
            Ok(page) => page.map(|page| Arc::new(page.jobs)).map_err(Problem::from),
            Err(_) => Err(Problem::NotReached(vec![format!(
                "redis: no answer for {} s",
                PATIENCE.as_secs()
            )])),
        };
        *known = Some((Instant::now(), jobs.clone()));
        jobs
    }

    /// All of them, the oldest first, if there are no more than `most`.
    pub async fn all(&self, most: u32) -> Result<Vec<Job>, Problem> {
        let (mut dead, mut cursor) = (Vec::new(), Some(0));
        while let Some(at) = cursor {
            let page = self.queue.list(State::Dead, at, PAGE).await?;
            dead.extend(page.jobs);
            if dead.len() > most as usize {
                return Err(Problem::TooManyJobs { most });
            }
            cursor = page.next;
        }
        Ok(dead)
    }

    /// What was read is shown no more.
    pub async fn forget(&self) {
        *self.known.lock().await = None;
    }
}
