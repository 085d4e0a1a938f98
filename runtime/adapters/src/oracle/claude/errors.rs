//! From what the server failed with to a class of failure.
//!
//! Source: Anthropic, API reference, "Errors" and "Rate limits".

use eywa_weave::ports::oracle::Fault;
use serde_json::Value;

use crate::oracle::wire::{Failure, Told};

/// The failure that an answer with this status means.
pub(super) fn of_status(failure: &Failure) -> Told {
    let mut told = told(failure.body.get("error").unwrap_or(&failure.body));
    told.fault = Some(match told.fault {
        Some(Fault::RateLimited(_)) => Fault::RateLimited(failure.retry_hint()),
        Some(fault) => fault,
        None => failure.fault_by_status(),
    });
    told.what = match failure.status.as_u16() {
        401 => Some("it refuses the key".to_owned()),
        404 if told.labels.is_empty() => {
            Some("there is nothing at this address; is baseUrl right?".to_owned())
        }
        _ => None,
    };
    told
}

/// The failure that an `error` object means, `{"type", "message"}`; without a class when its type is unknown.
pub(super) fn told(error: &Value) -> Told {
    let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, message) = (text("type"), text("message"));
    let fault = match kind {
        "authentication_error" | "permission_error" | "billing_error" => Some(Fault::Unauthorized),
        // With a well-formed request only the model can be what is not found.
        "not_found_error" => Some(Fault::Unauthorized),
        "request_too_large" => Some(Fault::TooLong),
        "rate_limit_error" => Some(Fault::RateLimited(None)),
        "overloaded_error" | "api_error" | "conflict_error" => Some(Fault::Overloaded),
        "timeout_error" => Some(Fault::TimedOut),
        "invalid_request_error" => Some(of_invalid(message)),
        _ => None,
    };
    let labels = if kind.is_empty() {
        Vec::new()
    } else {
        vec![("type", kind.to_owned())]
    };
    Told {
        fault,
        what: None,
        message: message.to_owned(),
        labels,
    }
}

/// Several failures have one type, and only their words tell them apart.
fn of_invalid(message: &str) -> Fault {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&[
        "prompt is too long",
        "exceed context limit",
        "context window",
        // As gateways in front of other models say it.
        "context length",
    ]) {
        Fault::TooLong
    } else if says(&["credit balance is too low", "usage limits"]) {
        Fault::Unauthorized
    } else if says(&["content filtering policy"]) {
        Fault::Refused
    } else {
        Fault::Malformed
    }
}
