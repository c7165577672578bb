//! For those who make jobs.

use super::{Enqueued, Group, GroupPlan, Guard, GuardedEnqueue, Queue, SplitOutcome};
use crate::{
    Fields, Job, NewJob, QueueError,
    job::{PROTOCOL_FIELDS, State},
    reply::Reply,
    scripts::{Arg, Operation},
    timing::millis,
};

/// Jobs that one script adds.
const CHUNK: usize = 32;
/// Jobs that are read at a time.
const PAGE: usize = 500;
/// Ids that one script takes off the lists.
const MOST_PRUNED: usize = 100;
/// Fields of one job.
const MOST_FIELDS: usize = 64;

impl Queue {
    /// Adds jobs; one whose id is outstanding is left as it is. In chunks, each of which is atomic.
    ///
    /// # Errors
    /// [`QueueError::InvalidJob`] before anything is sent; else see [`QueueError`].
    pub async fn enqueue(&self, jobs: &[NewJob]) -> Result<Enqueued, QueueError> {
        self.validate(jobs)?;
        let mut total = Enqueued::default();
        for chunk in jobs.chunks(CHUNK) {
            let (_, enqueued, _) = self.enqueue_chunk(None, 0, chunk).await?;
            total = total.plus(enqueued);
        }
        Ok(total)
    }

    /// Adds jobs of one group if `guard` still holds: the leader leads and the group's plan has the expected version.
    /// Chunks of 32 are atomic; when a later chunk meets a conflict, the earlier ones stand (the next pass of the owner
    /// sees them). All jobs must be of the guard's group.
    ///
    /// # Errors
    /// [`QueueError::InvalidJob`] before anything is sent; else see [`QueueError`].
    pub async fn enqueue_guarded(
        &self,
        guard: &Guard,
        jobs: &[NewJob],
    ) -> Result<GuardedEnqueue, QueueError> {
        self.validate(jobs)?;
        if guard.group.is_empty() {
            return Err(invalid("", "a guarded enqueue needs a group"));
        }
        if let Some(stranger) = jobs.iter().find(|job| job.group != guard.group) {
            return Err(invalid(
                &stranger.id,
                &format!(
                    "its group is {:?}, the guard's is {:?}",
                    stranger.group, guard.group
                ),
            ));
        }
        let mut total = Enqueued::default();
        let mut version = guard.version;
        for chunk in jobs.chunks(CHUNK) {
            let (verdict, enqueued, new_version) =
                self.enqueue_chunk(Some(guard), version, chunk).await?;
            total = total.plus(enqueued);
            version = new_version;
            match verdict.as_str() {
                "ok" => {}
                "conflict" => {
                    return Ok(GuardedEnqueue::Conflict {
                        jobs: total,
                        version,
                    });
                }
                _ => return Ok(GuardedEnqueue::Deposed { jobs: total }),
            }
        }
        Ok(GuardedEnqueue::Enqueued {
            jobs: total,
            version,
        })
    }

    async fn enqueue_chunk(
        &self,
        guard: Option<&Guard>,
        version: u64,
        jobs: &[NewJob],
    ) -> Result<(String, Enqueued, u64), QueueError> {
        let leader = guard
            .map(|guard| guard.leader.0.to_string())
            .unwrap_or_default();
        let mut args = vec![
            Arg::Text(&leader),
            Arg::Text(guard.map(|guard| guard.group.as_str()).unwrap_or_default()),
            Arg::Number(version),
        ];
        self.push_jobs(&mut args, jobs);
        let (reply, value) = self.run(Operation::Enqueue, &args).await?;
        let [verdict, added, deduplicated, version] = reply.entries(&value)?;
        let enqueued = Enqueued {
            added: reply.number(added)?,
            deduplicated: reply.number(deduplicated)?,
        };
        Ok((reply.text(verdict)?, enqueued, reply.number(version)?))
    }

