//! A Chronicle for one process.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::chronicle::{Chronicle, Entry},
};

use super::NEWEST;
use crate::in_memory::Shared;

/// A Chronicle for one process. Keeps the newest [`NEWEST`] entries of each session.
#[derive(Debug, Default)]
pub struct InMemoryChronicle(Shared<HashMap<SessionKey, VecDeque<Entry>>>);

impl InMemoryChronicle {
    /// An empty Chronicle.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Chronicle for InMemoryChronicle {
    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut sessions = self.0.lock();
        let entries = sessions.entry(entry.session.clone()).or_default();
        if entries.len() == NEWEST {
            entries.pop_front();
        }
        entries.push_back(entry.clone());
        Ok(())
    }

    async fn of_pulse(&self, id: &PulseId) -> Result<Vec<Entry>, StoreError> {
        let sessions = self.0.lock();
        Ok(sessions
            .values()
            .flatten()
            .filter(|entry| entry.pulse == *id)
            .cloned()
            .collect())
    }

    async fn of_session(
        &self,
        session: &SessionKey,
        most: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let sessions = self.0.lock();
        let Some(entries) = sessions.get(session) else {
            return Ok(Vec::new());
        };
        Ok(entries
            .iter()
            .skip(entries.len().saturating_sub(most))
            .cloned()
            .collect())
    }
}
