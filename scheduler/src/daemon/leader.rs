//! Leadership: taken, renewed on a task of its own, given up at the end, or where another one may do better.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use weldfleet_fleet::{LEADER_RENEWS_EVERY, LEADER_TTL};
use weldfleet_queue::{LeaderToken, QueueError};
use weldfleet_service::{exit::causes, metrics::gauge};

use super::{
    Daemon,
    outage::{self, Backoff, REDIS},
    standing::{Standing, Turn, another_asks},
};
use crate::clock::days_told;

/// How often a standby asks, so that it follows a leader that resigned without delay.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What a leader says that resigns before its end.
const LEAVES: &str = "clickhouse is out of reach here and another scheduler asks, so it may lead; this one asks again in a minute";

/// Keeps leadership up to date in `lead` until the daemon stops, then resigns. Others are told that this scheduler is
/// reached at `address`.
pub(super) async fn keep(
    daemon: Daemon,
    address: String,
    lead: watch::Sender<Option<LeaderToken>>,
) {
    let mut turns = Turns::new(daemon.clone(), address);
    let mut backoff = Backoff::default();
    let mut last_renewed = Instant::now();
    let mut checked = false;
    while !daemon.stop.is_cancelled() {
        let asked = Instant::now();
        let token = *lead.borrow();
        let wait = match turns.take(token).await {
            Ok((token, lost)) => {
                backoff.worked();
                last_renewed = asked;
                daemon.health.ready("start");
                // No pass of a standby takes back what its last one said.
                if std::mem::take(&mut turns.down) || token.is_none() {
                    outage::ends(&daemon.health, REDIS);
                }
                if !checked {
                    daemon.queue.warn_of_settings().await;
                    checked = true;
                }
                show(&lead, token, lost);
                if token.is_some() {
                    LEADER_RENEWS_EVERY
                } else {
                    ASK_EVERY
                }
            }
            Err(error) => {
                turns.down = true;
                outage::begins(&daemon.health, REDIS, &causes(&error));
                if last_renewed.elapsed() >= LEADER_TTL {
                    show(
                        &lead,
                        None,
                        "redis does not work, so leadership has run out",
                    );
                }
                backoff.failed()
            }
        };
        daemon.sleep(wait).await;
    }
    if let Err(error) = daemon.queue.withdraw(&daemon.id).await {
        tracing::debug!(error = causes(&error), "stays listed for a while");
    }
    let token = *lead.borrow();
    if let Some(token) = token {
        // Redis may be away; then leadership runs out by itself.
        match daemon.queue.resign(token).await {
            Ok(_) => tracing::info!("resigned"),
            Err(error) => tracing::warn!(
                error = causes(&error),
                "could not resign; leadership runs out"
            ),
        }
    }
}

/// Asks for leadership, gives it up or leaves it to others, in turns.
struct Turns {
    daemon: Daemon,
    address: String,
    /// Said by this task; what a pass found out is for the next pass to take back.
    down: bool,
    resigned: Option<Instant>,
    /// When somebody was last seen to lead, or this one resigned.
    led: Instant,
}

impl Turns {
    fn new(daemon: Daemon, address: String) -> Self {
        Self {
            daemon,
            address,
            down: true,
            resigned: None,
            led: Instant::now(),
        }
    }

    /// Leadership after this turn, and what to say if it was lost.
    async fn take(
        &mut self,
        token: Option<LeaderToken>,
    ) -> Result<(Option<LeaderToken>, &'static str), QueueError> {
        let turn = self.standing(token.is_some()).await?.turn();
        let queue = &self.daemon.queue;
        match (turn, token) {
            (Turn::Resign, Some(token)) => {
                queue.resign(token).await?;
                let now = Instant::now();
                (self.resigned, self.led) = (Some(now), now);
                Ok((None, LEAVES))
            }
            (Turn::StandBack, _) => Ok((None, "another scheduler leads now")),
            _ => {
                let (id, address) = (&*self.daemon.id, &self.address);
                let mut says = self.daemon.telling.lines(&self.daemon.health, self.down);
                says.push(days_told(&self.daemon.settings.scheduler));
                let token = queue.try_lead(id, address, &says, LEADER_TTL).await?;
                Ok((token, "another scheduler leads now"))
            }
        }
    }

    /// Redis is asked only for what makes a difference.
    async fn standing(&mut self, leads: bool) -> Result<Standing, QueueError> {
        let queue = &self.daemon.queue;
        let mut standing = Standing {
            leads,
            unreached: self.daemon.telling.unreached_for(),
            resigned: self.resigned.map(|at| at.elapsed()),
            ..Standing::default()
        };
        if standing.would_resign() {
            standing.another_asks = another_asks(&queue.candidates().await?, &self.daemon.id);
        }
        if standing.stands_back() {
            match queue.leader().await? {
                Some(_) => self.led = Instant::now(),
                None => standing.vacant = Some(self.led.elapsed()),
            }
        }
        Ok(standing)
    }
}

/// `lost`: what to say if leadership was lost.
fn show(lead: &watch::Sender<Option<LeaderToken>>, token: Option<LeaderToken>, lost: &'static str) {
    gauge!("weldfleet_scheduler_leader").set(if token.is_some() { 1.0 } else { 0.0 });
    lead.send_if_modified(|now| {
        let changed = *now != token;
        match (&now, token) {
            (_, Some(token)) if changed => tracing::info!(token = token.0, "this scheduler leads"),
            (Some(_), None) => tracing::warn!("{lost}"),
            _ => {}
        }
        *now = token;
        changed
    });
}
