//! The Vigil: a human has taken, or is asked to take, a conversation.

use std::{fmt, str::FromStr, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    names::{NotASession, PulseId, SessionKey},
    ports::bond::Fence,
};

/// What a Vigil is over: one session, or every session of the Spirit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One conversation.
    Session(SessionKey),
    /// Every conversation of the Spirit, written `*`.
    Everyone,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(session) => session.fmt(f),
            Self::Everyone => f.write_str("*"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl FromStr for Target {
    type Err = NotASession;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            Ok(Self::Everyone)
        } else {
            text.parse().map(Self::Session)
        }
    }
}

/// Where a Vigil stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// The Spirit answers; nobody asked for a human.
    #[default]
    Watching,
    /// The Spirit answers, and a human is asked to come.
    Requested,
    /// A human is taking over: no Weave may begin to speak, and one that is speaking is waited for.
    TakingOver,
    /// A human has the conversation. No reply of the Spirit reaches it.
    Active,
    /// The Spirit has it back.
    Released,
}

impl Phase {
    /// Whether the Spirit must keep silent.
    #[must_use]
    pub fn is_human(self) -> bool {
        matches!(self, Self::TakingOver | Self::Active)
    }

    /// Whether a human has it or is asked to take it.
    #[must_use]
    pub fn is_open(self) -> bool {
        self == Self::Requested || self.is_human()
    }
}

/// Why a conversation was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReleaseReason {
    /// Somebody gave it back.
    #[default]
    Human,
    /// Nobody had spoken in it for its idle time.
    Idle,
    /// The person asked for the Spirit, in the words that it listens for.
    User,
}

impl ReleaseReason {
    /// As it stands in stores and statuses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "Human",
            Self::Idle => "Idle",
            Self::User => "User",
        }
    }
}

/// Why the Spirit asks for a human: the label of `eywa_vigil_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The Oracle called `summon_human`.
    Agent,
    /// A rule of the Spirit held.
    Rule,
    /// No Oracle answered.
    Oracles,
    /// The session has spent its tokens.
    Budget,
}

impl Cause {
    /// Every cause, so that a metric can be shown at zero before the first.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Rule, Self::Oracles, Self::Budget];

    /// As it stands in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Rule => "rule",
            Self::Oracles => "oracles",
            Self::Budget => "budget",
        }
    }
}

/// What is known of a Vigil.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// Where it stands.
    pub phase: Phase,
    /// Who has the conversation, or had it last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Since when, or was until `released_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the Spirit asked for a human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Timestamp>,
    /// Why it asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_reason: String,
    /// When the person last wrote while a human had the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pulse_at: Option<Timestamp>,
    /// Pulses that came while a human had it and that nobody answered yet; none once it is given back. Of the
    /// Spirit-wide Vigil: all that came, answered or not.
    pub unanswered: u64,
    /// When it was given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    /// Who gave it back; empty when nobody of the Spirit's people did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub released_by: String,
    /// Why it was given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_reason: Option<ReleaseReason>,
}

/// Whether a Weave may speak now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may, for the time it asked for. It says when it is done.
    Granted,
    /// It may not: a human has the conversation, or is taking it.
    Human(Watch),
}

/// Knows who has each conversation, and lets nobody speak against it.
///
/// Once [`Vigil::settle`] has said `Active`, no reply begins until [`Vigil::release`]: beginning to speak and taking over
/// are atomic against each other, for one session as for [`Target::Everyone`]. Times are the caller's, kept to
/// milliseconds; permits run by the store's clock.
#[async_trait]
pub trait Vigil: Send + Sync {
    /// What holds for a session: the Spirit-wide Vigil where a human has that, else the session's own.
    async fn watch(&self, session: &SessionKey) -> Result<Watch, StoreError>;

    /// What is known of exactly this target.
    async fn state(&self, target: &Target) -> Result<Watch, StoreError>;

    /// What a human has or is asked to take, in no order: every target whose phase is `Requested`, `TakingOver` or
    /// `Active`, at most `most`.
    async fn open(&self, most: usize) -> Result<Vec<(Target, Watch)>, StoreError>;

    /// The Spirit asks for a human. Changes nothing while a human has the conversation or was asked already; gives what
    /// holds then.
    async fn request(
        &self,
        target: &Target,
        reason: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError>;

    /// A human takes over: from now on no Weave begins to speak. The phase becomes `TakingOver`, unless it is that, or
    /// `Active`, already: then nothing changes but `by`, when it was empty. Counts start at zero.
    async fn take_over(
        &self,
        target: &Target,
        by: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError>;

    /// Makes `TakingOver` into `Active` if nobody speaks any more; gives what holds then. To be asked again while it is
    /// still `TakingOver`: the longest wait is the longest permit.
    async fn settle(&self, target: &Target, at: Timestamp) -> Result<Watch, StoreError>;

    /// Gives the conversation back; nothing is unanswered then. Changes nothing unless a human has it.
    async fn release(
        &self,
        target: &Target,
        by: &str,
        reason: ReleaseReason,
        at: Timestamp,
    ) -> Result<Watch, StoreError>;

    /// A human has answered the person: nothing of the session is unanswered any more, and a Pulse that was counted is not
    /// counted again. Changes nothing unless a human has the session itself.
    async fn answered(&self, session: &SessionKey) -> Result<(), StoreError>;

    /// The person wrote while a human has the conversation: counts it as unanswered, once however often the same id
    /// comes. For the session's own Vigil and the Spirit-wide one alike, whichever a human has.
    async fn note(
        &self,
        session: &SessionKey,
        pulse: &PulseId,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Asks to speak, for at most `time`. Fails as fenced when a newer Bond has asked before.
    async fn begin_speaking(
        &self,
        session: &SessionKey,
        fence: Fence,
        time: Duration,
    ) -> Result<Permit, StoreError>;

    /// Has spoken, or will not. A permit that is not given back ends by itself.
    async fn end_speaking(&self, session: &SessionKey, fence: Fence) -> Result<(), StoreError>;
}
