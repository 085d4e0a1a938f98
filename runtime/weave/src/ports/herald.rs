//! The Herald: tells people outside what happens with the conversations that are, or are to be, theirs.

use jiff::Timestamp;

use crate::{
    names::{PulseId, SpiritName},
    ports::vigil::{Cause, ReleaseReason, Target},
};

/// Something that people want to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Names what happened: the same when it is told again.
    pub id: String,
    /// Whose conversation.
    pub spirit: SpiritName,
    /// Which, or all of the Spirit's.
    pub about: Target,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The Spirit asks for a human.
    Requested {
        /// What made it ask.
        cause: Cause,
        /// Why, in words for people. Nothing of what was said.
        reason: String,
    },
    /// A human takes the conversation.
    TakenOver {
        /// Who.
        by: String,
    },
    /// The person wrote while a human has the conversation.
    Wrote {
        /// The Pulse.
        pulse: PulseId,
        /// What they wrote: for those alone who are to read it.
        text: String,
    },
    /// The conversation was given back.
    Released {
        /// Who gave it back; empty when nobody of the Spirit's people did.
        by: String,
        /// Why.
        reason: ReleaseReason,
    },
}

impl Happening {
    /// As notifications name it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "vigil.requested",
            Self::TakenOver { .. } => "vigil.taken_over",
            Self::Wrote { .. } => "vigil.message",
            Self::Released { .. } => "vigil.released",
        }
    }
}

/// Passes news on. Told in the process where it happened, once; in two when two did it in the same millisecond.
pub trait Herald: Send + Sync {
    /// There is news. Called on the Pulse's path: it must not block and cannot fail; what it cannot pass on, it drops.
    fn tell(&self, news: &News);
}
