//! Rites for one process.

use std::collections::BTreeMap;

use async_trait::async_trait;
use eywa_weave::{
    StoreError,
    names::{RiteId, SessionKey},
    ports::rite::{Asked, Consumption, Decision, Rite, RiteOutcome, Rites, Verdict},
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::rules;
use crate::in_memory::Shared;

/// Rites for one process: what is parked ends with it.
#[derive(Debug, Default)]
pub struct InMemoryRites(Shared<Vec<Parked>>);

#[derive(Debug)]
struct Parked {
    since: Instant,
    rite: Rite,
}

impl InMemoryRites {
    /// Nothing is parked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does something with the Rite of this id, if there is one.
    fn with<T>(&self, id: &RiteId, act: impl FnOnce(&mut Rite) -> T) -> Option<T> {
        let mut parked = self.0.lock();
        parked
            .iter_mut()
            .find(|parked| parked.rite.asked.id == *id)
            .map(|parked| act(&mut parked.rite))
    }
}

#[async_trait]
impl Rites for InMemoryRites {
    async fn park(&self, asked: &Asked) -> Result<(), StoreError> {
        let mut parked = self.0.lock();
        parked.retain(|parked| parked.since.elapsed() < eywa_weave::ports::rite::KEPT);
        if !parked.iter().any(|parked| parked.rite.asked.id == asked.id) {
            parked.push(Parked {
                since: Instant::now(),
                rite: rules::parked(asked.clone()),
            });
        }
        Ok(())
    }

    async fn get(&self, id: &RiteId, now: Timestamp) -> Result<Option<Rite>, StoreError> {
        Ok(self.with(id, |rite| rules::at(rite.clone(), now)))
    }

    async fn list(
        &self,
        session: Option<&SessionKey>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Rite>, StoreError> {
        let parked = self.0.lock();
        let rites = parked.iter().rev().map(|parked| &parked.rite);
        Ok(rites
            .filter(|rite| session.is_none_or(|session| rite.asked.session == *session))
            .take(most)
            .map(|rite| rules::at(rite.clone(), now))
            .collect())
    }

    async fn decide(&self, id: &RiteId, verdict: &Verdict) -> Result<Option<Decision>, StoreError> {
        Ok(self.with(id, |rite| rules::decide(rite, verdict)))
    }

    async fn void(&self, id: &RiteId, now: Timestamp) -> Result<Option<Rite>, StoreError> {
        Ok(self.with(id, |rite| {
            rules::void(rite, now);
            rite.clone()
        }))
    }

    async fn consume(
        &self,
        id: &RiteId,
        generation: i64,
        now: Timestamp,
    ) -> Result<Option<Consumption>, StoreError> {
        Ok(self.with(id, |rite| Consumption {
            granted: rules::consume(rite, generation, now),
            rite: rite.clone(),
        }))
    }

    async fn conclude(&self, id: &RiteId, outcome: RiteOutcome) -> Result<(), StoreError> {
        self.with(id, |rite| rules::conclude(rite, outcome));
        Ok(())
    }

    async fn settle(&self, id: &RiteId, now: Timestamp) -> Result<(), StoreError> {
        self.with(id, |rite| rules::settle(rite, now));
        Ok(())
    }

    async fn due(&self, most: usize, now: Timestamp) -> Result<Vec<Rite>, StoreError> {
        let parked = self.0.lock();
        let mut due: BTreeMap<(Timestamp, RiteId), Rite> = BTreeMap::new();
        for Parked { rite, .. } in parked.iter() {
            if let Some(since) = rules::due_from(rite).filter(|since| *since <= now) {
                due.insert((since, rite.asked.id.clone()), rules::at(rite.clone(), now));
            }
        }
        Ok(due.into_values().take(most).collect())
    }
}
