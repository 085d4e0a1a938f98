//! Asking a desk.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use eywa_guard::{
    GuardedClient, GuardedResponse, Policy, RequestError,
    http::{Method, StatusCode, header::HeaderValue},
};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use super::events::Events;
use crate::cluster::Bearer;

/// How long one call may take. The longest is a reply, which waits for the channel.
const CALL: Duration = Duration::from_secs(60);
/// How long one connection for events is kept before another one takes its place.
const STREAM: Duration = Duration::from_secs(60 * 60);
/// The most bytes of an answer.
const LARGEST: usize = 8 * 1024 * 1024;

/// A desk, and who asks it.
#[derive(Clone)]
pub(crate) struct Desk {
    client: GuardedClient,
    base: Url,
    bearer: Bearer,
}

/// What a desk said no with, or why it said nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    /// 401.
    #[error("the desk does not know you: {0}")]
    Unknown(String),
    /// 403: the permission that is missing.
    #[error("the desk refuses: {0} is missing")]
    Forbidden(String),
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 409, with everything that it says of itself.
    #[error("{detail}")]
    Conflict { detail: String, problem: Value },
    /// 422: the channel, or the desk, does not take the message.
    #[error("{0}")]
    Unfit(String),
    /// Any other answer that is no success.
    #[error("the desk answered {status}: {detail}")]
    Failed { status: StatusCode, detail: String },
    /// No answer.
    #[error("the desk cannot be reached: {0}")]
    Unreachable(#[from] RequestError),
    /// It cannot be understood, or asked.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

impl DeskError {
    /// Whether asking again may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(error) => !matches!(
                error,
                RequestError::Refused(_) | RequestError::Invalid(_) | RequestError::TooLarge { .. }
            ),
            Self::Failed { status, .. } => status.is_server_error() || status.as_u16() == 429,
            _ => false,
        }
    }
}

impl Desk {
    /// The desk at this URL.
    pub(crate) fn new(base: Url, bearer: Bearer) -> Self {
        let policy = Policy {
            loopback: true,
            ..Policy::default()
        };
        Self {
            client: GuardedClient::new(Arc::new(policy)),
            base,
            bearer,
        }
    }

    /// GET `/api/…`. Each segment of the path is encoded whole: a session's slash is part of its segment.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, DeskError> {
        self.call(Method::GET, path, query, None).await
    }

    /// POST `/api/…`.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, DeskError> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    /// What happens from now on, or since the event with this id where the desk still knows.
    pub(crate) async fn events(
        &self,
        query: &[(&str, &str)],
        last: Option<&str>,
    ) -> Result<Events, DeskError> {
        let token = self.token().await?;
        let mut request = self
            .client
            .request(Method::GET, self.url(&["events"], query)?)
            .bearer(token.expose_secret())
            .timeout(STREAM)
            .header(
                eywa_guard::http::header::ACCEPT,
                HeaderValue::from_static("text/event-stream"),
            );
        if let Some(last) = last.and_then(|last| HeaderValue::from_str(last).ok()) {
            request = request.header(
                eywa_guard::http::header::HeaderName::from_static("last-event-id"),
                last,
            );
        }
        let response = request.send().await?;
        if response.status().is_success() {
            return Ok(Events::of(response));
        }
        Err(refusal(response).await)
    }

    /// Asks as the browser's page does, for a desk that stands in for this one: gives the answer as it is.
    pub(crate) async fn relay(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &http::HeaderMap,
        body: Vec<u8>,
    ) -> Result<GuardedResponse, DeskError> {
        let url = self
            .base
            .join(path_and_query)
            .map_err(|error| DeskError::Other(error.into()))?;
        let token = self.token().await?;
        let request = self
            .client
            .request(method, url)
            .headers(headers)
            .bearer(token.expose_secret())
            .timeout(CALL)
            .body(body);
        Ok(request.send().await?)
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, DeskError> {
        let token = self.token().await?;
        let mut request = self
            .client
            .request(method, self.url(path, query)?)
            .bearer(token.expose_secret())
            .timeout(CALL);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let body = response.bytes(LARGEST).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| {
            DeskError::Other(anyhow!(
                "what answered is no desk, or one of another release"
            ))
        })
    }

    async fn token(&self) -> Result<secrecy::SecretString, DeskError> {
        let token = self.bearer.token().await.map_err(DeskError::Other)?;
        token.ok_or_else(|| DeskError::Other(anyhow!("there is no token to show to the desk")))
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, DeskError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.clear().push("api").extend(path);
            }
            Err(()) => return Err(DeskError::Other(anyhow!("{} is no desk's URL", self.base))),
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

/// What an answer that is no success says.
async fn refusal(response: GuardedResponse) -> DeskError {
    let status = response.status();
    let body = response.beginning(64 * 1024).await.unwrap_or_default();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let said = |field: &str| problem[field].as_str().map(ToOwned::to_owned);
    let detail = said("detail")
        .or_else(|| said("title"))
        .unwrap_or_else(|| "it gives no reason".to_owned());
    match status.as_u16() {
        401 => DeskError::Unknown(detail),
        403 => DeskError::Forbidden(said("permission").unwrap_or(detail)),
        404 => DeskError::NotFound(detail),
        409 => DeskError::Conflict { detail, problem },
        422 => DeskError::Unfit(detail),
        _ => DeskError::Failed { status, detail },
    }
}
