//! The Chronicle: the append-only record of what the Weave did with each Pulse.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    names::{PulseId, SessionKey, SpiritName},
    observe::Stage,
    ports::oracle::Usage,
    pulse::Outcome,
};

/// What became of one Pulse. It holds no message text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which Pulse.
    pub pulse: PulseId,
    /// Whose.
    pub session: SessionKey,
    /// The Spirit that answered, or would have.
    pub spirit: SpiritName,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where the outcome alone does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Which attempt ended it.
    pub attempt: u32,
    /// What was done, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// What the Oracles used for it.
    #[serde(default)]
    pub usage: Usage,
}

/// One step of a Weave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which stage.
    pub stage: Stage,
    /// Which Scout, Action, Oracle or Voice, where there is more than one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What came of it, where there is something to say: `held`, `timeout`, ...
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// Microseconds from the Weave's start.
    pub started_us: u64,
    /// Microseconds that it took.
    pub took_us: u64,
}

/// Keeps what the Weave did, for `trace`, for the desk and for audits.
#[async_trait]
pub trait Chronicle: Send + Sync {
    /// Appends. Entries of one session keep their order.
    async fn append(&self, entry: &Entry) -> Result<(), StoreError>;

    /// What became of a Pulse: every entry of it, oldest first. A duplicate has its own.
    async fn of_pulse(&self, id: &PulseId) -> Result<Vec<Entry>, StoreError>;

    /// The last `most` entries of a session, oldest first.
    async fn of_session(&self, session: &SessionKey, most: usize)
    -> Result<Vec<Entry>, StoreError>;
}
