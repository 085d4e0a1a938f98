//! OpenAI's embeddings, and every server that speaks their format.
//!
//! Source: OpenAI, API reference, "Create embeddings".

use std::fmt;

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::ports::{
    lore::{Embedder, EmbedderError, Embeddings, Purpose},
    oracle::Fault,
};
use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::exchange::{Batch, Said, checked, send, unintelligible};

const PROVIDER: &str = "openai";

/// What OpenAI, of one age or another, and servers like it say of a text that is too long.
const TOO_LONG: [&str; 2] = ["maximum context length", "maximum input length"];

/// At most 2048 texts and 300,000 tokens in one request, says OpenAI; compatible servers take fewer texts.
const BATCH: Batch = Batch {
    texts: 128,
    bytes: 300_000,
};

/// An embedder behind OpenAI's format. Documents and queries are embedded alike.
pub struct OpenAiEmbedder {
    client: GuardedClient,
    url: Url,
    model: String,
    key: Option<SecretString>,
    dimensions: usize,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    data: Vec<Embedding>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Debug, Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    #[serde(default)]
    total_tokens: u64,
}

impl OpenAiEmbedder {
    /// An embedder that asks `model` at `base_url`, to which `/embeddings` is added, for vectors of `dimensions` entries.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        base_url: &Url,
        model: impl Into<String>,
        key: Option<SecretString>,
        dimensions: usize,
    ) -> Self {
        let mut url = base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("embeddings");
        }
        Self {
            client,
            url,
            model: model.into(),
            key,
            dimensions,
        }
    }

    async fn batch(&self, texts: &[&str]) -> Result<Embeddings, EmbedderError> {
        let request = self.client.request(Method::POST, self.url.clone());
        let request = match &self.key {
            Some(key) => request.bearer(key.expose_secret()),
            None => request,
        };
        let request = request.json(&Request {
            model: &self.model,
            input: texts,
            encoding_format: "float",
            // Only these models can be told; others, and servers of one's own, refuse the field.
            dimensions: self
                .model
                .starts_with("text-embedding-3")
                .then_some(self.dimensions),
        });
        let mut answer: Answer = send(PROVIDER, request, texts.len(), explain).await?;
        answer.data.sort_by_key(|embedding| embedding.index);
        if answer
            .data
            .iter()
            .enumerate()
            .any(|(at, it)| it.index != at)
        {
            return Err(unintelligible(PROVIDER, "it left out a text"));
        }
        let vectors = answer.data.into_iter().map(|it| it.embedding).collect();
        Ok(Embeddings {
            vectors: checked(PROVIDER, vectors, texts.len(), self.dimensions)?,
            tokens: answer.usage.map_or(0, |tokens| tokens.total_tokens),
        })
    }
}

fn explain(_: &http::HeaderMap, body: &Value, by_status: Fault) -> Said {
    let error = body.get("error").unwrap_or(body);
    let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = text("message").to_ascii_lowercase();
    let fault = match text("code") {
        "insufficient_quota" => Some(Fault::Unauthorized),
        _ if by_status == Fault::Malformed && TOO_LONG.iter().any(|it| message.contains(it)) => {
            Some(Fault::TooLong)
        }
        _ => None,
    };
    let code = match text("code") {
        "" => text("type"),
        code => code,
    };
    Said {
        fault,
        code: code.to_owned(),
    }
}

impl fmt::Debug for OpenAiEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiEmbedder")
            .field("host", &self.url.host_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Embeddings, EmbedderError> {
        BATCH.all(texts, |texts| self.batch(texts)).await
    }
}
