//! The Bond: the distributed lock on a session.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    names::{PulseId, SessionKey},
};

/// How many may wait in one session's line. One more is told so, as if the session did not queue.
pub const LONGEST_LINE: usize = 100;

/// Counts the holders of one session's Bond: each has a larger number than every holder before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Proof that a Bond was taken. It does not release itself when dropped: a crash must look like a crash, and is ended by
/// the TTL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BondGuard {
    /// The session that is locked.
    pub session: SessionKey,
    /// Random, so that nobody else can extend or release this Bond.
    pub token: String,
    /// Which holder this is.
    pub fence: Fence,
}

/// What came of standing in line for a Bond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The Bond is taken.
    Yours {
        /// The proof.
        guard: BondGuard,
        /// Whose turn it is, oldest first: never empty, and not always the ticket that asked, since others may have
        /// waited longer. They are off the line.
        tickets: Vec<PulseId>,
    },
    /// Held by another. The ticket is in the line, once, and the holder will find it when it is done.
    Waiting,
    /// Held by another, and [`LONGEST_LINE`] wait already. The ticket is not in the line.
    Full,
}

/// A lock on a session, with a line of those who wait for it.
///
/// At most one holder a session at any time, across all processes, for as long as it extends in time. Acquiring, queueing
/// and releasing are each atomic. Durations are rounded to milliseconds.
#[async_trait]
pub trait Bond: Send + Sync {
    /// Takes the Bond for `ttl`, if nobody holds it. Looks past the line.
    ///
    /// `Ok(None)` means that another holds it, which is expected. After an error the Bond may have been taken: it ends
    /// with the TTL.
    async fn acquire(
        &self,
        session: &SessionKey,
        ttl: Duration,
    ) -> Result<Option<BondGuard>, StoreError>;

    /// Puts `ticket` at the end of the session's line unless it stands there already; then, if nobody holds the Bond,
    /// takes it for `ttl` along with the oldest tickets of the line, at most `take` (at least one).
    async fn acquire_or_wait(
        &self,
        session: &SessionKey,
        ttl: Duration,
        ticket: &PulseId,
        take: usize,
    ) -> Result<Turn, StoreError>;

    /// Holds on for `ttl` from now. `Ok(false)` means that the Bond is no longer this guard's: whoever holds the guard
    /// must stop.
    async fn extend(&self, guard: &BondGuard, ttl: Duration) -> Result<bool, StoreError>;

    /// Takes the oldest tickets off the line, at most `most`, while holding on. Empty when nobody waits, and when the
    /// Bond is no longer this guard's.
    async fn line(&self, guard: &BondGuard, most: usize) -> Result<Vec<PulseId>, StoreError>;

    /// Lets go if nobody waits; else holds on for `ttl` and gives the oldest tickets, at most `most`. One atomic step, so
    /// that nobody who joins the line is left standing there. Empty also when the Bond was no longer this guard's.
    async fn release_or_next(
        &self,
        guard: &BondGuard,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<PulseId>, StoreError>;

    /// Lets go, whoever waits. `Ok(false)` when the Bond was no longer this guard's; nothing is changed then.
    async fn release(&self, guard: &BondGuard) -> Result<bool, StoreError>;

    /// Which of these sessions somebody has the Bond of right now, each in its place: to show that an answer is on its
    /// way, and for nothing else, since it may be over when it is read.
    async fn busy(&self, sessions: &[SessionKey]) -> Result<Vec<bool>, StoreError>;
}
