//! How fast layouts are.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use weldfleet_weld::features::REGRESSIONS;

use crate::inference::{
    Models, layout::Layout, models::first_then_rest, probe::Probe, session::ModelSession,
};

/// Time of one look at one layout.
const SLICE: Duration = Duration::from_millis(15);
/// Looks at each layout; the best counts, since whatever disturbs only slows down.
const ROUNDS: usize = 2;

/// Rows a second of each layout, in order; `None` where the time was up before its turn.
pub fn rates(
    models: &Models,
    layouts: &[Layout],
    budget: Duration,
) -> anyhow::Result<Vec<Option<f64>>> {
    let began = Instant::now();
    let most_rows = layouts.iter().map(|layout| layout.batch_rows).max();
    let config = models.catalog.set.global().config();
    let probe = Probe::new(config, most_rows.unwrap_or(1));
    let mut rates = vec![None; layouts.len()];
    let mut groups: Vec<Group> = Vec::new();
    for _ in 0..ROUNDS {
        for (rate, &layout) in rates.iter_mut().zip(layouts) {
            if began.elapsed() > budget {
                return Ok(rates);
            }
            let group = Group::of(&mut groups, models, layout)?;
            let found = group.rate(layout.batch_rows, &probe)?;
            *rate = Some(rate.map_or(found, |best: f64| best.max(found)));
        }
    }
    Ok(rates)
}

/// Sessions that are at work together.
struct Group {
    threads: usize,
    sessions: Vec<ModelSession>,
}

impl Group {
    /// The group of this layout, its sessions opened the first time.
    fn of<'a>(
        groups: &'a mut Vec<Self>,
        models: &Models,
        layout: Layout,
    ) -> anyhow::Result<&'a mut Self> {
        let fits = |group: &Self| {
            group.sessions.len() == layout.sessions && group.threads == layout.threads
        };
        if !groups.iter().any(fits) {
            let sessions = first_then_rest(layout.sessions, || models.open_global(layout))?;
            groups.push(Self {
                threads: layout.threads,
                sessions,
            });
        }
        let group = groups.iter_mut().find(|group| fits(group));
        group.context("sessions that were just opened")
    }

    /// Rows a second of all of them together.
    fn rate(&mut self, rows: usize, probe: &Probe) -> anyhow::Result<f64> {
        for session in &mut self.sessions {
            session.use_batch(rows)?;
        }
        thread::scope(|scope| {
            let running: Vec<_> = self
                .sessions
                .iter_mut()
                .map(|session| scope.spawn(|| rate_of_one(session, rows, probe)))
                .collect();
            let mut sum = 0.0;
            for one in running {
                let rate = one.join();
                sum += rate.map_err(|_| anyhow::anyhow!("a session panicked"))??;
            }
            Ok(sum)
        })
    }
}

fn rate_of_one(session: &mut ModelSession, rows: usize, probe: &Probe) -> anyhow::Result<f64> {
    let (mut nok_prob, mut regression) = (vec![0.0; rows], vec![0.0; rows * REGRESSIONS]);
    // The first call of a size allocates.
    session.run(probe.rows(&mut nok_prob, &mut regression))?;
    let began = Instant::now();
    let mut judged = 0;
    while began.elapsed() < SLICE {
        session.run(probe.rows(&mut nok_prob, &mut regression))?;
        judged += rows;
    }
    Ok(judged as f64 / began.elapsed().as_secs_f64())
}
