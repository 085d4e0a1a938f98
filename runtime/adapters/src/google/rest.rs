//! Requests to Google Cloud's REST interfaces: the token that they carry, how often and how long they are tried, and the
//! errors that all of those interfaces share.
//!
//! Sources: Google Cloud, "API design guide", Errors (the JSON of an error); Cloud Storage, "HTTP status and error codes for
//! JSON" and "Retry strategy" (408, 429 and 5xx are worth another try).

use std::{fmt, time::Duration};

use bytes::Bytes;
use eywa_guard::{GuardedClient, GuardedResponse, RequestError};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use rand::RngExt as _;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use url::Url;

use super::{GoogleTokens, NoToken};

/// How often a request is sent at most.
const MOST_TRIES: u32 = 3;
/// Before the second try; the pause before the third is twice as long. Cut short at random by up to a half.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The most of an error that is read.
const LONGEST_ERROR: usize = 16 * 1024;
/// The most characters of an error's name that are kept.
const LONGEST_NAME: usize = 64;

/// One service's interface, as one identity calls it.
#[derive(Clone)]
pub(crate) struct GoogleRest {
    client: GuardedClient,
    tokens: GoogleTokens,
}

/// A request. Sending it twice must not do more than sending it once.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
    /// The most bytes of the answer.
    pub(crate) most: usize,
}

impl Call {
    /// A request without a body.
    pub(crate) fn new(method: Method, url: Url, most: usize) -> Self {
        Self {
            method,
            url,
            content_type: None,
            body: Bytes::new(),
            most,
        }
    }

    pub(crate) fn body(self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            content_type: Some(content_type),
            body: body.into(),
            ..self
        }
    }
}

/// A request that did not succeed. Its text quotes neither what was sent nor what the service said beyond a short name.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RestError {
    #[error(transparent)]
    NoToken(#[from] NoToken),
    #[error(transparent)]
    Unanswered(#[from] RequestError),
    #[error("HTTP {status}{}{reason}", if .reason.is_empty() { "" } else { ", " })]
    Refused {
        status: u16,
        /// Google's name of the error: `ALREADY_EXISTS`, `notFound`.
        reason: String,
        /// How long the service asks to be left alone.
        retry_after: Option<Duration>,
    },
    #[error("it took longer than {0:?}")]
    TooSlow(Duration),
}

impl RestError {
    /// The status of a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether trying again soon may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NoToken(error) => error.may_pass,
            Self::Unanswered(error) => matches!(
                error,
                RequestError::Connect { .. }
                    | RequestError::TimedOut { .. }
                    | RequestError::BrokenOff { .. }
            ),
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::TooSlow(_) => true,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl GoogleRest {
    pub(crate) fn new(client: GuardedClient, tokens: GoogleTokens) -> Self {
        Self { client, tokens }
    }

    /// Sends it, again where that may help, for `within` at most in all.
    pub(crate) async fn send(&self, call: &Call, within: Duration) -> Result<Bytes, RestError> {
        let trying = async {
            let mut tries = 1;
            loop {
                match self.once(call, within).await {
                    Err(error) if error.may_pass() && tries < MOST_TRIES => {
                        let pause = FIRST_PAUSE * 2_u32.pow(tries - 1);
                        let pause = pause.mul_f64(rand::rng().random_range(0.5..=1.0));
                        sleep(pause.max(error.retry_after().unwrap_or_default())).await;
                        tries += 1;
                    }
                    done => return done,
                }
            }
        };
        timeout(within, trying)
            .await
            .unwrap_or(Err(RestError::TooSlow(within)))
    }

    /// Sends it once.
    pub(crate) async fn once(&self, call: &Call, within: Duration) -> Result<Bytes, RestError> {
        let asking = async {
            let token = self.tokens.token().await?;
            let mut request = self
                .client
                .request(call.method.clone(), call.url.clone())
                .bearer(token.expose_secret())
                .timeout(within)
                .body(call.body.clone());
            if let Some(content_type) = &call.content_type {
                request = request.header(CONTENT_TYPE, content_type.clone());
            }
            let response = request.send().await?;
            if response.status().is_success() {
                Ok(response.bytes(call.most).await?)
            } else {
                Err(refused(response).await)
            }
        };
        timeout(within, asking)
            .await
            .unwrap_or(Err(RestError::TooSlow(within)))
    }
}

impl fmt::Debug for GoogleRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoogleRest")
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

async fn refused(response: GuardedResponse) -> RestError {
    let (status, retry_after) = (response.status().as_u16(), hint(response.headers()));
    let body = response.beginning(LONGEST_ERROR).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    RestError::Refused {
        status,
        reason: name(&body["error"]),
        retry_after,
    }
}

/// `status` where the interface gives one, else the first of `errors`. The message may quote what was sent, so it is left.
fn name(error: &Value) -> String {
    let name = error["status"]
        .as_str()
        .or_else(|| error["errors"][0]["reason"].as_str());
    let name = name.unwrap_or_default().chars();
    name.filter(char::is_ascii_graphic)
        .take(LONGEST_NAME)
        .collect()
}

fn hint(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    Some(Duration::from_secs(seconds.ok()?))
}

/// A name that tells nothing of what it was made of to who does not know it already: SHA-256 of the parts, in hex.
pub(crate) fn hashed(parts: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};

    let mut hash = Sha256::new();
    for part in parts {
        // The length first, so that no two lists of parts read the same.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_is_called_by_googles_name_and_quotes_nothing() {
        for (body, called) in [
            (
                json!({"code": 409, "message": "Requested entity already exists", "status": "ALREADY_EXISTS"}),
                "ALREADY_EXISTS",
            ),
            (
                json!({"code": 404, "message": "Not Found", "errors": [{"domain": "global", "reason": "notFound"}]}),
                "notFound",
            ),
            (json!({"status": "A\nB hush"}), "ABhush"),
            (json!("nothing"), ""),
            (Value::Null, ""),
        ] {
            assert_eq!(name(&body), called);
        }
    }

    #[test]
    fn what_is_hashed_is_not_mixed_up() {
        assert_ne!(hashed(&["ab", "c"]), hashed(&["a", "bc"]));
        assert_ne!(hashed(&["a"]), hashed(&["a", ""]));
        assert_eq!(hashed(&["a", "b"]), hashed(&["a", "b"]));
        assert_eq!(hashed(&["a"]).len(), 64);
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_cannot_is_not() {
        let refused = |status| RestError::Refused {
            status,
            reason: String::new(),
            retry_after: None,
        };
        for status in [408, 429, 500, 503] {
            assert!(refused(status).may_pass(), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 412] {
            assert!(!refused(status).may_pass(), "{status}");
        }
    }
}
