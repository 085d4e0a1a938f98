//! The Rite: an action waits for a human's yes.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    names::{PulseId, SessionKey, SpiritName},
    tool::ToolCall,
};

/// What a human is asked to decide on. An approval is bound to all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Unique in the Spirit.
    pub id: String,
    /// Whose conversation.
    pub session: SessionKey,
    /// The Pulse that led to it.
    pub pulse: PulseId,
    /// The Spirit that wants it.
    pub spirit: SpiritName,
    /// The Spirit's generation then: after an edit the answer no longer counts.
    pub generation: i64,
    /// The call, with its arguments.
    pub call: ToolCall,
    /// When the question lapses.
    pub expires_at: Timestamp,
}

/// Where a Rite stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Nobody has decided.
    Pending,
    /// A human said yes, and the action has not been done yet.
    Approved,
    /// A human said no.
    Denied,
    /// Nobody decided in time. Not the same as a no.
    Expired,
    /// What it was bound to has changed.
    Void,
    /// The action was done.
    Consumed,
}

/// Parks actions until a human decides. A decision counts once, however often and wherever it is given.
#[async_trait]
pub trait Rites: Send + Sync {
    /// Parks an action. Parking the same id again changes nothing.
    async fn park(&self, asked: &Asked) -> Result<(), StoreError>;

    /// What is parked under an id, and where it stands at `now`.
    async fn get(&self, id: &str, now: Timestamp) -> Result<Option<(Asked, Standing)>, StoreError>;

    /// A human decides. Changes nothing unless it is `Pending` at `now`; gives where it stands then.
    async fn decide(
        &self,
        id: &str,
        approved: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<Standing>, StoreError>;

    /// Takes an approval, to do the action: `Ok(true)` exactly once, and only if it is `Approved` and the Spirit's
    /// generation is still that of the question; with another generation it becomes `Void`.
    async fn consume(&self, id: &str, generation: i64, now: Timestamp) -> Result<bool, StoreError>;
}
