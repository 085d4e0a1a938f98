//! What the Oracles that speak HTTP have in common: a request that is sent once and read within bounds, and failures
//! that are told without the key and without the conversation.

pub(super) mod arguments;
mod explain;
pub(super) mod files;
mod hint;
pub(super) mod names;
mod sse;

use std::time::Duration;

use eywa_guard::{GuardedRequest, GuardedResponse, RequestError};
use eywa_weave::ports::oracle::{Fault, OracleError, Question};
use futures::{Stream, StreamExt};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::Value;

use self::{
    explain::explain,
    sse::{Decoder, TooLong},
};

/// The most bytes that are read of an answer: far more than any model says at once.
pub(super) const LONGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The most bytes that are read of an error.
const LONGEST_ERROR: usize = 64 * 1024;

/// The longest that any answer may take, whatever the caller allows.
const CEILING: Duration = Duration::from_secs(15 * 60);

/// One provider's wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    /// The provider, as in errors and metrics.
    pub(super) provider: &'static str,
    /// The header that has the provider's id of a request.
    pub(super) request_id: &'static str,
}

/// An answer that is none: its status is no success.
#[derive(Debug)]
pub(super) struct Failure {
    /// The status.
    pub(super) status: StatusCode,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body; `null` when it is no JSON.
    pub(super) body: Value,
}

impl Failure {
    /// When the provider wants to be asked again.
    pub(super) fn retry_hint(&self) -> Option<Duration> {
        hint::retry_hint(&self.headers, Timestamp::now())
    }

    /// What a failure with this status is when nothing else says more.
    pub(super) fn fault_by_status(&self) -> Fault {
        match self.status.as_u16() {
            401..=403 => Fault::Unauthorized,
            408 | 504 => Fault::TimedOut,
            413 => Fault::TooLong,
            429 => Fault::RateLimited(self.retry_hint()),
            409 | 500.. => Fault::Overloaded,
            _ => Fault::Malformed,
        }
    }
}

/// What a provider told about a failure, read by the adapter that knows its format.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Its class; [`Fault::Malformed`] by default.
    pub(super) fault: Option<Fault>,
    /// What happened, in place of the status.
    pub(super) what: Option<String>,
    /// The provider's words. They are passed on only where they give nothing away.
    pub(super) message: String,
    /// Short codes, by their names.
    pub(super) labels: Vec<(&'static str, String)>,
}

impl Wire {
    /// Sends, and waits for the head of the answer. Bounded by 15 minutes; the caller drops it sooner.
    pub(super) async fn send(
        self,
        request: GuardedRequest<'_>,
    ) -> Result<GuardedResponse, OracleError> {
        let sent = request.timeout(CEILING).send().await;
        sent.map_err(|error| self.unanswered(&error))
    }

    /// The provider's id of the request, for its support desk.
    pub(super) fn request_id(self, headers: &HeaderMap) -> Option<String> {
        text_of(headers, self.request_id)
    }

    /// Reads a whole answer.
    pub(super) async fn read(self, response: GuardedResponse) -> Result<Vec<u8>, OracleError> {
        match response.bytes(LONGEST_ANSWER).await {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(self.unanswered(&error)),
        }
    }

    /// Reads an answer as it comes, until `on_piece` says that it was the last.
    pub(super) async fn pieces(
        self,
        response: GuardedResponse,
        on_piece: impl FnMut(&[u8]) -> Result<bool, OracleError> + Send,
    ) -> Result<(), OracleError> {
        self.follow(Box::pin(response.stream(LONGEST_ANSWER)), on_piece)
            .await
    }

    /// Reads the data of server-sent events as they come, until `on_data` says that it was the last.
    pub(super) async fn events(
        self,
        response: GuardedResponse,
        mut on_data: impl FnMut(&str) -> Result<bool, OracleError> + Send,
    ) -> Result<(), OracleError> {
        let mut decoder = Decoder::default();
        self.pieces(response, |piece| {
            let events = decoder
                .take(piece)
                .map_err(|TooLong| self.unintelligible("an event of its answer does not end"))?;
            for data in events {
                if on_data(&data)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn follow<B: AsRef<[u8]>>(
        self,
        mut pieces: impl Stream<Item = Result<B, RequestError>> + Unpin + Send,
        mut on_piece: impl FnMut(&[u8]) -> Result<bool, OracleError> + Send,
    ) -> Result<(), OracleError> {
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.unanswered(&error))?;
            if on_piece(piece.as_ref())? {
                break;
            }
        }
        Ok(())
    }

    /// What was said instead of an answer, as `read` understands it.
    pub(super) async fn fail(
        self,
        response: GuardedResponse,
        question: &Question<'_>,
        read: impl FnOnce(&Failure) -> Told,
    ) -> OracleError {
        let status = response.status();
        let headers = response.headers().clone();
        // The status says the most; without its body, the error says a little less.
        let body = response.beginning(LONGEST_ERROR).await.unwrap_or_default();
        let failure = Failure {
            status,
            headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        let told = read(&failure);
        let error = self.said(&format!("HTTP {}", status.as_u16()), told, question);
        match self.request_id(&failure.headers) {
            Some(id) => OracleError {
                message: format!("{} (request {id})", error.message),
                ..error
            },
            None => error,
        }
    }

    /// A failure in the provider's words, where they give neither the key nor the conversation away.
    pub(super) fn said(self, what: &str, told: Told, question: &Question<'_>) -> OracleError {
        let fault = told.fault.unwrap_or(Fault::Malformed);
        OracleError::new(self.provider, fault, explain(what, fault, &told, question))
    }

    /// The answer is not what the provider's documentation says.
    pub(super) fn unintelligible(self, message: impl Into<String>) -> OracleError {
        OracleError::new(self.provider, Fault::Malformed, message)
    }

    /// The answer, or part of it, is no JSON of the right form. serde's text may quote what it stumbled on; where it
    /// was is enough.
    pub(super) fn unreadable(self, what: &str, error: &serde_json::Error) -> OracleError {
        self.unintelligible(format!(
            "{what} cannot be read (line {}, column {})",
            error.line(),
            error.column()
        ))
    }

    /// A stream ended before the answer was whole.
    pub(super) fn broke_off(self) -> OracleError {
        OracleError::new(
            self.provider,
            Fault::TimedOut,
            "the stream broke off before the answer was whole",
        )
    }

    /// What kept the request from being answered.
    fn unanswered(self, error: &RequestError) -> OracleError {
        let fault = match error {
            RequestError::Connect { .. }
            | RequestError::TimedOut { .. }
            | RequestError::BrokenOff { .. } => Fault::TimedOut,
            RequestError::Refused(_)
            | RequestError::Invalid(_)
            | RequestError::TooLarge { .. }
            | RequestError::Redirects { .. } => Fault::Malformed,
        };
        OracleError::new(self.provider, fault, error.to_string())
    }
}

/// Whether the answer comes as server-sent events.
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    text_of(headers, CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("text/event-stream"))
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}
