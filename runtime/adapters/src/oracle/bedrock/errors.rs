//! From Bedrock's errors to a fault.
//!
//! Source: Amazon Bedrock API Reference, "Converse", errors; "Common Errors".

use eywa_weave::ports::oracle::Fault;
use serde_json::Value;

use crate::oracle::wire::{Failure, Told};

/// What an answer that is no success means.
pub(super) fn classify(failure: &Failure) -> Told {
    // `x-amzn-errortype: ThrottlingException:http://…`, or `"__type": "com.amazon…#ThrottlingException"`.
    let named = failure
        .headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok())
        .or_else(|| failure.body.get("__type")?.as_str())
        .unwrap_or_default();
    let kind = named.split(':').next().unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let message = message(&failure.body);
    let mut told = of(kind, message).unwrap_or_else(|| Told {
        fault: Some(if is_about_length(message) {
            Fault::TooLong
        } else {
            failure.fault_by_status()
        }),
        message: message.to_owned(),
        labels: label(kind),
        what: None,
    });
    if told.fault == Some(Fault::RateLimited(None)) {
        told.fault = Some(Fault::RateLimited(failure.retry_hint()));
    }
    told
}

/// What an exception inside a stream means.
pub(super) fn of_exception(kind: &str, payload: &[u8]) -> Told {
    let body: Value = serde_json::from_slice(payload).unwrap_or_default();
    let message = message(&body);
    of(kind, message).unwrap_or_else(|| Told {
        fault: Some(Fault::Overloaded),
        message: message.to_owned(),
        labels: label(kind),
        what: None,
    })
}

fn message(body: &Value) -> &str {
    ["message", "Message"]
        .iter()
        .find_map(|name| body.get(name)?.as_str())
        .unwrap_or_default()
}

fn label(kind: &str) -> Vec<(&'static str, String)> {
    let known = !kind.is_empty();
    known
        .then(|| ("type", kind.to_owned()))
        .into_iter()
        .collect()
}

/// Inside a stream the kinds begin with a small letter.
fn of(kind: &str, message: &str) -> Option<Told> {
    let mut what = None;
    let fault = match kind.to_ascii_lowercase().as_str() {
        "throttlingexception" => Fault::RateLimited(None),
        "validationexception" if is_about_length(message) => Fault::TooLong,
        "validationexception" | "servicequotaexceededexception" if is_about_access(message) => {
            what = Some(
                "HTTP 400: is this model open to the account, and in this region? Some are reached by an inference \
                 profile only"
                    .to_owned(),
            );
            Fault::Unauthorized
        }
        "validationexception" => Fault::Malformed,
        "modeltimeoutexception" => Fault::TimedOut,
        "accessdeniedexception"
        | "unrecognizedclientexception"
        | "expiredtokenexception"
        | "invalidsignatureexception"
        | "incompletesignatureexception"
        | "missingauthenticationtokenexception"
        | "resourcenotfoundexception" => Fault::Unauthorized,
        "modelnotreadyexception"
        | "modelerrorexception"
        | "modelstreamerrorexception"
        | "internalserverexception"
        | "internalfailure"
        | "serviceunavailableexception"
        | "serviceunavailable"
        | "servicequotaexceededexception" => Fault::Overloaded,
        _ => return None,
    };
    Some(Told {
        fault: Some(fault),
        message: message.to_owned(),
        labels: label(kind),
        what,
    })
}

fn is_about_length(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "input is too long",
        "prompt is too long",
        "too many input tokens",
        "exceed context limit",
        "maximum context length",
        "exceeds the maximum number of tokens",
        "input tokens exceeded",
    ]
    .iter()
    .any(|words| message.contains(words))
}

fn is_about_access(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "model identifier is invalid",
        "on-demand throughput isn",
        "is not supported in this region",
    ]
    .iter()
    .any(|words| message.contains(words))
}
