//! How long to wait before something is tried again.

use std::time::Duration;

use rand::RngExt as _;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that double up to a ceiling, each cut short at random by up to a half, so that pods do not come back together.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// How long to wait now.
    pub fn next(&mut self) -> Duration {
        let wait = self.next.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next = (self.next * 2).min(LONGEST);
        wait
    }

    /// It worked: the next wait is the shortest again.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}
