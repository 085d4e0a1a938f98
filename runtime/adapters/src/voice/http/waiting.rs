//! Those who wait for a reply in this process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use eywa_weave::{Echo, PulseId, ports::chronicle::Entry};
use tokio::sync::oneshot;

use super::{
    HttpReply,
    hearing::{Hearing, HttpPiece},
};

/// The most that wait at a time. Each is an open connection, so others run out sooner.
const MOST: usize = 10_000;

/// There is no room for another who waits. Come back later, or do not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} requests are waiting for a reply already")]
pub struct TooManyWaiters;

/// How a Pulse ended: [`Ending`](eywa_weave::ports::voice::Ending), to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpEnding {
    /// The outcome, the reason and the steps.
    pub entry: Entry,
    /// What the Pulse added to the conversation.
    pub echoes: Vec<Echo>,
    /// What each Scout found, by its name.
    pub findings: Vec<(String, String)>,
}

type Line = Arc<Mutex<Waiters>>;

#[derive(Default)]
struct Waiters {
    next: u64,
    count: usize,
    by_pulse: HashMap<PulseId, Vec<Listener>>,
}

struct Listener {
    number: u64,
    /// Taken by the first reply.
    reply: Option<oneshot::Sender<HttpReply>>,
    ended: oneshot::Sender<HttpEnding>,
    /// Where it hears the reply while it is being made, if it wants to.
    hearing: Option<Hearing>,
}

/// The line of those who wait.
#[derive(Default)]
pub(super) struct Waiting(Line);

impl Waiting {
    pub(super) fn expect(
        &self,
        pulse: &PulseId,
        hearing: Option<Hearing>,
    ) -> Result<Waiter, TooManyWaiters> {
        let mut waiters = lock(&self.0);
        if waiters.count == MOST {
            return Err(TooManyWaiters);
        }
        let ((to_reply, reply), (to_end, ended)) = (oneshot::channel(), oneshot::channel());
        let number = waiters.next;
        waiters.next += 1;
        waiters.count += 1;
        let listener = Listener {
            number,
            reply: Some(to_reply),
            ended: to_end,
            hearing: hearing.clone(),
        };
        waiters
            .by_pulse
            .entry(pulse.clone())
            .or_default()
            .push(listener);
        drop(waiters);
        Ok(Waiter {
            reply,
            ended,
            hearing,
            end: None,
            place: Place {
                line: self.0.clone(),
                pulse: pulse.clone(),
                number,
            },
        })
    }

    /// All who want to hear the reply to this Pulse while it is being made.
    pub(super) fn hearings(&self, pulse: &PulseId) -> Vec<Hearing> {
        let waiters = lock(&self.0);
        let listeners = waiters.by_pulse.get(pulse);
        let hearings = listeners.into_iter().flatten();
        hearings
            .filter_map(|listener| listener.hearing.clone())
            .collect()
    }

    /// Gives the reply to all who wait for it; they stay in the line for the end. `false` when nobody took it.
    pub(super) fn hand_over(&self, reply: &HttpReply) -> bool {
        let mut waiters = lock(&self.0);
        let listeners = waiters
            .by_pulse
            .get_mut(&reply.pulse)
            .map_or(&mut [][..], Vec::as_mut_slice);
        let senders = listeners
            .iter_mut()
            .filter_map(|listener| listener.reply.take());
        senders
            .filter_map(|sender| sender.send(reply.clone()).ok())
            .count()
            > 0
    }

    /// Tells all who wait for a Pulse how it ended, and lets them go.
    pub(super) fn ended(&self, pulse: &PulseId, ending: impl Fn() -> HttpEnding) {
        let mut waiters = lock(&self.0);
        let gone = waiters.by_pulse.remove(pulse).unwrap_or_default();
        waiters.count -= gone.len();
        drop(waiters);
        for listener in gone {
            // Who has left in the meantime need not know.
            let _ = listener.ended.send(ending());
        }
    }
}

/// Waits for one Pulse: for its reply, and for its end.
pub struct Waiter {
    reply: oneshot::Receiver<HttpReply>,
    ended: oneshot::Receiver<HttpEnding>,
    hearing: Option<Hearing>,
    /// The end, while there are pieces from before it.
    end: Option<HttpEnding>,
    place: Place,
}

/// What a [`Waiter`] hears next.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Part of the reply.
    Piece(HttpPiece),
    /// The end, as [`Waiter::ended`] has it. Every piece has been heard by then.
    End(Option<HttpEnding>),
}

impl Waiter {
    /// The reply, once it is spoken. `None` when there will be none: the Pulse ended without, or the voice is gone. It may
    /// wait for ever, when the Pulse is another process's: the caller bounds it. Cancelling loses nothing; a reply is
    /// given once.
    pub async fn reply(&mut self) -> Option<HttpReply> {
        (&mut self.reply).await.ok()
    }

    /// How the Pulse ended, once its session is free again; a reply is there by then, if there is one. `None` when the
    /// voice is gone. Bounded and cancelled like [`Waiter::reply`].
    pub async fn ended(&mut self) -> Option<HttpEnding> {
        (&mut self.ended).await.ok()
    }

