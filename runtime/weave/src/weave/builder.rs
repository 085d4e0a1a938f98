//! Building a Weave: everything is given to it, and what is missing is named.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Inner, Weave, flight::Flight};
use crate::{
    handover::Handover,
    imprint::Remembering,
    names::{SpiritName, VoiceName},
    observe::{Observer, Unobserved},
    ports::{
        Attachments, Bond, Chronicle, Contacts, Echoes, Herald, Imprint, Inbox, Memory, Pathfinder,
        Rites, Vigil, Voice, imprint::Keeping,
    },
    spirit::{BondSettings, Calling, Spirit},
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
    heralds: Vec<Arc<dyn Herald>>,
    calling: Calling,
    rites: Option<Arc<dyn Rites>>,
    attachments: Option<Arc<dyn Attachments>>,
    contacts: Option<Arc<dyn Contacts>>,
    imprint: Option<Arc<dyn Imprint>>,
    remembering: Option<Remembering>,
    facts_kept_for: Duration,
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
            heralds: Vec::new(),
            calling: Calling::default(),
            rites: None,
            attachments: None,
            contacts: None,
            imprint: None,
            remembering: None,
            facts_kept_for: Keeping::default().max_age,
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
        /// Keeps the files that came with messages. Without it they are fetched each time.
        attachments: Attachments,
        /// Knows people by all of their ids, and how far messages to them have come. Without it a person with a new id is
        /// a new person.
        contacts: Contacts,
        /// Keeps what is known of people. Without it there is nothing to list or to forget.
        imprint: Imprint,
        /// Parks calls until a human decides. Needed where a Spirit has calls that wait for a human's yes.
        rites: Rites,
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

    /// Tells people outside what happens with the conversations that are, or are to be, theirs. Beside those that were
    /// given before.
    #[must_use]
    pub fn herald(mut self, herald: Arc<dyn Herald>) -> Self {
        self.heralds.push(herald);
        self
    }

    /// How facts about people are drawn from conversations. They are not, by default; and nowhere without an Imprint.
    #[must_use]
    pub fn remembering(mut self, remembering: Remembering) -> Self {
        self.facts_kept_for = remembering.keeping.max_age;
        self.remembering = Some(remembering);
        self
    }

    /// How long a fact about a person is kept that was learnt before, where none are drawn any more; a year, by default.
    /// Where they are drawn, [`Remembering::keeping`] says it.
    #[must_use]
    pub fn facts_kept_for(mut self, max_age: Duration) -> Self {
        self.facts_kept_for = max_age;
        self
    }

    /// How the Spirit and people call one another. They do not, by default.
    #[must_use]
    pub fn calling(mut self, calling: Calling) -> Self {
        self.calling = calling;
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
        if self.rites.is_none() && self.spirits.values().any(|spirit| !spirit.rites.is_empty()) {
            return Err(missing("Rites", "rites"));
        }
        if self.voices.is_empty() {
            return Err(missing("Voice", "voice"));
        }
        let bond = self.bond.ok_or_else(|| missing("Bond", "bond"))?;
        let vigil = self.vigil.ok_or_else(|| missing("Vigil", "vigil"))?;
        let echoes = self.echoes.ok_or_else(|| missing("Echo store", "echoes"))?;
        let chronicle = self
            .chronicle
            .ok_or_else(|| missing("Chronicle", "chronicle"))?;
        let handover = Handover::new(
            self.name.clone(),
            Arc::clone(&vigil),
            Arc::clone(&echoes),
            Arc::clone(&chronicle),
            self.heralds,
        );
        Ok(Weave(Arc::new(Inner {
            bond,
            inbox: self.inbox.ok_or_else(|| missing("Inbox", "inbox"))?,
            echoes,
            chronicle,
            memory: self.memory.ok_or_else(|| missing("Memory", "memory"))?,
            vigil,
            handover,
            calling: self.calling,
            flight: Flight::new(self.most_in_flight),
            rites: self.rites,
            rite_changes: watch::Sender::new(0),
            attachments: self.attachments,
            contacts: self.contacts,
            imprint: self.imprint,
            remembering: self.remembering,
            facts_kept_for: self.facts_kept_for,
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
