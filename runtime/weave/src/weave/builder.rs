//! Building a Weave: everything is given to it, and what is missing is named.

use std::{collections::BTreeMap, sync::Arc};

use super::{Inner, Weave, flight::Flight};
use crate::{
    names::{SpiritName, VoiceName},
    observe::{Observer, Unobserved},
    ports::{Bond, Chronicle, Echoes, Inbox, Memory, Pathfinder, Vigil, Voice},
    spirit::{BondSettings, Spirit},
};

/// The most Pulses that one Weave works on at a time; more are turned away, and their channels deliver them again.
const MOST_IN_FLIGHT: usize = 2048;

/// A Weave cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A port was not given.
    #[error("the Weave of {spirit} has no {port}: give it one with WeaveBuilder::{method}")]
    Missing {
        /// The Spirit.
        spirit: SpiritName,
        /// The port, by its name in the vocabulary.
        port: &'static str,
        /// The builder's method that gives it.
        method: &'static str,
    },
    /// The Spirit that the Weave is named after is not among its Spirits.
    #[error("the Weave is of {0}, and no Spirit of that name was given")]
    NoSuchSpirit(SpiritName),
    /// A Spirit has nobody to ask.
    #[error("the Spirit {0} has no Oracle")]
    NoOracle(SpiritName),
}

/// Builds a [`Weave`]. Ports are shared: one adapter may serve several Weaves if it keeps their Spirits apart.
pub struct WeaveBuilder {
    name: SpiritName,
    bond: Option<Arc<dyn Bond>>,
    inbox: Option<Arc<dyn Inbox>>,
    echoes: Option<Arc<dyn Echoes>>,
    chronicle: Option<Arc<dyn Chronicle>>,
    memory: Option<Arc<dyn Memory>>,
    vigil: Option<Arc<dyn Vigil>>,
    voices: BTreeMap<VoiceName, Arc<dyn Voice>>,
    spirits: BTreeMap<SpiritName, Arc<Spirit>>,
    pathfinder: Option<Arc<dyn Pathfinder>>,
    observer: Arc<dyn Observer>,
    bond_settings: BondSettings,
    most_in_flight: usize,
}

macro_rules! port {
    ($($(#[$doc:meta])* $method:ident: $port:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $method(mut self, $method: Arc<dyn $port>) -> Self {
                self.$method = Some($method);
                self
            }
        )*
    };
}

impl WeaveBuilder {
    /// A Weave for the webhooks of this Spirit.
    pub fn new(spirit: impl Into<SpiritName>) -> Self {
        Self {
            name: spirit.into(),
            bond: None,
            inbox: None,
            echoes: None,
            chronicle: None,
            memory: None,
            vigil: None,
            voices: BTreeMap::new(),
            spirits: BTreeMap::new(),
            pathfinder: None,
            observer: Arc::new(Unobserved),
            bond_settings: BondSettings::default(),
            most_in_flight: MOST_IN_FLIGHT,
        }
    }

    port! {
        /// Locks sessions. Needed.
        bond: Bond,
        /// Keeps accepted Pulses. Needed.
        inbox: Inbox,
        /// Keeps conversations. Needed.
        echoes: Echoes,
        /// Keeps what was done. Needed.
        chronicle: Chronicle,
        /// Keeps what a session remembers. Needed.
        memory: Memory,
        /// Knows who has each conversation. Needed.
        vigil: Vigil,
        /// Picks the Spirit that answers. Without one it is always the Weave's own.
        pathfinder: Pathfinder,
    }

    /// A voice of the Spirit. At least one is needed.
    #[must_use]
    pub fn voice(mut self, name: impl Into<VoiceName>, voice: Arc<dyn Voice>) -> Self {
        self.voices.insert(name.into(), voice);
        self
    }

    /// A Spirit: the Weave's own, or one that its Pathfinder may choose.
    #[must_use]
    pub fn spirit(mut self, spirit: Spirit) -> Self {
        self.spirits.insert(spirit.name.clone(), Arc::new(spirit));
        self
    }

    /// Hears what the Weave does. Nobody, by default.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// How sessions are locked. [`BondSettings::default`] otherwise.
    #[must_use]
    pub fn bond_settings(mut self, settings: BondSettings) -> Self {
        self.bond_settings = settings;
        self
    }

    /// The most Pulses in work at a time; 2048 otherwise.
    #[must_use]
    pub fn most_in_flight(mut self, most: usize) -> Self {
        self.most_in_flight = most;
        self
    }

    /// The Weave.
    ///
    /// # Errors
    /// [`BuildError`], which names what is missing.
    pub fn build(self) -> Result<Weave, BuildError> {
        let missing = |port, method| BuildError::Missing {
            spirit: self.name.clone(),
            port,
            method,
        };
        let Some(front) = self.spirits.get(&self.name).cloned() else {
            return Err(BuildError::NoSuchSpirit(self.name));
        };
        if let Some(mute) = self
            .spirits
            .values()
            .find(|spirit| spirit.oracles.is_empty())
        {
            return Err(BuildError::NoOracle(mute.name.clone()));
        }
        if self.voices.is_empty() {
            return Err(missing("Voice", "voice"));
        }
        Ok(Weave(Arc::new(Inner {
            bond: self.bond.ok_or_else(|| missing("Bond", "bond"))?,
            inbox: self.inbox.ok_or_else(|| missing("Inbox", "inbox"))?,
            echoes: self.echoes.ok_or_else(|| missing("Echo store", "echoes"))?,
            chronicle: self
                .chronicle
                .ok_or_else(|| missing("Chronicle", "chronicle"))?,
            memory: self.memory.ok_or_else(|| missing("Memory", "memory"))?,
            vigil: self.vigil.ok_or_else(|| missing("Vigil", "vigil"))?,
            flight: Flight::new(self.most_in_flight),
            name: self.name,
            front,
            voices: self.voices,
            spirits: self.spirits,
            pathfinder: self.pathfinder,
            observer: self.observer,
            settings: self.bond_settings,
        })))
    }
}
