//! What every response carries, and what bounds every request.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS,
    },
};
use tokio::time::timeout;

use super::Desk;
use crate::http::Problem;

/// The longest that a request may take: the longest reply that a channel takes, and some more.
const WITHIN: Duration = Duration::from_secs(40);

/// Nothing but the desk's own files, and nobody may frame it. Files of messages are shown from memory: `blob:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    media-src blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// Adds the headers that a browser needs to keep others out. What a handler has set stays.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Turns a request away that comes under a name which is not the desk's (DNS rebinding).
pub(super) async fn known_host(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
        .unwrap_or_default();
    if desk.0.access.answers_to(host) {
        next.run(request).await
    } else {
        Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            "This server does not go by that name",
            "The desk of `eywa up` answers to 127.0.0.1 and localhost alone.",
        )
        .into_response()
    }
}

/// Ends what takes too long.
pub(super) async fn in_time(request: Request, next: Next) -> Response {
    timeout(WITHIN, next.run(request))
        .await
        .unwrap_or_else(|_| {
            Problem::unavailable(
                "too-slow",
                "It takes too long",
                "Whether it was done is not known: look before you try again.",
            )
            .into_response()
        })
}
