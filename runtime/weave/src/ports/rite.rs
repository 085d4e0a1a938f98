//! The Rite: an action waits for a human's yes.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::StoreError,
    names::{RiteId, SessionKey, SpiritName},
    pulse::Pulse,
    tool::ToolCall,
};

/// How long a Rite is kept after it was parked. Longer than any may wait for its decision, and than an Inbox remembers
/// the Pulse that resumes it.
pub const KEPT: Duration = Duration::from_secs(16 * 24 * 60 * 60);

/// What a human is asked to decide on. An approval is bound to all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Unique in the Spirit.
    pub id: RiteId,
    /// Whose conversation.
    pub session: SessionKey,
    /// The Pulse that led to it: the call is made for it, and the answer goes where its answer would have gone.
    pub pulse: Pulse,
    /// The Spirit that wants it.
    pub spirit: SpiritName,
    /// The Spirit's generation then: after an edit the answer no longer counts.
    pub generation: i64,
    /// The call, with its arguments.
    pub call: ToolCall,
    /// What the receiver of the call knows it by: [`Call::id`](crate::ports::action::Call::id).
    pub key: String,
    /// JSON pointers to the arguments that people are not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When the question lapses.
    pub expires_at: Timestamp,
}

impl Asked {
    /// What stands in the place of an argument that is not shown.
    pub const REDACTED: &'static str = "[redacted]";

    /// The arguments as people may see them.
    #[must_use]
    pub fn shown_arguments(&self) -> Value {
        let mut shown = self.call.arguments.clone();
        for pointer in &self.redact {
            if let Some(hidden) = shown.pointer_mut(pointer) {
                *hidden = Value::from(Self::REDACTED);
            }
        }
        shown
    }
}

/// Where a Rite stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

impl Standing {
    /// All of them, in the order in which a Rite may go through them.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Void,
        Self::Consumed,
    ];

    /// As it stands in stores, metrics and the object's phase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Denied => "Denied",
            Self::Expired => "Expired",
            Self::Void => "Void",
            Self::Consumed => "Consumed",
        }
    }

    /// Whether nothing can come of it any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Approved)
    }
}

/// A human's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Yes, or no.
    pub approved: bool,
    /// Who; empty when that is not known.
    pub by: String,
    /// What they said about it; may be empty.
    pub comment: String,
    /// When. Kept to milliseconds.
    pub at: Timestamp,
}

/// How an approved action went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RiteOutcome {
    /// It was done.
    Succeeded,
    /// It failed, or what became of it is not known.
    Failed,
}

/// A parked action, and what has become of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rite {
    /// What was asked.
    pub asked: Asked,
    /// Where it stands.
    pub standing: Standing,
    /// The word that counted.
    pub verdict: Option<Verdict>,
    /// How the action went, once that is known.
    pub outcome: Option<RiteOutcome>,
    /// When the conversation heard what became of it: from then on nothing is left to do. Kept to milliseconds.
    pub settled_at: Option<Timestamp>,
}

/// What came of a verdict.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It is the one that counts.
    Counted(Box<Rite>),
    /// It came too late, and changed nothing: somebody had decided, or the question had lapsed.
    TooLate(Box<Rite>),
}

/// What came of taking an approval.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumption {
    /// The action is to be done, by this caller and by nobody else.
    pub granted: bool,
    /// The Rite as it stands then.
    pub rite: Rite,
}

/// Parks actions until a human decides. A decision counts once, however often and wherever it is given.
///
/// A Rite is kept for [`KEPT`] after it was parked, and then forgotten. Times are the caller's, but for that.
#[async_trait]
pub trait Rites: Send + Sync {
    /// Parks an action. Parking the same id again changes nothing.
    async fn park(&self, asked: &Asked) -> Result<(), StoreError>;

    /// What is parked under an id, and where it stands at `now`.
    async fn get(&self, id: &RiteId, now: Timestamp) -> Result<Option<Rite>, StoreError>;

    /// Those of a session, or of the whole Spirit, whatever has become of them: the newest `most`, newest first.
    async fn list(
        &self,
        session: Option<&SessionKey>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Rite>, StoreError>;

    /// A human decides, at the verdict's time. Changes nothing unless it is `Pending` then.
    async fn decide(&self, id: &RiteId, verdict: &Verdict) -> Result<Option<Decision>, StoreError>;

    /// What it was bound to is no longer there: a Rite that is `Pending` or `Approved` becomes `Void`. Gives it as it
    /// stands then.
    async fn void(&self, id: &RiteId, now: Timestamp) -> Result<Option<Rite>, StoreError>;

    /// Takes an approval, to do the action: granted exactly once, and only if it is `Approved` and the Spirit's
    /// generation is still that of the question; with another generation it becomes `Void`. A question that has lapsed at
    /// `now` becomes `Expired` for good, whatever another caller's clock says.
    async fn consume(
        &self,
        id: &RiteId,
        generation: i64,
        now: Timestamp,
    ) -> Result<Option<Consumption>, StoreError>;

    /// How the action went that was granted. The first word stays.
    async fn conclude(&self, id: &RiteId, outcome: RiteOutcome) -> Result<(), StoreError>;

    /// The conversation has heard what became of it: it is due no more.
    async fn settle(&self, id: &RiteId, now: Timestamp) -> Result<(), StoreError>;

    /// Those whose conversation is to hear what became of them: decided, void or lapsed at `now`, and not settled.
    /// Those that have waited longest first, at most `most`.
    async fn due(&self, most: usize, now: Timestamp) -> Result<Vec<Rite>, StoreError>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        names::{PulseId, UserId},
        pulse::{Content, User},
    };

    #[test]
    fn people_are_not_shown_what_is_redacted_and_the_call_keeps_it() {
        let arguments = json!({"order": 7, "card": {"number": "4111"}, "lines": [{"secret": 1}]});
        let session = SessionKey::new("wa", "ana");
        let asked = Asked {
            id: "r1".into(),
            session: session.clone(),
            pulse: Pulse {
                id: PulseId::from("wa/1"),
                session,
                user: User {
                    id: UserId::from("ana"),
                    name: None,
                },
                content: Content::default(),
                received_at: Timestamp::UNIX_EPOCH,
                reply_to: Value::Null,
                resumes: None,
            },
            spirit: "barista".into(),
            generation: 1,
            call: ToolCall {
                id: "c1".into(),
                name: "refund".into(),
                arguments: arguments.clone(),
                ..ToolCall::default()
            },
            key: "wa/1#0#c1".into(),
            redact: ["/card", "/lines/0/secret", "/nothing/here"]
                .map(Into::into)
                .into(),
            asked_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::MAX,
        };
        assert_eq!(
            asked.shown_arguments(),
            json!({"order": 7, "card": "[redacted]", "lines": [{"secret": "[redacted]"}]})
        );
        assert_eq!(asked.call.arguments, arguments);
    }
}
