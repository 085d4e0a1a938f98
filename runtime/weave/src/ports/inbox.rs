//! The Inbox: accepted Pulses not yet finished. It survives a crash.

use std::time::Duration;

use async_trait::async_trait;

use crate::{error::StoreError, names::PulseId, pulse::Pulse};

/// How long an accepted id is remembered. WhatsApp delivers again for up to 7 days (Meta, Cloud API webhooks); one more
/// day for clocks and queues.
pub const REMEMBERED: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// What came of offering a Pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is in the Inbox now, leased to the caller.
    New,
    /// Its id was accepted before, within [`REMEMBERED`]. Nothing changed.
    Duplicate,
}

/// How far speaking had come, so that a Pulse is not spoken again after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speech {
    /// Nothing was said.
    #[default]
    Silent,
    /// A reply was about to be sent, and nothing is known of it.
    Unknown,
    /// The channel took the reply.
    Spoken,
}

/// A Pulse out of the Inbox, leased to the caller.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The Pulse.
    pub pulse: Pulse,
    /// 1 at first, and one more each time the lease of the one before had ended.
    pub attempt: u32,
    /// How far the attempt before had come.
    pub speech: Speech,
}

impl Delivery {
    /// A Pulse that was just accepted.
    #[must_use]
    pub fn first(pulse: Pulse) -> Self {
        Self {
            pulse,
            attempt: 1,
            speech: Speech::Silent,
        }
    }
}

/// What came of asking for one Pulse.
#[derive(Clone, Debug)]
pub enum Due {
    /// Its lease had ended; it is leased to the caller now.
    Yours(Box<Delivery>),
    /// Somebody has it, for so long unless they renew.
    Leased(Duration),
    /// It is finished, or was never accepted.
    Gone,
}

/// How full the Inbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Pulses in it, those being worked on included.
    pub pulses: u64,
    /// The age of the oldest.
    pub oldest: Duration,
}

/// Keeps accepted Pulses until they are finished, and knows the ids of those that were.
///
/// A Pulse in the Inbox is leased to one worker at a time. When a lease ends, [`Inbox::reclaim`] gives the Pulse to
/// another. Leases have the resolution of milliseconds and are measured by the store's clock.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Takes in those of `pulses` whose ids are new, leased to the caller for `lease`; says of each, in order, what it
    /// was. All of it is one atomic step: an id is remembered if and only if its Pulse was taken in. After an error
    /// nothing may be assumed; offering the same again is safe.
    async fn accept(
        &self,
        pulses: &[Pulse],
        lease: Duration,
    ) -> Result<Vec<Acceptance>, StoreError>;

    /// Leases to the caller up to `most` Pulses whose lease has ended, oldest first, each with its attempt counted up.
    async fn reclaim(&self, most: usize, lease: Duration) -> Result<Vec<Delivery>, StoreError>;

    /// Leases this Pulse to the caller if its lease has ended, with its attempt counted up. Of many who ask at once, one
    /// gets it. A lease that runs is never taken from whoever has it.
    async fn reclaim_one(&self, id: &PulseId, lease: Duration) -> Result<Due, StoreError>;

    /// Leases these Pulses to the caller, whoever had them, without counting an attempt: they waited in a Bond's line,
    /// and the caller took them off it. Those that are finished are left out; the order is kept.
    async fn claim(&self, ids: &[PulseId], lease: Duration) -> Result<Vec<Delivery>, StoreError>;

    /// Holds on to a Pulse for `lease` from now. `Ok(false)` when it is finished or was given to a later attempt: the
    /// caller must stop.
    async fn renew(&self, id: &PulseId, attempt: u32, lease: Duration) -> Result<bool, StoreError>;

    /// Writes down how far speaking has come.
    async fn mark(&self, id: &PulseId, speech: Speech) -> Result<(), StoreError>;

    /// These Pulses are done: takes them out. Their ids stay remembered. Finishing twice is allowed.
    async fn finish(&self, ids: &[PulseId]) -> Result<(), StoreError>;

    /// How full it is.
    async fn depth(&self) -> Result<Depth, StoreError>;
}
