//! Lore in an index of Pinecone, over its data plane's REST interface.
//!
//! # The schema
//!
//! A record's id is the passage's, its namespace is Pinecone's own, and its metadata has `set`, `source`, `text`,
//! `metadata` (the passage's, as JSON) and `labels`: a list of `["key","value"]`, as text, one for each entry of the
//! metadata. Characters that Pinecone may not take in a namespace are written as in URLs.
//!
//! # What Pinecone does differently
//!
//! It is eventually consistent: what was put may be found only seconds later, and what was removed may be found that long.
//! All of a record's metadata, its text included, may have 40 KB. The index is made by people: a data plane cannot.
//!
//! Sources: Pinecone's OpenAPI document of the data plane (2026-04), and its documentation of operation limits, of
//! metadata filters and of errors.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::{
    StoreError,
    ports::lore::{Lore, LoreError, Match, PAGE, Page, Passage, Search},
};
use http::{HeaderName, HeaderValue, Method};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use super::exchange::{
    CHANGING, Exchange, Failed, LOOKING, Limits, SPARE, labels, last_of_each, lengths, misfit,
    ranked,
};

/// The name in errors.
const STORE: &str = "pinecone";

/// Which release of its interface is spoken.
const VERSION: HeaderValue = HeaderValue::from_static("2026-04");

/// At most 1000 records and 2 MB in one request; there is more to a request than its records.
const UPSERT: Limits = Limits {
    items: 500,
    bytes: 1_900_000,
};

/// At most 1000 ids in one request.
const REMOVE: Limits = Limits {
    items: 1000,
    bytes: 1_900_000,
};

/// At most this many matches.
const MOST_MATCHES: usize = 10_000;

/// An index of Pinecone.
pub struct PineconeLore {
    exchange: Exchange,
}

#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    values: &'a [f32],
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    set: &'a str,
    source: &'a str,
    text: &'a str,
    metadata: String,
    // An empty list is nothing that one could filter by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    matches: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    id: String,
    score: f32,
    metadata: Kept,
}

#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    set: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    text: String,
    metadata: String,
}

#[derive(Deserialize)]
struct Fetched {
    // Only the ids are wanted; what else there is, is read past.
    #[serde(default)]
    vectors: BTreeMap<String, serde::de::IgnoredAny>,
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Stats {
    dimension: Option<u64>,
    metric: Option<String>,
}

impl PineconeLore {
    /// The index at `url`, which is the index's own host. Opens no connection yet.
    #[must_use]
    pub fn new(client: GuardedClient, url: Url, key: Option<SecretString>) -> Self {
        let version = HeaderName::from_static("x-pinecone-api-version");
        Self {
            exchange: Exchange::new(STORE, client, url)
                .with_key(HeaderName::from_static("api-key"), "", key)
                .with_header(version, VERSION),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: String,
        within: std::time::Duration,
    ) -> Result<T, Failed> {
        self.exchange
            .ask(Method::POST, path, Some(body), within)
            .await
    }

    async fn change(&self, path: &[&str], body: String) -> Result<(), Failed> {
        let _: Value = self.ask(path, body, CHANGING).await?;
        Ok(())
    }

    fn error(&self, failed: Failed) -> LoreError {
        match failed {
            Failed::Status { status: 404, .. } => LoreError::Missing {
                store: STORE,
                collection: self.exchange.host().to_owned(),
                how: " in Pinecone's console as a dense serverless index with the metric cosine and as many dimensions as the embedder gives, and write its host as the URL",
            },
            failed => self.exchange.error(failed),
        }
    }

    /// A namespace that nobody has put into is not found: that is an empty one, if the index is there.
    async fn unless_empty<T: Default>(&self, failed: Failed) -> Result<T, LoreError> {
        if matches!(failed, Failed::Status { status: 404, .. }) {
            self.stats().await?;
            return Ok(T::default());
        }
        Err(self.error(failed))
    }

    /// What failed because of the vectors' length, as that.
    async fn explained(&self, failed: Failed, lengths: &[usize]) -> LoreError {
        match misfit(self, &failed, lengths).await {
            Some(unfit) => unfit,
            None => self.error(failed),
        }
    }

    async fn stats(&self) -> Result<Stats, LoreError> {
        self.ask(&["describe_index_stats"], "{}".to_owned(), LOOKING)
            .await
            .map_err(|failed| self.error(failed))
    }

    fn unfit(&self, found: String, dimensions: usize) -> LoreError {
        LoreError::Unfit {
            store: STORE,
            collection: self.exchange.host().to_owned(),
            found,
            needed: format!("vectors of {dimensions} dimensions compared by cosine"),
        }
    }
}

impl fmt::Debug for PineconeLore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PineconeLore")
            .field("host", &self.exchange.host())
            .finish_non_exhaustive()
    }
}

