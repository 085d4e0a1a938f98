//! What the stores that speak HTTP have in common: requests that are bounded in time and size, failures that name no key,
//! batches within a store's limits, and how what is filtered by is written.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use eywa_guard::{GuardedClient, GuardedResponse, RequestError};
use eywa_weave::{
    StoreError,
    ports::lore::{LoreError, Match, Passage},
};
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

/// The most bytes that are read of an answer: as many passages as a search finds at most, of 128 KiB each. Vectors are not
/// asked for.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The most bytes that are read of an error, and the most characters of it that are told.
const LONGEST_ERROR: usize = 64 * 1024;
const LONGEST_REASON: usize = 300;

/// How long a request that looks may take.
pub(super) const LOOKING: Duration = Duration::from_secs(10);

/// How long a request that changes something may take.
pub(super) const CHANGING: Duration = Duration::from_secs(60);

/// How many requests of one call are under way at once.
const AT_ONCE: usize = 4;

/// How many more are asked for than are wanted: among equals a store gives those that it likes, and the order of ids is
/// kept among them only if it gives them all.
pub(super) const SPARE: usize = 8;

/// A store at a URL, and the key to it.
pub(super) struct Exchange {
    store: &'static str,
    client: GuardedClient,
    base: Url,
    headers: HeaderMap,
    key: Option<SecretString>,
}

/// A request came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// The store said no.
    Status {
        /// With this status.
        status: u16,
        /// In these words, without the key.
        reason: String,
    },
    /// There was no answer, or none that can be read.
    Unanswered(String),
}

impl Exchange {
    /// Requests to what is below `base`.
    pub(super) fn new(store: &'static str, client: GuardedClient, base: Url) -> Self {
        Self {
            store,
            client,
            base,
            headers: HeaderMap::new(),
            key: None,
        }
    }

    /// Sends `key` in this header, after `scheme`. A key that no header can hold is sent as none: the store refuses it.
    pub(super) fn with_key(
        mut self,
        name: HeaderName,
        scheme: &str,
        key: Option<SecretString>,
    ) -> Self {
        if let Some(key) = key {
            let value = format!("{scheme}{}", key.expose_secret().trim());
            if let Ok(mut value) = HeaderValue::try_from(value) {
                value.set_sensitive(true);
                self.headers.insert(name, value);
            }
            self.key = Some(key);
        }
        self
    }

