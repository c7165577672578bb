//! Reading a form that somebody sends.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    response::Response,
};
use tokio::time::timeout;

use crate::console::{answers::plain, problem::Problem, words::Text};

/// Bytes of a form.
pub const MOST: usize = 1 << 20;
/// How long it may take to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Its bytes, or what is answered in their place. Whoever may not send one is to be refused before.
pub async fn read(body: Body, most: usize, text: &Text) -> Result<Bytes, Response> {
    match timeout(PATIENCE, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(plain(&Problem::TooMuchSent, text)),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Err(plain(&Problem::TooSlow { seconds }, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use weldfleet_words::Language;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_comes_in_time_and_in_measure() {
        let silence = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let text = Text::of(Language::English);
        let refused = async |body, most| read(body, most, text).await.unwrap_err().status();
        assert_eq!(read(Body::from("a=b"), 3, text).await.unwrap(), "a=b");
        assert_eq!(refused(Body::from("a=b"), 2).await, 413);
        assert_eq!(refused(Body::from_stream(silence), 3).await, 408);
    }
}
