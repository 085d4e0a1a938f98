//! A Pulse: one inbound event from a channel.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::{PulseId, RiteId, SessionKey, UserId};

/// One inbound event, as the Inbox keeps it and the Weave takes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pulse {
    /// What deduplication keys on.
    pub id: PulseId,
    /// The conversation that it belongs to.
    pub session: SessionKey,
    /// Who sent it.
    pub user: User,
    /// What they sent.
    pub content: Content,
    /// When this system accepted it.
    pub received_at: Timestamp,
    /// Where the answer goes, in words that only the voice that received the Pulse understands.
    pub reply_to: Value,
    /// The Rite that it resumes: no channel sent it and nobody wrote it, but what a Rite has come to is to be done and told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<RiteId>,
}

/// The person who sent a Pulse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The channel's id of the person.
    pub id: UserId,
    /// The name that the channel gave, if it did. Chosen by the person: data, never instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a person sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The text, or a caption, or a short description of what is not text. May be empty.
    pub text: String,
    /// What came with the text: pictures, documents, voice notes. Named, not loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The earlier message that this one answers or reacts to, by the channel's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotes: Option<String>,
}

impl Content {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

/// A file that came with a message, by the channel's own id of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The channel's id, by which its voice can fetch the content.
    pub id: String,
    /// The media type that the channel gave, such as `image/jpeg`.
    pub media_type: String,
    /// The file's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The content, where it was loaded: in the turns that an Oracle is shown, and nowhere else. Never written down.
    #[serde(skip)]
    pub media: Option<Media>,
}

/// A file's content. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    /// The media type that the channel gave with the bytes, such as `image/jpeg`, without parameters.
    pub media_type: String,
    /// The file's name, if it has one.
    pub file_name: Option<String>,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media")
            .field("media_type", &self.media_type)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// One of several answers that a person is offered, to pick with a tap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What the person sees, and what comes back as their words.
    pub title: String,
    /// A line below it, where the channel shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// How a Pulse ended. The label of `eywa_pulses_total` and the first word of its Chronicle entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The Spirit answered.
    Answered,
    /// It had been accepted before, and was not taken again.
    Duplicate,
    /// The session was busy and the Spirit discards what comes meanwhile.
    Busy,
    /// Its text was answered together with a later or earlier Pulse's.
    Merged,
    /// A human holds the conversation; the Pulse was stored for them.
    Vigil,
    /// An action waits for a human's yes.
    Rite,
    /// A limit of the Spirit was reached.
    Limited,
    /// It could not be answered. The Chronicle says why.
    Failed,
}

impl Outcome {
    /// Every outcome, so that a metric can be shown at zero before the first.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Duplicate,
        Self::Busy,
        Self::Merged,
        Self::Vigil,
        Self::Rite,
        Self::Limited,
        Self::Failed,
    ];

    /// As it stands in metrics and in the Chronicle.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Duplicate => "duplicate",
            Self::Busy => "busy",
            Self::Merged => "merged",
            Self::Vigil => "vigil",
            Self::Rite => "rite",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }
}
