//! An Imprint for one process.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::imprint::{
        Claim, Fact, HEARD_REMEMBERED, Imprint, Keeping, Lesson, PROGRESS_REMEMBERED, Progress,
    },
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::in_memory::Shared;

/// An Imprint for one process.
#[derive(Debug, Default)]
pub struct InMemoryImprint(Shared<State>);

#[derive(Debug, Default)]
struct State {
    people: HashMap<SessionKey, Person>,
    due: HashMap<SessionKey, Due>,
    progress: Option<(Progress, Instant)>,
}

#[derive(Debug, Default)]
struct Person {
    facts: Vec<Fact>,
    heard: Option<(u64, Instant)>,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    attempts: u32,
    token: Option<String>,
}

impl InMemoryImprint {
    /// Nothing is known of anybody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Person {
    fn change(&mut self, forget: &[&str], learn: &[Fact], keeping: Keeping) -> u64 {
        let before = self.facts.len();
        self.facts
            .retain(|fact| !forget.contains(&fact.text.as_str()));
        let forgotten = before - self.facts.len();
        for fact in learn {
            self.facts.retain(|known| known.text != fact.text);
            self.facts.insert(0, fact.clone());
        }
        let oldest = Timestamp::now().saturating_sub(keeping.max_age);
        if let Ok(oldest) = oldest {
            self.facts.retain(|fact| fact.at >= oldest);
        }
        // Stable, so that of two facts learnt at the same time the later one comes first.
        self.facts.sort_by_key(|fact| Reverse(fact.at));
        self.facts.truncate(keeping.most);
        forgotten as u64
    }

    fn hear(&mut self, heard: u64) {
        self.heard = Some((heard, Instant::now() + HEARD_REMEMBERED));
    }

    fn heard(&self) -> u64 {
        match self.heard {
            Some((heard, until)) if until > Instant::now() => heard,
            _ => 0,
        }
    }
}

impl State {
    fn has(&self, claim: &Claim) -> bool {
        let due = self.due.get(&claim.session);
        due.is_some_and(|due| due.token.as_ref() == Some(&claim.token))
    }
}

#[async_trait]
impl Imprint for InMemoryImprint {
    async fn facts(&self, of: &SessionKey) -> Result<Vec<Fact>, StoreError> {
        let state = self.0.lock();
        Ok(state
            .people
            .get(of)
            .map(|person| person.facts.clone())
            .unwrap_or_default())
    }

    async fn amend(
        &self,
        of: &SessionKey,
        forget: &[&str],
        learn: &[Fact],
        heard: u64,
        keeping: Keeping,
    ) -> Result<u64, StoreError> {
        let mut state = self.0.lock();
        state.due.remove(of);
        let person = state.people.entry(of.clone()).or_default();
        person.hear(heard);
        Ok(person.change(forget, learn, keeping))
    }

    async fn erase(&self, of: &SessionKey, heard: u64) -> Result<u64, StoreError> {
        let mut state = self.0.lock();
        state.due.remove(of);
        let person = state.people.entry(of.clone()).or_default();
        person.hear(heard);
        Ok(std::mem::take(&mut person.facts).len() as u64)
    }

    async fn progress(&self) -> Result<Option<Progress>, StoreError> {
        let mut state = self.0.lock();
        let (waiting, now) = (state.due.len() as u64, Instant::now());
        Ok(match &mut state.progress {
            Some((progress, until)) if *until > now => {
                *until = now + PROGRESS_REMEMBERED;
                Some(Progress {
                    waiting,
                    ..*progress
                })
            }
            _ => None,
        })
    }

    async fn advance(
        &self,
        from: Option<u64>,
        to: u64,
        due: &[SessionKey],
    ) -> Result<bool, StoreError> {
        let mut state = self.0.lock();
        let now = Instant::now();
        let before = match state.progress {
            Some((progress, until)) if until > now => Some(progress),
            _ => None,
        };
        if before.map(|before| before.reached) != from {
            return Ok(false);
        }
        let progress = Progress {
            since: before.map_or_else(Timestamp::now, |before| before.since),
            reached: to,
            waiting: 0,
        };
        state.progress = Some((progress, now + PROGRESS_REMEMBERED));
        for session in due {
            let due = state.due.entry(session.clone()).or_insert(Due {
                at: now,
                attempts: 0,
                token: None,
            });
            (due.at, due.token) = (now, None);
        }
        Ok(true)
    }

    async fn claim(
        &self,
        token: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut state = self.0.lock();
        let now = Instant::now();
        let mut ready: Vec<(Instant, SessionKey)> = state
            .due
            .iter()
            .filter(|(_, due)| due.at <= now)
            .map(|(session, due)| (due.at, session.clone()))
            .collect();
        ready.sort();
        let State { people, due, .. } = &mut *state;
        let ready = ready.into_iter().take(most);
        Ok(ready
            .filter_map(|(_, session)| {
                let due = due.get_mut(&session)?;
                due.at = now + lease;
                due.attempts += 1;
                due.token = Some(token.to_owned());
                Some(Claim {
                    heard: people.get(&session).map_or(0, Person::heard),
                    session,
                    token: token.to_owned(),
                    attempt: due.attempts,
                })
            })
            .collect())
    }

    async fn put_off(
        &self,
        claim: &Claim,
        until: Duration,
        anew: bool,
    ) -> Result<bool, StoreError> {
        let mut state = self.0.lock();
        if !state.has(claim) {
            return Ok(false);
        }
        if let Some(due) = state.due.get_mut(&claim.session) {
            due.at = Instant::now() + until;
            due.token = None;
            if anew {
                due.attempts = 0;
            }
        }
        Ok(true)
    }

    async fn conclude(
        &self,
        claim: &Claim,
        lesson: Lesson<'_>,
        keeping: Keeping,
    ) -> Result<bool, StoreError> {
        let mut state = self.0.lock();
        if !state.has(claim) {
            return Ok(false);
        }
        let person = state.people.entry(claim.session.clone()).or_default();
        person.hear(lesson.heard);
        person.change(lesson.forget, lesson.learn, keeping);
        if lesson.more {
            if let Some(due) = state.due.get_mut(&claim.session) {
                *due = Due {
                    at: Instant::now(),
                    attempts: 0,
                    token: None,
                };
            }
        } else {
            state.due.remove(&claim.session);
        }
        Ok(true)
    }
}
