//! Attachments: the files that came with messages, kept between turns.

use std::time::Duration;

use async_trait::async_trait;

use crate::{error::StoreError, names::SessionKey, pulse::Media};

/// The most bytes of files that are kept of one session. When there are more, the oldest go.
pub const MOST_BYTES: usize = 32 * 1024 * 1024;

/// Keeps files that a [`Voice`](super::Voice) has fetched, so that neither the next turn nor a person at the desk waits for
/// the channel again. It is a cache: what it does not have is fetched again, for as long as the channel has it.
#[async_trait]
pub trait Attachments: Send + Sync {
    /// Keeps a file under the channel's id of it, for `ttl` from now, and with it the session's others. The session's
    /// oldest are dropped when there are more than [`MOST_BYTES`]; a file that is longer than this by itself is not kept,
    /// which is no error.
    async fn keep(
        &self,
        session: &SessionKey,
        id: &str,
        media: &Media,
        ttl: Duration,
    ) -> Result<(), StoreError>;

    /// The file of this id, if it is kept.
    async fn load(&self, session: &SessionKey, id: &str) -> Result<Option<Media>, StoreError>;
}
