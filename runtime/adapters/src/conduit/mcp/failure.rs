//! What an MCP server, or the way to it, failed with.

use std::{error::Error, time::Duration};

use eywa_guard::{Refusal, RequestError};
use rmcp::{
    service::{ClientInitializeError, ServiceError},
    transport::{DynamicTransportError, streamable_http_client::StreamableHttpError},
};

use super::http::is_lost_session;

/// There is no session with the server. The texts hold no header of the Conduit.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The Conduit's URL, or what its host resolves to, is not where requests may go.
    #[error(transparent)]
    AddressNotAllowed(Refusal),
    /// The server refuses the headers of the Conduit. The text is the status, and the server's challenge if it has one.
    #[error("the server refuses the credentials ({0}); check headersFrom and its Secrets")]
    Unauthorized(String),
    /// The headers of the Conduit cannot be had.
    #[error("the headers of the Conduit cannot be read: {0}")]
    NoHeaders(String),
    /// Nobody answers there, or only that the server cannot serve now.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// Something answers there that does not speak MCP over Streamable HTTP.
    #[error("no MCP server answers at this URL: {0}; check its path")]
    NotMcp(String),
    /// The server took too long.
    #[error("the server did not answer within {0:?}")]
    TimedOut(Duration),
}

impl ConnectError {
    /// The same without what `redact` takes out of what the server said.
    pub(super) fn redacted(self, redact: impl Fn(String) -> String) -> Self {
        match self {
            Self::Unauthorized(text) => Self::Unauthorized(redact(text)),
            Self::Unreachable(text) => Self::Unreachable(redact(text)),
            Self::NotMcp(text) => Self::NotMcp(redact(text)),
            other => other,
        }
    }

    pub(super) fn of_request(error: RequestError) -> Self {
        match error {
            RequestError::Refused(refusal) => Self::AddressNotAllowed(refusal),
            other => Self::Unreachable(other.to_string()),
        }
    }

    pub(super) fn of_initialize(error: &ClientInitializeError) -> Self {
        match error {
            ClientInitializeError::TransportError { error, .. } => Self::of_transport(error),
            ClientInitializeError::JsonRpcError(error) => {
                Self::NotMcp(format!("it refuses to initialize: {}", error.message))
            }
            ClientInitializeError::ConnectionClosed(_) => {
                Self::Unreachable("the connection was closed".to_owned())
            }
            other => Self::NotMcp(other.to_string()),
        }
    }

    pub(super) fn of_service(error: &ServiceError) -> Self {
        match error {
            ServiceError::TransportSend(error) => Self::of_transport(error),
            ServiceError::McpError(error) => Self::NotMcp(error.message.to_string()),
            other => Self::Unreachable(other.to_string()),
        }
    }