    /// Sends this header with each request.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The store's host.
    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Asks what is at this path below the base, with this body of JSON.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<String>,
        within: Duration,
    ) -> Result<T, Failed> {
        self.ask_with(method, path, "", body, within).await
    }

    /// The same, with a query.
    pub(super) async fn ask_with<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &str,
        body: Option<String>,
        within: Duration,
    ) -> Result<T, Failed> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let mut request = self.client.request(method, url).headers(&self.headers);
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(header::CONTENT_TYPE, json).body(body);
        }
        let response = request.timeout(within).send().await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let body = response.bytes(LONGEST_ANSWER).await?;
        // serde's text may quote what it stumbled on; where it was is enough.
        serde_json::from_slice(&body).map_err(|error| {
            Failed::Unanswered(format!(
                "its answer cannot be read (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }

    async fn refused(&self, response: GuardedResponse) -> Failed {
        let status = response.status().as_u16();
        let retry = response.headers().get(header::RETRY_AFTER).cloned();
        let body = response.beginning(LONGEST_ERROR).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let mut reason = match serde_json::from_slice(&body) {
            Ok(body) => said(&body).unwrap_or_default().to_owned(),
            Err(_) => text.into_owned(),
        };
        reason = self.told(&reason);
        if let Some(retry) = retry.as_ref().and_then(|value| value.to_str().ok()) {
            reason = self.told(&format!("{reason} (it asks to come back in {retry} s)"));
        }
        Failed::Status { status, reason }
    }

    /// What a store said, in one line without the key.
    pub(super) fn told(&self, reason: &str) -> String {
        let mut reason: String = reason
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if let Some(key) = self.key.as_ref().map(|key| key.expose_secret().trim())
            && !key.is_empty()
        {
            reason = reason.replace(key, "…");
        }
        reason.trim().chars().take(LONGEST_REASON).collect()
    }

    /// As the port's error, where the failure says nothing of the collection.
    pub(super) fn error(&self, failed: Failed) -> LoreError {
        match failed {
            Failed::Status {
                status: status @ (401 | 403),
                reason,
            } => LoreError::Refused {
                store: self.store,
                reason: with_status(status, &reason),
            },
            Failed::Status { status, reason } if is_for_good(status) => LoreError::Rejected {
                store: self.store,
                reason: with_status(status, &reason),
            },
            Failed::Status { status, reason } => {
                StoreError::unavailable(self.store, with_status(status, &reason)).into()
            }
            Failed::Unanswered(reason) => StoreError::unavailable(self.store, reason).into(),
        }
    }
}

/// Whether the same request would be answered so the next time too. Not 404, which a proxy says whose store is being
/// replaced, nor 422, which Weaviate says while it has no leader.
fn is_for_good(status: u16) -> bool {
    matches!(status, 400 | 405 | 413 | 414 | 415 | 431)
}

fn with_status(status: u16, reason: &str) -> String {
    match reason {
        "" => format!("HTTP {status}"),
        reason => format!("HTTP {status}, {reason}"),
    }
}

impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Self {
        Self::Unanswered(error.to_string())
    }
}

/// Where stores write what went wrong.
fn said(body: &Value) -> Option<&str> {
    [
        "/status/error",
        "/error/0/message",
        "/error/message",
        "/message",
        "/error",
        "",
    ]
    .into_iter()
    .find_map(|place| body.pointer(place)?.as_str())
}

/// What a store takes in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most items.
    pub(super) items: usize,
    /// The most bytes of all items together.
    pub(super) bytes: usize,
}

impl Limits {
    /// Sends all items as JSON lists within the limits, some lists at a time.
    pub(super) async fn send<T: Serialize, F>(
        self,
        items: impl Iterator<Item = T>,
        send: impl Fn(String) -> F,
    ) -> Result<(), Failed>
    where
        F: Future<Output = Result<(), Failed>>,
    {
        stream::iter(self.lists(items))
            .map(|list| list.map_err(|error| Failed::Unanswered(error.to_string())))
            .map_ok(send)
            .try_buffer_unordered(AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    /// JSON lists of all items, each within the limits, made as they are asked for. An item that is too long by itself goes
    /// alone, for the store to judge.
    fn lists<T: Serialize>(
        self,
        items: impl Iterator<Item = T>,
    ) -> impl Iterator<Item = Result<String, serde_json::Error>> {
        let mut items = items.map(|item| serde_json::to_string(&item));
        let mut waiting: Option<String> = None;
        std::iter::from_fn(move || {
            let mut list = String::new();
            let mut count = 0;
            loop {
                let item = match waiting.take().map(Ok).or_else(|| items.next()) {
                    Some(Ok(item)) => item,
                    Some(Err(error)) => return Some(Err(error)),
                    None => break,
                };
                if count > 0 && (count == self.items || list.len() + item.len() >= self.bytes) {
                    waiting = Some(item);
                    break;
                }
                list.push(if count == 0 { '[' } else { ',' });
                list.push_str(&item);
                count += 1;
            }
            (count > 0).then(|| Ok(list + "]"))
        })
    }
}

/// The last of each id, so that batches that are sent at once do not say different things of one passage.
pub(super) fn last_of_each(passages: &[(Passage, Vec<f32>)]) -> Vec<&(Passage, Vec<f32>)> {
    let last: HashMap<&str, usize> = (passages.iter().enumerate())
        .map(|(place, (passage, _))| (passage.id.as_str(), place))
        .collect();
    (passages.iter().enumerate())
        .filter(|(place, (passage, _))| last.get(passage.id.as_str()) == Some(place))
        .map(|(_, both)| both)
        .collect()
}

/// The different lengths of some vectors.
pub(super) fn lengths(passages: &[(Passage, Vec<f32>)]) -> Vec<usize> {
    let mut lengths: Vec<usize> = passages.iter().map(|(_, vector)| vector.len()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// A text as a JSON string of printable ASCII: no store trims it, folds it or takes it for part of a query, and different
/// texts stay different.
pub(super) fn plain(text: &str) -> String {
    ascii(&Value::from(text).to_string())
}

/// What a passage is filtered by, one for each entry of its metadata. `["key","value"]`, as [`plain`] writes it: no store
/// limits which characters a value has, as most do with a field's name.
pub(super) fn labels(metadata: &BTreeMap<String, String>) -> Vec<String> {
    metadata
        .iter()
        .map(|(key, value)| ascii(&serde_json::json!([key, value]).to_string()))
        .collect()
}

fn ascii(json: &str) -> String {
    use std::fmt::Write;

    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            plain.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        }
    }
    plain
}

/// The matches as the port wants them: nearest first, equals in the order of ids, none too far.
pub(super) fn ranked(mut matches: Vec<Match>, top_k: usize, min_score: f32) -> Vec<Match> {
    for found in &mut matches {
        found.score = found.score.clamp(-1.0, 1.0);
    }
    matches.retain(|found| found.score >= min_score);
    matches.sort_by(|a, b| {
        (b.score.total_cmp(&a.score)).then_with(|| a.passage.id.cmp(&b.passage.id))
    });
    matches.truncate(top_k);
    matches
}

/// Whether a request was refused because of its vectors' length: asks the store about each, as the words differ.
#[cfg(any(feature = "lore-pinecone", feature = "lore-qdrant"))]
pub(super) async fn misfit(
    lore: &dyn eywa_weave::ports::Lore,
    failed: &Failed,
    lengths: &[usize],
) -> Option<LoreError> {
    let Failed::Status {
        status: 400 | 422, ..
    } = failed
    else {
        return None;
    };
    for length in lengths {
        if let Err(unfit @ LoreError::Unfit { .. }) = lore.check(*length).await {
            return Some(unfit);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_hold_every_item_once_in_order_and_within_the_limits(
            items in proptest::collection::vec("[a-z]{0,40}", 0..60),
            most in 1_usize..8,
            bytes in 1_usize..100,
        ) {
            let lists: Vec<String> = Limits { items: most, bytes }
                .lists(items.iter())
                .collect::<Result<_, _>>()
                .unwrap();
            let mut joined = Vec::new();
            for list in lists {
                let parsed: Vec<String> = serde_json::from_str(&list).unwrap();
                prop_assert!((1..=most).contains(&parsed.len()));
                prop_assert!(list.len() <= bytes + 1 || parsed.len() == 1);
                joined.extend(parsed);
            }
            prop_assert_eq!(joined, items);
        }

        #[test]
        fn labels_are_printable_and_say_the_same_only_of_the_same(
            one in ("\\PC{0,6}|.{0,6}", "\\PC{0,6}|.{0,6}"),
            other in ("\\PC{0,6}|.{0,6}", "\\PC{0,6}|.{0,6}"),
        ) {
            let label = |(key, value): &(String, String)| {
                labels(&BTreeMap::from([(key.clone(), value.clone())])).remove(0)
            };
            prop_assert!(label(&one).bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(label(&one) == label(&other), one == other);
            let read: (String, String) = serde_json::from_str(&label(&one)).unwrap();
            prop_assert_eq!(&read, &one);
            let text: String = serde_json::from_str(&plain(&one.0)).unwrap();
            prop_assert_eq!(text, one.0);
        }
    }

    #[test]
    fn an_error_is_found_wherever_a_store_writes_it() {
        for body in [
            r#"{"status": {"error": "no"}, "time": 0.1}"#,
            r#"{"error": [{"message": "no"}]}"#,
            r#"{"code": 3, "message": "no", "details": []}"#,
            r#"{"status": 400, "error": {"code": "INVALID_ARGUMENT", "message": "no"}}"#,
            r#""no""#,
        ] {
            assert_eq!(said(&serde_json::from_str(body).unwrap()), Some("no"));
        }
        assert_eq!(said(&serde_json::json!({"status": "error"})), None);
    }
}
