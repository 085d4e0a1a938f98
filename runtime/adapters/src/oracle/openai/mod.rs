//! OpenAI's Chat Completions, and every server that speaks it: vLLM, Ollama, a gateway.
//!
//! Source: OpenAI, API reference, "Chat completions". Where servers differ:
//!
//! - The most tokens of a reply go out as `max_completion_tokens` to `api.openai.com`, whose reasoning models refuse the
//!   older `max_tokens`; to any other server as `max_tokens`, which all of them know.
//! - A reply that was asked for as a stream and comes whole is taken as it is.
//! - Attachments are named in the text, not sent.

mod errors;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use eywa_guard::{GuardedClient, GuardedRequest, GuardedResponse, RequestError};
use eywa_weave::ports::oracle::{Fault, OnText, Oracle, OracleError, Question, Reply};
use futures::StreamExt;
use http::{HeaderMap, Method, header::CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::{
    request::{Body, MostTokens},
    stream::Hearing,
};
use super::sse::{Decoder, TooLong};

const PROVIDER: &str = "openai";

/// OpenAI's own address.
const OPENAI: &str = "api.openai.com";

/// The most bytes that are read of an answer: far more than any model says at once.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The most bytes that are read of an error.
const LONGEST_ERROR: usize = 64 * 1024;

/// The longest that any answer may take, whatever the caller allows.
const CEILING: Duration = Duration::from_secs(15 * 60);

/// An Oracle behind OpenAI's Chat Completions.
pub struct OpenAi {
    client: GuardedClient,
    url: Url,
    model: String,
    key: Option<SecretString>,
    most_tokens: MostTokens,
}

impl OpenAi {
    /// Where OpenAI itself answers.
    pub const BASE_URL: &str = "https://api.openai.com/v1";

    /// An Oracle that asks `model` at `base_url`, to which `/chat/completions` is added; a query stays. A server of one's
    /// own may need no key.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        base_url: &Url,
        model: impl Into<String>,
        key: Option<SecretString>,
    ) -> Self {
        let mut url = base_url.clone();
        // A URL that cannot have a path is refused by the client, with the reason.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["chat", "completions"]);
        }
        let most_tokens = if url.host_str() == Some(OPENAI) {
            MostTokens::Completion
        } else {
            MostTokens::Plain
        };
        Self {
            client,
            url,
            model: model.into(),
            key,
            most_tokens,
        }
    }

    fn request(&self, question: &Question<'_>, stream: bool) -> GuardedRequest<'_> {
        let request = self
            .client
            .request(Method::POST, self.url.clone())
            .timeout(CEILING);
        let request = match &self.key {
            Some(key) => request.bearer(key.expose_secret()),
            None => request,
        };
        request.json(&Body::of(question, &self.model, self.most_tokens, stream))
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("host", &self.url.host_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Oracle for OpenAi {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn ask(
        &self,
        question: Question<'_>,
        on_text: Option<OnText<'_>>,
    ) -> Result<Reply, OracleError> {
        let response = self
            .request(&question, on_text.is_some())
            .send()
            .await
            .map_err(unanswered)?;
        if !response.status().is_success() {
            return Err(failed(response, &question).await);
        }
        let request_id = text_of(response.headers(), "x-request-id");
        let mut reply = match on_text {
            Some(on_text) if is_stream(response.headers()) => {
                hear(response, &question, on_text).await?
            }
            _ => response::read(
                &response.bytes(LONGEST_ANSWER).await.map_err(unanswered)?,
                &question,
            )?,
        };
        reply.request_id = request_id;
        Ok(reply)
    }
}

async fn hear(
    response: GuardedResponse,
    question: &Question<'_>,
    mut on_text: OnText<'_>,
) -> Result<Reply, OracleError> {
    let mut pieces = Box::pin(response.stream(LONGEST_ANSWER));
    let mut events = Decoder::default();
    let mut hearing = Hearing::default();
    'stream: while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(unanswered)?;
        let data = events
            .take(&piece)
            .map_err(|TooLong| response::unintelligible("an event of its answer does not end"))?;
        for data in data {
            if hearing.hear(&data, question, &mut on_text)? {
                break 'stream;
            }
        }
    }
    hearing.reply(question)
}

/// What the server said instead of an answer.
async fn failed(response: GuardedResponse, question: &Question<'_>) -> OracleError {
    let status = response.status();
    let headers = response.headers().clone();
    // The status says the most; without its body, the error says a little less.
    let body = response.beginning(LONGEST_ERROR).await.unwrap_or_default();
    let error = errors::of_status(status, &headers, &body, question);
    match text_of(&headers, "x-request-id") {
        Some(id) => OracleError {
            message: format!("{} (request {id})", error.message),
            ..error
        },
        None => error,
    }
}

/// What kept the request from being answered.
fn unanswered(error: RequestError) -> OracleError {
    let fault = match error {
        RequestError::Connect { .. }
        | RequestError::TimedOut { .. }
        | RequestError::BrokenOff { .. } => Fault::TimedOut,
        RequestError::Refused(_)
        | RequestError::Invalid(_)
        | RequestError::TooLarge { .. }
        | RequestError::Redirects { .. } => Fault::Malformed,
    };
    OracleError::new(PROVIDER, fault, error.to_string())
}

fn is_stream(headers: &HeaderMap) -> bool {
    text_of(headers, CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("text/event-stream"))
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}
