//! When a failed reconcile is tried again: soon at first, then ever less often, each object by itself.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_secs(1);
const CEILING: Duration = Duration::from_secs(120);

/// Counts failures in a row, by object.
pub struct Retries<K> {
    failures: Mutex<HashMap<K, u32>>,
}

impl<K> Default for Retries<K> {
    fn default() -> Self {
        Self {
            failures: Mutex::new(HashMap::new()),
        }
    }
}

impl<K: Hash + Eq> Retries<K> {
    /// One more failure: how long to wait. Doubles up to two minutes, of which up to half is taken off at random.
    pub fn after_failure(&self, key: K) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key).or_insert(0);
        let wait = FIRST
            .saturating_mul(2_u32.saturating_pow(*count))
            .min(CEILING);
        *count = count.saturating_add(1);
        jittered(wait)
    }

    /// It went well: the next failure counts as the first.
    pub fn succeeded(&self, key: &K) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

/// Between half of `duration` and all of it, so that many objects do not come back at once.
#[must_use]
pub fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_ceiling_and_start_over_after_a_success() {
        let retries = Retries::default();
        let waits: Vec<_> = (0..40).map(|_| retries.after_failure("a")).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits[5] > waits[0] * 8);
        assert!(waits.iter().all(|wait| *wait <= CEILING));
        assert!(waits[39] >= CEILING / 2);
        assert!(
            retries.after_failure("b") <= FIRST,
            "objects do not wait for each other's failures"
        );
        retries.succeeded(&"a");
        assert!(retries.after_failure("a") <= FIRST);
    }
}
