//! From a configuration to a Spirit that is served: every port is filled here, and nowhere else.

mod calling;
mod error;
mod google;
mod imprint;
pub mod lore;
mod oracles;
mod pathfinder;
mod spirits;
mod stores;
mod tools;
mod voices;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use eywa_crds::{
    runtime_config::RuntimeConfig,
    spirit::{BondSettings as BondSpec, WhenBusy as BusySpec},
};
use eywa_guard::GuardedClient;
use eywa_weave::{
    SpiritName, VoiceName, WeaveBuilder,
    ports::Voice,
    spirit::{BondSettings, WhenBusy},
};
use tokio_util::sync::CancellationToken;

pub use error::WireError;
pub use stores::Stores;

use crate::{
    credentials::{Credentials, Watched},
    metrics::Metrics,
    rites::{Ledger, RiteObjects},
    secrets::Secrets,
    serving::Serving,
    vigils::{Keeper, Noted, Notes, Rota, VigilObjects},
};

/// What all Spirits of a process share.
#[derive(Clone)]
pub struct Shared {
    /// Makes every request to an address that is from outside.
    pub client: GuardedClient,
    /// Counts.
    pub metrics: Metrics,
    /// Gives the Lore that is kept in this process, where it may be.
    pub lore: Option<lore::EmbeddedLore>,
}

impl Shared {
    /// For the Spirits of one process, whose requests go where `network` lets them.
    pub fn new(network: eywa_guard::Policy, metrics: Metrics) -> Self {
        Self {
            client: GuardedClient::new(Arc::new(network)),
            metrics,
            lore: None,
        }
    }

    /// With Lore that is kept in this process.
    #[must_use]
    pub fn with_lore(mut self, lore: lore::EmbeddedLore) -> Self {
        self.lore = Some(lore);
        self
    }
}

/// A Spirit that is wired and not yet running.
pub struct Wired {
    /// Whether the channels accept the Spirit's credentials.
    pub credentials: Credentials,
    /// The Spirit. To be enlisted in a [`Roster`](crate::roster::Roster), and to [`tend`](Serving::tend).
    pub serving: Arc<Serving>,
    keeper: Keeper,
    notes: Notes,
    metrics: Metrics,
}

impl Wired {
    /// What keeps the Spirit's Rites, which are shown in `objects`. To be run by [`Serving::keep_rites`].
    pub fn ledger(&self, objects: Arc<dyn RiteObjects>) -> Ledger {
        Ledger::new(self.serving.weave.clone(), objects, self.metrics.clone())
    }

    /// What keeps the Spirit's Vigils, which are kept in `objects`. To be run by [`Serving::keep_vigils`].
    pub fn rota(self, objects: Arc<dyn VigilObjects>) -> Rota {
        Rota::new(
            self.serving.name().clone(),
            self.keeper,
            objects,
            self.notes,
            self.metrics,
        )
    }
}

/// Fills every port of the configuration's Spirits. Opens no connection, and is quick.
///
/// # Errors
/// [`WireError`], which names the Spirit and the field, Secret or cargo feature that is missing.
pub fn wire(
    config: &RuntimeConfig,
    secrets: &dyn Secrets,
    stores: Stores,
    shared: &Shared,
) -> Result<Wired, WireError> {
    let front = config
        .front()
        .ok_or_else(|| WireError::no_front(&config.front))?;
    let name = SpiritName::from(front.name.as_str());
    let stores = google::attachments(config, secrets, stores, shared)?;
    #[cfg(feature = "inbox-tasks")]
    let (stores, pushes) = google::tasks(config, front, secrets, stores, shared)?;
    #[cfg(not(feature = "inbox-tasks"))]
    google::no_tasks(config)?;
    let voices = voices::wire(front, secrets, &stores.contacts, shared)?;
    let named: Vec<VoiceName> = voices.all.iter().map(|(name, _)| name.clone()).collect();
    let notes = Notes::default();
    let credentials = Credentials::default();
    let vigil = Arc::new(Noted::new(Arc::clone(&stores.vigil), notes.clone()));
    #[cfg(feature = "desk")]
    let shown = Stores {
        vigil: Arc::clone(&vigil) as _,
        ..stores.clone()
    };
    let (remembering, mut scouting) =
        imprint::wire(front, secrets, &stores.imprint, shared)?.unzip();
    let mut weave = WeaveBuilder::new(name.clone())
        .bond(stores.bond)
        .inbox(Arc::clone(&stores.inbox))
        .echoes(Arc::clone(&stores.echoes))
        .chronicle(stores.chronicle)
        .memory(stores.memory)
        .rites(stores.rites)
        .vigil(Arc::clone(&vigil) as _)
        .attachments(stores.attachments)
        .contacts(stores.contacts)
        .imprint(stores.imprint)
        .bond_settings(bond(&front.bond))
        .calling(calling::wire(front)?)
        .observer(Arc::new(Watched::new(
            shared.metrics.observer(&name, &named),
            credentials.clone(),
        )));
    if let Some(herald) = calling::herald(front, secrets, shared)? {
        weave = weave.herald(herald);
    }
    for (name, voice) in &voices.all {
        weave = weave.voice(name.clone(), Arc::clone(voice));
    }
    let mut conduits = tools::Conduits::default();
    for spirit in config.spirits.values() {
        let mut wired = spirits::wire(spirit, secrets, &mut conduits, shared)?;
        wired
            .actions
            .extend(calling::actions(config, front, spirit)?);
        if wired.name == name {
            wired.scouts.splice(0..0, scouting.take());
        }
        weave = weave.spirit(wired);
    }
    if let Some(remembering) = remembering {
        shared.metrics.remembers(&name);
        weave = weave.remembering(remembering);
    } else if let Some(off) = &front.imprint {
        weave = weave.facts_kept_for(off.max_age.as_std());
    }
    if let Some(pathfinder) = pathfinder::wire(config, front, secrets, shared)? {
        weave = weave.pathfinder(Arc::new(pathfinder));
    }
    let all: BTreeMap<VoiceName, Arc<dyn Voice>> = voices.all.into_iter().collect();
    let serving = Serving {
        weave: weave.build()?,
        voices: all,
        #[cfg(feature = "voice-http")]
        http_voices: voices.http,
        #[cfg(feature = "voice-http")]
        pulse_timeout: front.limits.pulse_timeout.as_std(),
        inbox: stores.inbox,
        #[cfg(feature = "inbox-tasks")]
        pushes,
        #[cfg(feature = "desk")]
        stores: shown,
        known_depth: tokio::sync::Mutex::default(),
        stop: CancellationToken::new(),
    };
    let release_after: Duration = front.vigil.release_after.as_std();
    let keeper = Keeper::new(serving.weave.handover(), stores.echoes, release_after);
    Ok(Wired {
        credentials,
        serving: Arc::new(serving),
        keeper,
        notes,
        metrics: shared.metrics.clone(),
    })
}

fn bond(spec: &BondSpec) -> BondSettings {
    let when_busy = match spec.when_busy {
        BusySpec::Discard => WhenBusy::Discard,
        BusySpec::Queue => WhenBusy::Queue,
        BusySpec::Merge => {
            let merge = spec.merge.clone().unwrap_or_default();
            WhenBusy::Merge {
                quiet: merge.quiet.as_std(),
                cap: merge.cap.as_std(),
            }
        }
    };
    BondSettings {
        ttl: spec.ttl.as_std(),
        when_busy,
    }
}

#[cfg(test)]
mod tests;
