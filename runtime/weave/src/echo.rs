//! An Echo: one message of a conversation, either side.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    names::{PulseId, SpiritName},
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
        /// What they wrote.
        text: String,
        /// What came with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Attachment>,
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
    /// A human took the conversation.
    TookOver {
        /// Who.
        by: String,
    },
    /// The conversation was given back to the Spirit.
    GaveBack {
        /// Who gave it back; empty when it was for lack of activity.
        by: String,
    },
}
