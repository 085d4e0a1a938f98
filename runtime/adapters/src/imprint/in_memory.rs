//! An Imprint for one process.

use std::{cmp::Reverse, collections::HashMap};

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::imprint::{Fact, Imprint},
};

use crate::in_memory::Shared;

/// An Imprint for one process.
#[derive(Debug, Default)]
pub struct InMemoryImprint(Shared<HashMap<SessionKey, Vec<Fact>>>);

impl InMemoryImprint {
    /// Nothing is known of anybody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Imprint for InMemoryImprint {
    async fn facts(&self, of: &SessionKey) -> Result<Vec<Fact>, StoreError> {
        Ok(self.0.lock().get(of).cloned().unwrap_or_default())
    }

    async fn learn(&self, of: &SessionKey, facts: &[Fact], most: usize) -> Result<(), StoreError> {
        let mut people = self.0.lock();
        let known = people.entry(of.clone()).or_default();
        for fact in facts {
            known.retain(|before| before.text != fact.text);
            known.insert(0, fact.clone());
        }
        // Stable, so that of two facts learnt at the same time the later one comes first.
        known.sort_by_key(|fact| Reverse(fact.at));
        known.truncate(most);
        Ok(())
    }

    async fn forget(&self, of: &SessionKey, texts: &[&str]) -> Result<u64, StoreError> {
        let mut people = self.0.lock();
        let Some(known) = people.get_mut(of) else {
            return Ok(0);
        };
        let before = known.len();
        known.retain(|fact| !texts.is_empty() && !texts.contains(&fact.text.as_str()));
        Ok((before - known.len()) as u64)
    }
}
