//! Asking again what may go well the next time.

use std::{future::Future, time::Duration};

use tokio::time::{sleep, timeout};

/// How often something is asked, and how often what comes first: who cannot be reached at all is to be told soon.
const TRIES: u32 = 8;
const FIRST_TRIES: u32 = 3;

/// How long one answer may take. An embedder's adapter bounds each of its requests itself; a batch may be several.
const CEILING: Duration = Duration::from_secs(180);

/// The first pause and the longest; each is twice the one before, and up to a quarter longer by chance, so that those who
/// were refused together do not come back together.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The longest pause that a provider may ask for: who asks for more wants to be left alone.
const LONGEST_HINT: Duration = Duration::from_secs(300);

/// The pauses before each look at whether all that was put is there.
pub(super) const LOOKS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// A failure that may pass.
pub(super) trait Failure: Sized {
    /// Whether to ask again, and when to come back if it said.
    fn again(&self) -> Option<Option<Duration>>;

    /// There was no answer in time.
    fn late() -> Self;
}

/// Asks until it goes well, or fails in a way that does not pass, or has failed too often.
pub(super) async fn patiently<T, E, F>(ask: impl Fn() -> F) -> Result<T, E>
where
    E: Failure + std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    tries(TRIES, ask).await
}

/// As [`patiently`], for the first that is asked.
pub(super) async fn at_first<T, E, F>(ask: impl Fn() -> F) -> Result<T, E>
where
    E: Failure + std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    tries(FIRST_TRIES, ask).await
}

async fn tries<T, E, F>(most: u32, ask: impl Fn() -> F) -> Result<T, E>
where
    E: Failure + std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let mut pause = FIRST;
    let mut tries = 0;
    loop {
        let error = match timeout(CEILING, ask()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => E::late(),
        };
        tries += 1;
        let Some(hint) = error.again() else {
            return Err(error);
        };
        if tries == most || hint.is_some_and(|hint| hint > LONGEST_HINT) {
            return Err(error);
        }
        let wait = hint.unwrap_or(pause).mul_f64(rand::random_range(1.0..1.25));
        tracing::debug!(%error, ?wait, "asking again");
        sleep(wait).await;
        pause = (pause * 2).min(LONGEST);
    }
}
