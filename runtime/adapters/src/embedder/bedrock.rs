//! Amazon Titan Text Embeddings V2 on Bedrock.
//!
//! Source: Amazon Bedrock User Guide, "Amazon Titan Text Embeddings models" (InvokeModel).

use std::fmt;

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::ports::{
    lore::{Embedder, EmbedderError, Embeddings, Purpose},
    oracle::Fault,
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::exchange::{Batch, Said, checked, send, unintelligible};
use crate::aws::{BedrockSite, bedrock::JSON};

const PROVIDER: &str = "aws.bedrock";

/// One text in one request.
const ONE: Batch = Batch {
    texts: 1,
    bytes: usize::MAX,
};

/// An embedder on Bedrock. Documents and queries are embedded alike.
pub struct BedrockEmbedder {
    client: GuardedClient,
    site: BedrockSite,
    model: String,
    dimensions: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    input_text: &'a str,
    dimensions: usize,
    normalize: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    embedding: Vec<f32>,
    #[serde(default)]
    input_text_token_count: u64,
}

impl BedrockEmbedder {
    /// The model, where no other is named.
    pub const MODEL: &str = "amazon.titan-embed-text-v2:0";

    /// An embedder that asks `model` at `site` for vectors of `dimensions` entries: 256, 512 or 1024.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        site: BedrockSite,
        model: impl Into<String>,
        dimensions: usize,
    ) -> Self {
        Self {
            client,
            site,
            model: model.into(),
            dimensions,
        }
    }

    async fn one(&self, texts: &[&str]) -> Result<Embeddings, EmbedderError> {
        let body = serde_json::to_vec(&Request {
            input_text: texts.first().copied().unwrap_or_default(),
            dimensions: self.dimensions,
            normalize: true,
        })
        .map_err(|error| unintelligible(PROVIDER, error.to_string()))?;
        let request = self
            .site
            .request(&self.client, &self.model, "invoke", JSON, body)
            .await
            .map_err(|error| EmbedderError::new(PROVIDER, error.fault(), error.message))?;
        let answer: Result<Answer, _> = send(PROVIDER, request, 1, explain).await;
        if matches!(&answer, Err(error) if error.fault == Fault::Unauthorized) {
            self.site.forget();
        }
        let answer = answer?;
        Ok(Embeddings {
            vectors: checked(PROVIDER, vec![answer.embedding], 1, self.dimensions)?,
            tokens: answer.input_text_token_count,
        })
    }
}

fn explain(headers: &HeaderMap, body: &Value, by_status: Fault) -> Said {
    let kind = headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let message = body.get("message").and_then(Value::as_str);
    let too_long = message.is_some_and(|message| message.to_lowercase().contains("too many input"));
    Said {
        fault: (by_status == Fault::Malformed && too_long).then_some(Fault::TooLong),
        code: kind.split(':').next().unwrap_or_default().to_owned(),
    }
}

impl fmt::Debug for BedrockEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BedrockEmbedder")
            .field("host", &self.site.base_url.host_str())
            .field("region", &self.site.region)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Embedder for BedrockEmbedder {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Embeddings, EmbedderError> {
        ONE.all(texts, |texts| self.one(texts)).await
    }
}
