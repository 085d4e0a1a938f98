//! Vigils that are files: an edit of one is what `kubectl patch` is in a cluster.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use eywa_crds::{Vigil, vigil::VigilStatus};
use eywa_runtime::vigils::{Change, ObjectsError, Published, VigilObjects};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::mpsc;

/// The Vigils of the folder, and who follows them.
#[derive(Clone, Default)]
pub(super) struct Files(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    vigils: BTreeMap<String, Vigil>,
    followers: Vec<(String, mpsc::Sender<Change>)>,
}

impl Files {
    /// The Vigils are these now. What an API server would keep of each is kept: generation, time of creation, status.
    pub(super) async fn set(&self, vigils: &BTreeMap<String, Vigil>) {
        let told: Vec<(mpsc::Sender<Change>, Vec<Vigil>)> = {
            let mut state = self.lock();
            let before = std::mem::take(&mut state.vigils);
            state.vigils = vigils
                .iter()
                .map(|(name, vigil)| (name.clone(), kept(vigil, before.get(name))))
                .collect();
            state
                .followers
                .retain(|(_, follower)| !follower.is_closed());
            state
                .followers
                .iter()
                .map(|(spirit, follower)| (follower.clone(), state.of(spirit)))
                .collect()
        };
        for (follower, vigils) in told {
            let _ = follower.send(Change::All(vigils)).await;
        }
    }

    /// Follows the Vigils of a Spirit, from those that there are.
    pub(super) async fn follow(&self, spirit: &str) -> mpsc::Receiver<Change> {
        let (follower, changes) = mpsc::channel(16);
        let vigils = {
            let mut state = self.lock();
            state.followers.push((spirit.to_owned(), follower.clone()));
            state.of(spirit)
        };
        let _ = follower.send(Change::All(vigils)).await;
        changes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&self, spirit: &str) -> Vec<Vigil> {
        self.vigils
            .values()
            .filter(|vigil| vigil.spec.spirit_ref.name == spirit)
            .cloned()
            .collect()
    }
}

/// The Vigil as an API server would keep it.
fn kept(vigil: &Vigil, before: Option<&Vigil>) -> Vigil {
    if let Some(same) = before.filter(|before| before.spec == vigil.spec) {
        return same.clone();
    }
    let mut vigil = vigil.clone();
    let was = before.map(|before| &before.metadata);
    vigil.metadata.generation = Some(was.and_then(|was| was.generation).unwrap_or(0) + 1);
    vigil.metadata.resource_version = Some(next_version(
        was.and_then(|was| was.resource_version.as_deref()),
    ));
    vigil.metadata.creation_timestamp = was
        .and_then(|was| was.creation_timestamp.clone())
        .or_else(|| Some(Time(jiff::Timestamp::now())));
    vigil.status = before.and_then(|before| before.status.clone());
    vigil
}

fn next_version(version: Option<&str>) -> String {
    let version: u64 = version
        .and_then(|version| version.parse().ok())
        .unwrap_or(0);
    (version + 1).to_string()
}

#[async_trait]
impl VigilObjects for Files {
    async fn current(&self, name: &str) -> Result<Option<Vigil>, ObjectsError> {
        Ok(self.lock().vigils.get(name).cloned())
    }

    async fn publish(
        &self,
        vigil: &Vigil,
        status: &VigilStatus,
    ) -> Result<Published, ObjectsError> {
        let name = vigil.metadata.name.as_deref().unwrap_or_default();
        let mut state = self.lock();
        let State { vigils, followers } = &mut *state;
        let Some(current) = vigils.get_mut(name) else {
            return Ok(Published::Outdated);
        };
        if current.metadata.resource_version != vigil.metadata.resource_version {
            return Ok(Published::Outdated);
        }
        let phase = |status: Option<&VigilStatus>| status.and_then(|status| status.phase);
        if phase(current.status.as_ref()) != status.phase
            && let Some(phase) = status.phase
        {
            println!("vigil     {name} ({}): {phase:?}", vigil.spec.session);
        }
        current.status = Some(status.clone());
        current.metadata.resource_version =
            Some(next_version(current.metadata.resource_version.as_deref()));
        for (_, follower) in followers
            .iter()
            .filter(|(spirit, _)| *spirit == vigil.spec.spirit_ref.name)
        {
            // One that is behind looks again by itself.
            let _ = follower.try_send(Change::Set(Box::new(current.clone())));
        }
        Ok(Published::Written)
    }
}
