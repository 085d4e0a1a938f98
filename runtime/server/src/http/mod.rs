//! The public port: webhooks of all voices, and Pulses of http voices that are answered in the response.

pub(crate) mod body;
#[cfg(feature = "voice-http")]
mod events;
mod problem;
#[cfg(feature = "voice-http")]
mod pulses;
#[cfg(feature = "inbox-tasks")]
mod tasks;
mod webhooks;

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use eywa_weave::{
    VoiceName,
    ports::voice::{Method, Webhook},
    weave::{Receipt, ReceiveError},
};
use http::{HeaderValue, request::Parts};
use tokio::time::timeout;
use tracing::warn;

use body::Whole;
pub use problem::Problem;
#[cfg(feature = "voice-http")]
pub use pulses::{Answer, Detail, Finding, ToolUse};

use crate::{roster::Roster, serving::Serving};

/// Connections of channels and clients at a time; more wait to be accepted.
pub const CONNECTIONS: usize = 4096;
/// The longest that taking a request into the Inbox may take: a channel gives up soon after, and sends it again.
const RECEIVED_WITHIN: Duration = Duration::from_secs(8);

/// The routes of the public port.
pub fn routes(roster: Roster) -> Router {
    let routes = Router::new().route(
        "/voices/{spirit}/{voice}",
        get(webhooks::take).post(webhooks::take),
    );
    #[cfg(feature = "voice-http")]
    let routes = routes.route(
        "/spirits/{spirit}/pulses",
        axum::routing::post(pulses::take),
    );
    #[cfg(feature = "inbox-tasks")]
    let routes = routes.route("/tasks/{spirit}", axum::routing::post(tasks::take));
    routes
        .fallback(async || Problem::unknown_address())
        .method_not_allowed_fallback(async || Problem::wrong_method())
        .with_state(roster)
}

/// Hands a request to the Weave, in a task of its own: a client that hangs up must not leave a Pulse accepted and not
/// worked on.
async fn received(
    serving: &Arc<Serving>,
    voice: VoiceName,
    parts: Parts,
    body: Whole,
) -> Result<Receipt, Problem> {
    let weave = serving.weave.clone();
    let receiving = tokio::spawn(async move {
        let header = |name: &str| parts.headers.get(name).map(HeaderValue::as_bytes);
        let method = if parts.method == http::Method::GET {
            Method::Get
        } else {
            Method::Post
        };
        let query = parts.uri.query().unwrap_or_default();
        weave
            .receive(
                &voice,
                Webhook {
                    method,
                    query,
                    header: &header,
                    body: &body.bytes,
                },
            )
            .await
    });
    match timeout(RECEIVED_WITHIN, receiving).await {
        Ok(Ok(Ok(receipt))) => Ok(receipt),
        Ok(Ok(Err(error))) => {
            if let ReceiveError::Store(error) = &error {
                warn!(spirit = %serving.name(), %error, "a webhook was turned away");
            }
            Err(error.into())
        }
        Ok(Err(_)) | Err(_) => Err(Problem::too_long()),
    }
}
