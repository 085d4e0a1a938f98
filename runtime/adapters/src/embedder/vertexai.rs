//! Text embeddings of Vertex AI.
//!
//! Source: Google Cloud, Vertex AI, "Text embeddings API" and "Get text embeddings" (predict).

use std::fmt;

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::ports::lore::{Embedder, EmbedderError, Embeddings, Purpose};
use http::Method;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    exchange::{Batch, checked, send},
    google::{explain, task_type},
};
use crate::google::{GoogleTokens, VertexSite};

const PROVIDER: &str = "gcp.vertex_ai";

/// At most 250 texts and 20,000 tokens in one request.
const BATCH: Batch = Batch {
    texts: 250,
    bytes: 20_000,
};

/// The Gemini models take one text in one request.
const ONE: Batch = Batch {
    texts: 1,
    bytes: usize::MAX,
};

/// An embedder on Vertex AI.
pub struct VertexAiEmbedder {
    client: GuardedClient,
    url: Url,
    model: String,
    tokens: GoogleTokens,
    dimensions: usize,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    instances: Vec<Instance<'a>>,
    parameters: Parameters,
}

#[derive(Debug, Serialize)]
struct Instance<'a> {
    content: &'a str,
    task_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    output_dimensionality: usize,
    /// A text that is cut off unseen is found by half of what it says.
    auto_truncate: bool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    predictions: Vec<Prediction>,
}

#[derive(Debug, Deserialize)]
struct Prediction {
    embeddings: Vector,
}

#[derive(Debug, Deserialize)]
struct Vector {
    values: Vec<f32>,
    #[serde(default)]
    statistics: Statistics,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Statistics {
    token_count: f64,
}

impl VertexAiEmbedder {
    /// An embedder that asks `model` at `site` for vectors of `dimensions` entries.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        site: &VertexSite,
        model: impl Into<String>,
        tokens: GoogleTokens,
        dimensions: usize,
    ) -> Self {
        let model = model.into();
        let mut url = site.models("google");
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&format!("{model}:predict"));
        }
        Self {
            client,
            url,
            model,
            tokens,
            dimensions,
        }
    }

    async fn batch(&self, texts: &[&str], purpose: Purpose) -> Result<Embeddings, EmbedderError> {
        let token = self
            .tokens
            .token()
            .await
            .map_err(|error| EmbedderError::new(PROVIDER, error.fault(), error.message))?;
        let instance = |content| Instance {
            content,
            task_type: task_type(purpose),
        };
        let request = self
            .client
            .request(Method::POST, self.url.clone())
            .bearer(token.expose_secret())
            .json(&Request {
                instances: texts.iter().map(|text| instance(*text)).collect(),
                parameters: Parameters {
                    output_dimensionality: self.dimensions,
                    auto_truncate: false,
                },
            });
        let answer: Answer = send(PROVIDER, request, texts.len(), explain).await?;
        let mut tokens = 0.0;
        let vectors = answer
            .predictions
            .into_iter()
            .map(|prediction| {
                tokens += prediction.embeddings.statistics.token_count;
                prediction.embeddings.values
            })
            .collect();
        Ok(Embeddings {
            vectors: checked(PROVIDER, vectors, texts.len(), self.dimensions)?,
            // Counts come as numbers with a fraction of zero.
            tokens: tokens as u64,
        })
    }
}

impl fmt::Debug for VertexAiEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VertexAiEmbedder")
            .field("host", &self.url.host_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Embedder for VertexAiEmbedder {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Embeddings, EmbedderError> {
        let batch = if self.model.starts_with("gemini") {
            ONE
        } else {
            BATCH
        };
        batch.all(texts, |texts| self.batch(texts, purpose)).await
    }
}
