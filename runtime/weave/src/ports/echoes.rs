//! The Echo store: what was said, on either side.

use async_trait::async_trait;

use crate::{echo::Echo, error::StoreError, names::SessionKey, ports::bond::Fence};

/// Keeps conversations. Reading the last few costs the same however long the conversation is.
#[async_trait]
pub trait Echoes: Send + Sync {
    /// Appends, in order. An Echo whose id is among the session's recent ones is left as it is, so that writing again
    /// after a crash is safe. With a fence, refuses as fenced if a newer Bond has written; without one (a human's words,
    /// or a person's while a human has the conversation), always appends.
    async fn append(
        &self,
        session: &SessionKey,
        fence: Option<Fence>,
        echoes: &[Echo],
    ) -> Result<(), StoreError>;

    /// The last `most` Echoes, oldest first.
    async fn recent(&self, session: &SessionKey, most: usize) -> Result<Vec<Echo>, StoreError>;
}
