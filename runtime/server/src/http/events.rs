//! An answer as server-sent events, for a caller who wants to read it while it is being made.
//!
//! | event | data | meaning |
//! |---|---|---|
//! | `text` | `{"text"}` | the next words of the answer |
//! | `tool` | `{"name"}` | a tool is being called |
//! | `reset` | `{}` | the words so far are no part of the answer: it begins anew |
//! | `done` | the same [`Answer`] as without events | the last event |
//! | `error` | the same problem as without events | the last event |
//!
//! A comment comes every 15 seconds, so that nothing in between takes the silence for a dead connection.
//!
//! Source: WHATWG, HTML, "Server-sent events".

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use eywa_adapters::voice::{Heard, HttpPiece, Waiter};
use eywa_weave::PulseId;
use futures::{Stream, stream};
use http::{HeaderMap, HeaderName, HeaderValue, header::ACCEPT};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::pulses;
use crate::serving::Serving;

/// How often a comment comes.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Whether the caller asks for events: an `Accept` that names them, and does not rule them out with `q=0`.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT);
    let ranges = accepted
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.into_iter().any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"));
        let ruled_out = parts.any(|part| {
            part.strip_prefix("q=")
                .is_some_and(|q| q.trim().parse() == Ok(0.0))
        });
        named && !ruled_out
    })
}

/// What there is to say of a Pulse that is not waited for.
pub(super) fn at_once(answer: &pulses::Answer) -> Response {
    respond(stream::iter([Ok(event("done", answer))]))
}

/// The events of a Pulse, until it has ended. A caller who leaves ends the stream, and not the Pulse.
pub(super) fn answer(
    pulse: PulseId,
    waiter: Waiter,
    serving: Arc<Serving>,
    detail: bool,
) -> Response {
    let until = Instant::now() + pulses::longest_wait(&serving);
    respond(stream::unfold(
        Some((pulse, waiter)),
        move |open| async move {
            let (pulse, mut waiter) = open?;
            let waiting = timeout_at(until, waiter.piece_or_end()).await;
            let last = match waiting {
                Ok(Heard::Piece(piece)) => return Some((Ok(told(&piece)), Some((pulse, waiter)))),
                Ok(Heard::End(ending)) => pulses::ended(pulse, &mut waiter, ending, detail),
                Err(_) => pulses::ended(pulse, &mut waiter, None, detail),
            };
            let last = match last {
                Ok(answer) => event("done", &answer),
                Err(problem) => event("error", &problem),
            };
            Some((Ok(last), None))
        },
    ))
}

fn told(piece: &HttpPiece) -> Event {
    match piece {
        HttpPiece::Text(text) => event("text", &json!({ "text": text })),
        HttpPiece::Tool(name) => event("tool", &json!({ "name": name })),
        HttpPiece::Again => event("reset", &json!({})),
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    // JSON has no line breaks, and of what is sent here nothing fails to be JSON.
    event
        .json_data(data)
        .unwrap_or_else(|_| Event::default().event("error").data("{}"))
}

fn respond(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    // Proxies that gather an answer before they pass it on are told not to.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sent_to_those_who_name_them() {
        for (accept, expected) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;q=0.9", true),
            ("text/event-stream;q=0", false),
            ("text/event-stream; q=0.0, application/json", false),
            ("application/json", false),
            ("*/*", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wanted(&headers), expected, "{accept}");
        }
        assert!(!wanted(&HeaderMap::new()));
    }
}