    fn of_transport(error: &DynamicTransportError) -> Self {
        let Some(error) = error
            .error
            .downcast_ref::<StreamableHttpError<reqwest::Error>>()
        else {
            return Self::Unreachable("the connection was closed".to_owned());
        };
        match error {
            StreamableHttpError::Client(error) => match refusal_in(error) {
                Some(refusal) => Self::AddressNotAllowed(refusal.clone()),
                None => Self::Unreachable(explain(error)),
            },
            StreamableHttpError::AuthRequired(error) => {
                Self::Unauthorized(challenge("HTTP 401", &error.www_authenticate_header))
            }
            StreamableHttpError::InsufficientScope(error) => {
                Self::Unauthorized(challenge("HTTP 403", &error.www_authenticate_header))
            }
            StreamableHttpError::HttpStatus(status) => {
                Self::Unreachable(format!("HTTP {}", status.status))
            }
            StreamableHttpError::UnexpectedServerResponse(said) => match status_in(said) {
                Some(status)
                    if status.starts_with("HTTP 401") || status.starts_with("HTTP 403") =>
                {
                    Self::Unauthorized(status.to_owned())
                }
                Some(status) => Self::NotMcp(status.to_owned()),
                None => Self::NotMcp("its answer is not JSON-RPC".to_owned()),
            },
            StreamableHttpError::Deserialize(_) => {
                Self::NotMcp("its answer is not JSON-RPC".to_owned())
            }
            StreamableHttpError::SessionExpired => {
                Self::Unreachable("it has ended the session".to_owned())
            }
            StreamableHttpError::UnexpectedContentType(kind) => Self::NotMcp(format!(
                "it answers with {}",
                kind.as_deref().unwrap_or("no content type")
            )),
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// A call did not give a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallFailure {
    /// The server answered, and this is what it said.
    Answered(String),
    /// The server did not let the call in: it refuses the credentials.
    Refused(String),
    /// The call certainly did not take effect, and the session is of no use any more.
    NotSent(String),
    /// It is not known whether the call took effect.
    Unknown(String),
}

impl CallFailure {
    /// The same without what `redact` takes out of what the server said.
    pub(super) fn redacted(self, redact: impl Fn(String) -> String) -> Self {
        match self {
            Self::Answered(text) => Self::Answered(redact(text)),
            Self::Refused(text) => Self::Refused(redact(text)),
            Self::NotSent(text) => Self::NotSent(redact(text)),
            Self::Unknown(text) => Self::Unknown(redact(text)),
        }
    }

    pub(super) fn of_service(error: &ServiceError) -> Self {
        match error {
            ServiceError::McpError(error) => Self::Answered(error.message.to_string()),
            ServiceError::TransportSend(error) => Self::of_transport(error),
            other => Self::Unknown(other.to_string()),
        }
    }

    fn of_transport(error: &DynamicTransportError) -> Self {
        let cause = ConnectError::of_transport(error).to_string();
        match error
            .error
            .downcast_ref::<StreamableHttpError<reqwest::Error>>()
        {
            Some(StreamableHttpError::SessionExpired) => Self::NotSent(cause),
            Some(StreamableHttpError::Client(error)) if error.is_connect() => Self::NotSent(cause),
            // It never got past the door.
            Some(
                StreamableHttpError::AuthRequired(_) | StreamableHttpError::InsufficientScope(_),
            ) => Self::Refused(cause),
            Some(StreamableHttpError::HttpStatus(status)) if status.status == 429 => {
                Self::Answered(format!("too many requests: {cause}"))
            }
            Some(StreamableHttpError::UnexpectedServerResponse(said)) => match status_in(said) {
                Some(status)
                    if status.starts_with("HTTP 401") || status.starts_with("HTTP 403") =>
                {
                    Self::Refused(cause)
                }
                Some(status) if status.starts_with("HTTP 400") && is_lost_session(said) => {
                    Self::NotSent(cause)
                }
                Some(status) if status.starts_with("HTTP 4") => Self::Answered(cause),
                _ => Self::Unknown(cause),
            },
            _ => Self::Unknown(cause),
        }
    }
}

/// The longest part of a server's challenge that is told, in characters.
const LONGEST_CHALLENGE: usize = 200;

/// A status and the server's `WWW-Authenticate`, which says what it wants (RFC 9110, 11.6.1; for MCP, RFC 9728, 5.1).
fn challenge(status: &str, said: &str) -> String {
    let said: String = said
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_CHALLENGE)
        .collect();
    if said.is_empty() {
        status.to_owned()
    } else {
        format!("{status}, WWW-Authenticate: {said}")
    }
}

/// `HTTP 404 Not Found` of `HTTP 404 Not Found: <body>`: the body is somebody else's text.
fn status_in(said: &str) -> Option<&str> {
    said.starts_with("HTTP ")
        .then(|| said.split(':').next().unwrap_or(said).trim_end())
}

fn refusal_in(error: &reqwest::Error) -> Option<&Refusal> {
    causes(error).find_map(|cause| cause.downcast_ref::<Refusal>())
}

/// The innermost cause: what the network said. reqwest's own text names the URL, which the reader knows.
fn explain(error: &reqwest::Error) -> String {
    match causes(error).last() {
        Some(cause) => cause.to_string(),
        None => "the request failed".to_owned(),
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
