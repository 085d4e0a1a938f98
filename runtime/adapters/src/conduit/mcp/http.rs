//! The client that rmcp speaks HTTP with: the guarded one, and what real servers need beyond the protocol.

use std::{collections::HashMap, sync::Arc};

use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::{
    model::{ClientJsonRpcMessage, JsonRpcMessage},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
        StreamableHttpResponseLimits,
    },
};
use sse_stream::Sse;

type Headers = HashMap<HeaderName, HeaderValue>;
type Failed = StreamableHttpError<reqwest::Error>;

/// A client for one server's URL.
#[derive(Clone)]
pub(super) struct Http(pub(super) reqwest::Client);

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
            .0
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
        self.0.delete_session(uri, session, token, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        self.0
            .get_stream(uri, session, last_event, token, headers)
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
        self.0
            .get_stream_with_max_sse_event_size(uri, session, last_event, token, headers, limit)
            .await
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
