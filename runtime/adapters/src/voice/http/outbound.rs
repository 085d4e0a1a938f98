//! Delivering a reply to a `replyUrl`.

use std::time::Duration;

use eywa_guard::{
    RequestError,
    http::{
        Method,
        header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
    },
};
use eywa_weave::ports::voice::VoiceError;
use jiff::Timestamp;
use url::Url;

use super::{HttpReply, HttpVoice, SEND_TIMEOUT};
use crate::standard_webhooks::{ID, SIGNATURE, TIMESTAMP};

/// The most bytes of an answer that are read. Nothing in it is used.
const ANSWER_LIMIT: usize = 16 * 1024;

impl HttpVoice {
    /// POSTs a reply, once. Any 2xx is a success. 429 and 503 are busy; other 5xx, and a connection that broke, unknown.
    pub(super) async fn post(&self, url: &Url, reply: &HttpReply) -> Result<(), VoiceError> {
        let refused = |error: &dyn std::fmt::Display| VoiceError::Refused {
            code: "reply".to_owned(),
            message: format!("the reply cannot be sent: {error}"),
        };
        let body = serde_json::to_vec(reply).map_err(|error| refused(&error))?;
        let (id, at) = (reply.pulse.as_str(), Timestamp::now().as_second());
        let mut request = self.client.request(Method::POST, url.clone());
        for (name, value) in [
            (ID, id),
            (TIMESTAMP, &at.to_string()),
            (SIGNATURE, &self.key.sign(id, at, &body)),
        ] {
            let value =
                HeaderValue::from_bytes(value.as_bytes()).map_err(|error| refused(&error))?;
            request = request.header(HeaderName::from_static(name), value);
        }
        let answer = request
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body)
            .timeout(SEND_TIMEOUT)
            .send()
            .await
            .map_err(|error| unsent(&error))?;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // Read to its end, so that the connection can be used again.
        let _ = answer.bytes(ANSWER_LIMIT).await;
        let (code, message) = (
            status.as_u16().to_string(),
            format!("the replyUrl answered {status}"),
        );
        match status.as_u16() {
            200..=299 => Ok(()),
            401 | 403 => Err(VoiceError::Unauthorized { code, message }),
            429 | 503 => Err(VoiceError::Busy {
                retry_after: retry_after.map(Duration::from_secs),
                message,
            }),
            500.. => Err(VoiceError::Unknown { message }),
            _ => Err(VoiceError::Refused { code, message }),
        }
    }
}

fn unsent(error: &RequestError) -> VoiceError {
    let message = error.to_string();
    match error {
        RequestError::Refused(_) => VoiceError::Refused {
            code: "AddressNotAllowed".to_owned(),
            message,
        },
        RequestError::Invalid(_) => VoiceError::Refused {
            code: "reply".to_owned(),
            message,
        },
        RequestError::Connect { .. } => VoiceError::Busy {
            retry_after: None,
            message,
        },
        _ => VoiceError::Unknown { message },
    }
}
