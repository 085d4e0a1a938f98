//! From Google's errors to a fault.
//!
//! Source: Gemini API, "Troubleshooting guide"; Google Cloud API Design Guide, "Errors" (`google.rpc.Status` and its
//! details).

use std::time::Duration;

use eywa_weave::ports::oracle::Fault;
use serde_json::Value;

use crate::oracle::wire::{Failure, Told};

/// What an answer that is no success means.
pub(super) fn classify(failure: &Failure) -> Told {
    // A failed request for a stream may be answered by a list of one.
    let body = failure.body.get(0).unwrap_or(&failure.body);
    let mut told = of(body.get("error").unwrap_or(body), failure.status.as_u16());
    if told.fault == Some(Fault::RateLimited(None)) {
        told.fault = Some(Fault::RateLimited(failure.retry_hint()));
    }
    told
}

/// What an error inside a stream means.
pub(super) fn of_error(error: &Value) -> Told {
    let code = error.get("code").and_then(Value::as_u64).unwrap_or(500);
    of(error, u16::try_from(code).unwrap_or(500))
}

fn of(error: &Value, code: u16) -> Told {
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let (status, message) = (text("status"), text("message"));
    let details = error.get("details").and_then(Value::as_array);
    let detail = |kind: &str, field: &str| {
        details?
            .iter()
            .find(|detail| {
                let named = detail.get("@type").and_then(Value::as_str);
                named.is_some_and(|named| named.ends_with(kind))
            })?
            .get(field)?
            .as_str()
    };
    let reason = detail("google.rpc.ErrorInfo", "reason").unwrap_or_default();
    let fault = match (code, status) {
        _ if is_about_the_key(reason, message) => Fault::Unauthorized,
        (400 | 413, _) if is_about_length(message) => Fault::TooLong,
        (413, _) => Fault::TooLong,
        (429, _) | (_, "RESOURCE_EXHAUSTED") => {
            Fault::RateLimited(detail("google.rpc.RetryInfo", "retryDelay").and_then(delay))
        }
        // Also when the model is not there, or not in this place; and when billing is off.
        (401 | 403 | 404, _)
        | (_, "UNAUTHENTICATED" | "PERMISSION_DENIED" | "NOT_FOUND" | "FAILED_PRECONDITION") => {
            Fault::Unauthorized
        }
        (408 | 499 | 504, _) | (_, "DEADLINE_EXCEEDED" | "CANCELLED") => Fault::TimedOut,
        (500.., _) => Fault::Overloaded,
        _ => Fault::Malformed,
    };
    let labels = [("status", status), ("reason", reason)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    Told {
        fault: Some(fault),
        message: message.to_owned(),
        labels,
        what: (code == 404)
            .then(|| "HTTP 404: is there this model here, and is the address right?".to_owned()),
    }
}

fn is_about_the_key(reason: &str, message: &str) -> bool {
    reason.starts_with("API_KEY_") || message.starts_with("API key not valid")
}

fn is_about_length(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "exceeds the maximum number of tokens",
        "input token count",
        "request payload size exceeds",
        "input context is too long",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// A `google.protobuf.Duration` in JSON: `"34.07s"`.
fn delay(text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
