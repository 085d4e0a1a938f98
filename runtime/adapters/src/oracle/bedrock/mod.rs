//! Amazon Bedrock's Converse, which is one format for the models of many makers.
//!
//! Source: Amazon Bedrock API Reference, "Converse" and "ConverseStream".

mod errors;
mod events;
mod reply;
mod request;
#[cfg(test)]
mod tests;

use std::fmt;

use async_trait::async_trait;
use eywa_guard::{GuardedClient, GuardedRequest};
use eywa_weave::ports::oracle::{Fault, OnText, Oracle, OracleError, Question, Reply};
use http::header::CONTENT_TYPE;

use self::{events::Events, reply::Hearing, request::Body};
use super::{
    sending::Sending,
    wire::{Wire, files::Limits},
};
use crate::aws::{BedrockSite, bedrock::JSON};

/// As the GenAI conventions name it.
const PROVIDER: &str = "aws.bedrock";

const WIRE: Wire = Wire {
    provider: PROVIDER,
    request_id: "x-amzn-requestid",
};

const EVENTS: &str = "application/vnd.amazon.eventstream";

/// What fits into one request.
///
/// Source: Amazon Bedrock API Reference, "Message": 20 images of 3.75 MB, five documents of 4.5 MB.
const LIMITS: Limits = Limits {
    images: &["image/png", "image/jpeg", "image/gif", "image/webp"],
    pdf: true,
    largest_image: 3_750_000,
    largest_pdf: 4_500_000,
    most: 5,
    all: 14_000_000,
};

/// An Oracle on Amazon Bedrock.
pub struct Bedrock {
    client: GuardedClient,
    site: BedrockSite,
    model: String,
    limits: Limits,
    cache: bool,
}

impl Bedrock {
    /// An Oracle that asks `model`, an id or ARN of a model or an inference profile, at `site`. It marks what
    /// may be cached, for models that are known to take such marks.
    #[must_use]
    pub fn new(client: GuardedClient, site: BedrockSite, model: impl Into<String>) -> Self {
        Self {
            client,
            site,
            model: model.into(),
            limits: LIMITS,
            cache: true,
        }
    }

    /// Whether the model is to keep what requests begin with: its price differs, its answers do not.
    #[must_use]
    pub fn caching(self, cache: bool) -> Self {
        Self { cache, ..self }
    }

    /// Which attachments are sent; the others are named in words. All unless said.
    #[must_use]
    pub fn sending(self, sending: Sending) -> Self {
        let limits = sending.of(LIMITS);
        Self { limits, ..self }
    }

    async fn request(
        &self,
        question: &Question<'_>,
        stream: bool,
    ) -> Result<GuardedRequest<'_>, OracleError> {
        let body = serde_json::to_vec(&Body::of(question, &self.model, &self.limits, self.cache))
            .map_err(|error| WIRE.unintelligible(error.to_string()))?;
        let (operation, accept) = if stream {
            ("converse-stream", EVENTS)
        } else {
            ("converse", JSON)
        };
        self.site
            .request(&self.client, &self.model, operation, accept, body)
            .await
            .map_err(|error| OracleError::new(PROVIDER, error.fault(), error.message))
    }
}

impl fmt::Debug for Bedrock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bedrock")
            .field("host", &self.site.base_url.host_str())
            .field("region", &self.site.region)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Oracle for Bedrock {
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
        let request = self.request(&question, on_text.is_some()).await?;
        let response = WIRE.send(request).await?;
        if !response.status().is_success() {
            let error = WIRE.fail(response, &question, errors::classify).await;
            if error.fault == Fault::Unauthorized {
                self.site.forget();
            }
            return Err(error);
        }
        let request_id = WIRE.request_id(response.headers());
        let streams = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(EVENTS.as_bytes()));
        let mut hearing = Hearing::default();
        match on_text {
            Some(on_text) if streams => {
                let mut events = Events::default();
                let heard = |piece: &[u8]| {
                    for event in events.take(piece)? {
                        hearing.hear(event, &question, &mut *on_text)?;
                    }
                    Ok(false)
                };
                WIRE.pieces(response, heard).await?;
            }
            _ => hearing.whole(&WIRE.read(response).await?)?,
        }
        let mut reply = hearing.reply(&question)?;
        reply.request_id = request_id;
        Ok(reply)
    }
}
