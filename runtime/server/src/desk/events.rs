//! `GET /api/events`: what happens, as server-sent events.
//!
//! An event's id says how far the stream has come; a client that comes back with it in `Last-Event-ID` is told what has
//! changed since, or, where that is too much, to look afresh (`resync`). Telling something twice is harmless: Echoes,
//! Rites and conversations have ids of their own.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use eywa_weave::{SessionKey, StoreError};
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, header::CACHE_CONTROL};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

use super::{
    Desk,
    access::Right,
    conversation::{Conversation, Scenery},
    feed::{Missed, News, Watching},
    session,
    transcript::shown,
};
use crate::{http::Problem, serving::Serving};

/// How often something is sent when there is nothing to tell, so that a broken connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is asked whether the reader still may.
const RECHECK: Duration = Duration::from_secs(10);
/// How far back one who comes back is told again, in microseconds: pods' readings are not all of one moment.
const OVERLAP: u64 = 2_000_000;
/// How many conversations one who comes back is told of, of each Spirit; when more have changed, they look afresh.
const MOST_CAUGHT_UP: usize = 100;
/// The Echoes of each of them.
const CAUGHT_UP_ECHOES: usize = 20;

#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    spirit: Option<String>,
    session: Option<String>,
}

#[derive(Serialize)]
struct Said<'a> {
    spirit: &'a str,
    session: &'a SessionKey,
    echo: eywa_weave::Echo,
}

pub(super) async fn stream(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(wish): Query<Wish>,
) -> Result<Response, Problem> {
    desk.admit(&headers, Right::Read).await?;
    let servings = desk.servings(wish.spirit.as_deref())?;
    let only = match wish.session.as_deref().filter(|only| !only.is_empty()) {
        Some(only) => Some(session(only)?),
        None => None,
    };
    let place = Arc::clone(&desk.0.streams)
        .try_acquire_owned()
        .map_err(|_| Problem::full())?;
    // Before anything is read, so that nothing falls in between.
    let watching: Vec<Watching> = servings
        .iter()
        .map(|serving| desk.0.feeds.watch(serving.name()))
        .collect();
    if let Some(only) = &only {
        for serving in &servings {
            desk.0.feeds.looked_at(serving.name(), only);
        }
    }
    let came = last_event_id(&headers);
    let caught_up = match came {
        Some(came) => catch_up(&servings, only.as_ref(), came).await?,
        None => Vec::new(),
    };
    let news = live(watching, only, came.unwrap_or_default());
    let events = stream::iter(caught_up)
        .chain(news)
        .take_until(no_longer_admitted(desk, headers, servings.len()));
    let mut response = Sse::new(Held {
        events: Box::pin(events),
        _place: place,
    })
    .keep_alive(KeepAlive::new().interval(HEARTBEAT))
    .into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather a response before they pass it on are asked not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A stream, and its place among those that there may be.
struct Held {
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    _place: OwnedSemaphorePermit,
}

impl Stream for Held {
    type Item = Result<Event, Infallible>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.events
            .as_mut()
            .poll_next(context)
            .map(|event| event.map(Ok))
    }
}

fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// What the feeds tell. The ids never go back, so that a client never asks for more than it missed.
fn live(
    watching: Vec<Watching>,
    only: Option<SessionKey>,
    came: u64,
) -> impl Stream<Item = Event> + Send {
    let feeds = watching.into_iter().map(|watching| {
        Box::pin(stream::unfold(watching, |mut watching| async move {
            watching.next().await.map(|news| (news, watching))
        }))
    });
    let mut place = came;
    stream::select_all(feeds).filter_map(move |news| {
        let event = match news {
            Ok(news) if concerns(&news, only.as_ref()) => {
                place = place.max(news.place);
                Some(event(place, news.event, &news.data))
            }
            Ok(_) => None,
            Err(Missed) => Some(event(place, "resync", "{}")),
        };
        std::future::ready(event)
    })
}

fn concerns(news: &News, only: Option<&SessionKey>) -> bool {
    match (&news.session, only) {
        (Some(session), Some(only)) => session == only,
        _ => true,
    }
}

fn event(place: u64, name: &'static str, data: &str) -> Event {
    Event::default()
        .id(place.to_string())
        .event(name)
        .data(data)
}

/// What has changed since the client was told `came`.
async fn catch_up(
    servings: &[Arc<Serving>],
    only: Option<&SessionKey>,
    came: u64,
) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    for serving in servings {
        let after = came.saturating_sub(OVERLAP);
        let echoes = &serving.stores.echoes;
        let mut changed = echoes.changed(after, MOST_CAUGHT_UP).await?;
        if changed.len() == MOST_CAUGHT_UP {
            return Ok(vec![event(came, "resync", &json!({}).to_string())]);
        }
        if let Some(only) = only {
            changed.retain(|summary| summary.session == *only);
        }
        for summary in &changed {
            let (said, rites) = tokio::try_join!(
                echoes.recent(&summary.session, CAUGHT_UP_ECHOES),
                serving.weave().rites(Some(&summary.session)),
            )?;
            for echo in shown(said, &rites) {
                let said = Said {
                    spirit: serving.name().as_str(),
                    session: &summary.session,
                    echo,
                };
                let data = serde_json::to_string(&said).unwrap_or_default();
                events.push(event(came, "echo", &data));
            }
        }
        for conversation in open_or_changed(serving, &changed, only).await? {
            let data = serde_json::to_string(&conversation).unwrap_or_default();
            events.push(event(came, "conversation", &data));
        }
    }
    Ok(events)
}

/// The conversations that changed, and those that people have or are asked to take: a request leaves no mark in the index.
async fn open_or_changed(
    serving: &Serving,
    changed: &[eywa_weave::ports::echoes::Summary],
    only: Option<&SessionKey>,
) -> Result<Vec<Conversation>, StoreError> {
    let scenery = Scenery::of(serving).await?;
    let others: Vec<SessionKey> = scenery
        .open
        .keys()
        .filter(|session| changed.iter().all(|summary| summary.session != **session))
        .filter(|session| only.is_none_or(|only| only == *session))
        .take(MOST_CAUGHT_UP)
        .cloned()
        .collect();
    let known = serving.stores.echoes.known(&others).await?;
    let mut rows: Vec<_> = changed
        .iter()
        .map(|summary| (summary.session.clone(), Some(summary.clone())))
        .collect();
    rows.extend(others.into_iter().zip(known));
    scenery.conversations(serving, &rows).await
}

/// Ends when the reader may not read any more, when that cannot be told, and when there are other Spirits than there were:
/// the client comes back, and hears why or sees them.
async fn no_longer_admitted(desk: Desk, headers: HeaderMap, spirits: usize) {
    let all = desk.0.roster.all().len() == spirits;
    loop {
        sleep_until(Instant::now() + RECHECK).await;
        if desk.admit(&headers, Right::Read).await.is_err()
            || (all && desk.0.roster.all().len() != spirits)
        {
            return;
        }
    }
}
