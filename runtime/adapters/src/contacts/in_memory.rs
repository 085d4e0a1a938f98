//! Contacts for one process.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use eywa_weave::{
    PulseId, StoreError, UserId, VoiceName,
    ports::contacts::{Contacts, Pace, Progress},
};
use tokio::time::Instant;

use crate::in_memory::Shared;

/// Contacts for one process. Nothing is forgotten before the process ends.
#[derive(Debug, Default)]
pub struct InMemoryContacts(Shared<State>);

#[derive(Debug, Default)]
struct State {
    people: HashMap<(VoiceName, UserId), UserId>,
    /// Those that were ever seen with others.
    with_others: HashSet<(VoiceName, UserId)>,
    messages: HashMap<(VoiceName, String), Message>,
    /// When each person may be written to again, had there been no burst.
    paces: HashMap<(VoiceName, UserId), Instant>,
}

#[derive(Debug, Default)]
struct Message {
    pulse: Option<PulseId>,
    rank: u8,
}

impl InMemoryContacts {
    /// Nobody is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Contacts for InMemoryContacts {
    async fn identify(
        &self,
        voice: &VoiceName,
        id: &UserId,
        also: &[UserId],
    ) -> Result<UserId, StoreError> {
        let mut state = self.0.lock();
        let key = |id: &UserId| (voice.clone(), id.clone());
        let known_as = |id: &UserId| state.people.get(&key(id)).cloned();
        let known = also.iter().find_map(known_as);
        let known = known.or_else(|| match (known_as(id)?, also.first()) {
            // It was seen with others than these: somebody else has it now.
            (_, Some(new)) if state.with_others.contains(&key(id)) => Some(new.clone()),
            (known, _) => Some(known),
        });
        let known = known.unwrap_or_else(|| id.clone());
        for id in std::iter::once(id).chain(also) {
            state.people.insert(key(id), known.clone());
        }
        if !also.is_empty() {
            state.with_others.insert(key(id));
        }
        Ok(known)
    }

    async fn sent(
        &self,
        voice: &VoiceName,
        message: &str,
        pulse: &PulseId,
    ) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        let known = state
            .messages
            .entry((voice.clone(), message.to_owned()))
            .or_default();
        known.pulse = Some(pulse.clone());
        Ok(())
    }

    async fn pulse_of(
        &self,
        voice: &VoiceName,
        message: &str,
    ) -> Result<Option<PulseId>, StoreError> {
        let state = self.0.lock();
        let known = state.messages.get(&(voice.clone(), message.to_owned()));
        Ok(known.and_then(|known| known.pulse.clone()))
    }

    async fn advance(
        &self,
        voice: &VoiceName,
        message: &str,
        progress: Progress,
    ) -> Result<bool, StoreError> {
        let mut state = self.0.lock();
        let known = state
            .messages
            .entry((voice.clone(), message.to_owned()))
            .or_default();
        let forward = progress.rank() > known.rank;
        known.rank = known.rank.max(progress.rank());
        Ok(forward)
    }

    async fn pace(
        &self,
        voice: &VoiceName,
        user: &UserId,
        messages: u32,
        pace: Pace,
    ) -> Result<Duration, StoreError> {
        let mut state = self.0.lock();
        let now = Instant::now();
        let until = state
            .paces
            .entry((voice.clone(), user.clone()))
            .or_insert(now);
        let next = (*until).max(now) + pace.interval * messages;
        let wait = next
            .saturating_duration_since(now)
            .saturating_sub(pace.interval * pace.burst);
        if wait <= pace.longest_wait {
            *until = next;
        }
        Ok(wait)
    }
}
