//! The events of several desks as one stream.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State},
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use eywa_runtime::http::Problem;
use futures::stream;
use http::HeaderMap;
use serde::Deserialize;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::Front;
use crate::desk_api::{self, Desk};

/// How often something is sent when there is nothing to tell, so that a broken connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many events may wait for a browser; the desks wait after that.
const QUEUE: usize = 256;
/// The pause before a lost connection is made again, which doubles each time; half of it is left to chance.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    spirit: Option<String>,
    session: Option<String>,
}

/// The tasks end with the stream that they feed.
struct Merged {
    events: mpsc::Receiver<desk_api::Event>,
    told: u64,
    _tasks: JoinSet<()>,
}

pub(super) async fn stream(
    State(front): State<Front>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let desks = front.pods.desks(wish.spirit.as_deref()).await?;
    let (sender, events) = mpsc::channel(QUEUE);
    // A browser that comes back has missed something, and this process does not know what.
    if headers.contains_key("last-event-id") {
        let _ = sender.try_send(resync());
    }
    let mut tasks = JoinSet::new();
    for (spirit, desk) in desks {
        tasks.spawn(follow(desk, spirit, wish.session.clone(), sender.clone()));
    }
    let merged = Merged {
        events,
        told: 0,
        _tasks: tasks,
    };
    let events = stream::unfold(merged, |mut merged| async move {
        let event = merged.events.recv().await?;
        merged.told += 1;
        let event = Event::default()
            .id(merged.told.to_string())
            .event(event.name)
            .data(event.data);
        Some((Ok::<_, Infallible>(event), merged))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

fn resync() -> desk_api::Event {
    desk_api::Event {
        id: None,
        name: "resync".to_owned(),
        data: "{}".to_owned(),
    }
}

/// Passes one desk's events on, for as long as somebody reads them. The desk itself says what was missed.
async fn follow(
    desk: Desk,
    spirit: String,
    session: Option<String>,
    to: mpsc::Sender<desk_api::Event>,
) {
    let mut query = vec![("spirit", &*spirit)];
    query.extend(session.as_deref().map(|session| ("session", session)));
    let (mut last, mut pause, mut lost) = (None::<String>, PAUSE, false);
    loop {
        if let Ok(mut events) = desk.events(&query, last.as_deref()).await {
            pause = PAUSE;
            if lost && last.is_none() && to.send(resync()).await.is_err() {
                return;
            }
            while let Ok(Some(event)) = events.next().await {
                last = event.id.clone().or(last);
                if to.send(event).await.is_err() {
                    return;
                }
            }
        }
        lost = true;
        sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
