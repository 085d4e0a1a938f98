//! What a store can fail with, in the three classes that a caller acts on.

use crate::ports::bond::Fence;

/// Why a store (Bond, Inbox, Echo, Chronicle, Memory, Vigil, Rite, Imprint, Lore) could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or answered that it cannot serve now. Trying again later can help; whether the request
    /// took effect is unknown.
    #[error("{store} is unavailable: {reason}")]
    Unavailable {
        /// Which store, for the log: `redis`, `redb`, ...
        store: &'static str,
        /// What it said.
        reason: String,
    },
    /// Somebody with a newer Bond has written since. The caller has lost its session and must stop.
    #[error(
        "a newer Bond ({newest}) has written to this session; {offered} may not write any more"
    )]
    Fenced {
        /// The caller's fencing number.
        offered: Fence,
        /// The newest that the store has seen.
        newest: Fence,
    },
    /// What is stored cannot be read. Trying again does not help.
    #[error("{store} holds something that cannot be read under {key}: {reason}")]
    Unreadable {
        /// Which store.
        store: &'static str,
        /// Where.
        key: String,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// [`StoreError::Unavailable`] from whatever a client library failed with.
    pub fn unavailable(store: &'static str, reason: impl ToString) -> Self {
        Self::Unavailable {
            store,
            reason: reason.to_string(),
        }
    }

    /// [`StoreError::Unreadable`] from whatever a decoder failed with.
    pub fn unreadable(store: &'static str, key: impl Into<String>, reason: impl ToString) -> Self {
        Self::Unreadable {
            store,
            key: key.into(),
            reason: reason.to_string(),
        }
    }
}
