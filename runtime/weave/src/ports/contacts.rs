//! Contacts: what is known of the people on a voice, whichever pod speaks with them.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    error::StoreError,
    names::{PulseId, UserId, VoiceName},
};

/// How long an id of a person is remembered after they were last seen by it: longer than their conversation is kept, and
/// than a fact about them by default, so that they are who they were for as long as something is known of them.
pub const IDS_REMEMBERED: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How long a message that was sent is remembered: channels tell of it for days.
pub const MESSAGES_REMEMBERED: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// How far a message that was sent has come, as the channel reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The channel has sent it on.
    Sent,
    /// It has reached the person.
    Arrived,
    /// It will not reach the person.
    Failed,
    /// The person has opened it.
    Read,
}

impl Progress {
    /// How far that is: a message moves only to a higher rank. One that has arrived cannot fail, nor one that failed
    /// arrive; who has read it, has it.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Sent => 1,
            Self::Arrived | Self::Failed => 2,
            Self::Read => 3,
        }
    }
}

/// How fast a channel lets one person be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// In the long run, one message in this time.
    pub interval: Duration,
    /// So many may come at once, after a quiet time.
    pub burst: u32,
    /// Nobody waits longer than this.
    pub longest_wait: Duration,
}

/// Knows the people on the voices of one Spirit. Times are measured by the store's clock.
#[async_trait]
pub trait Contacts: Send + Sync {
    /// These ids are one person's: the one they came by, and the others, those that tell most first. Gives the one by which
    /// their session goes: what the first of the others that is known is known as; otherwise what `id` is known as;
    /// otherwise `id`. An `id` that came with others before, and comes with none that is known, has gone over to somebody
    /// else, who goes by the first of the others. From now on all of them are known as that. One atomic step, so that two
    /// pods do not know the same person by two.
    async fn identify(
        &self,
        voice: &VoiceName,
        id: &UserId,
        also: &[UserId],
    ) -> Result<UserId, StoreError>;

    /// A message, by the channel's id of it, answered this Pulse.
    async fn sent(
        &self,
        voice: &VoiceName,
        message: &str,
        pulse: &PulseId,
    ) -> Result<(), StoreError>;

    /// The Pulse that a message answered, if that is remembered.
    async fn pulse_of(
        &self,
        voice: &VoiceName,
        message: &str,
    ) -> Result<Option<PulseId>, StoreError>;

    /// A message has come so far. `false` when it had come that far before: reports come twice, and out of order.
    async fn advance(
        &self,
        voice: &VoiceName,
        message: &str,
        progress: Progress,
    ) -> Result<bool, StoreError>;

    /// So many messages are to be sent to this person. Gives how long to wait before the first: nothing within the burst.
    /// When that is longer than the pace's longest wait, none of them is counted, and the caller must not send.
    async fn pace(
        &self,
        voice: &VoiceName,
        user: &UserId,
        messages: u32,
        pace: Pace,
    ) -> Result<Duration, StoreError>;
}
