//! The Chronicle: the append-only record of what the Weave did with each Pulse.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    names::{PulseId, SessionKey, SpiritName},
    observe::Stage,
    ports::{
        oracle::Usage,
        vigil::{ReleaseReason, Target},
    },
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
    /// Where what it found is from: names of documents, no text of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// Something that a human did. It holds no message text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Names it among the deeds about one target.
    pub id: String,
    /// The conversation, or all of the Spirit's.
    pub about: Target,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it; empty when it was nobody of the Spirit's people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// What was done.
    #[serde(flatten)]
    pub what: DeedKind,
}

/// What a human did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "deed")]
pub enum DeedKind {
    /// Took the conversation.
    TookOver,
    /// Answered in the Spirit's place.
    Replied {
        /// The id of the Echo.
        echo: String,
    },
    /// Gave it back.
    GaveBack {
        /// Why.
        reason: ReleaseReason,
    },
    /// Decided on a Rite.
    Decided {
        /// The Rite's id.
        rite: String,
        /// `Approved` or `Denied`.
        decision: String,
    },
    /// Had facts about the person forgotten.
    Forgot {
        /// How many.
        facts: u64,
        /// All that there were, and what was still to be drawn from what they had said.
        all: bool,
    },
    /// Corrected a fact about the person.
    Corrected,
}

/// Keeps what the Weave did, and what people did, for `trace`, for the desk and for audits.
#[async_trait]
pub trait Chronicle: Send + Sync {
    /// Appends. Entries of one session keep their order.
    async fn append(&self, entry: &Entry) -> Result<(), StoreError>;

    /// What became of a Pulse: every entry of it, oldest first. A duplicate has its own.
    async fn of_pulse(&self, id: &PulseId) -> Result<Vec<Entry>, StoreError>;

    /// The last `most` entries of a session, oldest first.
    async fn of_session(&self, session: &SessionKey, most: usize)
    -> Result<Vec<Entry>, StoreError>;

    /// Appends what a human did. An equal deed again changes nothing.
    async fn did(&self, deed: &Deed) -> Result<(), StoreError>;

    /// The last `most` deeds about a target, oldest first. Those about all of the Spirit's conversations are not among a
    /// session's.
    async fn deeds(&self, about: &Target, most: usize) -> Result<Vec<Deed>, StoreError>;
}
