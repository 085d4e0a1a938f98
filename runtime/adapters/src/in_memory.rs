//! What the in-memory adapters share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// State behind a lock. No adapter leaves it half changed, so a panic elsewhere while it was locked does no harm.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    /// Waits for the lock. Never hold it across an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
