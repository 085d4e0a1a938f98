//! A Spirit: an agent's configuration, with its ports filled.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    names::SpiritName,
    ports::{Action, Conduit, Oracle, Scout, oracle::Effort},
    pulse::Pulse,
    weave::breaker::Breaker,
};

/// An agent: who it is, what it asks, what it may do, and how far it may go.
pub struct Spirit {
    /// Its name.
    pub name: SpiritName,
    /// The generation of its object.
    pub generation: i64,
    /// Who it is.
    pub persona: Arc<dyn Persona>,
    /// The Oracle, then the fallbacks in their order. At least one.
    pub oracles: Vec<Asking>,
    /// What it looks up first, in this order.
    pub scouts: Vec<Scouting>,
    /// What it can do.
    pub actions: Vec<Arc<dyn Action>>,
    /// Whose tools it may call.
    pub conduits: Vec<Arc<dyn Conduit>>,
    /// Which calls wait for a human's yes. The first rule that holds for a call counts.
    pub rites: Vec<RiteRule>,
    /// How far it may go.
    pub limits: Limits,
}

/// Calls that are made only once a human has said yes.
pub struct RiteRule {
    /// Whether it is about the Action or tool of this name.
    pub gates: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// How long a human may take to decide.
    pub timeout: Duration,
    /// JSON pointers to the arguments that people are not shown.
    pub redact: Vec<String>,
    /// What the person is told when a call begins to wait; nothing, when absent.
    pub notice: Option<String>,
}

impl Spirit {
    /// The rule by which calls of this name wait for a human's yes.
    #[must_use]
    pub fn rite_for(&self, action: &str) -> Option<&RiteRule> {
        self.rites.iter().find(|rule| (rule.gates)(action))
    }
}

/// An Oracle, and how this Spirit asks it.
pub struct Asking {
    /// The Oracle.
    pub oracle: Arc<dyn Oracle>,
    /// Sampling temperature; the provider's default when absent.
    pub temperature: Option<f64>,
    /// The most tokens of a reply; the provider's default when absent.
    pub max_tokens: Option<u32>,
    /// How hard it is to think; the provider's default when absent.
    pub effort: Option<Effort>,
    /// The longest that one question may take.
    pub timeout: Duration,
    /// Keeps it from costing every Pulse that time when it is dead.
    pub breaker: Breaker,
}

/// A Scout, and when and how long it may look.
pub struct Scouting {
    /// The Scout.
    pub scout: Arc<dyn Scout>,
    /// The longest that it may look.
    pub timeout: Duration,
    /// When it looks; always, when absent.
    pub when: Option<Arc<dyn Condition>>,
}

/// How far a Spirit may go with one Pulse, and with one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most times that the Oracle is asked for one Pulse.
    pub rounds: u32,
    /// The longest that one Pulse may take, from its Bond to its reply.
    pub pulse_timeout: Duration,
    /// The longest that one Action may take.
    pub action_timeout: Duration,
    /// The most Echoes that the Oracle is shown.
    pub history: usize,
    /// The most tokens of one session in a day; no limit when absent.
    pub tokens_per_day: Option<u64>,
    /// The most Pulses of one session in a minute; no limit when absent.
    pub pulses_per_minute: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rounds: 8,
            pulse_timeout: Duration::from_secs(120),
            action_timeout: Duration::from_secs(30),
            history: 40,
            tokens_per_day: None,
            pulses_per_minute: None,
        }
    }
}

/// How the sessions of one Weave are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BondSettings {
    /// How long a Bond outlives a pod that died. Extended every third of it.
    pub ttl: Duration,
    /// What happens to a Pulse whose session is busy.
    pub when_busy: WhenBusy,
}

impl Default for BondSettings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            when_busy: WhenBusy::Discard,
        }
    }
}

/// How the Spirit and people call one another.
#[derive(Clone, Default)]
pub struct Calling {
    /// The Spirit asks for a human when no Oracle answers, and when a session has spent its tokens.
    pub summon: bool,
    /// It asks for a human when this holds of a Pulse.
    pub summon_when: Option<Arc<dyn Condition>>,
    /// A person who writes one of these and nothing else, in upper or lower case, has the Spirit back from a human. In
    /// lower case here.
    pub release_phrases: Vec<String>,
}

/// What happens to a Pulse whose session is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenBusy {
    /// It is not answered.
    Discard,
    /// It waits its turn, in order.
    Queue,
    /// It joins the next turn.
    Merge {
        /// A turn waits until the person has been quiet for this long.
        quiet: Duration,
        /// But no longer than this.
        cap: Duration,
    },
}

/// What is known when a persona is rendered or a condition is asked.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The Pulse.
    pub pulse: &'a Pulse,
    /// The Spirit that answers.
    pub spirit: &'a SpiritName,
    /// Now.
    pub now: Timestamp,
}

/// A template or an expression could not be used on this Pulse.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotApplicable(pub String);

/// Who a Spirit is: a text with places for what is known.
pub trait Persona: Send + Sync {
    /// The text for this Pulse.
    ///
    /// # Errors
    /// When the text names something that is not known.
    fn render(&self, facts: Facts<'_>) -> Result<String, NotApplicable>;
}

/// Whether something holds of a Pulse.
pub trait Condition: Send + Sync {
    /// Asks.
    ///
    /// # Errors
    /// When the expression cannot be evaluated on this Pulse.
    fn holds(&self, facts: Facts<'_>) -> Result<bool, NotApplicable>;
}
