//! Renews leases and says that the worker lives, on an OS thread with its own runtime and connection.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::shared::Shared;
use crate::{
    Queue, QueueError, Renewal, lock,
    queue::BEAT_FIELD,
    timing::{JitteredBackoff, chance, millis},
};

/// How often a worker says that it lives, beside its renewals; where there are many, each does so more rarely.
const BEAT: Duration = Duration::from_secs(1);

pub(super) fn start(shared: &Arc<Shared>, queue: Queue) -> Result<(), QueueError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            QueueError::Options(format!("renewal: its runtime cannot be started: {error}"))
        })?;
    let stop = shared.stop.clone();
    let ended = shared.membership.heartbeat_ended.clone();
    let shared = Arc::downgrade(shared);
    std::thread::Builder::new()
        .name("queue-heartbeat".to_owned())
        .spawn(move || {
            let _ended = ended.drop_guard();
            runtime.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = keep(&shared, &queue) => {}
                }
            });
        })
        .map_err(|error| {
            QueueError::Options(format!("renewal: its thread cannot be started: {error}"))
        })?;
    Ok(())
}

async fn keep(shared: &Weak<Shared>, queue: &Queue) {
    let renew_every = queue.options().renew_every;
    let mut backoff = JitteredBackoff::new((renew_every / 4).min(Duration::from_millis(500)));
    let mut surplus_before = false;
    loop {
        let started = Instant::now();
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let next = match round(&shared, queue, &mut surplus_before).await {
            Ok(()) => {
                backoff.worked();
                belongs(&shared, None);
                started
                    + if !shared.membership.registered.load(Ordering::Acquire) {
                        // a change of the free fields is told soon, not only with the next renewal
                        Duration::from_millis(20)
                    } else if shared.renew_rarely() {
                        spread(idle_interval(&shared))
                    } else {
                        spread(renew_every)
                    }
            }
            Err(error) => {
                shared.leases.reconcile.store(true, Ordering::Release);
                if let QueueError::Foreign { .. } = &error {
                    belongs(&shared, Some(error.to_string()));
                }
                Instant::now() + backoff.failed()
            }
        };
        wait(&shared, queue, next).await;
    }
}

/// Nothing is claimed from a queue that is somebody else's.
fn belongs(shared: &Shared, foreign: Option<String>) {
    shared.claiming.control.send_if_modified(|control| {
        let changed = control.foreign != foreign;
        control.foreign = foreign;
        changed
    });
}

/// Waits until `next`, and says meanwhile that the worker lives. A worker that renews rarely renews sooner once it has
/// a lease, which is as fresh as one just renewed; who changes the free fields wants it told at once.
async fn wait(shared: &Shared, queue: &Queue, mut next: Instant) {
    let renew_every = queue.options().renew_every;
    loop {
        let beat = Instant::now() + spread(shared.membership.share(BEAT, u32::MAX));
        tokio::select! {
            () = tokio::time::sleep_until(next) => break,
            () = tokio::time::sleep_until(beat) => {
                match queue.renew(&shared.id, &[]).await {
                    Ok(answer) if answer.registered => {
                        shared.membership.workers.store(answer.workers, Ordering::Relaxed);
                        continue;
                    }
                    // The next renewal sees to it.
                    _ => break,
                }
            }
            () = shared.membership.renew_now.notified() => {}
        }
        if !shared.membership.registered.load(Ordering::Acquire) || !shared.queue.health().up {
            break;
        }
        next = next.min(Instant::now() + spread(renew_every));
    }
    shared
        .membership
        .renews_rarely
        .store(false, Ordering::SeqCst);
}

/// A little less, by chance: a fleet that started together does not speak together for ever.
fn spread(time: Duration) -> Duration {
    time.mul_f64(0.8 + 0.2 * chance())
}

/// How often an idle worker says that it lives: it stays listed, and somebody is always heard.
fn idle_interval(shared: &Shared) -> Duration {
    let options = shared.queue.options();
    let longest = (options.worker_expiry() / 3).max(options.renew_every);
    shared
        .membership
        .share(options.renew_every, u32::MAX)
        .min(longest)
}

/// One renewal of everything held.
async fn round(
    shared: &Shared,
    queue: &Queue,
    surplus_before: &mut bool,
) -> Result<(), QueueError> {
    let job_timeout = queue.options().job_timeout;
    let claims_before = shared.leases.claims_in_flight.load(Ordering::Acquire);
    let (hung, kept): (Vec<_>, Vec<_>) =
        shared.leases.all().into_iter().partition(|held| {
            held.is_held() && job_timeout.is_some_and(|limit| held.idle() > limit)
        });
    for lease in hung {
        // An outage may keep it for another ttl.
        let until = Instant::now() + 2 * queue.options().ttl;
        shared
            .leases
            .let_run_out(&lease, "no progress for job_timeout", until);
    }

    // Renewals first: registering is for people.
    let references: Vec<_> = kept.iter().map(|held| held.reference()).collect();
    let answer = queue.renew(&shared.id, &references).await?;
    shared
        .membership
        .workers
        .store(answer.workers, Ordering::Relaxed);
    for (lease, renewal) in kept.iter().zip(&answer.renewals) {
        if *renewal == Renewal::Lost {
            shared
                .leases
                .lose(lease, "another token holds the job, or it is gone");
        }
    }
    // A lease that nobody here knows of, twice in a row and not by a claim under way: a claim was answered into the
    // void.
    let quiet = claims_before == 0 && shared.leases.claims_in_flight.load(Ordering::Acquire) == 0;
    let known = kept.len() + shared.leases.running_out().len();
    let surplus = quiet && answer.held > known as u64;
    if surplus && *surplus_before {
        shared.leases.reconcile.store(true, Ordering::Release);
    }
    *surplus_before = surplus;

    if !answer.registered || !shared.membership.registered.swap(true, Ordering::AcqRel) {
        register(shared, queue).await?;
    }
    Ok(())
}

/// Tells people who this worker is.
async fn register(shared: &Shared, queue: &Queue) -> Result<(), QueueError> {
    let mut fields = lock(&shared.membership.fields).clone();
    fields.insert(BEAT_FIELD.to_owned(), millis(BEAT).to_string());
    let registered = queue.register(&shared.id, &fields).await;
    let born_at =
        registered.inspect_err(|_| shared.membership.registered.store(false, Ordering::Release))?;
    shared.note_birth(born_at);
    if !shared.membership.checked.swap(true, Ordering::AcqRel) {
        queue.warn_of_settings().await;
    }
    Ok(())
}
