//! An Echo: one message of a conversation, either side.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    names::{PulseId, RiteId, SpiritName},
    ports::{rite::Standing, vigil::ReleaseReason},
    pulse::Attachment,
    tool::{ToolCall, ToolResult},
};

/// One message of a conversation, as the Echo store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Echo {
    /// Unique in its session, and the same when a crash makes the same Echo be written again: a store keeps the first.
    pub id: String,
    /// When it was said.
    pub at: Timestamp,
    /// The Pulse that it came from or answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulse: Option<PulseId>,
    /// Who, and what.
    #[serde(flatten)]
    pub body: EchoBody,
}

/// Who said what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EchoBody {
    /// The person wrote.
    User {
        /// The name that the channel gave, if it did. Chosen by the person: data, never instruction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What they wrote.
        text: String,
        /// What came with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Attachment>,
        /// What the Scouts found for it: for people to see why the Spirit answered as it did.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
    },
    /// The Spirit answered, or called tools, or both.
    Agent {
        /// Which Spirit.
        spirit: SpiritName,
        /// What it said. Empty when it only called tools.
        text: String,
        /// The tools it called.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<ToolCall>,
    },
    /// Tools gave back their results.
    Tools {
        /// One for each call of the Agent's Echo before it.
        results: Vec<ToolResult>,
    },
    /// A human wrote in the Spirit's place.
    Human {
        /// Who.
        by: String,
        /// What they wrote.
        text: String,
    },
    /// What became of a call that waited for a human's yes. At the time of the call its result was that it waits.
    Rite {
        /// The Rite.
        rite: RiteId,
        /// How it ended: `Consumed`, `Denied`, `Expired` or `Void`.
        standing: Standing,
        /// Who decided; empty when nobody did.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        by: String,
        /// What they said about it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        comment: String,
        /// What came of the call, under its id.
        result: ToolResult,
    },
    /// A human took the conversation.
    TookOver {
        /// Who.
        by: String,
    },
    /// The conversation was given back to the Spirit.
    GaveBack {
        /// Who gave it back; empty when nobody of the Spirit's people did.
        by: String,
        /// Why.
        #[serde(default)]
        reason: ReleaseReason,
    },
    /// Something that this release does not know: a pod of the next one wrote it, while those replace these. It is no part
    /// of what an Oracle or a person is shown, and is never written.
    #[serde(other, skip_serializing)]
    Newer,
}

/// The most characters that are kept of what one Scout found.
const MOST_OF_A_FINDING: usize = 4000;

/// What one Scout found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The Scout.
    pub scout: String,
    /// What it found: how it begins, where that is long.
    pub text: String,
}

impl Finding {
    /// What `scout` found.
    #[must_use]
    pub fn new(scout: &str, text: &str) -> Self {
        Self {
            scout: scout.to_owned(),
            text: text.chars().take(MOST_OF_A_FINDING).collect(),
        }
    }
}
