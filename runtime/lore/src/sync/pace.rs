//! How fast texts are embedded.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::{Instant, sleep_until};

/// How fast texts may be embedded; as fast as it goes where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// The most texts a minute.
    pub texts: Option<NonZeroU32>,
    /// The most tokens a minute. Where the provider counts none, a token is taken as four bytes.
    pub tokens: Option<NonZeroU32>,
}

const MINUTE: f64 = 60.0;

/// Keeps to a rate, evenly.
pub(super) struct Pace {
    rate: Rate,
    next: Instant,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            next: Instant::now(),
        }
    }

    /// How many texts go together at most: what a sixth of a minute has room for, so that none waits for long.
    pub(super) fn batch(&self, most: usize) -> usize {
        let room = self.rate.texts.map_or(u32::MAX, |texts| texts.get() / 6);
        usize::try_from(room).unwrap_or(most).clamp(1, most.max(1))
    }

    /// Waits until the next texts may be embedded.
    pub(super) async fn turn(&self) {
        sleep_until(self.next).await;
    }

    /// So much was embedded.
    pub(super) fn took(&mut self, texts: &[&str], tokens: u64) {
        let tokens = match tokens {
            0 => texts.iter().map(|text| text.len() as u64).sum::<u64>() / 4,
            counted => counted,
        };
        let of = |count: f64, rate: Option<NonZeroU32>| {
            rate.map_or(0.0, |rate| count * MINUTE / f64::from(rate.get()))
        };
        let seconds =
            of(texts.len() as f64, self.rate.texts).max(of(tokens as f64, self.rate.tokens));
        self.next = self.next.max(Instant::now()) + Duration::from_secs_f64(seconds);
    }
}
