//! Rites as `eywa up` shows them: in the terminal, and not as files, since it is the runtime that makes them. People decide
//! at the desk, or with `eywa approve` and `eywa deny`, which go there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use eywa_crds::{
    Rite,
    rite::{RitePhase, RiteStatus},
};
use eywa_runtime::{
    rites::{Made, RiteObjects},
    vigils::{Change, ObjectsError, Published},
};
use tokio::sync::mpsc;

/// The Rites of all Spirits, and who follows them.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    rites: BTreeMap<String, Rite>,
    followers: Vec<(String, mpsc::Sender<Change<Rite>>)>,
}

impl Board {
    /// Follows the Rites of a Spirit, from those that there are.
    pub(super) async fn follow(&self, spirit: &str) -> mpsc::Receiver<Change<Rite>> {
        let (follower, changes) = mpsc::channel(64);
        let rites = {
            let mut state = self.lock();
            state
                .followers
                .retain(|(_, follower)| !follower.is_closed());
            state.followers.push((spirit.to_owned(), follower.clone()));
            let rites = state.rites.values();
            rites
                .filter(|rite| rite.spec.spirit_ref.name == spirit)
                .cloned()
                .collect()
        };
        let _ = follower.send(Change::All(rites)).await;
        changes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps the Rite as it is now, and tells of it.
    fn put(&mut self, rite: Rite) {
        let name = rite.metadata.name.clone().unwrap_or_default();
        self.rites.insert(name, rite.clone());
        self.tell(
            &rite.spec.spirit_ref.name,
            &Change::Set(Box::new(rite.clone())),
        );
    }

    fn tell(&self, spirit: &str, change: &Change<Rite>) {
        for (_, follower) in self.followers.iter().filter(|(of, _)| of == spirit) {
            // One that is behind looks again by itself.
            let _ = follower.try_send(change.clone());
        }
    }
}

#[async_trait]
impl RiteObjects for Board {
    async fn make(&self, object: &Rite) -> Result<Made, ObjectsError> {
        let mut state = self.lock();
        let name = object.metadata.name.clone().unwrap_or_default();
        if !state.rites.contains_key(&name) {
            println!(
                "rite      {name} ({}): {} waits for a yes: eywa approve {name}, or eywa deny {name}",
                object.spec.session, object.spec.action
            );
            state.put(object.clone());
        }
        Ok(Made::There)
    }

    async fn publish(&self, object: &Rite, status: &RiteStatus) -> Result<Published, ObjectsError> {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let mut state = self.lock();
        let Some(mut rite) = state.rites.get(name).cloned() else {
            return Ok(Published::Outdated);
        };
        let before = rite.status.and_then(|before| before.phase);
        if let Some(phase) = status.phase.filter(|phase| Some(*phase) != before)
            && phase != RitePhase::Pending
        {
            println!("rite      {name} ({}): {phase:?}", object.spec.session);
        }
        rite.status = Some(status.clone());
        state.put(rite);
        Ok(Published::Written)
    }

    async fn delete(&self, object: &Rite) -> Result<(), ObjectsError> {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let mut state = self.lock();
        if let Some(rite) = state.rites.remove(name) {
            state.tell(&rite.spec.spirit_ref.name, &Change::Gone(name.to_owned()));
        }
        Ok(())
    }
}
