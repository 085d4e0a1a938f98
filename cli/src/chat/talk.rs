//! One side of a conversation over the http voice: signed messages out, answers in.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use bytes::Bytes;
use eywa_adapters::standard_webhooks::{ID, SIGNATURE, SigningKey, TIMESTAMP};
use eywa_guard::{
    GuardedClient, Policy, RequestError,
    http::{
        Method,
        header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
    },
};
use eywa_runtime::http::Answer;
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sse_stream::SseStream;
use url::Url;

/// The longest that an answer may take: longer than a Spirit may.
const LONGEST_ANSWER: Duration = Duration::from_secs(15 * 60);
/// The most bytes of an answer.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// A conversation.
pub(super) struct Talk {
    client: GuardedClient,
    url: Url,
    key: SigningKey,
    user: String,
}

impl Talk {
    /// With `spirit`, over its http voice `voice`, at a runtime whose webhooks are at `base`.
    pub(super) fn new(
        base: &str,
        spirit: &str,
        voice: &str,
        key: &str,
        user: &str,
    ) -> Result<Self> {
        let mut url = Url::parse(base)?.join(&format!("/spirits/{spirit}/pulses"))?;
        url.query_pairs_mut()
            .append_pair("voice", voice)
            .append_pair("detail", "true");
        let key = SigningKey::parse(&key.into())
            .context("the http voice's signing key cannot be used")?;
        let policy = Policy {
            loopback: true,
            ..Policy::default()
        };
        Ok(Self {
            client: GuardedClient::new(Arc::new(policy)),
            url,
            key,
            user: user.to_owned(),
        })
    }

    /// Says something, and waits for what comes of it. `on_piece` hears the answer while it is being made.
    pub(super) async fn say(
        &self,
        text: &str,
        on_piece: &mut (dyn FnMut(Piece<'_>) + Send),
    ) -> Result<Answer> {
        let id = format!("chat-{}", uuid::Uuid::new_v4());
        let body = json!({"user": {"id": self.user, "name": self.user}, "text": text})
            .to_string()
            .into_bytes();
        let now = Timestamp::now().as_second();
        let response = self
            .client
            .request(Method::POST, self.url.clone())
            .header(ID.parse()?, HeaderValue::from_str(&id)?)
            .header(TIMESTAMP.parse()?, HeaderValue::from(now))
            .header(
                SIGNATURE.parse()?,
                HeaderValue::from_str(&self.key.sign(&id, now, &body))?,
            )
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(ACCEPT, HeaderValue::from_static("text/event-stream"))
            .timeout(LONGEST_ANSWER)
            .body(body)
            .send()
            .await
            .context("the Spirit cannot be reached")?;
        let status = response.status();
        if status.is_success() && is_stream(response.headers()) {
            return follow(response.stream(LARGEST_ANSWER), on_piece).await;
        }
        let body = response
            .bytes(LARGEST_ANSWER)
            .await
            .context("the answer broke off")?;
        if status.is_success() {
            return read(&body);
        }
        Err(problem(&body, status.as_str()))
    }
}

/// Part of an answer that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// The next words.
    Text(&'a str),
    /// The words so far are no part of the answer.
    Again,
}

/// Reads events to the last.
async fn follow(
    bytes: impl Stream<Item = Result<Bytes, RequestError>> + Send,
    on_piece: &mut (dyn FnMut(Piece<'_>) + Send),
) -> Result<Answer> {
    let mut events = pin!(SseStream::from_bytes_stream(bytes));
    while let Some(event) = events.next().await {
        let event = event.context("the answer broke off")?;
        let data = event.data.unwrap_or_default();
        match event.event.as_deref() {
            Some("text") => {
                let text: Value = serde_json::from_str(&data).unwrap_or_default();
                on_piece(Piece::Text(text["text"].as_str().unwrap_or_default()));
            }
            Some("reset") => on_piece(Piece::Again),
            Some("done") => return read(data.as_bytes()),
            Some("error") => return Err(problem(data.as_bytes(), "no reason was given")),
            _ => {}
        }
    }
    bail!("the answer broke off before its end")
}

fn read(answer: &[u8]) -> Result<Answer> {
    serde_json::from_slice(answer).context("the answer cannot be read; are both of one release?")
}

fn problem(body: &[u8], otherwise: &str) -> Error {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    anyhow!("{}", problem["detail"].as_str().unwrap_or(otherwise))
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    async fn heard(text: &str) -> (Vec<String>, Result<Answer>) {
        // In pieces that cut events and characters in two.
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(7)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let mut heard = Vec::new();
        let mut on_piece = |piece: Piece<'_>| {
            heard.push(match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Again => "<again>".to_owned(),
            });
        };
        let answer = follow(stream::iter(pieces), &mut on_piece).await;
        (heard, answer)
    }

    #[tokio::test]
    async fn an_answer_is_heard_while_it_comes_and_the_last_event_has_the_whole() {
        let (pieces, answer) = heard(concat!(
            ": a comment\n\nevent: text\ndata: {\"text\":\"Let me see\"}\n\n",
            "event: reset\ndata: {}\n\nevent: tool\ndata: {\"name\":\"menu\"}\n\n",
            "event: text\ndata: {\"text\":\"Teé.\"}\n\n",
            "event: done\ndata: {\"pulse\":\"web/1\",\"outcome\":\"answered\",\"text\":\"Teé.\"}\n\n",
        ))
        .await;
        assert_eq!(pieces, ["Let me see", "<again>", "Teé."]);
        assert_eq!(answer.unwrap().text.as_deref(), Some("Teé."));
    }

    #[tokio::test]
    async fn a_failure_is_told_and_a_stream_without_an_end_is_one() {
        let (_, answer) = heard("event: error\ndata: {\"detail\":\"no model answered\"}\n\n").await;
        assert_eq!(answer.unwrap_err().to_string(), "no model answered");
        let (pieces, answer) = heard("event: text\ndata: {\"text\":\"Hm\"}\n\n").await;
        assert_eq!(pieces, ["Hm"]);
        assert!(answer.unwrap_err().to_string().contains("broke off"));
    }
}
