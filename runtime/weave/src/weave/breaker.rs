//! Keeps an Oracle that is dead from costing every Pulse its timeout.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::RngExt as _;
use tokio::time::Instant;

use crate::ports::oracle::Fault;

/// As many failures in a row, and it is left alone for a time.
const MOST_FAILURES: u32 = 5;
/// How long it is left alone the first time; each time after that without an answer, twice as long.
const FIRST_REST: Duration = Duration::from_secs(10);
/// It is never left alone for longer.
const LONGEST_REST: Duration = Duration::from_secs(120);
/// A question that nobody waited for to the end counts as unanswered from this time on.
const NOT_AN_ANSWER: Duration = Duration::from_secs(5);

/// Knows whether an Oracle is worth asking. It opens after five questions in a row that got no answer in time or met a
/// provider without capacity; then nobody asks until a rest is over, and one question is let through to see. An answer of
/// any kind closes it, a refusal too: whoever refuses is there.
///
/// It is each process's own: what one pod finds out, another does too, soon enough.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    failures: u32,
    /// How many rests there were without an answer in between.
    rests: u32,
    /// Nobody asks before this.
    until: Option<Instant>,
}

/// What a question did to a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is left alone from now on, for so long.
    Opened(Duration),
    /// It answers again.
    Closed,
}

/// A question that is being asked. Dropped without an end, it counts by how long it took.
pub struct Asked<'b> {
    breaker: &'b Breaker,
    began: Instant,
    /// It is the one that finds out whether the rest was long enough.
    probes: bool,
    ended: bool,
}

impl Breaker {
    /// Lets a question through, which takes at most `timeout`; or says for how long nobody should ask.
    ///
    /// # Errors
    /// That time.
    pub fn ask(&self, timeout: Duration) -> Result<Asked<'_>, Duration> {
        let mut state = self.state();
        let now = Instant::now();
        let probes = state.until.is_some();
        if let Some(until) = state.until {
            let rest = until.saturating_duration_since(now);
            if !rest.is_zero() {
                return Err(rest);
            }
            // This one finds out; until it has, the others still do not ask.
            state.until = Some(now + timeout);
        }
        Ok(Asked {
            breaker: self,
            began: now,
            probes,
            ended: false,
        })
    }

    /// Whether nobody should ask now.
    pub(super) fn is_open(&self) -> bool {
        let until = self.state().until;
        until.is_some_and(|until| until > Instant::now())
    }

    fn failed(&self, probes: bool) -> Option<Change> {
        let mut state = self.state();
        // Asked before it was left alone: what failed then says nothing of now.
        if state.rests > 0 && !probes {
            return None;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures < MOST_FAILURES && state.rests == 0 {
            return None;
        }
        let rest = FIRST_REST
            .saturating_mul(2_u32.saturating_pow(state.rests))
            .mul_f64(rand::rng().random_range(1.0..1.2))
            .min(LONGEST_REST);
        state.rests = state.rests.saturating_add(1);
        state.until = Some(Instant::now() + rest);
        Some(Change::Opened(rest))
    }

    fn answered(&self) -> Option<Change> {
        let before = std::mem::take(&mut *self.state());
        before.until.map(|_| Change::Closed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is behind it is whole between any two statements that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked<'_> {
    /// It came to this end.
    pub fn ended(mut self, fault: Option<Fault>) -> Option<Change> {
        self.ended = true;
        match fault {
            Some(Fault::Overloaded | Fault::TimedOut) => self.breaker.failed(self.probes),
            _ => self.breaker.answered(),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.ended && self.began.elapsed() >= NOT_AN_ANSWER {
            self.breaker.failed(self.probes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn fail(breaker: &Breaker, fault: Fault) -> Option<Change> {
        breaker.ask(TIMEOUT).ok().unwrap().ended(Some(fault))
    }

    fn open(breaker: &Breaker) -> Duration {
        for _ in 1..MOST_FAILURES {
            assert_eq!(fail(breaker, Fault::TimedOut), None);
        }
        match fail(breaker, Fault::Overloaded) {
            Some(Change::Opened(rest)) => rest,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_five_failures_in_a_row_and_refuses_at_once() {
        let breaker = Breaker::default();
        let rest = open(&breaker);
        assert!(rest >= FIRST_REST && rest < 2 * FIRST_REST, "{rest:?}");
        assert!(breaker.ask(TIMEOUT).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn any_answer_in_between_begins_the_count_anew() {
        for fault in [
            None,
            Some(Fault::Refused),
            Some(Fault::Unauthorized),
            Some(Fault::RateLimited(None)),
        ] {
            let breaker = Breaker::default();
            for _ in 1..MOST_FAILURES {
                fail(&breaker, Fault::TimedOut);
            }
            assert_eq!(breaker.ask(TIMEOUT).ok().unwrap().ended(fault), None);
            assert_eq!(fail(&breaker, Fault::TimedOut), None, "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_rest_one_question_finds_out_and_the_others_wait_for_it() {
        let breaker = Breaker::default();
        tokio::time::advance(open(&breaker)).await;
        let probe = breaker.ask(TIMEOUT).ok().unwrap();
        assert!(breaker.ask(TIMEOUT).is_err(), "one is enough");
        assert_eq!(probe.ended(None), Some(Change::Closed));
        assert!(breaker.ask(TIMEOUT).is_ok() && breaker.ask(TIMEOUT).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_without_an_answer_is_followed_by_a_longer_one_up_to_a_ceiling() {
        let breaker = Breaker::default();
        let mut rest = open(&breaker);
        for _ in 0..20 {
            tokio::time::advance(rest).await;
            let Some(Change::Opened(next)) = fail(&breaker, Fault::TimedOut) else {
                panic!("it failed, and stays open");
            };
            assert!(next > rest || next == LONGEST_REST, "{next:?}");
            rest = next;
        }
        assert_eq!(rest, LONGEST_REST);
    }

    #[tokio::test(start_paused = true)]
    async fn questions_that_fail_together_are_one_outage() {
        let breaker = Breaker::default();
        let together: Vec<_> = (0..20)
            .map(|_| breaker.ask(TIMEOUT).ok().unwrap())
            .collect();
        let opened: Vec<_> = together
            .into_iter()
            .filter_map(|asked| asked.ended(Some(Fault::Overloaded)))
            .collect();
        let [Change::Opened(rest)] = opened[..] else {
            panic!("{opened:?}");
        };
        assert!(rest < 2 * FIRST_REST, "{rest:?}");
        tokio::time::advance(rest).await;
        assert!(breaker.ask(TIMEOUT).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_ends_does_not_close_the_door_for_good() {
        let breaker = Breaker::default();
        tokio::time::advance(open(&breaker)).await;
        drop(breaker.ask(TIMEOUT));
        tokio::time::advance(TIMEOUT).await;
        assert!(breaker.ask(TIMEOUT).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_nobody_waited_for_any_longer_counts_by_its_time() {
        for (waited, opens) in [(NOT_AN_ANSWER, true), (NOT_AN_ANSWER / 2, false)] {
            let breaker = Breaker::default();
            for _ in 0..MOST_FAILURES {
                let asked = breaker.ask(TIMEOUT).ok().unwrap();
                tokio::time::advance(waited).await;
                drop(asked);
            }
            assert_eq!(breaker.ask(TIMEOUT).is_err(), opens, "{waited:?}");
        }
    }
}
