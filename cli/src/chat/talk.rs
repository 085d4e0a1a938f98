//! One side of a conversation over the http voice: signed messages out, answers in.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use eywa_adapters::standard_webhooks::{ID, SIGNATURE, SigningKey, TIMESTAMP};
use eywa_guard::{
    GuardedClient, Policy,
    http::{Method, header::HeaderValue},
};
use eywa_runtime::http::Answer;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

/// The longest that an answer may take: longer than a Spirit may.
const LONGEST_ANSWER: Duration = Duration::from_secs(15 * 60);
/// The most bytes of an answer.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// A conversation.
pub(super) struct Talk {
    client: GuardedClient,
    url: Url,
    key: SigningKey,
    user: String,
}

impl Talk {
    /// With `spirit`, over its http voice `voice`, at a runtime whose webhooks are at `base`.
    pub(super) fn new(
        base: &str,
        spirit: &str,
        voice: &str,
        key: &str,
        user: &str,
    ) -> Result<Self> {
        let mut url = Url::parse(base)?.join(&format!("/spirits/{spirit}/pulses"))?;
        url.query_pairs_mut()
            .append_pair("voice", voice)
            .append_pair("detail", "true");
        let key = SigningKey::parse(&key.into())
            .context("the http voice's signing key cannot be used")?;
        let policy = Policy {
            loopback: true,
            ..Policy::default()
        };
        Ok(Self {
            client: GuardedClient::new(Arc::new(policy)),
            url,
            key,
            user: user.to_owned(),
        })
    }

    /// Says something, and waits for what comes of it.
    pub(super) async fn say(&self, text: &str) -> Result<Answer> {
        let id = format!("chat-{}", uuid::Uuid::new_v4());
        let body = json!({"user": {"id": self.user, "name": self.user}, "text": text})
            .to_string()
            .into_bytes();
        let now = Timestamp::now().as_second();
        let response = self
            .client
            .request(Method::POST, self.url.clone())
            .header(ID.parse()?, HeaderValue::from_str(&id)?)
            .header(TIMESTAMP.parse()?, HeaderValue::from(now))
            .header(
                SIGNATURE.parse()?,
                HeaderValue::from_str(&self.key.sign(&id, now, &body))?,
            )
            .header(
                "content-type".parse()?,
                HeaderValue::from_static("application/json"),
            )
            .timeout(LONGEST_ANSWER)
            .body(body)
            .send()
            .await
            .context("the Spirit cannot be reached")?;
        let status = response.status();
        let body = response
            .bytes(LARGEST_ANSWER)
            .await
            .context("the answer broke off")?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .context("the answer cannot be read; are both of one release?");
        }
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        bail!("{}", problem["detail"].as_str().unwrap_or(status.as_str()))
    }
}
