//! OpenAI's Chat Completions, and every server that speaks it: vLLM, Ollama, a gateway.
//!
//! Source: OpenAI, API reference, "Chat completions"; guides "Images and vision", "File inputs" and "Reasoning models".
//! Where servers differ:
//!
//! - The most tokens of a reply go out as `max_completion_tokens` to `api.openai.com`, whose reasoning models refuse the
//!   older `max_tokens`; to any other server as `max_tokens`, which all of them know.
//! - A reply that was asked for as a stream and comes whole is taken as it is.
//! - What begins a request again and again is cached without being asked.

mod errors;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;

use async_trait::async_trait;
use eywa_guard::{GuardedClient, GuardedRequest};
use eywa_weave::ports::oracle::{OnText, Oracle, OracleError, Question, Reply};
use http::Method;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::{
    request::{Body, MostTokens},
    stream::Hearing,
};
use super::{
    Sending,
    wire::{
        Wire,
        files::{Files, Limits},
        is_stream,
    },
};

const WIRE: Wire = Wire {
    provider: "openai",
    request_id: "x-request-id",
};

/// OpenAI's own address.
const OPENAI: &str = "api.openai.com";

/// What OpenAI takes, within 50 MB a request.
const LIMITS: Limits = Limits {
    images: &["image/jpeg", "image/png", "image/gif", "image/webp"],
    pdf: true,
    largest_image: 20_000_000,
    largest_pdf: 20_000_000,
    most: 20,
    all: 30_000_000,
};

/// An Oracle behind OpenAI's Chat Completions.
pub struct OpenAi {
    client: GuardedClient,
    url: Url,
    model: String,
    key: Option<SecretString>,
    most_tokens: MostTokens,
    limits: Limits,
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
            limits: LIMITS,
        }
    }

    /// Which attachments are sent; the others are named in words. All unless said.
    #[must_use]
    pub fn sending(self, sending: Sending) -> Self {
        let limits = sending.of(LIMITS);
        Self { limits, ..self }
    }

    fn request(&self, question: &Question<'_>, stream: bool) -> GuardedRequest<'_> {
        let request = self.client.request(Method::POST, self.url.clone());
        let request = match &self.key {
            Some(key) => request.bearer(key.expose_secret()),
            None => request,
        };
        let files = Files::of(question.turns, &self.limits);
        request.json(&Body::of(
            question,
            &self.model,
            self.most_tokens,
            &files,
            stream,
        ))
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
        WIRE.provider
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn takes(&self, media_type: &str) -> bool {
        self.limits.takes(media_type)
    }

    async fn ask(
        &self,
        question: Question<'_>,
        on_text: Option<OnText<'_>>,
    ) -> Result<Reply, OracleError> {
        let request = self.request(&question, on_text.is_some());
        let response = WIRE.send(request).await?;
        if !response.status().is_success() {
            return Err(WIRE.fail(response, &question, errors::of_status).await);
        }
        let request_id = WIRE.request_id(response.headers());
        let mut reply = match on_text {
            Some(mut on_text) if is_stream(response.headers()) => {
                let mut hearing = Hearing::default();
                WIRE.events(response, |data| hearing.hear(data, &question, &mut on_text))
                    .await?;
                hearing.reply(&question)?
            }
            _ => response::read(&WIRE.read(response).await?, &question)?,
        };
        reply.request_id = request_id;
        Ok(reply)
    }
}
