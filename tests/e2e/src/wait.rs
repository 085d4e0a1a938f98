//! Waiting for a condition, never for a time.

use std::{fmt::Display, future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

/// Between two looks.
const BETWEEN: Duration = Duration::from_millis(100);

/// Looks until `look` is content, `within` at most. A look that is not says why.
///
/// # Panics
/// When the time is over: with `what` was wanted, and what the last look said.
pub async fn eventually<T, E, F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> T
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + within;
    let mut last = "the first look did not end".to_owned();
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(why)) => last = why.to_string(),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            panic!("not within {within:?}: {what}; last seen: {last}");
        }
        sleep(BETWEEN).await;
    }
}

/// `Ok` if it holds, else `Err` with what was seen: for [`eventually`].
///
/// # Errors
/// What was seen instead.
pub fn hold<D: std::fmt::Debug>(holds: bool, seen: D) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("{seen:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        let found = eventually("three looks", Duration::from_secs(1), || {
            looks += 1;
            let looks = looks;
            async move {
                if looks == 3 {
                    Ok(looks)
                } else {
                    Err("too few")
                }
            }
        })
        .await;
        assert_eq!(found, 3);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "not within 1s: rain; last seen: sun")]
    async fn a_condition_that_stays_false_fails_and_says_what_was_seen() {
        eventually("rain", Duration::from_secs(1), || async {
            Err::<(), _>("sun")
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "not within 1s")]
    async fn a_look_that_never_ends_fails_too() {
        eventually(
            "an end",
            Duration::from_secs(1),
            std::future::pending::<Result<(), String>>,
        )
        .await;
    }
}
