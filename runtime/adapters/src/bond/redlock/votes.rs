//! What the servers say when they are asked together.

use std::{future::Future, time::Duration};

use eywa_weave::StoreError;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

use crate::redis::{Redis, STORE};

/// How long one server may take before the others decide without it. Small against the shortest TTL, 3 s.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// How long the rest is listened to when enough have answered: servers that are well answer within a few milliseconds of
/// each other, and one that is not should not slow every Pulse.
const GRACE: Duration = Duration::from_millis(20);

/// What one server said.
pub(super) type Vote<T> = Result<T, StoreError>;

/// Asks every one of these servers at the same time, and listens until `enough` have answered and the rest had a little
/// time to. What was sent to a server that is not listened to any more is carried out before what is sent to it later:
/// both go through one connection.
pub(super) async fn ask<'a, T, F>(
    nodes: &'a [Redis],
    call: impl Fn(&'a Redis) -> F,
    enough: impl Fn(&[Vote<T>]) -> bool,
) -> Vec<Vote<T>>
where
    F: Future<Output = Vote<T>> + Send,
{
    let mut until = Instant::now() + ANSWER_WITHIN;
    let mut asked: FuturesUnordered<_> = nodes.iter().map(call).collect();
    let mut votes = Vec::with_capacity(nodes.len());
    let mut decided = false;
    while let Ok(Some(vote)) = timeout_at(until, asked.next()).await {
        votes.push(vote);
        if !decided && enough(&votes) {
            decided = true;
            until = until.min(Instant::now() + GRACE);
        }
    }
    for _ in votes.len()..nodes.len() {
        let reason = format!("no answer within {ANSWER_WITHIN:?}");
        votes.push(Err(StoreError::unavailable(STORE, reason)));
    }
    votes
}

/// Whether so many have answered.
pub(super) fn answered<T>(votes: &[Vote<T>], wanted: usize) -> bool {
    votes.iter().flatten().count() >= wanted
}

/// How many servers said this.
pub(super) fn count<T: PartialEq + ?Sized, V: AsRef<T>>(votes: &[Vote<V>], said: &T) -> usize {
    votes
        .iter()
        .flatten()
        .filter(|vote| vote.as_ref() == said)
        .count()
}

/// How many servers said yes, and how many no.
pub(super) fn yes_and_no(votes: &[Vote<bool>]) -> (usize, usize) {
    let yes = votes.iter().filter(|vote| matches!(vote, Ok(true))).count();
    let no = votes
        .iter()
        .filter(|vote| matches!(vote, Ok(false)))
        .count();
    (yes, no)
}

/// Too few servers answered to know: the first reason of those that did not.
pub(super) fn undecided<T>(votes: Vec<Vote<T>>, wanted: usize) -> StoreError {
    let asked = votes.len();
    let heard = votes.iter().flatten().count();
    let reason = votes.into_iter().find_map(Result::err);
    let reason = reason.map_or_else(String::new, |error| format!(": {error}"));
    StoreError::unavailable(
        STORE,
        format!("no majority: {heard} of {asked} servers answered, {wanted} must agree{reason}"),
    )
}
