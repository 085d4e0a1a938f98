//! When a provider wants to be asked again.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use jiff::Timestamp;

/// `retry-after-ms`, as OpenAI's and Anthropic's own clients read it; else `retry-after` in seconds or as a date
/// (RFC 9110, 10.2.3).
pub(super) fn retry_hint(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
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
