//! Reading a body, within a size and within a time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::Problem;

/// The longest that a body may take to arrive.
const WITHIN: Duration = Duration::from_secs(10);
/// The most bytes of bodies that the process holds at a time. A body is held before its signature is known to be right, so
/// this is what anybody can make it hold.
const MOST_HELD: usize = 64 * 1024 * 1024;

static ROOM: Semaphore = Semaphore::const_new(MOST_HELD);

/// A body that was read to its end, and its room among all that are held.
pub struct Whole {
    /// The body.
    pub bytes: Bytes,
    _room: Option<SemaphorePermit<'static>>,
}

/// The whole body, which is read no further than `limit` bytes. What has arrived takes room as it comes, so that who sends
/// slowly takes none from others.
///
/// # Errors
/// A [`Problem`] when it is larger, slower, breaks off, or when too much is held already.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Whole, Problem> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Problem::too_large(limit));
    }
    timeout(WITHIN, gather(body, limit))
        .await
        .unwrap_or_else(|_| Err(Problem::too_slow()))
}

async fn gather(mut body: Body, limit: usize) -> Result<Whole, Problem> {
    let mut gathered = BytesMut::new();
    let mut room: Option<SemaphorePermit<'static>> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::broken_body())?;
        // Trailers say nothing to a voice.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if gathered.len() + data.len() > limit {
            return Err(Problem::too_large(limit));
        }
        let more = u32::try_from(data.len()).map_err(|_| Problem::too_large(limit))?;
        let more = ROOM.try_acquire_many(more).map_err(|_| Problem::full())?;
        match &mut room {
            Some(room) => room.merge(more),
            None => room = Some(more),
        }
        gathered.extend_from_slice(&data);
    }
    Ok(Whole {
        bytes: gathered.freeze(),
        _room: room,
    })
}
