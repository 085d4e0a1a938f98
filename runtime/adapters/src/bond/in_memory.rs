//! A Bond for one process.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::bond::{Bond, BondGuard, Fence, LONGEST_LINE, Turn},
};
use tokio::time::Instant;

use crate::in_memory::Shared;

/// A Bond for one process. A TTL runs by tokio's clock, so a test that pauses time decides when it ends.
#[derive(Debug, Default)]
pub struct InMemoryBond(Shared<State>);

#[derive(Debug, Default)]
struct State {
    /// The last fence that was given out, over all sessions: growing over all, it grows within each.
    fence: u64,
    sessions: HashMap<SessionKey, Session>,
}

#[derive(Debug, Default)]
struct Session {
    held: Option<Held>,
    line: VecDeque<PulseId>,
}

#[derive(Debug)]
struct Held {
    token: String,
    until: Instant,
}

impl InMemoryBond {
    /// A Bond that nobody holds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl State {
    /// Takes the Bond, unless somebody holds it.
    fn take(&mut self, session: &SessionKey, ttl: Duration) -> Option<BondGuard> {
        let entry = self.sessions.entry(session.clone()).or_default();
        let now = Instant::now();
        if entry.held.as_ref().is_some_and(|held| held.until > now) {
            return None;
        }
        self.fence += 1;
        let token = format!("{:032x}", rand::random::<u128>());
        entry.held = Some(Held {
            token: token.clone(),
            until: now + ttl,
        });
        Some(BondGuard {
            session: session.clone(),
            token,
            fence: Fence(self.fence),
        })
    }

    /// The session, if the Bond is still this guard's.
    fn held_by(&mut self, guard: &BondGuard) -> Option<&mut Session> {
        let now = Instant::now();
        self.sessions.get_mut(&guard.session).filter(|entry| {
            entry
                .held
                .as_ref()
                .is_some_and(|held| held.until > now && held.token == guard.token)
        })
    }

    fn let_go(&mut self, session: &SessionKey) {
        if let Some(entry) = self.sessions.get_mut(session) {
            entry.held = None;
            if entry.line.is_empty() {
                self.sessions.remove(session);
            }
        }
    }
}

impl Session {
    fn next(&mut self, most: usize) -> Vec<PulseId> {
        let most = most.min(self.line.len());
        self.line.drain(..most).collect()
    }
}

#[async_trait]
impl Bond for InMemoryBond {
    async fn acquire(
        &self,
        session: &SessionKey,
        ttl: Duration,
    ) -> Result<Option<BondGuard>, StoreError> {
        Ok(self.0.lock().take(session, ttl))
    }

    async fn acquire_or_wait(
        &self,
        session: &SessionKey,
        ttl: Duration,
        ticket: &PulseId,
        take: usize,
    ) -> Result<Turn, StoreError> {
        let mut state = self.0.lock();
        let guard = state.take(session, ttl);
        let entry = state.sessions.entry(session.clone()).or_default();
        let stands = entry.line.contains(ticket);
        if guard.is_none() && !stands && entry.line.len() >= LONGEST_LINE {
            return Ok(Turn::Full);
        }
        if !stands {
            entry.line.push_back(ticket.clone());
        }
        Ok(match guard {
            Some(guard) => Turn::Yours {
                guard,
                tickets: entry.next(take.max(1)),
            },
            None => Turn::Waiting,
        })
    }

    async fn extend(&self, guard: &BondGuard, ttl: Duration) -> Result<bool, StoreError> {
        let mut state = self.0.lock();
        let Some(entry) = state.held_by(guard) else {
            return Ok(false);
        };
        entry.held = Some(Held {
            token: guard.token.clone(),
            until: Instant::now() + ttl,
        });
        Ok(true)
    }

    async fn line(&self, guard: &BondGuard, most: usize) -> Result<Vec<PulseId>, StoreError> {
        Ok(self
            .0
            .lock()
            .held_by(guard)
            .map(|entry| entry.next(most))
            .unwrap_or_default())
    }

    async fn release_or_next(
        &self,
        guard: &BondGuard,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<PulseId>, StoreError> {
        let mut state = self.0.lock();
        let Some(entry) = state.held_by(guard) else {
            return Ok(Vec::new());
        };
        if entry.line.is_empty() {
            state.let_go(&guard.session);
            return Ok(Vec::new());
        }
        entry.held = Some(Held {
            token: guard.token.clone(),
            until: Instant::now() + ttl,
        });
        Ok(entry.next(most.max(1)))
    }

    async fn release(&self, guard: &BondGuard) -> Result<bool, StoreError> {
        let mut state = self.0.lock();
        let held = state.held_by(guard).is_some();
        if held {
            state.let_go(&guard.session);
        }
        Ok(held)
    }

    async fn busy(&self, sessions: &[SessionKey]) -> Result<Vec<bool>, StoreError> {
        let (state, now) = (self.0.lock(), Instant::now());
        let held = |session: &SessionKey| {
            let held = state.sessions.get(session)?.held.as_ref()?;
            Some(held.until > now)
        };
        Ok(sessions
            .iter()
            .map(|session| held(session).unwrap_or(false))
            .collect())
    }
}
