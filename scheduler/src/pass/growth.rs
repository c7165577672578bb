//! Rows that came under a dead letter.
//!
//! A dead job covers its keys like any other, so that nobody gets its rows twice. But a row that arrives later between
//! those keys has done nothing wrong, and nobody tried it. When a dead job's keys hold more unjudged rows than it was
//! made of, it is split: its halves have attempts of their own, the new rows are judged, and what failed dies again as
//! a smaller job. Halves count the rows as they are now, so only growth splits again.
//!
//! Dead jobs of a run that is held or cancelled stay as they are: its halves would leave the queue.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use weldfleet_queue::{Job, State};
use weldfleet_stores::{KeyRange, Range, clickhouse::Run};

use super::{Moment, Pass, Summary};
use crate::dependencies::DependencyError;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Dead jobs read together, and counted by one question.
const PAGE: u32 = 200;
/// Dead jobs of a look; the others wait for their turn.
const MOST: u32 = 2000;

/// When and where the last look ended.
#[derive(Debug, Default)]
pub struct Growth {
    looked_at: Option<Instant>,
    next: u64,
}

impl Pass {
    /// Splits the dead jobs whose keys hold more rows than they did.
    pub(super) async fn split_grown(
        &mut self,
        dead: u64,
        stopped: &[Run],
        moment: Moment,
        summary: &mut Summary,
    ) -> Result<(), DependencyError> {
        let due = self
            .growth
            .looked_at
            .is_none_or(|at| moment.at.saturating_duration_since(at) >= LOOK_EVERY);
        if dead == 0 || !due {
            return Ok(());
        }
        self.growth.looked_at = Some(moment.at);
        for job in self.dead_jobs(dead, stopped).await? {
            tracing::info!(
                job = job.id,
                rows = job.weight,
                "rows came under a dead job, splitting it"
            );
            self.split_job(&job, summary).await?;
        }
        Ok(())
    }

    /// Those that have grown.
    async fn dead_jobs(&mut self, dead: u64, stopped: &[Run]) -> Result<Vec<Job>, DependencyError> {
        let mut grown = Vec::new();
        for _ in 0..MOST / PAGE {
            if self.growth.next >= dead {
                self.growth.next = 0;
            }
            let page = self
                .deps
                .queue
                .list(State::Dead, self.growth.next, PAGE)
                .await?;
            self.growth.next = page.next.unwrap_or(0);
            let at_the_end = page.next.is_none();
            grown.extend(self.grown(page.jobs, stopped).await?);
            if at_the_end {
                break;
            }
        }
        Ok(grown)
    }

    async fn grown(&self, jobs: Vec<Job>, stopped: &[Run]) -> Result<Vec<Job>, DependencyError> {
        let mut days: BTreeMap<String, (Range, Vec<KeyRange>, Vec<Job>)> = BTreeMap::new();
        for job in jobs {
            // One that names no range is told elsewhere; another row with one weld's key is that weld.
            let Ok(range) = weldfleet_fleet::range_of(&job) else {
                continue;
            };
            if range.from == range.to || stopped.iter().any(|run| run.run == range.run) {
                continue;
            }
            let keys = range.keys();
            let day = days
                .entry(job.group.clone())
                .or_insert_with(|| (range, Vec::new(), Vec::new()));
            day.1.push(keys);
            day.2.push(job);
        }
        let mut grown = Vec::new();
        for (range, keys, jobs) in days.into_values() {
            let counts = self
                .deps
                .table
                .count_wanted(range.run, range.day, &range.selection, &keys)
                .await?;
            let jobs = jobs.into_iter().zip(counts);
            let jobs = jobs.filter(|(job, rows)| *rows > job.weight);
            grown.extend(jobs.map(|(job, _)| job));
        }
        Ok(grown)
    }
}
