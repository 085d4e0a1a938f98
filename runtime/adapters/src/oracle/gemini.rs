//! The Gemini API.
//!
//! Source: Google, Gemini API reference, "API overview"; the format is [`generate_content`]'s.

use std::fmt;

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::ports::oracle::{OnText, Oracle, OracleError, Question, Reply};
use http::{HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    generate_content::{self, Dialect, LIMITS},
    sending::Sending,
    wire::{Wire, files::Limits},
};

/// As the GenAI conventions name it.
const PROVIDER: &str = "gcp.gemini";

const GEMINI_API: Dialect = Dialect {
    wire: Wire {
        provider: PROVIDER,
        request_id: "x-request-id",
    },
    call_ids: true,
};

/// An Oracle behind the Gemini API.
pub struct Gemini {
    client: GuardedClient,
    base_url: Url,
    model: String,
    key: Option<SecretString>,
    limits: Limits,
}

impl Gemini {
    /// Where Google answers.
    pub const BASE_URL: &str = "https://generativelanguage.googleapis.com/v1beta";

    /// An Oracle that asks `model` at `base_url`, to which `/models/…` is added. A server of one's own may need no key.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        base_url: &Url,
        model: impl Into<String>,
        key: Option<SecretString>,
    ) -> Self {
        Self {
            client,
            base_url: base_url.clone(),
            model: model.into(),
            key,
            limits: LIMITS,
        }
    }

    /// Which attachments are sent; the others are named in words. All unless said.
    #[must_use]
    pub fn sending(self, sending: Sending) -> Self {
        let limits = sending.of(LIMITS);
        Self { limits, ..self }
    }
}

impl fmt::Debug for Gemini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gemini")
            .field("host", &self.base_url.host_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Oracle for Gemini {
    fn provider(&self) -> &'static str {
        PROVIDER
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
        let url =
            generate_content::url(&self.base_url, &["models"], &self.model, on_text.is_some());
        let mut request = self.client.request(Method::POST, url);
        if let Some(key) = &self.key {
            let unfit = |_| GEMINI_API.wire.unintelligible(UNFIT_KEY);
            let mut value = HeaderValue::from_str(key.expose_secret()).map_err(unfit)?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_static("x-goog-api-key"), value);
        }
        generate_content::ask(
            GEMINI_API,
            request,
            &self.model,
            &self.limits,
            &question,
            on_text,
        )
        .await
    }
}

const UNFIT_KEY: &str = "the API key holds characters that a header cannot; look at its Secret";
