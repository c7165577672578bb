//! Two people act on the same thing at the same moment: the second waits, finds what the first has done, and is told.

use std::time::{Duration, Instant};

use redis::Value;

use super::Queue;

/// Nobody keeps others from a thing for longer, even one who dies midway.
const LONGEST: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Queue {
    /// Acts on the thing once nobody else does. Without Redis nobody can be kept from it, and the action goes on.
    pub async fn one_at_a_time<T>(&self, thing: &str, action: impl Future<Output = T>) -> T {
        let key = self.keys().named(&format!("acting:{thing}"));
        let entered = self.enter(&key).await;
        let done = action.await;
        // A later key is another's.
        if entered.is_some_and(|at| at.elapsed() < LONGEST) {
            // It ends by itself, too.
            let _ = self.command(redis::cmd("DEL").arg(&key)).await;
        }
        done
    }

    async fn enter(&self, key: &str) -> Option<Instant> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg("").arg("NX").arg("PX");
        command.arg(LONGEST.as_millis() as u64);
        let began = Instant::now();
        while began.elapsed() < LONGEST {
            let asked = Instant::now();
            match self.command(&command).await {
                Ok(Value::Nil) => tokio::time::sleep(LOOK_EVERY).await,
                Ok(_) => return Some(asked),
                Err(_) => break,
            }
        }
        None
    }
}
