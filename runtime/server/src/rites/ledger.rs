//! All Rites of a Spirit, and their objects.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use eywa_crds::{
    Rite as RiteObject,
    rite::{Decision, RiteStatus},
};
use eywa_weave::{
    SpiritName, StoreError, Weave,
    ports::rite::{Rite, Standing, Verdict},
    weave::Decided,
};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tracing::{info, warn};

use super::object::{ended_at, id_of, is_of, object, object_name, orphaned, status};
use crate::{
    backoff::Backoff,
    metrics::Metrics,
    vigils::{Change, ObjectsError, Published},
};

/// How often the store is looked at while a Rite waits for something: another pod may have changed it.
const WHILE_OPEN: Duration = Duration::from_secs(2);
/// How often it is looked at otherwise.
const OTHERWISE: Duration = Duration::from_secs(15);
/// Changes that come within this time are looked at together.
const GATHERED: Duration = Duration::from_millis(50);
/// How long an object is kept after the end of its Rite.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How old an object must be before it is said that no Rite belongs to it.
const ORPHANED_AFTER: Duration = Duration::from_secs(60);

/// Where Rite objects are kept.
#[async_trait]
pub trait RiteObjects: Send + Sync {
    /// Makes an object; one of its name may be there already.
    async fn make(&self, object: &RiteObject) -> Result<Made, ObjectsError>;

    /// Writes the status, if the object is still exactly the one given.
    async fn publish(
        &self,
        object: &RiteObject,
        status: &RiteStatus,
    ) -> Result<Published, ObjectsError>;

    /// Takes the object away, if it is still the one given. It may be gone already.
    async fn delete(&self, object: &RiteObject) -> Result<(), ObjectsError>;
}

/// What came of making an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is there.
    There,
    /// There cannot be such an object. The Rite can be decided elsewhere.
    Impossible,
}

/// Keeps all Rites of a Spirit.
pub struct Ledger {
    weave: Weave,
    objects: Arc<dyn RiteObjects>,
    metrics: Metrics,
    known: BTreeMap<String, RiteObject>,
    /// Names of objects that there cannot be.
    impossible: BTreeSet<String>,
    /// Until all objects are told of, it is not known which are missing.
    listed: bool,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

impl Ledger {
    /// A ledger of the Rites of this Weave's conversations.
    pub fn new(weave: Weave, objects: Arc<dyn RiteObjects>, metrics: Metrics) -> Self {
        Self {
            weave,
            objects,
            metrics,
            known: BTreeMap::new(),
            impossible: BTreeSet::new(),
            listed: false,
        }
    }

    /// Keeps the Rites until `objects` ends.
    pub async fn run(mut self, mut objects: mpsc::Receiver<Change<RiteObject>>) {
        let mut changes = self.weave.rite_changes();
        let mut backoff = Backoff::default();
        let mut wait = Duration::ZERO;
        while self.hear(&mut objects, &mut changes, wait).await {
            wait = match self.look_through().await {
                Ok(wait) => {
                    backoff.reset();
                    wait
                }
                Err(failed) => {
                    let wait = backoff.next();
                    warn!(spirit = %self.spirit(), error = %failed, "the Rites could not be looked through; trying again in {wait:?}");
                    wait
                }
            };
        }
    }

    /// Waits for something to be new, or for the time to look again. `false` when the objects have ended.
    async fn hear(
        &mut self,
        objects: &mut mpsc::Receiver<Change<RiteObject>>,
        changes: &mut watch::Receiver<u64>,
        wait: Duration,
    ) -> bool {
        tokio::select! {
            change = objects.recv() => match change {
                Some(change) => self.note(change),
                None => return false,
            },
            changed = changes.changed() => if changed.is_err() { return false },
            () = sleep(wait) => {}
        }
        sleep(GATHERED).await;
        while let Ok(change) = objects.try_recv() {
            self.note(change);
        }
        true
    }

    fn note(&mut self, change: Change<RiteObject>) {
        let named = |object: RiteObject| Some((object.metadata.name.clone()?, object));
        match change {
            Change::Set(object) => self.known.extend(named(*object)),
            Change::Gone(name) => {
                self.known.remove(&name);
            }
            Change::All(all) => {
                self.known = all.into_iter().filter_map(named).collect();
                self.listed = true;
            }
        }
    }

