//! A Memory for one process.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::{
        bond::Fence,
        memory::{Heard, Memory, Recollection, Tally},
    },
};
use tokio::time::Instant;

use super::HEARD_FOR;
use crate::in_memory::Shared;

/// A Memory for one process. TTLs and windows run by tokio's clock, so a test that pauses time decides when they end.
#[derive(Debug, Default)]
pub struct InMemoryMemory(Shared<State>);

#[derive(Debug, Default)]
struct State {
    kept: HashMap<SessionKey, Kept>,
    tallies: HashMap<(SessionKey, Tally), Count>,
    heard: HashMap<SessionKey, (Instant, Heard)>,
}

#[derive(Debug)]
struct Kept {
    fence: Fence,
    until: Instant,
    recollection: Recollection,
}

#[derive(Debug)]
struct Count {
    until: Instant,
    sum: u64,
}

impl InMemoryMemory {
    /// A Memory of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Memory for InMemoryMemory {
    async fn recall(&self, session: &SessionKey) -> Result<Recollection, StoreError> {
        let state = self.0.lock();
        let kept = state
            .kept
            .get(session)
            .filter(|kept| kept.until > Instant::now());
        Ok(kept
            .map(|kept| kept.recollection.clone())
            .unwrap_or_default())
    }

    async fn keep(
        &self,
        session: &SessionKey,
        fence: Fence,
        recollection: &Recollection,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        if let Some(newest) = state
            .kept
            .get(session)
            .map(|kept| kept.fence)
            .filter(|newest| fence < *newest)
        {
            return Err(StoreError::Fenced {
                offered: fence,
                newest,
            });
        }
        let kept = Kept {
            fence,
            until: Instant::now() + ttl,
            recollection: recollection.clone(),
        };
        state.kept.insert(session.clone(), kept);
        Ok(())
    }

    async fn hear(&self, session: &SessionKey, heard: &Heard) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        let kept = state
            .heard
            .entry(session.clone())
            .or_insert_with(|| (Instant::now(), heard.clone()));
        if kept.1.at <= heard.at {
            *kept = (Instant::now() + HEARD_FOR, heard.clone());
        }
        Ok(())
    }

    async fn last_heard(&self, session: &SessionKey) -> Result<Option<Heard>, StoreError> {
        let state = self.0.lock();
        let heard = state.heard.get(session);
        Ok(heard
            .filter(|(until, _)| *until > Instant::now())
            .map(|(_, heard)| heard.clone()))
    }

    async fn tally(&self, session: &SessionKey, tally: Tally, add: u64) -> Result<u64, StoreError> {
        let mut state = self.0.lock();
        let now = Instant::now();
        let key = (session.clone(), tally);
        match state
            .tallies
            .get_mut(&key)
            .filter(|count| count.until > now)
        {
            Some(count) => {
                count.sum = count.sum.saturating_add(add);
                Ok(count.sum)
            }
            None if add == 0 => {
                state.tallies.remove(&key);
                Ok(0)
            }
            None => {
                state.tallies.insert(
                    key,
                    Count {
                        until: now + tally.window(),
                        sum: add,
                    },
                );
                Ok(add)
            }
        }
    }
}
