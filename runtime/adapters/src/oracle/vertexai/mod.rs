//! Vertex AI: Gemini and Claude models in one's own Google Cloud project.
//!
//! Source: Google Cloud, Vertex AI, "Generate content with the Gemini API in Vertex AI"; "Request predictions with Claude
//! models" (rawPredict and streamRawPredict); "Deployments and endpoints", on locations.

#[cfg(test)]
mod tests;

use std::fmt;

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::ports::oracle::{OnText, Oracle, OracleError, Question, Reply};
use http::Method;
use secrecy::ExposeSecret;
use url::Url;

use super::{
    claude,
    generate_content::{self, Dialect},
    sending::Sending,
    wire::{Wire, files::Limits},
};
use crate::google::{GoogleTokens, VertexSite};

/// As the GenAI conventions name it.
const PROVIDER: &str = "gcp.vertex_ai";

const WIRE: Wire = Wire {
    provider: PROVIDER,
    request_id: "x-request-id",
};

/// Version 1 of the API knows no ids of calls.
const GEMINI: Dialect = Dialect {
    wire: WIRE,
    call_ids: false,
};

/// The version of Anthropic's format that Vertex AI takes, named in the body.
const CLAUDE_VERSION: &str = "vertex-2023-10-16";

/// An Oracle on Vertex AI. A model whose name begins with `claude` is Anthropic's; any other is Google's.
pub struct VertexAi {
    client: GuardedClient,
    models: Url,
    model: String,
    tokens: GoogleTokens,
    limits: Limits,
    cache: bool,
}

impl VertexAi {
    /// An Oracle that asks `model` at `site`. It marks what may be cached.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        site: &VertexSite,
        model: impl Into<String>,
        tokens: GoogleTokens,
    ) -> Self {
        let model = model.into();
        let publisher = if is_claude(&model) {
            "anthropic"
        } else {
            "google"
        };
        Self {
            client,
            models: site.models(publisher),
            limits: limits_of(&model),
            model,
            tokens,
            cache: true,
        }
    }

    /// Whether a Claude model is to keep what requests begin with; Gemini does so by itself.
    #[must_use]
    pub fn caching(self, cache: bool) -> Self {
        Self { cache, ..self }
    }

    /// Which attachments are sent; the others are named in words. All unless said.
    #[must_use]
    pub fn sending(self, sending: Sending) -> Self {
        let limits = sending.of(limits_of(&self.model));
        Self { limits, ..self }
    }

    /// Where the model is asked.
    fn url(&self, stream: bool) -> Url {
        if !is_claude(&self.model) {
            return generate_content::url(&self.models, &[], &self.model, stream);
        }
        let method = if stream {
            "streamRawPredict"
        } else {
            "rawPredict"
        };
        let mut url = self.models.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&format!("{}:{method}", self.model));
        }
        url
    }
}

fn limits_of(model: &str) -> Limits {
    if is_claude(model) {
        claude::LIMITS
    } else {
        generate_content::LIMITS
    }
}

fn is_claude(model: &str) -> bool {
    model.starts_with("claude")
}

impl fmt::Debug for VertexAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VertexAi")
            .field("host", &self.models.host_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Oracle for VertexAi {
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
        let token = self
            .tokens
            .token()
            .await
            .map_err(|error| OracleError::new(PROVIDER, error.fault(), error.message))?;
        let request = self
            .client
            .request(Method::POST, self.url(on_text.is_some()))
            .bearer(token.expose_secret());
        if !is_claude(&self.model) {
            return generate_content::ask(
                GEMINI,
                request,
                &self.model,
                &self.limits,
                &question,
                on_text,
            )
            .await;
        }
        let spec = claude::Spec {
            model: None,
            version: Some(CLAUDE_VERSION),
            cache: self.cache,
            limits: &self.limits,
        };
        claude::ask(WIRE, request, spec, &question, on_text).await
    }
}