/// A namespace in characters that stand for themselves everywhere. `__default__` is Pinecone's other name for the one
/// without a name, so that none may begin like it.
fn written(namespace: &str) -> String {
    let mut written = String::with_capacity(namespace.len());
    for byte in namespace.bytes() {
        if byte.is_ascii_alphanumeric()
            || b"-.".contains(&byte)
            || byte == b'_' && !written.is_empty()
        {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

impl Scored {
    fn passage(self) -> Result<Match, LoreError> {
        let metadata = serde_json::from_str(&self.metadata.metadata)
            .map_err(|error| StoreError::unreadable(STORE, &self.id, error))?;
        Ok(Match {
            score: self.score,
            passage: Passage {
                id: self.id,
                set: self.metadata.set,
                source: self.metadata.source,
                text: self.metadata.text,
                metadata,
            },
        })
    }
}

#[async_trait]
impl Lore for PineconeLore {
    async fn check(&self, dimensions: usize) -> Result<(), LoreError> {
        let stats = self.stats().await?;
        if let Some(metric) = stats.metric.filter(|metric| metric != "cosine") {
            return Err(self.unfit(format!("compares vectors by {metric}"), dimensions));
        }
        match stats.dimension {
            Some(found) if found == dimensions as u64 => Ok(()),
            Some(found) => {
                Err(self.unfit(format!("has vectors of {found} dimensions"), dimensions))
            }
            None => Err(self.unfit("has no dense vectors".to_owned(), dimensions)),
        }
    }

    async fn prepare(&self, dimensions: usize) -> Result<(), LoreError> {
        self.check(dimensions).await
    }

    async fn search(&self, search: Search<'_>) -> Result<Vec<Match>, LoreError> {
        let mut body = json!({
            "namespace": written(search.namespace),
            "vector": search.vector,
            "topK": (search.top_k + SPARE).min(MOST_MATCHES),
            "includeMetadata": true,
            "includeValues": false,
        });
        if !search.filter.is_empty() {
            let all: Vec<Value> = labels(search.filter)
                .into_iter()
                .map(|label| json!({ "labels": { "$in": [label] } }))
                .collect();
            body["filter"] = json!({ "$and": all });
        }
        let found: Found = match self.ask(&["query"], body.to_string(), LOOKING).await {
            Ok(found) => found,
            Err(failed @ Failed::Status { status: 404, .. }) => {
                return self.unless_empty(failed).await;
            }
            Err(failed) => return Err(self.explained(failed, &[search.vector.len()]).await),
        };
        let matches: Result<_, _> = found.matches.into_iter().map(Scored::passage).collect();
        Ok(ranked(matches?, search.top_k, search.min_score))
    }

    async fn put(
        &self,
        namespace: &str,
        passages: &[(Passage, Vec<f32>)],
    ) -> Result<(), LoreError> {
        let name = &json!(written(namespace));
        let records = last_of_each(passages)
            .into_iter()
            .map(|(passage, vector)| Record {
                id: &passage.id,
                values: vector,
                metadata: Metadata {
                    set: &passage.set,
                    source: &passage.source,
                    text: &passage.text,
                    metadata: json!(passage.metadata).to_string(),
                    labels: labels(&passage.metadata),
                },
            });
        let put = UPSERT
            .send(records, |list| {
                let body = format!("{{\"namespace\":{name},\"vectors\":{list}}}");
                self.change(&["vectors", "upsert"], body)
            })
            .await;
        match put {
            Ok(()) => Ok(()),
            Err(failed) => Err(self.explained(failed, &lengths(passages)).await),
        }
    }

    async fn ids(
        &self,
        namespace: &str,
        set: &str,
        after: Option<&str>,
    ) -> Result<Page, LoreError> {
        let mut body = json!({
            "namespace": written(namespace),
            "filter": { "set": { "$eq": set } },
            "limit": PAGE,
        });
        if let Some(after) = after {
            body["paginationToken"] = after.into();
        }
        let path = ["vectors", "fetch_by_metadata"];
        match self.ask::<Fetched>(&path, body.to_string(), LOOKING).await {
            Ok(fetched) => Ok(Page {
                ids: fetched.vectors.into_keys().collect(),
                next: (fetched.pagination)
                    .and_then(|pagination| pagination.next)
                    .filter(|next| !next.is_empty()),
            }),
            Err(failed) => self.unless_empty(failed).await,
        }
    }

    async fn remove(&self, namespace: &str, ids: &[&str]) -> Result<(), LoreError> {
        let name = &json!(written(namespace));
        let removed = REMOVE
            .send(ids.iter(), |list| {
                let body = format!("{{\"namespace\":{name},\"ids\":{list}}}");
                self.change(&["vectors", "delete"], body)
            })
            .await;
        match removed {
            Ok(()) => Ok(()),
            Err(failed) => self.unless_empty(failed).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_that_differ_are_written_differently_in_characters_that_are_safe() {
        let written: Vec<String> = [
            "",
            "cafe/barista",
            "cafe%2Fbarista",
            "__default__",
            "a_b",
            "ä",
        ]
        .into_iter()
        .map(written)
        .collect();
        assert_eq!(
            written,
            [
                "",
                "cafe%2Fbarista",
                "cafe%252Fbarista",
                "%5F_default__",
                "a_b",
                "%C3%A4"
            ]
        );
    }
}
