//! A Chronicle for one process.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        chronicle::{Chronicle, Deed, Entry},
        vigil::Target,
    },
};

use super::NEWEST;
use crate::in_memory::Shared;

/// A Chronicle for one process. Keeps the newest [`NEWEST`] entries of each session.
#[derive(Debug, Default)]
pub struct InMemoryChronicle {
    entries: Shared<HashMap<SessionKey, VecDeque<Entry>>>,
    deeds: Shared<HashMap<Target, VecDeque<Deed>>>,
}

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
        let mut sessions = self.entries.lock();
        let entries = sessions.entry(entry.session.clone()).or_default();
        if entries.len() == NEWEST {
            entries.pop_front();
        }
        entries.push_back(entry.clone());
        Ok(())
    }

    async fn did(&self, deed: &Deed) -> Result<(), StoreError> {
        let mut about = self.deeds.lock();
        let deeds = about.entry(deed.about.clone()).or_default();
        if deeds.contains(deed) {
            return Ok(());
        }
        if deeds.len() == NEWEST {
            deeds.pop_front();
        }
        let place = deeds.partition_point(|known| known.at <= deed.at);
        deeds.insert(place, deed.clone());
        Ok(())
    }

    async fn deeds(&self, about: &Target, most: usize) -> Result<Vec<Deed>, StoreError> {
        let all = self.deeds.lock();
        let Some(deeds) = all.get(about) else {
            return Ok(Vec::new());
        };
        let skipped = deeds.len().saturating_sub(most);
        Ok(deeds.iter().skip(skipped).cloned().collect())
    }

    async fn of_pulse(&self, id: &PulseId) -> Result<Vec<Entry>, StoreError> {
        let sessions = self.entries.lock();
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
        let sessions = self.entries.lock();
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
