//! Reading replies: each function says what it expected when it finds something else.

use redis::Value;

use crate::{QueueError, job::Job};

/// Characters that are shown of a text which could not be read.
const MOST_SHOWN: usize = 60;

/// Takes a reply apart.
pub(crate) struct Reply {
    operation: &'static str,
}

impl Reply {
    pub fn of(operation: &'static str) -> Self {
        Self { operation }
    }

    pub fn wrong(&self, expected: &str, got: &Value) -> QueueError {
        let mut shown = format!("{got:?}");
        shown.truncate(
            shown
                .char_indices()
                .nth(200)
                .map_or(shown.len(), |(at, _)| at),
        );
        QueueError::Reply {
            operation: self.operation,
            detail: format!("expected {expected}, got {shown}"),
        }
    }

    pub fn number(&self, value: &Value) -> Result<u64, QueueError> {
        match value {
            Value::Int(number) => {
                u64::try_from(*number).map_err(|_| self.wrong("a number from 0", value))
            }
            Value::BulkString(bytes) => std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| self.wrong("a number", value)),
            Value::Nil => Ok(0),
            _ => Err(self.wrong("a number", value)),
        }
    }

    /// A token that stands in a longer text.
    pub fn token(&self, text: &str) -> Result<u64, QueueError> {
        text.parse().map_err(|_| QueueError::Reply {
            operation: self.operation,
            detail: format!("token {text:?}"),
        })
    }

    pub fn text(&self, value: &Value) -> Result<String, QueueError> {
        match value {
            Value::BulkString(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            Value::SimpleString(text) => Ok(text.clone()),
            Value::Int(number) => Ok(number.to_string()),
            Value::Nil => Ok(String::new()),
            _ => Err(self.wrong("a text", value)),
        }
    }

    pub fn list<'v>(&self, value: &'v Value) -> Result<&'v [Value], QueueError> {
        match value {
            Value::Array(values) => Ok(values),
            Value::Nil => Ok(&[]),
            _ => Err(self.wrong("a list", value)),
        }
    }

    /// A list of as many entries as the caller has names for, in the order in which the script's head lists them.
    pub fn entries<'v, const N: usize>(
        &self,
        value: &'v Value,
    ) -> Result<&'v [Value; N], QueueError> {
        self.list(value)?
            .try_into()
            .map_err(|_| self.wrong(&format!("{N} entries"), value))
    }

    /// Names and values, as `HGETALL` gives them.
    pub fn pairs(&self, value: &Value) -> Result<Vec<(String, String)>, QueueError> {
        if let Value::Map(pairs) = value {
            return pairs
                .iter()
                .map(|(name, value)| Ok((self.text(name)?, self.text(value)?)))
                .collect();
        }
        self.list(value)?
            .chunks_exact(2)
            .map(|pair| Ok((self.text(&pair[0])?, self.text(&pair[1])?)))
            .collect()
    }

    pub fn texts(&self, value: &Value) -> Result<Vec<String>, QueueError> {
        self.list(value)?
            .iter()
            .map(|text| self.text(text))
            .collect()
    }

    /// A text of JSON; texts in it that are not UTF-8 are read as well as they can be.
    pub fn json<T: serde::de::DeserializeOwned>(&self, value: &Value) -> Result<T, QueueError> {
        let text = self.text(value)?;
        serde_json::from_str(&text).map_err(|error| self.wrong(&format!("json ({error})"), value))
    }

    /// A job from its hash; `None` if the hash is empty. A key that is no hash is a job of which nothing can be read.
    pub fn job(
        &self,
        id: &str,
        value: &Value,
        weight_field: &str,
    ) -> Result<Option<Job>, QueueError> {
        if let Value::ServerError(_) = value {
            let mut job = self.job_of(id, Vec::new(), weight_field);
            job.unreadable.push("its key is not a hash".to_owned());
            return Ok(Some(job));
        }
        let pairs = self.pairs(value)?;
        Ok((!pairs.is_empty()).then(|| self.job_of(id, pairs, weight_field)))
    }

    /// A job from the names and values of its hash.
    pub fn job_of(&self, id: &str, pairs: Vec<(String, String)>, weight_field: &str) -> Job {
        let mut job = Job::named(id);
        if id.contains(char::is_control) {
            job.unreadable
                .push("its id has control characters".to_owned());
        }
        for (name, text) in pairs {
            let parsed = match name.as_str() {
                "state" => text.parse().map(|state| job.state = state).is_ok(),
                "group" => put(&mut job.group, text.clone()),
                "priority" => set(&mut job.priority, &text) && job.priority <= 99,
                "attempts" => set(&mut job.attempts, &text),
                "deaths" => set(&mut job.deaths, &text),
                "isolated_deaths" => set(&mut job.isolated_deaths, &text),
                "max_attempts" => set(&mut job.max_attempts, &text),
                "worker" => put(&mut job.worker, text.clone()),
                "token" => set(&mut job.token, &text),
                "lease_until" => set(&mut job.lease_until, &text),
                "enqueued_at" => set(&mut job.enqueued_at, &text),
                "started_at" => set(&mut job.started_at, &text),
                "finished_at" => set(&mut job.finished_at, &text),
                "not_before" => set(&mut job.not_before, &text),
                "error" => put(&mut job.error, text.clone()),
                "history" => put(&mut job.history, text.lines().map(str::to_owned).collect()),
                "isolate" => put(&mut job.isolate, text == "1"),
                "poison" => put(&mut job.poison, text == "1"),
                "parent" => put(&mut job.parent, text.clone()),
                "isolated" | "settled" => true,
                name if name == weight_field => set(&mut job.weight, &text),
                _ => {
                    job.fields.push((name, text));
                    continue;
                }
            };
            if !parsed {
                let shown: String = text.chars().take(MOST_SHOWN).collect();
                job.unreadable.push(format!("{name} is {shown:?}"));
                job.fields.push((name, text));
            }
        }
        job
    }
}

fn set<T: std::str::FromStr>(target: &mut T, text: &str) -> bool {
    text.parse().map(|value| *target = value).is_ok()
}

fn put<T>(target: &mut T, value: T) -> bool {
    *target = value;
    true
}
