//! From what the server failed with to a class of failure.
//!
//! Source: OpenAI, "Error codes" and "Rate limits".

use eywa_weave::ports::oracle::Fault;
use serde_json::Value;

use crate::oracle::wire::{Failure, Told};

/// What is understood of an error's body.
#[derive(Debug, Default)]
struct Said<'a> {
    message: &'a str,
    code: &'a str,
    kind: &'a str,
    param: &'a str,
}

impl<'a> Said<'a> {
    /// Reads `{"error": {"message", "type", "param", "code"}}`, and what compatible servers make of it: the object
    /// without its wrapper, or a text in its place.
    fn in_body(body: &'a Value) -> Self {
        let error = body.get("error").unwrap_or(body);
        if let Value::String(message) = error {
            return Self {
                message,
                ..Self::default()
            };
        }
        let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
        let message = match text("message") {
            "" => text("detail"),
            message => message,
        };
        Self {
            message,
            code: text("code"),
            kind: text("type"),
            param: text("param"),
        }
    }

    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.code) || names.contains(&self.kind)
    }

    fn is_about_length(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        self.code == "context_length_exceeded"
            || [
                "maximum context length",
                "context length",
                "context window",
                "context size",
                "prompt is too long",
            ]
            .iter()
            .any(|words| message.contains(words))
    }

    /// More tokens in one request than the account may use in a minute: waiting does not help, fewer turns do.
    fn is_larger_than_the_limit(&self) -> bool {
        self.message.starts_with("Request too large")
    }

    fn is_about_policy(&self) -> bool {
        self.is(&[
            "content_filter",
            "content_policy_violation",
            "moderation_blocked",
        ])
    }

    fn is_about_money(&self) -> bool {
        self.is(&[
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_balance",
        ])
    }

    fn told(&self, fault: Fault, what: Option<String>) -> Told {
        let labels = [
            ("code", self.code),
            ("type", self.kind),
            ("param", self.param),
        ];
        Told {
            fault: Some(fault),
            what,
            message: self.message.to_owned(),
            labels: labels.map(|(name, value)| (name, value.to_owned())).into(),
        }
    }
}

/// The failure that an answer with this status means.
pub(super) fn of_status(failure: &Failure) -> Told {
    let said = Said::in_body(&failure.body);
    let fault = match failure.status.as_u16() {
        _ if said.is_about_policy() => Fault::Refused,
        _ if said.is_about_money() => Fault::Unauthorized,
        400 | 413 | 422 if said.is_about_length() => Fault::TooLong,
        429 if said.is_larger_than_the_limit() => Fault::TooLong,
        404 if said.code == "model_not_found" => Fault::Unauthorized,
        _ => failure.fault_by_status(),
    };
    let what = match failure.status.as_u16() {
        401 => Some("it refuses the key".to_owned()),
        404 if said.code.is_empty() => {
            Some("there is nothing at this address; is baseUrl right?".to_owned())
        }
        _ => None,
    };
    said.told(fault, what)
}

/// The failure that an error in the middle of a stream means.
pub(super) fn in_stream(error: &Value) -> Told {
    let said = Said::in_body(error);
    let fault = if said.is_about_policy() {
        Fault::Refused
    } else if said.is_about_money() {
        Fault::Unauthorized
    } else if said.is_about_length() {
        Fault::TooLong
    } else if said.is(&["rate_limit_exceeded", "rate_limit_error"]) {
        Fault::RateLimited(None)
    } else if said.is(&["invalid_request_error"]) {
        Fault::Malformed
    } else {
        Fault::Overloaded
    };
    said.told(fault, None)
}
