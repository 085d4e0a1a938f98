//! The Spirits that this process serves.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use eywa_weave::{SpiritName, ports::inbox::Depth};
use futures::future::join_all;

use crate::serving::Serving;

/// The Spirits that this process serves, by name. Clones are the same roster; it may be changed while it is used.
#[derive(Clone, Default)]
pub struct Roster(Arc<RwLock<BTreeMap<SpiritName, Arc<Serving>>>>);

impl Roster {
    /// Serves a Spirit, in the place of one of its name if there is one, which is given back and to be retired.
    pub fn enlist(&self, serving: Arc<Serving>) -> Option<Arc<Serving>> {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(serving.name().clone(), serving)
    }

    /// Serves the Spirit no more; it is given back and to be retired.
    pub fn dismiss(&self, spirit: &SpiritName) -> Option<Arc<Serving>> {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(spirit)
    }

    /// The Spirit of this name.
    pub fn get(&self, spirit: &str) -> Option<Arc<Serving>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(spirit)
            .cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Serving>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// How full each Inbox is; `None` where it does not answer.
    pub async fn depths(&self) -> Vec<(SpiritName, Option<Depth>)> {
        join_all(
            self.all()
                .into_iter()
                .map(|serving| async move { (serving.name().clone(), serving.depth().await) }),
        )
        .await
    }

    /// Takes no new Pulses and waits for those in work, `grace` at most. What is left stays in the Inboxes.
    pub async fn retire(&self, grace: Duration) {
        join_all(self.all().iter().map(|serving| serving.retire(grace))).await;
    }
}
