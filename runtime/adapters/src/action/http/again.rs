//! Whether a request may get through if it is made again, and when.

use std::time::Duration;

use eywa_guard::{
    GuardedResponse, RequestError,
    http::{
        StatusCode,
        header::{HeaderMap, RETRY_AFTER},
    },
};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use rand::RngExt as _;

/// The first pause; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// No pause of our own is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A server that wants more patience than this is not asked again: a person waits.
const LONGEST_HINT: Duration = Duration::from_secs(20);

/// How long to wait before asking again, if that may help.
pub(super) fn pause_after_answer(tries: u32, answer: &GuardedResponse) -> Option<Duration> {
    // RFC 9110 and RFC 6585: those by which a server, or what stands before it, says that another time may do.
    let may_pass = matches!(
        answer.status(),
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    match hint(answer.headers(), Timestamp::now()).filter(|_| may_pass) {
        // Never before the server said, and not all at once after it.
        Some(hint) if hint <= LONGEST_HINT => Some(hint + jitter(FIRST_PAUSE)),
        Some(_) => None,
        None => may_pass.then(|| pause(tries)),
    }
}

/// How long to wait before asking again, if that may help.
pub(super) fn pause_after_error(tries: u32, error: &RequestError) -> Option<Duration> {
    let may_pass = matches!(
        error,
        RequestError::Connect { .. } | RequestError::BrokenOff { .. }
    );
    may_pass.then(|| pause(tries))
}

fn pause(tries: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries));
    pause.min(LONGEST_PAUSE) + jitter(pause.min(LONGEST_PAUSE))
}

/// Up to half of it.
fn jitter(of: Duration) -> Duration {
    of.mul_f64(rand::rng().random_range(0.0..0.5))
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
fn hint(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let hint = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = hint.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(hint).ok()?;
    let wait = at.duration_since(now).max(SignedDuration::ZERO);
    Some(wait.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use eywa_guard::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_hint_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let hinted = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            hint(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now)
        };
        assert_eq!(hinted("3"), Some(Duration::from_secs(3)));
        assert_eq!(
            hinted("Mon, 23 Nov 2026 10:00:07 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            hinted("Mon, 23 Nov 2026 09:00:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(hinted("soon"), None);
        assert_eq!(hint(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_pause_grows_and_has_a_ceiling() {
        for tries in 0..40 {
            let pause = pause(tries);
            assert!(pause >= FIRST_PAUSE && pause <= LONGEST_PAUSE.mul_f64(1.5));
        }
        assert!(pause(3) >= FIRST_PAUSE * 8);
    }
}
