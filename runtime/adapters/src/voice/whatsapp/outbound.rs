//! Sending, and what Meta's answers mean.

use std::time::Duration;

use eywa_guard::{
    GuardedResponse, RequestError,
    http::{Method, StatusCode, header::RETRY_AFTER},
};
use eywa_weave::ports::voice::VoiceError;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{PACE, SEND_TIMEOUT, WhatsAppVoice};

/// The most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 64 * 1024;
/// The most characters of what Meta says that are passed on.
const MESSAGE_LENGTH: usize = 300;

/// Codes after which the same message may be sent again: a limit of the number (130429), of the pair of number and person
/// (131056), of the account (4, 80007), something that went wrong on Meta's side (1, 2, 131000, 131016, 133004), or an
/// account in maintenance (131057).
const PASSING: [i64; 10] = [
    1, 2, 4, 80_007, 130_429, 131_000, 131_016, 131_056, 131_057, 133_004,
];

/// Too many messages to the same person: the next may go out when its turn has come.
const PAIR_LIMIT: i64 = 131_056;

/// Whether a code says that the token is wrong or may not do this: 190 and 0 for the token, 3, 10 and 200 to 299 for its
/// permissions, 131005 for access.
fn is_unauthorized(code: i64) -> bool {
    matches!(code, 0 | 3 | 10 | 190 | 200..=299 | 131_005)
}

/// Meta took a message, and calls it this.
#[derive(Deserialize)]
struct Taken {
    messages: Vec<TakenMessage>,
}

#[derive(Deserialize)]
struct TakenMessage {
    id: String,
}

#[derive(Deserialize)]
struct Answer {
    error: GraphError,
}

#[derive(Deserialize)]
struct GraphError {
    code: i64,
    #[serde(default)]
    message: String,
    error_data: Option<ErrorData>,
}

#[derive(Deserialize)]
struct ErrorData {
    details: Option<String>,
}

impl WhatsAppVoice {
    /// Sends one message, once. Gives what Meta calls it.
    ///
    /// An answer with a code of Meta's means that the message was not taken, and the code says whether to come back. An
    /// answer of 5xx without one is a gateway's, which cannot tell whether Meta took it: unknown, but for 503, which says
    /// that nobody was asked. A connection that was never made is busy; one that broke, unknown.
    pub(super) async fn send(
        &self,
        message: &impl Serialize,
    ) -> Result<Option<String>, VoiceError> {
        let answer = self
            .client
            .request(Method::POST, self.messages_url.clone())
            .bearer(self.access_token.expose_secret())
            .json(message)
            .timeout(SEND_TIMEOUT)
            .send()
            .await
            .map_err(|error| self.unsent(&error))?;
        let (status, retry_after) = (answer.status(), retry_after(&answer));
        // Read to its end, so that the connection can be used again. A success is one whatever it says.
        let body = answer.bytes(ANSWER_LIMIT).await;
        if status.is_success() {
            let taken = body
                .ok()
                .and_then(|body| serde_json::from_slice::<Taken>(&body).ok());
            return Ok(taken
                .and_then(|taken| taken.messages.into_iter().next())
                .map(|message| message.id));
        }
        let error = body
            .ok()
            .and_then(|body| serde_json::from_slice::<Answer>(&body).ok());
        Err(match error {
            Some(Answer { error }) => self.refused(error, status, retry_after),
            None => self.refused_without_words(status, retry_after),
        })
    }

    fn refused(
        &self,
        error: GraphError,
        status: StatusCode,
        retry_after: Option<Duration>,
    ) -> VoiceError {
        let details = error
            .error_data
            .and_then(|data| data.details)
            .map(|details| format!(": {details}"));
        let message = self.passed_on(&format!("{}{}", error.message, details.unwrap_or_default()));
        let code = error.code.to_string();
        if is_unauthorized(error.code) || status == StatusCode::UNAUTHORIZED {
            VoiceError::Unauthorized { code, message }
        } else if PASSING.contains(&error.code)
            || status == StatusCode::TOO_MANY_REQUESTS
            || status.is_server_error()
        {
            VoiceError::Busy {
                retry_after: retry_after.or((error.code == PAIR_LIMIT).then_some(PACE.interval)),
                message: format!("{code}: {message}"),
            }
        } else {
            VoiceError::Refused { code, message }
        }
    }

    fn refused_without_words(
        &self,
        status: StatusCode,
        retry_after: Option<Duration>,
    ) -> VoiceError {
        let (code, message) = (
            status.as_u16().to_string(),
            format!("{status}, without Meta's reason"),
        );
        match status.as_u16() {
            401 | 403 => VoiceError::Unauthorized { code, message },
            429 | 503 => VoiceError::Busy {
                retry_after,
                message,
            },
            500.. => VoiceError::Unknown { message },
            _ => VoiceError::Refused { code, message },
        }
    }

    fn unsent(&self, error: &RequestError) -> VoiceError {
        let message = self.passed_on(&error.to_string());
        match error {
            RequestError::Refused(_) => VoiceError::Refused {
                code: "AddressNotAllowed".to_owned(),
                message,
            },
            RequestError::Invalid(_) => VoiceError::Unauthorized {
                code: "access-token".to_owned(),
                message,
            },
            RequestError::Connect { .. } => VoiceError::Busy {
                retry_after: None,
                message,
            },
            _ => VoiceError::Unknown { message },
        }
    }

    /// What may stand in a log. Meta repeats a malformed token in its error.
    fn passed_on(&self, message: &str) -> String {
        message
            .replace(self.access_token.expose_secret(), "[access token]")
            .chars()
            .take(MESSAGE_LENGTH)
            .collect()
    }
}

fn retry_after(answer: &GuardedResponse) -> Option<Duration> {
    answer
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}
