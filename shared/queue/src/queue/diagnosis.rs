//! Which key is to blame when Redis refuses an operation: people can do something about a key, but nothing about a
//! script's line.

use redis::Value;

use super::Queue;
use crate::{
    QueueError,
    keys::{FIXED, KeyType},
};

impl Queue {
    /// The error with what can be told to people: the queue's name, and the key that is not what it should be.
    pub(super) async fn explained(&self, error: QueueError) -> QueueError {
        match error {
            QueueError::Foreign { owner, .. } => QueueError::Foreign {
                queue: self.options().queue.clone(),
                owner,
            },
            QueueError::Refused {
                operation,
                culprit: None,
                source,
            } => QueueError::Refused {
                operation,
                culprit: self.wrong_key().await,
                source,
            },
            error => error,
        }
    }

    async fn wrong_key(&self) -> Option<String> {
        let mut pipeline = redis::pipe();
        for (name, _) in FIXED {
            pipeline.cmd("TYPE").arg(self.keys().named(name));
        }
        let numbers: Vec<&str> = FIXED
            .iter()
            .filter(|(_, kind)| *kind == KeyType::Number)
            .map(|(name, _)| *name)
            .collect();
        for name in &numbers {
            pipeline.cmd("GET").arg(self.keys().named(name));
        }
        let link = &self.inner.link;
        let answers = link.send_each("diagnosis", &pipeline).await.ok()?;
        let (types, values) = answers.split_at_checked(FIXED.len())?;
        let text = |value: &Value| match value {
            Value::SimpleString(text) => Some(text.clone()),
            Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        };
        let repair = "delete it, owners make their jobs anew";
        for ((name, kind), found) in FIXED.iter().zip(types) {
            let found = text(found)?;
            if found != "none" && found != kind.name() {
                let key = self.keys().named(name);
                return Some(format!(
                    "key {key} is a {found}, not a {}; {repair}",
                    kind.name()
                ));
            }
        }
        numbers.iter().zip(values).find_map(|(name, value)| {
            let value = text(value)?;
            value.parse::<u64>().err()?;
            let key = self.keys().named(name);
            Some(format!("key {key} is no number; {repair}"))
        })
    }
}