    /// The next piece of the reply, or the end: for one who [hears](super::HttpVoice::expect_aloud) it while it is being
    /// made. Not to be asked again after the end. Bounded like [`Waiter::reply`].
    pub async fn piece_or_end(&mut self) -> Heard {
        let Some(hearing) = self.hearing.clone() else {
            return Heard::End(self.ended().await);
        };
        if let Some(ending) = self.end.take() {
            return self.end_after_pieces(&hearing, Some(ending));
        }
        let ending = tokio::select! {
            biased;
            piece = hearing.next() => return Heard::Piece(piece),
            ending = self.ended() => ending,
        };
        self.end_after_pieces(&hearing, ending)
    }

    /// The last pieces may have come at the same moment as the end.
    fn end_after_pieces(&mut self, hearing: &Hearing, ending: Option<HttpEnding>) -> Heard {
        match (hearing.pop(), ending) {
            (Some(piece), Some(ending)) => {
                self.end = Some(ending);
                Heard::Piece(piece)
            }
            (_, ending) => Heard::End(ending),
        }
    }

    /// The Pulse that it waits for.
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
        let Some(of_pulse) = waiters.by_pulse.get_mut(&self.pulse) else {
            return;
        };
        let before = of_pulse.len();
        of_pulse.retain(|listener| listener.number != self.number);
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
pub(super) mod tests {
    use eywa_weave::pulse::Outcome;
    use jiff::Timestamp;

    use super::*;

    fn reply(pulse: &str) -> HttpReply {
        HttpReply {
            pulse: pulse.into(),
            session: "web/ana".parse().unwrap(),
            text: "ready".to_owned(),
            choices: Vec::new(),
        }
    }

    pub(in super::super) fn ending(pulse: &str, outcome: Outcome) -> HttpEnding {
        let entry = Entry {
            pulse: pulse.into(),
            session: "web/ana".parse().unwrap(),
            spirit: "barista".into(),
            outcome,
            reason: String::new(),
            received_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::UNIX_EPOCH,
            attempt: 1,
            steps: Vec::new(),
            usage: Default::default(),
        };
        HttpEnding {
            entry,
            echoes: Vec::new(),
            findings: vec![("crm".to_owned(), "oat milk".to_owned())],
        }
    }

    #[tokio::test]
    async fn a_waiter_gets_its_reply_and_no_other() {
        let waiting = Waiting::default();
        let mut waiter = waiting.expect(&"web/1".into(), None).unwrap();
        assert!(!waiting.hand_over(&reply("web/2")));
        assert!(waiting.hand_over(&reply("web/1")));
        assert_eq!(waiter.reply().await, Some(reply("web/1")));
        assert!(
            !waiting.hand_over(&reply("web/1")),
            "it is handed over once"
        );
    }

    #[tokio::test]
    async fn a_waiter_hears_the_end_after_the_reply_and_without_one() {
        let waiting = Waiting::default();
        let mut answered = waiting.expect(&"web/1".into(), None).unwrap();
        let mut silent = waiting.expect(&"web/2".into(), None).unwrap();
        waiting.hand_over(&reply("web/1"));
        for (pulse, outcome) in [("web/1", Outcome::Answered), ("web/2", Outcome::Vigil)] {
            waiting.ended(&pulse.into(), || ending(pulse, outcome));
        }
        assert_eq!(
            answered.ended().await,
            Some(ending("web/1", Outcome::Answered))
        );
        assert_eq!(answered.reply().await, Some(reply("web/1")));
        assert_eq!(silent.ended().await.unwrap().entry.outcome, Outcome::Vigil);
        assert_eq!(silent.reply().await, None, "there will be none");
    }

    #[tokio::test]
    async fn all_who_wait_for_a_pulse_get_its_reply_and_its_end() {
        let waiting = Waiting::default();
        let mut first = waiting.expect(&"web/1".into(), None).unwrap();
        let mut second = waiting.expect(&"web/1".into(), None).unwrap();
        assert!(waiting.hand_over(&reply("web/1")));
        assert!(first.reply().await.is_some() && second.reply().await.is_some());
        waiting.ended(&"web/1".into(), || ending("web/1", Outcome::Answered));
        assert!(first.ended().await.is_some() && second.ended().await.is_some());
    }

    #[tokio::test]
    async fn who_has_gone_is_not_waited_for() {
        let waiting = Waiting::default();
        drop(waiting.expect(&"web/1".into(), None).unwrap());
        assert!(!waiting.hand_over(&reply("web/1")));
        let gone = waiting.expect(&"web/1".into(), None).unwrap();
        let mut stays = waiting.expect(&"web/1".into(), None).unwrap();
        drop(gone);
        assert!(waiting.hand_over(&reply("web/1")));
        assert!(stays.reply().await.is_some());
    }

    #[test]
    fn the_line_is_bounded_and_gives_its_room_back() {
        let waiting = Waiting::default();
        let mut waiters: Vec<_> = (0..MOST)
            .map(|_| waiting.expect(&"web/1".into(), None).unwrap())
            .collect();
        assert_eq!(
            waiting.expect(&"web/2".into(), None).unwrap_err(),
            TooManyWaiters
        );
        waiters.pop();
        drop(waiting.expect(&"web/2".into(), None).unwrap());
        assert!(waiting.hand_over(&reply("web/1")));
        assert_eq!(lock(&waiting.0).count, MOST - 1, "they wait for the end");
        waiting.ended(&"web/1".into(), || ending("web/1", Outcome::Answered));
        drop(waiters);
        let _stays = waiting.expect(&"web/3".into(), None).unwrap();
        let waiters = lock(&waiting.0);
        assert_eq!((waiters.count, waiters.by_pulse.len()), (1, 1));
    }
}
