//! Vigils that are files: an edit of one is what `kubectl patch` is in a cluster.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use eywa_crds::{
    Vigil,
    vigil::{KEPT_BY, KEPT_BY_RUNTIME, VigilStatus},
};
use eywa_runtime::vigils::{Announcement, Change, ObjectsError, Published, VigilObjects};
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
            // Those that no file is of stay, unless a file takes their place.
            for (name, made) in before.into_iter().filter(|(_, vigil)| is_made(vigil)) {
                state.vigils.entry(name).or_insert(made);
            }
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

/// Whether no file is of it: the runtime made it, for a conversation that was taken over on the desk or that the agent
/// wants taken.
fn is_made(vigil: &Vigil) -> bool {
    let labels = vigil.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.get(KEPT_BY).is_some_and(|by| by == KEPT_BY_RUNTIME))
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

fn tell(followers: &[(String, mpsc::Sender<Change>)], spirit: &str, change: &Change) {
    for (_, follower) in followers.iter().filter(|(of, _)| of == spirit) {
        // One that is behind looks again by itself.
        let _ = follower.try_send(change.clone());
    }
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
        let change = Change::Set(Box::new(current.clone()));
        tell(followers, &vigil.spec.spirit_ref.name, &change);
        Ok(Published::Written)
    }

    async fn make(&self, vigil: &Vigil) -> Result<(), ObjectsError> {
        let name = vigil.metadata.name.clone().unwrap_or_default();
        let mut state = self.lock();
        if state.vigils.contains_key(&name) {
            return Ok(());
        }
        let made = kept(vigil, None);
        state.vigils.insert(name, made.clone());
        let change = Change::Set(Box::new(made));
        tell(&state.followers, &vigil.spec.spirit_ref.name, &change);
        Ok(())
    }

    async fn rewrite(&self, vigil: &Vigil) -> Result<Published, ObjectsError> {
        let mut state = self.lock();
        let State { vigils, followers } = &mut *state;
        let Some(current) = vigils.get_mut(vigil.metadata.name.as_deref().unwrap_or_default())
        else {
            return Ok(Published::Outdated);
        };
        if current.metadata.resource_version != vigil.metadata.resource_version {
            return Ok(Published::Outdated);
        }
        *current = kept(vigil, Some(current));
        let change = Change::Set(Box::new(current.clone()));
        tell(followers, &vigil.spec.spirit_ref.name, &change);
        Ok(Published::Written)
    }

    async fn delete(&self, vigil: &Vigil) -> Result<Published, ObjectsError> {
        let name = vigil.metadata.name.clone().unwrap_or_default();
        let mut state = self.lock();
        let current = state.vigils.get(&name);
        if current.is_none_or(|current| {
            current.metadata.resource_version != vigil.metadata.resource_version
        }) {
            return Ok(Published::Outdated);
        }
        state.vigils.remove(&name);
        let change = Change::Gone(name);
        tell(&state.followers, &vigil.spec.spirit_ref.name, &change);
        Ok(Published::Written)
    }

    /// On the terminal, in whose log everything else is.
    async fn announce(&self, vigil: &Vigil, news: Announcement) {
        println!("vigil     {}: {}", vigil.spec.session, news.note);
    }
}