    /// Looks at every Rite and every object once: the store first, the objects second. Says when to look again.
    async fn look_through(&mut self) -> Result<Duration, Failed> {
        let spirit = self.spirit().clone();
        let now = Timestamp::now();
        let rites = self.weave.rites(None).await?;
        self.count(&rites, now);
        let mut left: BTreeSet<String> = self.known.keys().cloned().collect();
        let mut wait = OTHERWISE;
        for rite in rites {
            let name = object_name(&spirit, &rite.asked.id);
            left.remove(&name);
            if rite.settled_at.is_none() {
                wait = WHILE_OPEN;
            }
            match self.known.get(&name) {
                Some(object) => self.attend(object, rite, now).await?,
                None if self.listed && !rite.standing.is_over() => self.make(name, &rite).await?,
                None => {}
            }
        }
        for name in left {
            let Some(object) = self.known.get(&name) else {
                continue;
            };
            let rite = match id_of(&spirit, &name) {
                Some(id) => self.weave.rite(&id).await?,
                None => None,
            };
            match rite {
                Some(rite) => self.attend(object, rite, now).await?,
                None => self.orphan(object, now).await?,
            }
        }
        Ok(wait)
    }

    async fn make(&mut self, name: String, rite: &Rite) -> Result<(), ObjectsError> {
        if self.impossible.contains(&name) {
            return Ok(());
        }
        if self.objects.make(&object(self.spirit(), rite)).await? == Made::Impossible {
            warn!(
                rite = name,
                "there can be no object for a Rite: decide it at the desk"
            );
            self.impossible.insert(name);
        }
        Ok(())
    }

    /// Carries out what the object says, and tells it what has become of its Rite.
    async fn attend(
        &self,
        object: &RiteObject,
        mut rite: Rite,
        now: Timestamp,
    ) -> Result<(), Failed> {
        if rite.standing == Standing::Pending && object.spec.decision != Decision::Undecided {
            rite = self.decide(object, rite, now).await?;
        }
        if ended_at(&rite).is_some_and(|ended| is_past(ended, KEPT, now)) {
            return Ok(self.objects.delete(object).await?);
        }
        self.publish(object, status(&rite)).await
    }

    async fn decide(
        &self,
        object: &RiteObject,
        rite: Rite,
        now: Timestamp,
    ) -> Result<Rite, StoreError> {
        let id = rite.asked.id.clone();
        if !is_of(object, &rite) {
            // It was deleted, and made again by hand.
            warn!(rite = %id, "a decision is on another question than was asked; the Rite is void");
            return Ok(self.weave.void(&id).await?.unwrap_or(rite));
        }
        let verdict = Verdict {
            approved: object.spec.decision == Decision::Approved,
            by: object.spec.by.clone().unwrap_or_default(),
            comment: object.spec.comment.clone().unwrap_or_default(),
            at: now,
        };
        Ok(match self.weave.decide(&id, verdict).await? {
            Decided::Counted(rite) | Decided::Repeated(rite) | Decided::TooLate(rite) => *rite,
            Decided::Unknown => rite,
        })
    }

    /// No Rite belongs to the object: the store has lost it, or somebody made the object by hand.
    async fn orphan(&self, object: &RiteObject, now: Timestamp) -> Result<(), Failed> {
        let created = object
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(now, |created| created.0);
        if is_past(created, KEPT, now) {
            return Ok(self.objects.delete(object).await?);
        }
        if is_past(created, ORPHANED_AFTER, now) {
            return self.publish(object, orphaned(object)).await;
        }
        Ok(())
    }

    /// Writes the status if it is news. Over an object that has changed since it comes with the next look.
    async fn publish(&self, object: &RiteObject, status: RiteStatus) -> Result<(), Failed> {
        if object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let written = self.objects.publish(object, &status).await?;
        if written == Published::Written
            && let (Some(name), Some(phase)) = (&object.metadata.name, status.phase)
        {
            info!(
                rite = name,
                phase = phase.as_str(),
                "a Rite's status was written"
            );
        }
        Ok(())
    }

    fn count(&self, rites: &[Rite], now: Timestamp) {
        let mut counts: HashMap<Standing, i64> = HashMap::new();
        for rite in rites {
            if !ended_at(rite).is_some_and(|ended| is_past(ended, KEPT, now)) {
                *counts.entry(rite.standing).or_default() += 1;
            }
        }
        self.metrics.rites(self.spirit(), &counts);
    }

    fn spirit(&self) -> &SpiritName {
        self.weave.name()
    }
}

fn is_past(at: Timestamp, time: Duration, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(at)).is_ok_and(|since| since > time)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
