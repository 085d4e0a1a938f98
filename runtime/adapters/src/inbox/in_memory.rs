//! An Inbox for one process. It does not survive it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use async_trait::async_trait;
use eywa_weave::{
    Pulse, PulseId, StoreError,
    ports::inbox::{Acceptance, Delivery, Depth, Due, Inbox, REMEMBERED, Speech},
};
use tokio::time::Instant;

use crate::in_memory::Shared;

/// An Inbox for one process: what is in it ends with the process. A lease runs by tokio's clock, so a test that pauses
/// time decides when it ends.
#[derive(Debug, Default)]
pub struct InMemoryInbox(Shared<State>);

#[derive(Debug, Default)]
struct State {
    /// Counts what was ever taken in, for the order.
    taken_in: u64,
    waiting: HashMap<PulseId, Waiting>,
    remembered: HashSet<PulseId>,
    /// The remembered ids in the order in which they are forgotten.
    forget: VecDeque<(Instant, PulseId)>,
}

#[derive(Debug)]
struct Waiting {
    order: u64,
    since: Instant,
    leased_until: Instant,
    delivery: Delivery,
}

impl InMemoryInbox {
    /// An empty Inbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl State {
    fn forget_the_old(&mut self, now: Instant) {
        while self.forget.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, id)) = self.forget.pop_front() {
                self.remembered.remove(&id);
            }
        }
    }
}

#[async_trait]
impl Inbox for InMemoryInbox {
    async fn accept(
        &self,
        pulses: &[Pulse],
        lease: Duration,
    ) -> Result<Vec<Acceptance>, StoreError> {
        let mut state = self.0.lock();
        let now = Instant::now();
        state.forget_the_old(now);
        let accept = |pulse: &Pulse| {
            if !state.remembered.insert(pulse.id.clone()) {
                return Acceptance::Duplicate;
            }
            state.forget.push_back((now + REMEMBERED, pulse.id.clone()));
            state.taken_in += 1;
            let waiting = Waiting {
                order: state.taken_in,
                since: now,
                leased_until: now + lease,
                delivery: Delivery::first(pulse.clone()),
            };
            state.waiting.insert(pulse.id.clone(), waiting);
            Acceptance::New
        };
        Ok(pulses.iter().map(accept).collect())
    }

    async fn reclaim(&self, most: usize, lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        let mut state = self.0.lock();
        let now = Instant::now();
        let mut lapsed: Vec<&mut Waiting> = state
            .waiting
            .values_mut()
            .filter(|held| held.leased_until <= now)
            .collect();
        lapsed.sort_unstable_by_key(|held| held.order);
        lapsed.truncate(most);
        let again = |held: &mut Waiting| {
            held.leased_until = now + lease;
            held.delivery.attempt += 1;
            held.delivery.clone()
        };
        Ok(lapsed.into_iter().map(again).collect())
    }

    async fn reclaim_one(&self, id: &PulseId, lease: Duration) -> Result<Due, StoreError> {
        let mut state = self.0.lock();
        let now = Instant::now();
        let Some(held) = state.waiting.get_mut(id) else {
            return Ok(Due::Gone);
        };
        if held.leased_until > now {
            return Ok(Due::Leased(held.leased_until - now));
        }
        held.leased_until = now + lease;
        held.delivery.attempt += 1;
        Ok(Due::Yours(Box::new(held.delivery.clone())))
    }

    async fn claim(&self, ids: &[PulseId], lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        let mut state = self.0.lock();
        let until = Instant::now() + lease;
        let claim = |id: &PulseId| {
            let held = state.waiting.get_mut(id)?;
            held.leased_until = until;
            Some(held.delivery.clone())
        };
        Ok(ids.iter().filter_map(claim).collect())
    }

    async fn renew(&self, id: &PulseId, attempt: u32, lease: Duration) -> Result<bool, StoreError> {
        let mut state = self.0.lock();
        let held = state
            .waiting
            .get_mut(id)
            .filter(|held| held.delivery.attempt == attempt);
        let Some(held) = held else { return Ok(false) };
        held.leased_until = Instant::now() + lease;
        Ok(true)
    }

    async fn mark(&self, id: &PulseId, speech: Speech) -> Result<(), StoreError> {
        if let Some(held) = self.0.lock().waiting.get_mut(id) {
            held.delivery.speech = speech;
        }
        Ok(())
    }

    async fn finish(&self, ids: &[PulseId]) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        for id in ids {
            state.waiting.remove(id);
        }
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, StoreError> {
        let state = self.0.lock();
        let oldest = state
            .waiting
            .values()
            .map(|held| held.since.elapsed())
            .max()
            .unwrap_or_default();
        Ok(Depth {
            pulses: state.waiting.len() as u64,
            oldest,
        })
    }
}
