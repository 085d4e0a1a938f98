//! What Google's two embedding services have in common.

use std::time::Duration;

use eywa_weave::ports::{lore::Purpose, oracle::Fault};
use http::HeaderMap;
use serde_json::Value;

use super::exchange::Said;

/// What a text is for, as Google writes it.
pub(super) fn task_type(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Document => "RETRIEVAL_DOCUMENT",
        Purpose::Query => "RETRIEVAL_QUERY",
    }
}

/// Reads a `google.rpc.Status`.
pub(super) fn explain(_: &HeaderMap, body: &Value, by_status: Fault) -> Said {
    let error = body.get("error").unwrap_or(body);
    let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = text("message").to_ascii_lowercase();
    let fault = match by_status {
        Fault::RateLimited(None) => Some(Fault::RateLimited(retry_delay(error))),
        Fault::Malformed if message.starts_with("api key not valid") => Some(Fault::Unauthorized),
        Fault::Malformed if message.contains("token count") || message.contains("too long") => {
            Some(Fault::TooLong)
        }
        _ => None,
    };
    Said {
        fault,
        code: text("status").to_owned(),
    }
}

/// `google.rpc.RetryInfo` among the details.
fn retry_delay(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|it| it.get("retryDelay")?.as_str());
    let seconds = delay?.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
