//! What the embedders that speak HTTP have in common: batches within a provider's limits, a request that is sent once and
//! read within bounds, failures that quote neither a text nor a key, and vectors that are what they should be.

use std::{future::Future, ops::Range, time::Duration};

use eywa_guard::{GuardedRequest, GuardedResponse, RequestError};
use eywa_weave::ports::{
    lore::{EmbedderError, Embeddings},
    oracle::Fault,
};
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, header::RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The most bytes that are read of an answer for each text: 4096 numbers of 32 characters, and as much again for a model
/// whose vectors are longer than it was said, which is to be told as that.
const LONGEST_VECTOR: usize = 2 * 4096 * 32;

/// The most bytes that are read of an error.
const LONGEST_ERROR: usize = 64 * 1024;

/// How long one request may take.
const CEILING: Duration = Duration::from_secs(60);

/// How many requests of one call are under way at once.
const AT_ONCE: usize = 4;

/// What a provider takes in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// The most texts.
    pub(super) texts: usize,
    /// The most bytes of all texts together: a token is at least a byte, so this holds a limit in tokens too.
    pub(super) bytes: usize,
}

impl Batch {
    /// Which texts go together. A text that is too long by itself goes alone, for the provider to judge.
    fn ranges(self, texts: &[&str]) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let (mut from, mut bytes) = (0, 0);
        for (at, text) in texts.iter().enumerate() {
            if at > from && (at - from == self.texts || bytes + text.len() > self.bytes) {
                ranges.push(from..at);
                (from, bytes) = (at, 0);
            }
            bytes += text.len();
        }
        if from < texts.len() {
            ranges.push(from..texts.len());
        }
        ranges
    }

    /// Asks for all texts by `ask`, some batches at a time; puts the answers together in order.
    pub(super) async fn all<'t, F>(
        self,
        texts: &'t [&'t str],
        ask: impl Fn(&'t [&'t str]) -> F,
    ) -> Result<Embeddings, EmbedderError>
    where
        F: Future<Output = Result<Embeddings, EmbedderError>>,
    {
        let asked: Vec<F> = self
            .ranges(texts)
            .into_iter()
            .map(|range| ask(&texts[range]))
            .collect();
        let mut answers = stream::iter(asked).buffered(AT_ONCE);
        let mut all = Embeddings::default();
        while let Some(Embeddings { vectors, tokens }) = answers.try_next().await? {
            all.vectors.extend(vectors);
            all.tokens += tokens;
        }
        Ok(all)
    }
}

/// What a provider said about a failure.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Its class, where the body tells more than the status.
    pub(super) fault: Option<Fault>,
    /// A short code, never a text of the provider's: those quote what was sent.
    pub(super) code: String,
}

/// Sends, and reads the answer about so many texts; `explain` is given the body, and what the status says, of a failure.
pub(super) async fn send<T: DeserializeOwned>(
    provider: &'static str,
    request: GuardedRequest<'_>,
    texts: usize,
    explain: impl FnOnce(&HeaderMap, &Value, Fault) -> Said,
) -> Result<T, EmbedderError> {
    let failed = |error: RequestError| unanswered(provider, &error);
    let response = request.timeout(CEILING).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(refused(provider, response, explain).await);
    }
    let body = response
        .bytes(texts.max(1) * LONGEST_VECTOR)
        .await
        .map_err(failed)?;
    serde_json::from_slice(&body).map_err(|error| {
        // serde's text may quote what it stumbled on; where it was is enough.
        unintelligible(
            provider,
            format!(
                "its answer cannot be read (line {}, column {})",
                error.line(),
                error.column()
            ),
        )
    })
}

async fn refused(
    provider: &'static str,
    response: GuardedResponse,
    explain: impl FnOnce(&HeaderMap, &Value, Fault) -> Said,
) -> EmbedderError {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.beginning(LONGEST_ERROR).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let by_status = match status {
        401..=404 => Fault::Unauthorized,
        408 | 504 => Fault::TimedOut,
        413 => Fault::TooLong,
        429 => Fault::RateLimited(hint(&headers)),
        409 | 500.. => Fault::Overloaded,
        _ => Fault::Malformed,
    };
    let Said { fault, code } = explain(&headers, &body, by_status);
    let code: String = code.chars().filter(|c| !c.is_control()).take(64).collect();
    let message = match code.as_str() {
        "" => format!("HTTP {status}"),
        code => format!("HTTP {status}, {code}"),
    };
    EmbedderError::new(provider, fault.unwrap_or(by_status), message)
}

fn hint(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    Duration::try_from_secs_f64(seconds.ok()?).ok()
}

fn unanswered(provider: &'static str, error: &RequestError) -> EmbedderError {
    let fault = match error {
        RequestError::Connect { .. }
        | RequestError::TimedOut { .. }
        | RequestError::BrokenOff { .. } => Fault::TimedOut,
        _ => Fault::Malformed,
    };
    EmbedderError::new(provider, fault, error.to_string())
}

pub(super) fn unintelligible(provider: &'static str, message: impl Into<String>) -> EmbedderError {
    EmbedderError::new(provider, Fault::Malformed, message)
}

/// The vectors as they should be: as many as texts, of the right length, and of unit length.
pub(super) fn checked(
    provider: &'static str,
    vectors: Vec<Vec<f32>>,
    texts: usize,
    dimensions: usize,
) -> Result<Vec<Vec<f32>>, EmbedderError> {
    if vectors.len() != texts {
        let found = vectors.len();
        return Err(unintelligible(
            provider,
            format!("it gave {found} vectors for {texts} texts"),
        ));
    }
    let of_unit_length = |mut vector: Vec<f32>| {
        let found = vector.len();
        if found != dimensions {
            return Err(unintelligible(
                provider,
                format!(
                    "it gave vectors with {found} entries, not {dimensions}; set dimensions to what the model gives"
                ),
            ));
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !length.is_finite() || length == 0.0 {
            return Err(unintelligible(
                provider,
                "it gave a vector without a direction",
            ));
        }
        vector.iter_mut().for_each(|x| *x /= length);
        Ok(vector)
    };
    vectors.into_iter().map(of_unit_length).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_hold_every_text_once_in_order_and_within_the_limits(
            texts in proptest::collection::vec("[a-z]{0,40}", 0..60),
            most in 1_usize..8,
            bytes in 1_usize..100,
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let ranges = Batch { texts: most, bytes }.ranges(&texts);
            let joined: Vec<usize> = ranges.iter().cloned().flatten().collect();
            prop_assert_eq!(joined, (0..texts.len()).collect::<Vec<_>>());
            for range in ranges {
                let size: usize = texts[range.clone()].iter().map(|text| text.len()).sum();
                prop_assert!(range.len() <= most);
                prop_assert!(size <= bytes || range.len() == 1);
            }
        }
    }

    #[test]
    fn vectors_are_made_unit_length_and_wrong_ones_refused() {
        let fine = checked("test", vec![vec![3.0, 4.0]], 1, 2).unwrap();
        assert_eq!(fine, [[0.6, 0.8]]);
        for vectors in [
            vec![],
            vec![vec![1.0]],
            vec![vec![0.0, 0.0]],
            vec![vec![f32::NAN, 1.0]],
        ] {
            assert!(checked("test", vectors, 1, 2).is_err());
        }
    }
}
