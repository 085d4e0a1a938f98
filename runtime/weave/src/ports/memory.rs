//! Memory: a session's in-flight working state, with a TTL.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::StoreError,
    names::{PulseId, SessionKey, SpiritName},
    ports::bond::Fence,
    pulse::{Pulse, User},
};

/// What a session remembers between Pulses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recollection {
    /// The Spirit that the session is with, when the Pathfinder's choice sticks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spirit: Option<SpiritName>,
    /// Whatever Actions and Scouts keep there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
}

/// The person's last words, but for the words: how to speak to them when no Pulse is at hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// The Pulse.
    pub pulse: PulseId,
    /// When it came. Some channels let nobody write to a person a day after this.
    pub at: Timestamp,
    /// Who wrote.
    pub user: User,
    /// [`Pulse::reply_to`](crate::Pulse::reply_to).
    pub reply_to: Value,
}

impl From<&Pulse> for Heard {
    fn from(pulse: &Pulse) -> Self {
        Self {
            pulse: pulse.id.clone(),
            at: pulse.received_at,
            user: pulse.user.clone(),
            reply_to: pulse.reply_to.clone(),
        }
    }
}

/// What is counted against a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tally {
    /// Pulses of a session, in a minute.
    Pulses,
    /// Tokens that a session has used, in a day.
    Tokens,
}

impl Tally {
    /// As it stands in keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pulses => "pulses",
            Self::Tokens => "tokens",
        }
    }

    /// How long a count lasts from its first.
    #[must_use]
    pub fn window(self) -> Duration {
        match self {
            Self::Pulses => Duration::from_secs(60),
            Self::Tokens => Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Keeps what a session remembers, when it was last heard, and counts what it uses.
#[async_trait]
pub trait Memory: Send + Sync {
    /// What the session remembers; the default when nothing is kept or the TTL has passed.
    async fn recall(&self, session: &SessionKey) -> Result<Recollection, StoreError>;

    /// Replaces what the session remembers, for `ttl`. Refuses as fenced if a newer Bond has written.
    async fn keep(
        &self,
        session: &SessionKey,
        fence: Fence,
        recollection: &Recollection,
        ttl: Duration,
    ) -> Result<(), StoreError>;

    /// The person wrote. Replaces what was kept of the time before, for 90 days; what is older than that changes nothing.
    async fn hear(&self, session: &SessionKey, heard: &Heard) -> Result<(), StoreError>;

    /// When and from where the person last wrote; `None` when they never did, or too long ago.
    async fn last_heard(&self, session: &SessionKey) -> Result<Option<Heard>, StoreError>;

    /// Adds to a count and gives the sum in the count's window, which starts at its first addition of more than nothing.
    async fn tally(&self, session: &SessionKey, tally: Tally, add: u64) -> Result<u64, StoreError>;
}
