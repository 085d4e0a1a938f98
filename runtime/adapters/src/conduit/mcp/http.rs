//! The client that rmcp speaks HTTP with: the guarded one, and what real servers need beyond the protocol.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use http::{HeaderName, HeaderValue};
use rmcp::{
    model::{ClientJsonRpcMessage, JsonRpcMessage},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
        StreamableHttpResponseLimits,
    },
};
use sse_stream::Sse;
use tokio::time::{Instant, sleep_until};

use super::hints::Hints;

/// The least between two attempts to open a stream of one session: a server may end each at once, and may ask to be
/// called again without a pause.
const BETWEEN_STREAMS: Duration = Duration::from_millis(250);
/// The pause, in milliseconds, that a server may ask for before a stream that it ended is opened again.
const SHORTEST_RETRY: u64 = 500;
const LONGEST_RETRY: u64 = 30_000;

type Headers = HashMap<HeaderName, HeaderValue>;
type Failed = StreamableHttpError<reqwest::Error>;

/// A client for one session with one server's URL.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    hints: Arc<Hints>,
    /// When the next stream may be opened.
    next_stream: Arc<Mutex<Instant>>,
}

impl Http {
    /// A client that says in `hints` when a stream cannot be opened.
    pub(super) fn new(client: reqwest::Client, hints: Arc<Hints>) -> Self {
        Self {
            client,
            hints,
            next_stream: Arc::new(Mutex::new(Instant::now())),
        }
    }

    async fn wait_for_stream(&self) {
        let turn = {
            let mut next = self
                .next_stream
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let turn = Instant::now().max(*next);
            *next = turn + BETWEEN_STREAMS;
            turn
        };
        sleep_until(turn).await;
    }
}

impl StreamableHttpClient for Http {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session, token, headers, limits)
            .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let request = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let response = self
            .client
            .post_message_with_response_limits(uri, message, session, token, headers, limits)
            .await?;
        match (response, request) {
            // The server turned the request away before it read it, and nobody would find the request by such an answer.
            (
                StreamableHttpPostResponse::Json(JsonRpcMessage::Error(mut error), session),
                Some(id),
            ) if error
                .id
                .as_ref()
                .is_none_or(|of| of.to_string() != id.to_string()) =>
            {
                if is_lost_session(&error.error.message) {
                    return Err(StreamableHttpError::SessionExpired);
                }
                error.id = Some(id);
                Ok(StreamableHttpPostResponse::Json(
                    JsonRpcMessage::Error(error),
                    session,
                ))
            }
            (response, _) => Ok(response),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<(), Failed> {
        self.client
            .delete_session(uri, session, token, headers)
            .await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let limit = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(uri, session, last_event, token, headers, limit)
            .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
        limit: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        self.wait_for_stream().await;
        let opened = self
            .client
            .get_stream_with_max_sse_event_size(uri, session, last_event, token, headers, limit)
            .await;
        match opened {
            Ok(stream) => Ok(stream
                .map(|event| {
                    let mut event = event?;
                    let retry = &mut event.retry;
                    *retry = retry.map(|pause| pause.clamp(SHORTEST_RETRY, LONGEST_RETRY));
                    Ok(event)
                })
                .boxed()),
            Err(error) => {
                if !matches!(error, StreamableHttpError::ServerDoesNotSupportSse) {
                    self.hints.doubt();
                }
                Err(error)
            }
        }
    }
}

/// Whether a server means that it does not know the session. The protocol wants a 404; many say it with a 400 and in
/// words such as `Bad Request: No valid session ID provided` or `Session terminated`.
pub(super) fn is_lost_session(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.contains("session")
        && [
            "not found",
            "terminated",
            "expired",
            "no valid",
            "invalid",
            "unknown",
            "not initialized",
        ]
        .iter()
        .any(|words| said.contains(words))
}
