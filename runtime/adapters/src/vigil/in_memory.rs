//! A Vigil for one process.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        bond::Fence,
        vigil::{Permit, Phase, ReleaseReason, Target, Vigil, Watch},
    },
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::in_memory::Shared;

/// A Vigil for one process. Permits run by tokio's clock, so a test that pauses time decides when they end.
#[derive(Debug, Default)]
pub struct InMemoryVigil(Shared<State>);

#[derive(Debug, Default)]
struct State {
    records: HashMap<Target, Record>,
    speaking: HashMap<SessionKey, Speaking>,
}

#[derive(Debug, Default)]
struct Record {
    watch: Watch,
    /// The Pulses that are counted as unanswered.
    noted: HashSet<PulseId>,
}

#[derive(Debug, Default)]
struct Speaking {
    /// The newest Bond that has asked.
    newest: Fence,
    /// Who speaks, and until when at most. More than one while a permit of a lost Bond still runs.
    permits: HashMap<Fence, Instant>,
}

impl InMemoryVigil {
    /// Nobody has asked for a human.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl State {
    fn known(&self, target: &Target) -> Watch {
        self.records
            .get(target)
            .map(|record| record.watch.clone())
            .unwrap_or_default()
    }

    fn holds_for(&self, session: &SessionKey) -> Watch {
        let everyone = self.known(&Target::Everyone);
        if everyone.phase.is_human() {
            everyone
        } else {
            self.known(&Target::Session(session.clone()))
        }
    }

    fn change(&mut self, target: &Target, change: impl FnOnce(&mut Record)) -> Watch {
        let record = self.records.entry(target.clone()).or_default();
        change(record);
        record.watch.clone()
    }

    fn anybody_speaks(&self, target: &Target) -> bool {
        let now = Instant::now();
        let speaks = |speaking: &Speaking| speaking.permits.values().any(|until| *until > now);
        match target {
            Target::Session(session) => self.speaking.get(session).is_some_and(speaks),
            Target::Everyone => self.speaking.values().any(speaks),
        }
    }
}

/// A time as the contract keeps it: to the millisecond.
fn millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

#[async_trait]
impl Vigil for InMemoryVigil {
    async fn watch(&self, session: &SessionKey) -> Result<Watch, StoreError> {
        Ok(self.0.lock().holds_for(session))
    }

    async fn state(&self, target: &Target) -> Result<Watch, StoreError> {
        Ok(self.0.lock().known(target))
    }

    async fn open(&self, most: usize) -> Result<Vec<(Target, Watch)>, StoreError> {
        let state = self.0.lock();
        let open = state
            .records
            .iter()
            .filter(|(_, record)| record.watch.phase.is_open());
        Ok(open
            .map(|(target, record)| (target.clone(), record.watch.clone()))
            .take(most)
            .collect())
    }

    async fn request(
        &self,
        target: &Target,
        reason: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        Ok(self.0.lock().change(target, |Record { watch, .. }| {
            if matches!(watch.phase, Phase::Watching | Phase::Released) {
                watch.phase = Phase::Requested;
                watch.requested_at = Some(millis(at));
                reason.clone_into(&mut watch.request_reason);
            }
        }))
    }

    async fn take_over(
        &self,
        target: &Target,
        by: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        Ok(self.0.lock().change(target, |Record { watch, noted }| {
            if !watch.phase.is_human() {
                noted.clear();
                *watch = Watch {
                    phase: Phase::TakingOver,
                    by: by.to_owned(),
                    since: Some(millis(at)),
                    requested_at: watch.requested_at,
                    request_reason: std::mem::take(&mut watch.request_reason),
                    ..Watch::default()
                };
            } else if watch.by.is_empty() {
                by.clone_into(&mut watch.by);
            }
        }))
    }

    async fn settle(&self, target: &Target, _at: Timestamp) -> Result<Watch, StoreError> {
        let mut state = self.0.lock();
        let speaks = state.anybody_speaks(target);
        Ok(state.change(target, |Record { watch, .. }| {
            if watch.phase == Phase::TakingOver && !speaks {
                watch.phase = Phase::Active;
            }
        }))
    }

    async fn release(
        &self,
        target: &Target,
        by: &str,
        reason: ReleaseReason,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        Ok(self.0.lock().change(target, |Record { watch, noted }| {
            if watch.phase.is_human() {
                noted.clear();
                watch.phase = Phase::Released;
                watch.unanswered = 0;
                watch.released_at = Some(millis(at));
                watch.release_reason = Some(reason);
                by.clone_into(&mut watch.released_by);
            }
        }))
    }

    async fn answered(&self, session: &SessionKey) -> Result<(), StoreError> {
        let own = Target::Session(session.clone());
        if let Some(record) = self.0.lock().records.get_mut(&own)
            && record.watch.phase.is_human()
        {
            record.watch.unanswered = 0;
        }
        Ok(())
    }

    async fn note(
        &self,
        session: &SessionKey,
        pulse: &PulseId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        for target in [Target::Session(session.clone()), Target::Everyone] {
            if let Some(record) = state
                .records
                .get_mut(&target)
                .filter(|record| record.watch.phase.is_human())
                && record.noted.insert(pulse.clone())
            {
                record.watch.unanswered += 1;
                record.watch.last_pulse_at = Some(millis(at));
            }
        }
        Ok(())
    }

    async fn begin_speaking(
        &self,
        session: &SessionKey,
        fence: Fence,
        time: Duration,
    ) -> Result<Permit, StoreError> {
        let mut state = self.0.lock();
        let holds = state.holds_for(session);
        let speaking = state.speaking.entry(session.clone()).or_default();
        if fence < speaking.newest {
            return Err(StoreError::Fenced {
                offered: fence,
                newest: speaking.newest,
            });
        }
        speaking.newest = fence;
        if holds.phase.is_human() {
            return Ok(Permit::Human(holds));
        }
        let now = Instant::now();
        speaking.permits.retain(|_, until| *until > now);
        speaking.permits.insert(fence, now + time);
        Ok(Permit::Granted)
    }

    async fn end_speaking(&self, session: &SessionKey, fence: Fence) -> Result<(), StoreError> {
        if let Some(speaking) = self.0.lock().speaking.get_mut(session) {
            speaking.permits.remove(&fence);
        }
        Ok(())
    }
}
