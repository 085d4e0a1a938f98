//! What the Weave reports of itself while it runs. Metrics are made of it, outside of the domain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    names::{SpiritName, VoiceName},
    ports::{oracle::Usage, vigil::Cause},
    pulse::Outcome,
};

/// Hears what the Weave does. Called on the Pulse's path: it must not block and cannot fail.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, event: Event<'_>);
}

/// An Observer that hears nothing.
#[derive(Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: Event<'_>) {}
}

/// A step of the pipeline, as metrics and the Chronicle name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Accepting into the Inbox.
    Accept,
    /// Taking the Bond, and reading the Vigil with it.
    Bond,
    /// Waiting for a quiet moment, to merge what a person sends in pieces.
    Gather,
    /// Reading Memory and history.
    Recall,
    /// One Scout.
    Scout,
    /// Choosing the Spirit.
    Pathfinder,
    /// One call of the Oracle.
    Oracle,
    /// One call of an Action.
    Action,
    /// Fetching the files that came with messages.
    Attachments,
    /// The last look at the Vigil before speaking.
    Vigil,
    /// Speaking through the Voice.
    Voice,
    /// Writing Echoes, Chronicle and Memory, and letting go.
    Record,
}

impl Stage {
    /// As it stands in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Bond => "bond",
            Self::Gather => "gather",
            Self::Recall => "recall",
            Self::Scout => "scout",
            Self::Pathfinder => "pathfinder",
            Self::Oracle => "oracle",
            Self::Action => "action",
            Self::Attachments => "attachments",
            Self::Vigil => "vigil",
            Self::Voice => "voice",
            Self::Record => "record",
        }
    }

    /// Whether the time of this stage is spent outside: in a model, a tool, a source of context or a channel.
    #[must_use]
    pub fn is_outside(self) -> bool {
        matches!(
            self,
            Self::Gather
                | Self::Scout
                | Self::Attachments
                | Self::Oracle
                | Self::Action
                | Self::Voice
        )
    }
}

/// How drawing facts from a finished conversation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// Something was learnt, made new or forgotten.
    Learnt,
    /// There was nothing to learn, or the conversation has gone on since.
    Nothing,
    /// A human has the conversation: it is left until they give it back.
    PutOff,
    /// No Oracle had an answer; it is tried again.
    Failed,
    /// It was tried for the last time.
    GivenUp,
    /// Somebody has changed or erased what is known meanwhile, or more was said: what came of it is thrown away.
    Lost,
}

impl Remembered {
    /// Every outcome, so that a metric can be shown at zero before the first.
    pub const ALL: [Self; 6] = [
        Self::Learnt,
        Self::Nothing,
        Self::PutOff,
        Self::Failed,
        Self::GivenUp,
        Self::Lost,
    ];

    /// As it stands in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Learnt => "learnt",
            Self::Nothing => "nothing",
            Self::PutOff => "put_off",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
            Self::Lost => "lost",
        }
    }
}

/// How an attempt at a Bond went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BondOutcome {
    /// Taken.
    Acquired,
    /// Held by another Weave: expected, and no fault.
    Held,
    /// The lock's infrastructure failed.
    Error,
}

/// What happened. `spirit` is the Spirit whose webhook it was, except where said otherwise.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A Pulse ended.
    Pulse {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// On which voice.
        voice: &'a VoiceName,
        /// How.
        outcome: Outcome,
        /// From acceptance to the end.
        took: Duration,
        /// Of it, the Weave's own: all but Oracle, Actions, Scouts, Voice and waiting for quiet.
        own: Duration,
    },
    /// A stage ended.
    Stage {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// Which stage.
        stage: Stage,
        /// How long it took.
        took: Duration,
    },
    /// A Bond was asked for.
    Bond {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// What came of it.
        outcome: BondOutcome,
    },
    /// A Bond was let go.
    BondReleased {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// How long it was held.
        held: Duration,
    },
    /// A Bond was found lost while its Weave ran.
    BondLost {
        /// Whose webhook.
        spirit: &'a SpiritName,
    },
    /// A Scout came back.
    Scout {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// The Scout's name.
        scout: &'a str,
        /// `found`, `nothing`, `skipped`, `error` or `timeout`.
        outcome: &'static str,
    },
    /// An Action was called.
    Action {
        /// The Spirit that called it.
        spirit: &'a SpiritName,
        /// The Action's name.
        action: &'a str,
        /// `succeeded`, `failed`, `refused` (arguments or name were wrong) or `timeout`.
        outcome: &'static str,
        /// How long it took.
        took: Duration,
    },
    /// An Oracle was asked.
    Oracle {
        /// The provider's name, by the GenAI conventions.
        provider: &'a str,
        /// The model that was asked for.
        model: &'a str,
        /// How long it took.
        took: Duration,
        /// What it used; absent when it failed.
        usage: Option<Usage>,
        /// The class of its failure.
        error: Option<&'static str>,
    },
    /// Facts were drawn from a finished conversation, or were to be.
    Imprint {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// How it went.
        outcome: Remembered,
        /// Facts that were not known.
        learnt: usize,
        /// Facts that hold no longer.
        forgotten: usize,
        /// Sentences that were no facts, and were not learnt.
        refused: usize,
        /// What the Oracles used for it: no session's budget is charged for it.
        usage: Usage,
    },
    /// A human was asked to come, and nobody had asked before.
    Summoned {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// What made the Spirit ask.
        cause: Cause,
    },
    /// An Oracle was found dead and is left alone for a time, or answers again.
    Breaker {
        /// The provider's name, by the GenAI conventions.
        provider: &'a str,
        /// The model.
        model: &'a str,
        /// Whether it is left alone.
        open: bool,
    },
    /// A message was given to a Voice.
    Voice {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// Which voice.
        voice: &'a VoiceName,
        /// `delivered` (the channel took it), `failed`, `unauthorized` or `unknown` (sent, and nothing came back). What the
        /// channel told of it later: `arrived`, `read`, `undelivered`. `inattentive`: it could not show that somebody types.
        outcome: &'static str,
    },
    /// A channel refused a message, at once or later, with a code of its own.
    VoiceRefusal {
        /// Whose webhook.
        spirit: &'a SpiritName,
        /// Which voice.
        voice: &'a VoiceName,
        /// The code.
        code: &'a str,
    },
}
