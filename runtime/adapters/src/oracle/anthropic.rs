//! Anthropic's Messages API, and every server that speaks it. The format itself is [`claude`](super::claude).
//!
//! Source: Anthropic, API reference, "Messages", "Versions" and "Errors".

use std::fmt;

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::ports::oracle::{Fault, OnText, Oracle, OracleError, Question, Reply};
use http::{HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    claude::{self, Spec},
    wire::{Wire, files::Limits},
};

/// `request-id` is in every answer, those that fail too.
const WIRE: Wire = Wire {
    provider: "anthropic",
    request_id: "request-id",
};

/// The version of the API that the format is written by.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// An Oracle behind Anthropic's Messages API.
pub struct Anthropic {
    client: GuardedClient,
    url: Url,
    model: String,
    key: Option<SecretString>,
    limits: Limits,
    cache: bool,
}

impl Anthropic {
    /// Where Anthropic itself answers.
    pub const BASE_URL: &str = "https://api.anthropic.com/v1";

    /// An Oracle that asks `model` at `base_url`, to which `/messages` is added; a query stays. It marks what may be
    /// cached. A server of one's own may need no key.
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
            path.pop_if_empty().push("messages");
        }
        Self {
            client,
            url,
            model: model.into(),
            key,
            limits: claude::LIMITS,
            cache: true,
        }
    }

    /// Whether the provider is to cache what requests begin with: its price differs, its answers do not.
    #[must_use]
    pub fn caching(self, cache: bool) -> Self {
        Self { cache, ..self }
    }

    /// Which attachments are sent; the others are named in words. All unless said.
    #[must_use]
    pub fn sending(self, sending: super::Sending) -> Self {
        let limits = sending.of(claude::LIMITS);
        Self { limits, ..self }
    }
}

impl fmt::Debug for Anthropic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anthropic")
            .field("host", &self.url.host_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Oracle for Anthropic {
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
        let mut request = self
            .client
            .request(Method::POST, self.url.clone())
            .header(HeaderName::from_static("anthropic-version"), VERSION);
        if let Some(key) = &self.key {
            let mut value = HeaderValue::from_str(key.expose_secret()).map_err(|_| {
                OracleError::new(
                    WIRE.provider,
                    Fault::Unauthorized,
                    "the key holds characters that a header cannot",
                )
            })?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_static("x-api-key"), value);
        }
        let spec = Spec {
            model: Some(&self.model),
            version: None,
            cache: self.cache,
            limits: &self.limits,
        };
        claude::ask(WIRE, request, spec, &question, on_text).await
    }
}
