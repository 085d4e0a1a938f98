//! A Vigil in a file.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
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
use redb::{ReadableTable, TableDefinition};

use crate::redb::{Failed, Newest, Redb, Txn, decode, encode, now, touch};

/// What is known of a target, as JSON.
const WATCHES: TableDefinition<'static, (&str, &str), &[u8]> = TableDefinition::new("vigils");

/// The targets that a human has or is asked to take.
const OPEN: TableDefinition<'static, (&str, &str), ()> = TableDefinition::new("vigils_open");

/// The Pulses that are counted as unanswered.
const NOTED: TableDefinition<'static, (&str, &str, &str), ()> = TableDefinition::new("vigil_noted");

/// How many ids are remembered of one takeover; from there on a Pulse that comes again is counted again.
const MOST_NOTED: u64 = 10_000;

/// A Vigil in a file. Who speaks is known beside it: nobody does any more when the process has ended.
#[derive(Clone, Debug)]
pub struct RedbVigil(Redb);

/// Who speaks in a session.
#[derive(Debug, Default)]
pub(crate) struct Speaking {
    /// The newest Bond that has asked.
    newest: Newest,
    /// Until when each may. More than one while a permit of a lost Bond still runs.
    permits: HashMap<Fence, Instant>,
}

impl Speaking {
    fn anybody(&self) -> bool {
        let now = Instant::now();
        self.permits.values().any(|until| *until > now)
    }
}

impl RedbVigil {
    /// The Vigil of this Spirit.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }

    /// Changes what is known of a target, and says what that is then. `change` says whether it changed anything.
    async fn change(
        &self,
        target: &Target,
        change: impl FnOnce(&mut Watch, &Noted<'_, '_>) -> Result<bool, Failed> + Send + 'static,
    ) -> Result<Watch, StoreError> {
        let (spirit, target) = (self.0.spirit(), target.to_string());
        self.0
            .write(move |txn| {
                let mut watch = known(&txn.table(WATCHES)?, &spirit, &target)?;
                if change(
                    &mut watch,
                    &Noted {
                        txn,
                        spirit: &spirit,
                        target: &target,
                    },
                )? {
                    keep(txn, &spirit, &target, &watch)?;
                } else {
                    txn.unchanged();
                }
                Ok(watch)
            })
            .await
    }
}

/// The Pulses that are counted for a target.
struct Noted<'a, 'txn> {
    txn: &'a Txn<'txn>,
    spirit: &'a str,
    target: &'a str,
}

impl Noted<'_, '_> {
    fn clear(&self) -> Result<(), Failed> {
        let mut noted = self.txn.table(NOTED)?;
        let mut ids = Vec::new();
        for entry in noted.range((self.spirit, self.target, "")..)? {
            let (key, _) = entry?;
            let (spirit, target, id) = key.value();
            if (spirit, target) != (self.spirit, self.target) {
                break;
            }
            ids.push(id.to_owned());
        }
        for id in ids {
            noted.remove((self.spirit, self.target, id.as_str()))?;
        }
        Ok(())
    }

    /// Whether it was not counted before.
    fn is_new(&self, pulse: &PulseId, so_far: u64) -> Result<bool, Failed> {
        let mut noted = self.txn.table(NOTED)?;
        let key = (self.spirit, self.target, pulse.as_str());
        if noted.get(key)?.is_some() {
            return Ok(false);
        }
        if so_far < MOST_NOTED {
            noted.insert(key, ())?;
        }
        Ok(true)
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(WATCHES)?;
    txn.table(NOTED)?;
    txn.table(OPEN)?;
    Ok(())
}

/// Forgets what is known of a session, unless a human has it.
pub(crate) fn forget(txn: &Txn<'_>, spirit: &str, session: &str) -> Result<(), Failed> {
    let mut watches = txn.table(WATCHES)?;
    if !known(&watches, spirit, session)?.phase.is_human() {
        watches.remove((spirit, session))?;
        txn.table(OPEN)?.remove((spirit, session))?;
    }
    Ok(())
}

fn known(
    watches: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    spirit: &str,
    target: &str,
) -> Result<Watch, Failed> {
    match watches.get((spirit, target))? {
        Some(json) => decode(|| format!("vigil {target}"), json.value()),
        None => Ok(Watch::default()),
    }
}

fn keep(txn: &Txn<'_>, spirit: &str, target: &str, watch: &Watch) -> Result<(), Failed> {
    txn.table(WATCHES)?
        .insert((spirit, target), encode(watch)?.as_slice())?;
    if watch.phase.is_open() {
        txn.table(OPEN)?.insert((spirit, target), ())?;
    } else {
        txn.table(OPEN)?.remove((spirit, target))?;
    }
    touch(txn, spirit, target, now())
}

fn holds_for(
    watches: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    spirit: &str,
    session: &SessionKey,
) -> Result<Watch, Failed> {
    let everyone = known(watches, spirit, &Target::Everyone.to_string())?;
    if everyone.phase.is_human() {
        Ok(everyone)
    } else {
        known(watches, spirit, &session.to_string())
    }
}

/// A time as the contract keeps it: to the millisecond.
fn to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

#[async_trait]
impl Vigil for RedbVigil {
    async fn watch(&self, session: &SessionKey) -> Result<Watch, StoreError> {
        let (spirit, session) = (self.0.spirit(), session.clone());
        self.0
            .read(move |txn| holds_for(&txn.open_table(WATCHES)?, &spirit, &session))
            .await
    }

