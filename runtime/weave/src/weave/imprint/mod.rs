//! Drawing facts about a person from conversations that are finished, off the path of any reply. What people do with what
//! is known is in `rights`.
//!
//! No Pulse pays for it: that a conversation is finished is seen by its place among the others, which the Echo store keeps
//! anyway. One look: what was finished since the last one is noted in the Imprint, in the order of places, so that none is
//! missed and none noted twice; then what is due is claimed, a few at a time, each by one pod. A pod that dies leaves its
//! claims to whoever looks when their lease has ended.

mod rights;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::{Instant, sleep, timeout};

pub use rights::CorrectError;

use super::{Inner, Weave, ask::Unanswered, history::Turns, trace::Trace};
use crate::{
    error::StoreError,
    imprint::{self, Remembering, SYSTEM, Transcript, fresh, question, tool},
    names::SessionKey,
    observe::{Event, Remembered, Unobserved},
    ports::{
        Imprint,
        imprint::{Claim, DUE_REMEMBERED, Fact, Lesson, Progress},
        oracle::{Fault, Usage},
    },
};

/// The most conversations that are drawn from at a time, by one pod.
const AT_ONCE: usize = 4;
/// How often that many, in one look.
const MOST_ROUNDS: usize = 8;
/// The most conversations that wait to be drawn from; more are noted when these are done.
const MOST_WAITING: u64 = 1000;
/// How many conversations are noted at a time, and how often in one look.
const PAGE: u64 = 64;
const MOST_PAGES: usize = 8;
/// Between two looks, at least and at most; a quarter of the time after which a conversation is finished, in between.
const BETWEEN_LOOKS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];
/// The longest between two looks while a store cannot be reached.
const LONGEST_BETWEEN_LOOKS: Duration = Duration::from_secs(60);
/// The longest that drawing from one conversation may take, all Oracles and their retries included.
const LONGEST_DRAWING: Duration = Duration::from_secs(240);
/// For how long a conversation is one pod's: longer than that.
const LEASE: Duration = Duration::from_secs(300);
/// How often a conversation is tried before its facts are given up.
const MOST_ATTEMPTS: u32 = 5;
/// After the first failure; four times as long after each one more.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How many Echoes are read at a time.
const MOST_READ: u64 = 200;
/// How far back is read at most: in Echoes, and in time.
const MOST_BEHIND: u64 = 400;
const LONGEST_AGO: Duration = DUE_REMEMBERED;

/// How drawing from one conversation went.
struct Drawn {
    outcome: Remembered,
    learnt: usize,
    forgotten: usize,
    refused: usize,
    usage: Usage,
}

impl From<Remembered> for Drawn {
    fn from(outcome: Remembered) -> Self {
        Self {
            outcome,
            learnt: 0,
            forgotten: 0,
            refused: 0,
            usage: Usage::default(),
        }
    }
}

impl Weave {
    /// Draws facts from conversations as they are finished, for as long as it is polled. Ends at once where the Spirit
    /// remembers nothing.
    pub async fn remember(&self) {
        let Some(remembering) = &self.0.remembering else {
            return;
        };
        let [least, most] = BETWEEN_LOOKS;
        let usual = (remembering.after / 4).clamp(least, most);
        let mut between = usual;
        loop {
            // The first look is at once: what is said from then on counts.
            match self.remember_once().await {
                Ok(_) => between = usual,
                Err(error) => {
                    tracing::warn!(%error, "the Imprint cannot be drawn; trying again");
                    between = (between * 2).min(LONGEST_BETWEEN_LOOKS);
                }
            }
            let pause = between.mul_f64(rand::rng().random_range(0.75..1.25));
            sleep(pause).await;
        }
    }

    /// Looks once: notes what is finished, and draws from what is due; from how many conversations.
    ///
    /// # Errors
    /// When a store cannot be reached.
    pub async fn remember_once(&self) -> Result<usize, StoreError> {
        let (Some(remembering), Some(store)) = (&self.0.remembering, &self.0.imprint) else {
            return Ok(0);
        };
        self.0.note_finished(remembering, store.as_ref()).await?;
        let Some(progress) = store.progress().await? else {
            return Ok(0);
        };
        let mut drawn = 0;
        for _ in 0..MOST_ROUNDS {
            let token = uuid::Uuid::new_v4().simple().to_string();
            let claims = store.claim(&token, AT_ONCE, LEASE).await?;
            let drawing = claims
                .iter()
                .map(|claim| self.0.draw(remembering, store.as_ref(), claim, progress));
            for result in join_all(drawing).await {
                result?;
                drawn += 1;
            }
            if claims.len() < AT_ONCE {
                break;
            }
        }
        Ok(drawn)
    }

