//! Those who wait for a reply in this process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use eywa_weave::PulseId;
use tokio::sync::oneshot;

use super::HttpReply;

/// The most that wait at a time. Each is an open connection, so others run out sooner.
const MOST: usize = 10_000;

/// There is no room for another who waits. Come back later, or do not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} requests are waiting for a reply already")]
pub struct TooManyWaiters;

type Line = Arc<Mutex<Waiters>>;

#[derive(Default)]
struct Waiters {
    next: u64,
    count: usize,
    by_pulse: HashMap<PulseId, Vec<(u64, oneshot::Sender<HttpReply>)>>,
}

/// The line of those who wait.
#[derive(Default)]
pub(super) struct Waiting(Line);

impl Waiting {
    pub(super) fn expect(&self, pulse: &PulseId) -> Result<Waiter, TooManyWaiters> {
        let mut waiters = lock(&self.0);
        if waiters.count == MOST {
            return Err(TooManyWaiters);
        }
        let (sender, reply) = oneshot::channel();
        let number = waiters.next;
        waiters.next += 1;
        waiters.count += 1;
        waiters.by_pulse.entry(pulse.clone()).or_default().push((number, sender));
        drop(waiters);
        Ok(Waiter { reply, place: Place { line: self.0.clone(), pulse: pulse.clone(), number } })
    }

    /// Gives the reply to all who wait for it. `false` when nobody was there to take it.
    pub(super) fn hand_over(&self, reply: &HttpReply) -> bool {
        let mut waiters = lock(&self.0);
        let found = waiters.by_pulse.remove(&reply.pulse).unwrap_or_default();
        waiters.count -= found.len();
        drop(waiters);
        let taken = found.into_iter().filter_map(|(_, sender)| sender.send(reply.clone()).ok()).count();
        taken > 0
    }
}

/// Waits for one reply.
pub struct Waiter {
    reply: oneshot::Receiver<HttpReply>,
    place: Place,
}

impl Waiter {
    /// The reply, once it is spoken. `None` when the voice is gone. It waits for ever when the Pulse gets no reply: the
    /// caller bounds it, and listens for the Pulse's outcome too. Cancelling the wait loses nothing.
    pub async fn reply(&mut self) -> Option<HttpReply> {
        (&mut self.reply).await.ok()
    }

    /// The Pulse whose reply it waits for.
    #[must_use]
    pub fn pulse(&self) -> &PulseId {
        &self.place.pulse
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waiter").field(&self.place.pulse).finish()
    }
}

/// A place in the line, left when it is dropped.
struct Place {
    line: Line,
    pulse: PulseId,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiters = lock(&self.line);
        let Some(of_pulse) = waiters.by_pulse.get_mut(&self.pulse) else { return };
        let before = of_pulse.len();
        of_pulse.retain(|(number, _)| *number != self.number);
        let (left, gone) = (of_pulse.len(), before - of_pulse.len());
        if left == 0 {
            waiters.by_pulse.remove(&self.pulse);
        }
        waiters.count -= gone;
    }
}

fn lock(line: &Line) -> MutexGuard<'_, Waiters> {
    // What is behind it is whole between any two statements that could panic.
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(pulse: &str) -> HttpReply {
        HttpReply { pulse: pulse.into(), session: "web/ana".parse().unwrap(), text: "ready".to_owned() }
    }

    #[tokio::test]
    async fn a_waiter_gets_its_reply_and_no_other() {
        let waiting = Waiting::default();
        let mut waiter = waiting.expect(&"web/1".into()).unwrap();
        assert!(!waiting.hand_over(&reply("web/2")));
        assert!(waiting.hand_over(&reply("web/1")));
        assert_eq!(waiter.reply().await, Some(reply("web/1")));
        assert!(!waiting.hand_over(&reply("web/1")), "it is handed over once");
    }

    #[tokio::test]
    async fn all_who_wait_for_a_pulse_get_its_reply() {
        let waiting = Waiting::default();
        let mut first = waiting.expect(&"web/1".into()).unwrap();
        let mut second = waiting.expect(&"web/1".into()).unwrap();
        assert!(waiting.hand_over(&reply("web/1")));
        assert!(first.reply().await.is_some() && second.reply().await.is_some());
    }

    #[tokio::test]
    async fn who_has_gone_is_not_waited_for() {
        let waiting = Waiting::default();
        drop(waiting.expect(&"web/1".into()).unwrap());
        assert!(!waiting.hand_over(&reply("web/1")));
        let gone = waiting.expect(&"web/1".into()).unwrap();
        let mut stays = waiting.expect(&"web/1".into()).unwrap();
        drop(gone);
        assert!(waiting.hand_over(&reply("web/1")));
        assert!(stays.reply().await.is_some());
    }

    #[test]
    fn the_line_is_bounded_and_gives_its_room_back() {
        let waiting = Waiting::default();
        let mut waiters: Vec<_> = (0..MOST).map(|_| waiting.expect(&"web/1".into()).unwrap()).collect();
        assert_eq!(waiting.expect(&"web/2".into()).unwrap_err(), TooManyWaiters);
        waiters.pop();
        drop(waiting.expect(&"web/2".into()).unwrap());
        assert!(waiting.hand_over(&reply("web/1")));
        drop(waiters);
        let waiters = lock(&waiting.0);
        assert!(waiters.count == 0 && waiters.by_pulse.is_empty());
    }
}