    async fn state(&self, target: &Target) -> Result<Watch, StoreError> {
        let (spirit, target) = (self.0.spirit(), target.to_string());
        self.0
            .read(move |txn| known(&txn.open_table(WATCHES)?, &spirit, &target))
            .await
    }

    async fn open(&self, most: usize) -> Result<Vec<(Target, Watch)>, StoreError> {
        let spirit = self.0.spirit();
        self.0
            .read(move |txn| {
                let (open, watches) = (txn.open_table(OPEN)?, txn.open_table(WATCHES)?);
                let mut found = Vec::new();
                for entry in open.range((&*spirit, "")..)? {
                    let (key, ()) = (entry?.0, ());
                    let (of, target) = key.value();
                    if of != &*spirit || found.len() == most {
                        break;
                    }
                    let watch = known(&watches, &spirit, target)?;
                    if let (true, Ok(target)) = (watch.phase.is_open(), target.parse()) {
                        found.push((target, watch));
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn request(
        &self,
        target: &Target,
        reason: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let reason = reason.to_owned();
        self.change(target, move |watch, _| {
            let asks = matches!(watch.phase, Phase::Watching | Phase::Released);
            if asks {
                watch.phase = Phase::Requested;
                watch.requested_at = Some(to_millis(at));
                watch.request_reason = reason;
            }
            Ok(asks)
        })
        .await
    }

    async fn take_over(
        &self,
        target: &Target,
        by: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let by = by.to_owned();
        self.change(target, move |watch, noted| {
            if watch.phase.is_human() {
                let named = watch.by.is_empty() && !by.is_empty();
                if named {
                    watch.by = by;
                }
                return Ok(named);
            }
            noted.clear()?;
            *watch = Watch {
                phase: Phase::TakingOver,
                by,
                since: Some(to_millis(at)),
                requested_at: watch.requested_at,
                request_reason: std::mem::take(&mut watch.request_reason),
                ..Watch::default()
            };
            Ok(true)
        })
        .await
    }

    async fn settle(&self, target: &Target, _at: Timestamp) -> Result<Watch, StoreError> {
        let (spirit, beside, of) = (self.0.spirit(), self.0.beside(), target.clone());
        self.change(target, move |watch, _| {
            let anybody_speaks = match &of {
                Target::Session(session) => beside
                    .speaking
                    .with(&spirit, session, |speaking| speaking.anybody()),
                Target::Everyone => beside.speaking.any(&spirit, Speaking::anybody),
            };
            let settles = watch.phase == Phase::TakingOver && !anybody_speaks;
            if settles {
                watch.phase = Phase::Active;
            }
            Ok(settles)
        })
        .await
    }

    async fn release(
        &self,
        target: &Target,
        by: &str,
        reason: ReleaseReason,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let by = by.to_owned();
        self.change(target, move |watch, noted| {
            let releases = watch.phase.is_human();
            if releases {
                noted.clear()?;
                watch.phase = Phase::Released;
                watch.unanswered = 0;
                watch.released_at = Some(to_millis(at));
                watch.released_by = by;
                watch.release_reason = Some(reason);
            }
            Ok(releases)
        })
        .await
    }

    async fn answered(&self, session: &SessionKey) -> Result<(), StoreError> {
        self.change(&Target::Session(session.clone()), |watch, _| {
            let counts = watch.phase.is_human() && watch.unanswered > 0;
            if counts {
                watch.unanswered = 0;
            }
            Ok(counts)
        })
        .await
        .map(drop)
    }

    async fn note(
        &self,
        session: &SessionKey,
        pulse: &PulseId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        for target in [Target::Session(session.clone()), Target::Everyone] {
            let pulse = pulse.clone();
            self.change(&target, move |watch, noted| {
                let counts = watch.phase.is_human() && noted.is_new(&pulse, watch.unanswered)?;
                if counts {
                    watch.unanswered += 1;
                    watch.last_pulse_at = Some(to_millis(at));
                }
                Ok(counts)
            })
            .await?;
        }
        Ok(())
    }

    async fn begin_speaking(
        &self,
        session: &SessionKey,
        fence: Fence,
        time: Duration,
    ) -> Result<Permit, StoreError> {
        let (spirit, beside, session) = (self.0.spirit(), self.0.beside(), session.clone());
        // Where takeovers are written, so that it is before or after each of them.
        self.0
            .write(move |txn| {
                txn.unchanged();
                let holds = holds_for(&txn.table(WATCHES)?, &spirit, &session)?;
                beside.speaking.with(&spirit, &session, |speaking| {
                    speaking.newest.pass(fence)?;
                    if holds.phase.is_human() {
                        return Ok(Permit::Human(holds));
                    }
                    let now = Instant::now();
                    speaking.permits.retain(|_, until| *until > now);
                    speaking.permits.insert(fence, now + time);
                    Ok(Permit::Granted)
                })
            })
            .await
    }

    async fn end_speaking(&self, session: &SessionKey, fence: Fence) -> Result<(), StoreError> {
        let permits = |speaking: &mut Speaking| speaking.permits.remove(&fence);
        self.0
            .beside()
            .speaking
            .with(&self.0.spirit(), session, permits);
        Ok(())
    }
}