    /// What this Spirit remembers of people, if it does.
    #[must_use]
    pub fn remembering(&self) -> Option<&Remembering> {
        self.0.remembering.as_ref()
    }
}

impl Inner {
    /// Notes what was finished since somebody looked last.
    async fn note_finished(
        &self,
        remembering: &Remembering,
        store: &dyn Imprint,
    ) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let finished = place(now).saturating_sub(micros(remembering.after));
        for _ in 0..MOST_PAGES {
            let Some(progress) = store.progress().await? else {
                store.advance(None, place(now), &[]).await?;
                return Ok(());
            };
            let page = MOST_WAITING.saturating_sub(progress.waiting).min(PAGE);
            if page == 0 {
                return Ok(());
            }
            let most = usize::try_from(page).unwrap_or_default();
            let mut since = self.echoes.changed(progress.reached, most).await?;
            since.retain(|summary| summary.place <= finished);
            let Some(last) = since.last() else {
                return Ok(());
            };
            let (to, full) = (last.place, since.len() == most);
            let due: Vec<SessionKey> = since.into_iter().map(|one| one.session).collect();
            // Where another pod was faster, there may be more.
            store.advance(Some(progress.reached), to, &due).await?;
            if !full {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Draws from one conversation, and tells how that went.
    async fn draw(
        &self,
        remembering: &Remembering,
        store: &dyn Imprint,
        claim: &Claim,
        progress: Progress,
    ) -> Result<(), StoreError> {
        let drawn = self.drawn(remembering, store, claim, progress).await?;
        self.observer.observe(Event::Imprint {
            spirit: &self.name,
            outcome: drawn.outcome,
            learnt: drawn.learnt,
            forgotten: drawn.forgotten,
            refused: drawn.refused,
            usage: drawn.usage,
        });
        Ok(())
    }

    async fn drawn(
        &self,
        remembering: &Remembering,
        store: &dyn Imprint,
        claim: &Claim,
        progress: Progress,
    ) -> Result<Drawn, StoreError> {
        let keeping = remembering.keeping;
        let session = &claim.session;
        let known = async { self.echoes.known(std::slice::from_ref(session)).await };
        let (watch, known) = tokio::try_join!(self.vigil.watch(session), known)?;
        if watch.phase.is_human() {
            let later = remembering.after.clamp(FIRST_PAUSE, LONGEST_PAUSE);
            let held = store.put_off(claim, later, true).await?;
            return Ok(Remembered::or_lost(Remembered::PutOff, held).into());
        }
        let now = Timestamp::now();
        let finished = place(now).saturating_sub(micros(remembering.after));
        let skip = |heard, more| Lesson {
            heard,
            more,
            ..Lesson::default()
        };
        // When it has gone on since, it is noted again once that is finished.
        let Some(summary) = known
            .into_iter()
            .next()
            .flatten()
            .filter(|summary| summary.place <= finished)
        else {
            let held = store.conclude(claim, skip(claim.heard, false), keeping);
            return Ok(Remembered::or_lost(Remembered::Nothing, held.await?).into());
        };
        let transcript = self.transcript(claim, summary.length, progress.since, now);
        let transcript = transcript.await?;
        let skip = skip(transcript.next, transcript.next < summary.length);
        if !transcript.is_worth_reading {
            let held = store.conclude(claim, skip, keeping).await?;
            return Ok(Remembered::or_lost(Remembered::Nothing, held).into());
        }
        let known = fresh(store.facts(session).await?, keeping.max_age, now);
        let mut trace = Trace::start(self.name.clone(), Arc::new(Unobserved));
        let asked = if claim.attempt > MOST_ATTEMPTS {
            // Whatever this conversation does to a pod, it does it every time.
            Err((
                true,
                "it was begun again and again without an end".to_owned(),
            ))
        } else {
            let asking = self.ask_for_facts(remembering, &known, &transcript, &mut trace);
            asking.await
        };
        let drawn = match asked {
            Ok(said) => {
                let change = imprint::change(&known, &said, millis(now));
                let forget: Vec<&str> = change.forget.iter().map(String::as_str).collect();
                let lesson = Lesson {
                    learn: &change.learn,
                    forget: &forget,
                    ..skip
                };
                let held = store.conclude(claim, lesson, keeping).await?;
                let outcome = if change.learn.is_empty() && forget.is_empty() {
                    Remembered::Nothing
                } else {
                    Remembered::Learnt
                };
                let kept = |count| if held { count } else { 0 };
                Drawn {
                    outcome: Remembered::or_lost(outcome, held),
                    learnt: kept(change.new),
                    forgotten: kept(forget.len()),
                    refused: change.refused,
                    usage: trace.usage,
                }
            }
            Err((last, why)) if last || claim.attempt >= MOST_ATTEMPTS => {
                tracing::warn!(
                    why,
                    attempt = claim.attempt,
                    "nothing is drawn from a conversation"
                );
                let held = store.conclude(claim, skip, keeping).await?;
                Drawn {
                    usage: trace.usage,
                    ..Remembered::or_lost(Remembered::GivenUp, held).into()
                }
            }
            Err((_, why)) => {
                tracing::warn!(
                    why,
                    attempt = claim.attempt,
                    "nothing is drawn from a conversation yet"
                );
                let held = store.put_off(claim, pause(claim.attempt), false).await?;
                Drawn {
                    usage: trace.usage,
                    ..Remembered::or_lost(Remembered::Failed, held).into()
                }
            }
        };
        Ok(drawn)
    }

    /// What was said in a conversation of this length and not read, as much as is read at a time.
    async fn transcript(
        &self,
        claim: &Claim,
        length: u64,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Transcript, StoreError> {
        // A conversation that is shorter than what was read of it is another one: that one was forgotten.
        let heard = if claim.heard > length { 0 } else { claim.heard };
        let from = heard.max(length.saturating_sub(MOST_BEHIND));
        let to = length.min(from + MOST_READ);
        let most = usize::try_from(to - from).unwrap_or_default();
        let stretch = self.echoes.stretch(&claim.session, Some(to), most).await?;
        let first = to.saturating_sub(stretch.echoes.len() as u64);
        let oldest = now.saturating_sub(LONGEST_AGO).unwrap_or(since).max(since);
        let mut transcript = Transcript::of(&stretch.echoes, first, from, oldest);
        if stretch.echoes.is_empty() {
            transcript.next = to;
        }
        Ok(transcript)
    }

    /// Asks; or why there is no answer, and whether there will be none.
    async fn ask_for_facts(
        &self,
        remembering: &Remembering,
        known: &[Fact],
        transcript: &Transcript,
        trace: &mut Trace,
    ) -> Result<imprint::Said, (bool, String)> {
        let oracles = match remembering.oracles.as_slice() {
            [] => self.front.oracles.as_slice(),
            own => own,
        };
        let tools: Vec<_> = tool()
            .into_iter()
            .map(|tool| Arc::clone(tool.spec()))
            .collect();
        let mut turns = Turns::default();
        turns.user(&question(known, transcript), &[]);
        let deadline = Instant::now() + LONGEST_DRAWING;
        let mut aloud = None;
        let asking = self.ask(
            oracles, SYSTEM, &mut turns, &tools, &mut aloud, deadline, trace,
        );
        match timeout(LONGEST_DRAWING, asking).await {
            Ok(Ok(reply)) => imprint::heard(&reply).map_err(|why| (false, why)),
            Ok(Err(Unanswered::Failed(error))) => {
                Err((error.fault == Fault::Refused, error.to_string()))
            }
            Ok(Err(Unanswered::Silenced)) => Err((false, "it was cut off".to_owned())),
            Err(_) => Err((false, format!("no answer within {LONGEST_DRAWING:?}"))),
        }
    }
}

impl Remembered {
    fn or_lost(self, held: bool) -> Self {
        if held { self } else { Self::Lost }
    }
}

/// After this many attempts: longer each time, with jitter.
fn pause(attempt: u32) -> Duration {
    let pause = FIRST_PAUSE * 4_u32.saturating_pow(attempt.saturating_sub(1).min(8));
    pause
        .min(LONGEST_PAUSE)
        .mul_f64(rand::rng().random_range(0.75..1.25))
}

/// Where a conversation stands whose last word is of this time.
fn place(at: Timestamp) -> u64 {
    u64::try_from(at.as_microsecond()).unwrap_or_default()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// As precise as a store keeps it.
fn millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
