//! Embeddings of the Gemini API.
//!
//! Source: Google, Gemini API reference, "Embeddings" (batchEmbedContents); Gemini API, "Embeddings", on task types.

use std::{borrow::Cow, fmt};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::ports::{
    lore::{Embedder, EmbedderError, Embeddings, Purpose},
    oracle::Fault,
};
use http::{HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    exchange::{Batch, checked, send},
    google::explain,
};

const PROVIDER: &str = "gcp.gemini";

/// At most 100 texts in one request.
const BATCH: Batch = Batch {
    texts: 100,
    bytes: 200_000,
};

/// An embedder behind the Gemini API.
pub struct GeminiEmbedder {
    client: GuardedClient,
    url: Url,
    model: String,
    key: Option<SecretString>,
    dimensions: usize,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    requests: Vec<One<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    model: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    output_dimensionality: usize,
}

#[derive(Debug, Serialize)]
struct Content<'a> {
    parts: [Part<'a>; 1],
}

#[derive(Debug, Serialize)]
struct Part<'a> {
    text: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    embeddings: Vec<Vector>,
}

#[derive(Debug, Deserialize)]
struct Vector {
    values: Vec<f32>,
}

impl GeminiEmbedder {
    /// An embedder that asks `model` at `base_url` for vectors of `dimensions` entries.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        base_url: &Url,
        model: impl Into<String>,
        key: Option<SecretString>,
        dimensions: usize,
    ) -> Self {
        let model = format!("models/{}", model.into());
        let mut url = base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(format!("{model}:batchEmbedContents").split('/'));
        }
        Self {
            client,
            url,
            model,
            key,
            dimensions,
        }
    }

    /// The second generation is told in words what a text is for; those before it by a field.
    fn told_in_words(&self) -> bool {
        self.model.contains("embedding-2")
    }

    async fn batch(&self, texts: &[&str], purpose: Purpose) -> Result<Embeddings, EmbedderError> {
        let in_words = self.told_in_words();
        let one = |text| One {
            model: &self.model,
            content: Content {
                parts: [Part {
                    text: if in_words {
                        with_purpose(text, purpose)
                    } else {
                        Cow::Borrowed(text)
                    },
                }],
            },
            task_type: (!in_words).then(|| super::google::task_type(purpose)),
            output_dimensionality: self.dimensions,
        };
        let mut request = self.client.request(Method::POST, self.url.clone());
        if let Some(key) = &self.key {
            let mut value = HeaderValue::from_str(key.expose_secret()).map_err(|_| {
                let unfit = "the API key holds characters that a header cannot; look at its Secret";
                EmbedderError::new(PROVIDER, Fault::Unauthorized, unfit)
            })?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_static("x-goog-api-key"), value);
        }
        let request = request.json(&Request {
            requests: texts.iter().map(|text| one(*text)).collect(),
        });
        let answer: Answer = send(PROVIDER, request, texts.len(), explain).await?;
        let vectors = answer.embeddings.into_iter().map(|it| it.values).collect();
        Ok(Embeddings {
            vectors: checked(PROVIDER, vectors, texts.len(), self.dimensions)?,
            tokens: 0,
        })
    }
}

fn with_purpose(text: &str, purpose: Purpose) -> Cow<'_, str> {
    Cow::Owned(match purpose {
        Purpose::Document => format!("title: none | text: {text}"),
        Purpose::Query => format!("task: search result | query: {text}"),
    })
}

impl fmt::Debug for GeminiEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeminiEmbedder")
            .field("host", &self.url.host_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Embedder for GeminiEmbedder {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Embeddings, EmbedderError> {
        BATCH.all(texts, |texts| self.batch(texts, purpose)).await
    }
}
