//! From what the server or the network failed with to a [`Fault`].
//!
//! Source: OpenAI, "Error codes" and "Rate limits"; the `retry-after-ms` header as OpenAI's own clients read it.

use std::{collections::HashSet, time::Duration};

use eywa_weave::ports::oracle::{Fault, OracleError, Question, Turn};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use jiff::Timestamp;
use serde_json::Value;

use super::PROVIDER;

/// The most that is kept of what the server said.
const LONGEST_MESSAGE: usize = 300;

/// As many words in a row, found in the conversation and in the server's message, are a quote.
const QUOTE: usize = 5;

/// A whole text of fewer words is a quote from this many bytes on; what is shorter is found in any sentence.
const SHORTEST_QUOTE: usize = 4;

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
}

/// The failure that an answer with this status means.
pub(super) fn of_status(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    question: &Question<'_>,
) -> OracleError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = Said::in_body(&body);
    let fault = match status.as_u16() {
        _ if said.is_about_policy() => Fault::Refused,
        _ if said.is_about_money() => Fault::Unauthorized,
        400 | 413 | 422 if said.is_about_length() => Fault::TooLong,
        413 => Fault::TooLong,
        429 if said.is_larger_than_the_limit() => Fault::TooLong,
        429 => Fault::RateLimited(retry_hint(headers, Timestamp::now())),
        401..=403 => Fault::Unauthorized,
        404 if said.code == "model_not_found" => Fault::Unauthorized,
        408 | 504 => Fault::TimedOut,
        409 | 500.. => Fault::Overloaded,
        _ => Fault::Malformed,
    };
    let what = match status.as_u16() {
        401 => "it refuses the key".to_owned(),
        404 if said.code.is_empty() => {
            "there is nothing at this address; is baseUrl right?".to_owned()
        }
        code => format!("HTTP {code}"),
    };
    OracleError::new(PROVIDER, fault, explain(&what, fault, &said, question))
}

/// The failure that an error in the middle of a stream means.
pub(super) fn in_stream(error: &Value, question: &Question<'_>) -> OracleError {
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
    OracleError::new(
        PROVIDER,
        fault,
        explain("it failed while it was answering", fault, &said, question),
    )
}

/// What went wrong, in the server's words where they give nothing away: not with the key's (they show part of it), and
/// not when they quote the conversation.
fn explain(what: &str, fault: Fault, said: &Said<'_>, question: &Question<'_>) -> String {
    let mut text = what.to_owned();
    for (name, value) in [
        ("code", said.code),
        ("type", said.kind),
        ("param", said.param),
    ] {
        if !value.is_empty() && value.len() <= 64 {
            text.push_str(&format!(", {name} {value}"));
        }
    }
    let telling =
        !said.message.is_empty() && fault != Fault::Unauthorized && !quotes(said.message, question);
    if telling {
        text.push_str(": ");
        text.extend(said.message.chars().take(LONGEST_MESSAGE));
    }
    text
}

/// Whether a message holds some of the conversation.
fn quotes(message: &str, question: &Question<'_>) -> bool {
    let message_words: Vec<&str> = message.split_whitespace().collect();
    let runs: HashSet<&[&str]> = message_words.windows(QUOTE).collect();
    let quoted = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() < QUOTE {
            let text = text.trim();
            text.len() >= SHORTEST_QUOTE && message.contains(text)
        } else {
            words.windows(QUOTE).any(|run| runs.contains(run))
        }
    };
    quoted(question.system)
        || question.turns.iter().any(|turn| match turn {
            Turn::User { text, .. } => quoted(text),
            Turn::Agent { text, calls } => {
                quoted(text) || calls.iter().any(|call| quoted(&call.arguments.to_string()))
            }
            Turn::Tools(results) => results.iter().any(|result| quoted(&result.content)),
        })
}

/// When the provider wants to be asked again: `retry-after-ms`, else `retry-after` in seconds or as a date.
fn retry_hint(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    let number = |text: &str, unit: f64| {
        text.parse::<f64>()
            .ok()
            .and_then(|n| Duration::try_from_secs_f64(n * unit).ok())
    };
    if let Some(hint) = text("retry-after-ms").and_then(|ms| number(ms, 0.001)) {
        return Some(hint);
    }
    let after = text(RETRY_AFTER.as_str())?;
    number(after, 1.0).or_else(|| {
        let date = jiff::fmt::rfc2822::parse(after).ok()?.timestamp();
        Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
    })
}
