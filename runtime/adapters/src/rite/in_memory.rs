//! Rites for one process.

use std::collections::HashMap;

use async_trait::async_trait;
use eywa_weave::{
    StoreError,
    ports::rite::{Asked, Rites, Standing},
};
use jiff::Timestamp;

use crate::in_memory::Shared;

/// Rites for one process: what is parked ends with it.
#[derive(Debug, Default)]
pub struct InMemoryRites(Shared<HashMap<String, Parked>>);

#[derive(Debug)]
struct Parked {
    asked: Asked,
    standing: Standing,
}

impl Parked {
    /// Where it stands: a question that nobody answered in time has lapsed.
    fn at(&self, now: Timestamp) -> Standing {
        match self.standing {
            Standing::Pending if now >= self.asked.expires_at => Standing::Expired,
            standing => standing,
        }
    }
}

impl InMemoryRites {
    /// Nothing is parked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Rites for InMemoryRites {
    async fn park(&self, asked: &Asked) -> Result<(), StoreError> {
        let parked = || Parked {
            asked: asked.clone(),
            standing: Standing::Pending,
        };
        self.0.lock().entry(asked.id.clone()).or_insert_with(parked);
        Ok(())
    }

    async fn get(&self, id: &str, now: Timestamp) -> Result<Option<(Asked, Standing)>, StoreError> {
        Ok(self
            .0
            .lock()
            .get(id)
            .map(|parked| (parked.asked.clone(), parked.at(now))))
    }

    async fn decide(
        &self,
        id: &str,
        approved: bool,
        _by: &str,
        now: Timestamp,
    ) -> Result<Option<Standing>, StoreError> {
        let mut rites = self.0.lock();
        let Some(parked) = rites.get_mut(id) else {
            return Ok(None);
        };
        parked.standing = match parked.at(now) {
            Standing::Pending if approved => Standing::Approved,
            Standing::Pending => Standing::Denied,
            standing => standing,
        };
        Ok(Some(parked.standing))
    }

    async fn consume(&self, id: &str, generation: i64, now: Timestamp) -> Result<bool, StoreError> {
        let mut rites = self.0.lock();
        let Some(parked) = rites
            .get_mut(id)
            .filter(|parked| parked.at(now) == Standing::Approved)
        else {
            return Ok(false);
        };
        let same = parked.asked.generation == generation;
        parked.standing = if same {
            Standing::Consumed
        } else {
            Standing::Void
        };
        Ok(same)
    }
}
