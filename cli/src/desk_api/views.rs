//! What a desk answers, as far as this command shows it. Fields that are missing are empty, so that a desk of another
//! release can be read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Conversations, a page of them.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Conversations {
    pub(crate) conversations: Vec<Value>,
    /// Where the next page begins.
    pub(crate) next: Option<String>,
}

/// One conversation.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Conversation {
    pub(crate) spirit: String,
    pub(crate) session: String,
    pub(crate) user: Person,
    pub(crate) phase: Option<String>,
    pub(crate) by: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) request_reason: Option<String>,
    pub(crate) unanswered: u64,
    pub(crate) last_at: Option<Timestamp>,
    pub(crate) last_text: Option<String>,
    pub(crate) last_from: Option<String>,
    pub(crate) pending_rites: u64,
    pub(crate) answering: bool,
}

/// The person at the other end.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
}

/// One message, or a change of hands.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Echo {
    pub(crate) id: String,
    pub(crate) at: Option<Timestamp>,
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    pub(crate) spirit: Option<String>,
    pub(crate) by: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) calls: Vec<Call>,
    pub(crate) results: Vec<Answered>,
    pub(crate) findings: Vec<Finding>,
    /// Of what became of a parked call.
    pub(crate) rite: Option<String>,
    pub(crate) standing: Option<String>,
    pub(crate) comment: Option<String>,
    pub(crate) result: Option<Answered>,
}

/// A file that came along.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Attachment {
    pub(crate) media_type: String,
    pub(crate) file_name: Option<String>,
}

/// A tool that the agent called.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// What a tool gave back.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Answered {
    pub(crate) name: String,
    pub(crate) content: String,
    pub(crate) failed: bool,
}

/// What a Scout found.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Finding {
    pub(crate) scout: String,
    pub(crate) text: String,
}

/// A Rite, as the desk tells it.
#[derive(Clone, Debug, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rite {
    pub(crate) spirit: String,
    pub(crate) id: String,
    pub(crate) session: String,
    pub(crate) action: String,
    pub(crate) arguments: Value,
    pub(crate) phase: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decided_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<String>,
}

/// What is remembered of a person.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Known {
    /// Whether the Spirit draws facts from conversations now.
    pub(crate) enabled: bool,
    /// The latest first.
    pub(crate) facts: Vec<Fact>,
}

/// One fact about a person.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Fact {
    pub(crate) number: usize,
    pub(crate) text: String,
    pub(crate) at: Option<Timestamp>,
}

/// What the Chronicle has of a Pulse: an entry for each time that it was taken up.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Trace {
    /// Several.
    Entries {
        /// Oldest first.
        entries: Vec<eywa_weave::ports::chronicle::Entry>,
    },
    /// One.
    Entry(Box<eywa_weave::ports::chronicle::Entry>),
}
