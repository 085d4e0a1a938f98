//! The Imprint: long-term memory of a person, and the list of conversations that it is still to be drawn from.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{error::StoreError, names::SessionKey};

/// For how long it is remembered up to where a conversation was read: longer than anything is read back.
pub const HEARD_REMEMBERED: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// For how long the [`Progress`] is remembered after it was last asked for. Where nobody asks for so long the Imprint was
/// switched off: what is said then is not read when it is on again.
pub const PROGRESS_REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// For how long a conversation may be due: longer than it takes to give it up.
pub const DUE_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Something known of a person. Drawn from what they said: data, never instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// In one sentence.
    pub text: String,
    /// When it was last learnt, in whole milliseconds.
    pub at: Timestamp,
}

/// How much is kept of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// The most facts; beyond them the oldest are dropped.
    pub most: usize,
    /// How long a fact is kept after it was last learnt.
    pub max_age: Duration,
}

/// How far the conversations were looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// From when on words are read: the Imprint was switched on then.
    pub since: Timestamp,
    /// Conversations with a place up to this one were noted when they were due, by
    /// [`Summary::place`](super::echoes::Summary::place).
    pub reached: u64,
    /// How many conversations are noted and not yet drawn from.
    pub waiting: u64,
}

/// A conversation that the caller is to draw from, and nobody else for as long as the lease lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub session: SessionKey,
    /// Tells this claim from any before and after it.
    pub token: String,
    /// 1 at first, and one more each time it is claimed again without an end.
    pub attempt: u32,
    /// The number of the first Echo that was not read; zero where none was, or where that was forgotten.
    pub heard: u64,
}

/// What came of a claim.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lesson<'a> {
    /// To learn. A fact whose text is known is made new.
    pub learn: &'a [Fact],
    /// The texts of facts that no longer hold. One that is learnt as well stays.
    pub forget: &'a [&'a str],
    /// The number of the first Echo that was not read.
    pub heard: u64,
    /// There is more to read: the conversation stays due.
    pub more: bool,
}

/// Keeps what is known of each person, across conversations; and which conversations are due to be drawn from.
///
/// A person is who a session's [`SessionKey`] says: someone who goes by another id since is identified by
/// [`Contacts`](super::Contacts) before their session is known, and keeps their Imprint. Leases and ages are measured by
/// the store's clock, in milliseconds.
#[async_trait]
pub trait Imprint: Send + Sync {
    /// What is known, the latest first. Facts may be among it whose time is over but which were not cleared away: the
    /// caller leaves out what is older than it wants.
    async fn facts(&self, of: &SessionKey) -> Result<Vec<Fact>, StoreError>;

    /// People's changes, in one atomic step: forgets the facts with these texts, learns these, and keeps to `keeping`.
    /// Gives how many were forgotten. Whoever has claimed this person's conversation has lost it, and what was said before
    /// the Echo of the number `heard` is not read any more.
    async fn amend(
        &self,
        of: &SessionKey,
        forget: &[&str],
        learn: &[Fact],
        heard: u64,
        keeping: Keeping,
    ) -> Result<u64, StoreError>;

    /// Forgets all that is known of a person; how many facts there were. As with [`Imprint::amend`], nobody draws from
    /// what was said before the Echo of the number `heard`: their conversation is not due any more.
    async fn erase(&self, of: &SessionKey, heard: u64) -> Result<u64, StoreError>;

    /// How far the conversations were looked through; `None` before the first [`Imprint::advance`], and when nobody has
    /// asked for [`PROGRESS_REMEMBERED`]. Asking keeps it.
    async fn progress(&self) -> Result<Option<Progress>, StoreError>;

    /// Conversations were looked through to the place `to`, and these are due from now on. One that was due before stays
    /// so, and whoever has claimed it has lost it. One atomic step, and only if the place reached before is `from`: `false`
    /// when another was faster, and nothing changed. From `None` on, words count that are said from now on.
    async fn advance(
        &self,
        from: Option<u64>,
        to: u64,
        due: &[SessionKey],
    ) -> Result<bool, StoreError>;

    /// Claims up to `most` conversations that are due and that nobody else has, the longest due first, for `lease`, under
    /// a `token` of the caller's that was never used before. Each has its attempt counted up.
    async fn claim(
        &self,
        token: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError>;

    /// Gives a claim back: it is due again in this time. With `anew` its attempts begin from the first. `false` when the
    /// claim was lost.
    async fn put_off(&self, claim: &Claim, until: Duration, anew: bool)
    -> Result<bool, StoreError>;

    /// Ends a claim with what came of it, in one atomic step; `false` when the claim was lost, and nothing changed: its
    /// lease ended and another has it, or a person has changed or erased what is known since.
    async fn conclude(
        &self,
        claim: &Claim,
        lesson: Lesson<'_>,
        keeping: Keeping,
    ) -> Result<bool, StoreError>;
}
