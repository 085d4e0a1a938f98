//! The one mapping from what went wrong to HTTP: problem details (RFC 9457).

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use eywa_weave::{ports::voice::Rejected, weave::ReceiveError};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

/// How long a channel is asked to wait when a store is away or the pod is full or leaving.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What a caller is told went wrong, and what to do about it.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// A URI that identifies the kind of problem; a path of the project's own, not meant to be fetched.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// What else this kind of problem says.
    #[serde(flatten)]
    more: Option<Box<Map<String, Value>>>,
    #[serde(skip)]
    retry_after: Option<Duration>,
    #[serde(skip)]
    allow: Option<&'static str>,
}

impl Problem {
    /// A problem whose kind is `name`, such as `bad-signature`.
    pub fn new(
        status: StatusCode,
        name: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("https://eywa.dev/problems/{name}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            more: None,
            retry_after: None,
            allow: None,
        }
    }

    /// The same, with one more member: `name` is none of those that every problem has.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more
            .get_or_insert_default()
            .insert(name.to_owned(), value);
        self
    }

    /// The same, to be tried again in so long: a second at least.
    #[cfg(feature = "inbox-tasks")]
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait.max(Duration::from_secs(1)));
        self
    }

    /// There is no such Spirit or voice. Says nothing of those that there are.
    pub fn unknown_address() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-address",
            "Nobody answers at this address",
            "No Spirit with such a voice is served here: check the path against the Spirit's name and its voices' names.",
        )
    }

    /// The body is larger than the voice takes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
            format!("At most {limit} bytes are taken here."),
        )
    }

    /// The body did not come to its end in time.
    pub fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            "The body did not arrive in time",
            "The connection is too slow, or the body shorter than announced: send it again.",
        )
    }

    /// The connection broke while the body was read.
    pub fn broken_body() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "broken-body",
            "The body could not be read",
            "The connection ended, or its encoding was wrong, before the body was complete: send it again.",
        )
    }

    /// The address is right, and the method is none of its own.
    pub fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong-method",
            "The method is not used here",
            "Webhooks come by GET and POST, Pulses by POST.",
        )
    }

    /// The request was in order and held no message.
    pub fn nothing_to_answer() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "nothing-to-answer",
            "There is nothing to answer",
            "The request holds no message.",
        )
    }

    /// The Pulse was taken, and could not be answered.
    pub fn failed(reason: &str) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "not-answered",
            "The message could not be answered",
            reason,
        )
    }

    /// Too much is being worked on.
    pub fn full() -> Self {
        Self::unavailable(
            "full",
            "Too many messages are being worked on",
            "Nothing of this request was kept: send it again in a moment.",
        )
    }

    /// The stores take too long.
    pub fn too_long() -> Self {
        Self::unavailable(
            "store-unavailable",
            "The Inbox does not answer in time",
            "Whether anything of this request was kept is not known: send it again with the same ids.",
        )
    }

    /// It cannot be done now, and can be in a moment.
    pub fn unavailable(name: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(RETRY_AFTER),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, name, title, detail)
        }
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let detail = rejected.to_string();
        match rejected {
            Rejected::Signature => Self::new(
                StatusCode::UNAUTHORIZED,
                "bad-signature",
                "The signature is not right",
                detail,
            ),
            Rejected::VerifyToken => Self::new(
                StatusCode::FORBIDDEN,
                "bad-verify-token",
                "The verify token is not right",
                detail,
            ),
            Rejected::Malformed(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "malformed-webhook",
                "This is not a webhook of the channel",
                detail,
            ),
            Rejected::Method => Self {
                allow: Some("POST"),
                ..Self::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "wrong-method",
                    "The method is not used here",
                    detail,
                )
            },
        }
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::UnknownVoice => Self::unknown_address(),
            ReceiveError::Rejected(rejected) => rejected.into(),
            ReceiveError::Full => Self::full(),
            ReceiveError::Draining => Self::unavailable(
                "draining",
                "This pod is stopping",
                "Nothing of this request was kept: send it again, and another pod takes it.",
            ),
            // What the store said is for the log: it may hold addresses.
            ReceiveError::Store(_) => Self::unavailable(
                "store-unavailable",
                "The Inbox cannot be reached",
                "Whether anything of this request was kept is not known: send it again with the same ids.",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, wait.as_secs().into());
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