    fn push_jobs<'a>(&self, args: &mut Vec<Arg<'a>>, jobs: &'a [NewJob]) {
        for job in jobs {
            args.extend([
                Arg::Text(&job.id),
                Arg::Text(&job.group),
                Arg::Number(u64::from(job.priority)),
                Arg::Number(job.weight),
                Arg::Number(millis(job.delay)),
                Arg::Number(u64::from(
                    job.max_attempts.unwrap_or(self.options().max_attempts),
                )),
                Arg::Number(job.fields.len() as u64 * 2),
            ]);
            push_fields(args, &job.fields);
        }
    }

    fn validate(&self, jobs: &[NewJob]) -> Result<(), QueueError> {
        for job in jobs {
            let problem = if job.id.is_empty() || job.id.len() > 200 {
                Some("its id must have 1 to 200 bytes".to_owned())
            } else if has_control(&job.id) || has_control(&job.group) {
                Some("its id and its group must not contain control characters".to_owned())
            } else if job.priority > 99 {
                Some(format!("priority = {}: must be 0 to 99", job.priority))
            } else if job.max_attempts == Some(0) {
                Some("max_attempts = 0: must be at least 1".to_owned())
            } else if job.group.len() > 200 {
                Some("its group must have at most 200 bytes".to_owned())
            } else if job.fields.len() > MOST_FIELDS {
                Some(format!(
                    "it has {} fields, at most {MOST_FIELDS} are allowed",
                    job.fields.len()
                ))
            } else {
                self.reserved_field(&job.fields).map(|name| {
                    format!("its field {name:?} is a field of the protocol, choose another name")
                })
            };
            if let Some(problem) = problem {
                return Err(invalid(&job.id, &problem));
            }
        }
        Ok(())
    }

    /// The first field whose name belongs to the protocol.
    pub(crate) fn reserved_field<'f>(&self, fields: &'f Fields) -> Option<&'f str> {
        let weight = self.options().weight_field.as_str();
        fields
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| PROTOCOL_FIELDS.contains(name) || *name == weight || name.is_empty())
    }

    /// Result fields that an ending may write.
    pub(super) fn validate_result(&self, id: &str, fields: &Fields) -> Result<(), QueueError> {
        let mut names = std::collections::BTreeSet::new();
        let problem = if fields.len() > MOST_FIELDS {
            format!(
                "has {} result fields, at most {MOST_FIELDS} are allowed",
                fields.len()
            )
        } else if let Some(name) = self.reserved_field(fields) {
            format!("result field {name:?} is a field of the protocol, choose another name")
        } else if let Some((name, _)) = fields.iter().find(|(name, _)| !names.insert(name)) {
            format!("result field {name:?} is given twice")
        } else {
            return Ok(());
        };
        Err(invalid(id, &problem))
    }

    /// What is outstanding in a group (pending, leased, delayed, splitting and dead jobs) and the version to enqueue
    /// against. Read the truth that the jobs were made from only after this: then a job that ended in between has left
    /// its effect there.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn plan(&self, group: &str) -> Result<GroupPlan, QueueError> {
        let mut get = redis::cmd("GET");
        get.arg(self.keys().plan(group));
        let version = self.inner.link.send("plan", &get).await?;
        let version = Reply::of("plan").number(&version)?;
        let mut jobs = std::collections::BTreeMap::<String, Job>::new();
        let ids = self
            .scan("plan", "SSCAN", &self.keys().outstanding(group))
            .await?;
        for some in ids.chunks(PAGE) {
            let found = self.jobs(some).await?;
            if found.len() < some.len() {
                self.prune(group, some, &found).await?;
            }
            let outstanding = found.into_iter().filter(|job| job.state != State::Done);
            jobs.extend(outstanding.map(|job| (job.id.clone(), job)));
        }
        Ok(GroupPlan {
            version,
            jobs: jobs.into_values().collect(),
        })
    }

    /// Takes ids without a job off the group's list and off the queue: somebody removed them by hand.
    async fn prune(&self, group: &str, ids: &[String], found: &[Job]) -> Result<(), QueueError> {
        let found: std::collections::BTreeSet<&str> =
            found.iter().map(|job| job.id.as_str()).collect();
        let gone: Vec<&String> = ids
            .iter()
            .filter(|id| !found.contains(id.as_str()))
            .collect();
        for some in gone.chunks(MOST_PRUNED) {
            let mut args = vec![Arg::Text(group)];
            args.extend(some.iter().map(|id| Arg::Text(id)));
            self.run(Operation::Prune, &args).await?;
        }
        Ok(())
    }

    /// The jobs with these ids that exist, in one round trip.
    pub(crate) async fn jobs(&self, ids: &[String]) -> Result<Vec<Job>, QueueError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HGETALL").arg(self.keys().job(id));
        }
        let reply = Reply::of("get");
        let values = self.inner.link.send_each("get", &pipeline).await?;
        let jobs = ids
            .iter()
            .zip(&values)
            .map(|(id, value)| reply.job(id, value, &self.options().weight_field));
        jobs.filter_map(Result::transpose).collect()
    }

    /// Groups that have outstanding jobs, by name.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn groups(&self) -> Result<Vec<Group>, QueueError> {
        let mut groups = std::collections::BTreeMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let (reply, page) = self.run(Operation::Groups, &[Arg::Text(&cursor)]).await?;
            let [next_cursor, some] = reply.entries(&page)?;
            for [name, version, outstanding] in reply.list(some)?.as_chunks().0 {
                let name = reply.text(name)?;
                let group = Group {
                    name: name.clone(),
                    version: reply.number(version)?,
                    outstanding: reply.number(outstanding)?,
                };
                groups.insert(name, group);
            }
            cursor = reply.text(next_cursor)?;
            if cursor == "0" {
                return Ok(groups.into_values().collect());
            }
        }
    }

    /// Gives the plans of these groups a new version: whoever has read the one before meets a conflict and adds
    /// nothing. For an owner that wants nothing more of them; what is outstanding stays.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn revoke(&self, groups: &[String]) -> Result<(), QueueError> {
        for some in groups.chunks(CHUNK) {
            let args: Vec<Arg<'_>> = some.iter().map(|group| Arg::Text(group)).collect();
            self.run(Operation::Revoke, &args).await?;
        }
        Ok(())
    }

    /// Replaces a job in `splitting` (or `dead`) by `children`, in one step: they run isolated, with fresh attempts,
    /// and take the parent's group, priority and age; the parent becomes done. At most 32 children.
    ///
    /// # Errors
    /// [`QueueError::InvalidJob`] before anything is sent; else see [`QueueError`].
    pub async fn split(
        &self,
        parent: &str,
        children: &[NewJob],
    ) -> Result<SplitOutcome, QueueError> {
        self.validate(children)?;
        if children.is_empty() || children.len() > CHUNK {
            return Err(invalid(
                parent,
                &format!(
                    "cannot be split into {} jobs, only into 1 to {CHUNK}",
                    children.len()
                ),
            ));
        }
        if children.iter().any(|child| child.id == parent) {
            return Err(invalid(parent, "cannot be its own child"));
        }
        let mut args = vec![Arg::Text(parent)];
        self.push_jobs(&mut args, children);
        let (reply, value) = self.run(Operation::Split, &args).await?;
        let [split, children] = reply.entries(&value)?;
        Ok(if reply.number(split)? == 1 {
            SplitOutcome::Split(reply.number(children)?)
        } else {
            SplitOutcome::NotSplitting
        })
    }

    /// Resolves a job in `splitting` or `dead` without running it: it becomes done, with these result fields. For a
    /// poison job whose owner has recorded its fate. False if it is in neither state.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn resolve(&self, id: &str, fields: &Fields) -> Result<bool, QueueError> {
        self.validate_result(id, fields)?;
        let mut args = vec![Arg::Text(id)];
        push_fields(&mut args, fields);
        self.run_flag(Operation::Resolve, &args).await
    }
}

fn has_control(text: &str) -> bool {
    text.contains(char::is_control)
}

pub(super) fn push_fields<'a>(args: &mut Vec<Arg<'a>>, fields: &'a Fields) {
    for (name, value) in fields {
        args.push(Arg::Text(name));
        args.push(Arg::Text(value));
    }
}

pub(super) fn invalid(id: &str, problem: &str) -> QueueError {
    QueueError::InvalidJob {
        id: id.to_owned(),
        problem: problem.to_owned(),
    }
}

impl Enqueued {
    fn plus(self, other: Self) -> Self {
        Self {
            added: self.added + other.added,
            deduplicated: self.deduplicated + other.deduplicated,
        }
    }
}
