//! Lore in Qdrant 1.11 or newer, over its REST interface.
//!
//! # The schema
//!
//! One vector a point, without a name, compared by cosine. A point's id is the UUIDv5 of its namespace and id, since
//! Qdrant takes no other texts as ids. Its payload:
//!
//! | field | what | index |
//! |---|---|---|
//! | `namespace` | the tenant | keyword, `is_tenant` |
//! | `set` | what it was brought in with | keyword |
//! | `labels` | a list of `["key","value"]`, as text, one for each entry of the metadata | keyword |
//! | `id`, `source`, `text`, `metadata` | the rest of the passage | |
//!
//! Sources: Qdrant's OpenAPI document (v1.19), and its documentation of multitenancy and of payload indexes.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::ports::lore::{Lore, LoreError, Match, PAGE, Page, Passage, Search};
use http::{HeaderName, Method};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::exchange::{
    CHANGING, Exchange, Failed, LOOKING, Limits, SPARE, labels, last_of_each, lengths, misfit,
    ranked,
};

/// The name in errors.
const STORE: &str = "qdrant";

/// Qdrant takes 32 MiB in one request unless told otherwise, and advises smaller ones.
const UPSERT: Limits = Limits {
    items: 128,
    bytes: 8 * 1024 * 1024,
};

/// How many points are removed with one request.
const REMOVE: Limits = Limits {
    items: 1000,
    bytes: 1024 * 1024,
};

/// What the UUIDs of points are made below.
const POINTS: Uuid = Uuid::from_u128(0x6c1d_4f0a_96a5_4d0e_8d53_0f2c_3b5e_7a91);

/// A collection of a Qdrant.
pub struct QdrantLore {
    exchange: Exchange,
    collection: String,
}

/// Every answer has its body here.
#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

#[derive(Serialize)]
struct Point<'a> {
    id: Uuid,
    vector: &'a [f32],
    payload: Payload<'a>,
}

#[derive(Serialize)]
struct Payload<'a> {
    namespace: &'a str,
    labels: Vec<String>,
    #[serde(flatten)]
    passage: Kept<'a>,
}

#[derive(Serialize)]
struct Kept<'a> {
    id: &'a str,
    set: &'a str,
    source: &'a str,
    text: &'a str,
    metadata: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Found {
    points: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    score: f32,
    payload: Passage,
}

#[derive(Deserialize)]
struct Scrolled {
    points: Vec<Listed>,
    next_page_offset: Option<Value>,
}

#[derive(Deserialize)]
struct Listed {
    payload: OnlyId,
}

#[derive(Deserialize)]
struct OnlyId {
    id: String,
}

impl QdrantLore {
    /// The collection at `url`, which is the server's. Opens no connection yet.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        url: Url,
        collection: impl Into<String>,
        key: Option<SecretString>,
    ) -> Self {
        let header = HeaderName::from_static("api-key");
        Self {
            exchange: Exchange::new(STORE, client, url).with_key(header, "", key),
            collection: collection.into(),
        }
    }

    /// Changes some points, which are listed.
    async fn change(&self, method: Method, action: &[&str], points: String) -> Result<(), Failed> {
        let path = [&["collections", &self.collection, "points"], action].concat();
        let body = Some(format!("{{\"points\":{points}}}"));
        // What was changed is found by the next request.
        let _: Answer<Value> = self
            .exchange
            .ask_with(method, &path, "wait=true", body, CHANGING)
            .await?;
        Ok(())
    }

    async fn look<T: serde::de::DeserializeOwned>(
        &self,
        action: &str,
        body: &Value,
    ) -> Result<T, Failed> {
        let path = ["collections", &self.collection, "points", action];
        let body = Some(body.to_string());
        let answer: Answer<T> = self
            .exchange
            .ask(Method::POST, &path, body, LOOKING)
            .await?;
        Ok(answer.result)
    }

    fn error(&self, failed: Failed) -> LoreError {
        match failed {
            Failed::Status { status: 404, .. } => LoreError::Missing {
                store: STORE,
                collection: self.collection.clone(),
                how: " by preparing it: one dense vector without a name, compared by Cosine",
            },
            failed => self.exchange.error(failed),
        }
    }

    /// What failed because of the vectors' length, as that.
    async fn explained(&self, failed: Failed, lengths: &[usize]) -> LoreError {
        match misfit(self, &failed, lengths).await {
            Some(unfit) => unfit,
            None => self.error(failed),
        }
    }

    fn unfit(&self, found: String, dimensions: usize) -> LoreError {
        LoreError::Unfit {
            store: STORE,
            collection: self.collection.clone(),
            found,
            needed: format!("vectors of {dimensions} dimensions compared by Cosine"),
        }
    }

    async fn create(&self, dimensions: usize) -> Result<(), LoreError> {
        let body = json!({ "vectors": { "size": dimensions, "distance": "Cosine" } });
        let path = ["collections", &self.collection];
        let body = Some(body.to_string());
        match self
            .exchange
            .ask::<Value>(Method::PUT, &path, body, CHANGING)
            .await
        {
            Ok(_) => Ok(()),
            // Somebody else has just made it, says 409; older releases say 400.
            Err(
                failed @ Failed::Status {
                    status: 400 | 409, ..
                },
            ) => match self.check(dimensions).await {
                Err(LoreError::Missing { .. }) => Err(self.error(failed)),
                checked => checked,
            },
            Err(failed) => Err(self.error(failed)),
        }
    }
}

impl fmt::Debug for QdrantLore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantLore")
            .field("host", &self.exchange.host())
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

/// The UUID that a passage has as a point.
fn point(namespace: &str, id: &str) -> Uuid {
    Uuid::new_v5(&POINTS, json!([namespace, id]).to_string().as_bytes())
}

fn must(key: &str, value: &str) -> Value {
    json!({ "key": key, "match": { "value": value } })
}

#[async_trait]
impl Lore for QdrantLore {
    async fn check(&self, dimensions: usize) -> Result<(), LoreError> {
        let path = ["collections", &self.collection];
        let answer: Answer<Value> = self
            .exchange
            .ask(Method::GET, &path, None, LOOKING)
            .await
            .map_err(|failed| self.error(failed))?;
        let vectors = &answer.result["config"]["params"]["vectors"];
        let (Some(size), Some(distance)) = (vectors["size"].as_u64(), vectors["distance"].as_str())
        else {
            let found = "has vectors with names".to_owned();
            return Err(self.unfit(found, dimensions));
        };
        if distance != "Cosine" {
            let found = format!("compares vectors by {distance}");
            return Err(self.unfit(found, dimensions));
        }
        if size != dimensions as u64 {
            return Err(self.unfit(format!("has vectors of {size} dimensions"), dimensions));
        }
        Ok(())
    }

    async fn prepare(&self, dimensions: usize) -> Result<(), LoreError> {
        match self.check(dimensions).await {
            Err(LoreError::Missing { .. }) => self.create(dimensions).await?,
            checked => checked?,
        }
        // Each time: whoever made the collection may have died before it made them. Making one again changes nothing.
        for (field, tenant) in [("namespace", true), ("set", false), ("labels", false)] {
            let mut schema = json!({ "type": "keyword" });
            if tenant {
                schema["is_tenant"] = true.into();
            }
            let body = json!({ "field_name": field, "field_schema": schema }).to_string();
            let path = ["collections", &self.collection, "index"];
            self.exchange
                .ask_with::<Value>(Method::PUT, &path, "wait=true", Some(body), CHANGING)
                .await
                .map_err(|failed| self.error(failed))?;
        }
        Ok(())
    }

    async fn search(&self, search: Search<'_>) -> Result<Vec<Match>, LoreError> {
        let mut all = vec![must("namespace", search.namespace)];
        all.extend(labels(search.filter).iter().map(|it| must("labels", it)));
        let body = json!({
            "query": search.vector,
            "filter": { "must": all },
            "limit": search.top_k + SPARE,
            "with_payload": true,
        });
        let found: Found = match self.look("query", &body).await {
            Ok(found) => found,
            Err(failed) => return Err(self.explained(failed, &[search.vector.len()]).await),
        };
        let matches = found
            .points
            .into_iter()
            .map(|point| Match {
                passage: point.payload,
                score: point.score,
            })
            .collect();
        Ok(ranked(matches, search.top_k, search.min_score))
    }

    async fn put(
        &self,
        namespace: &str,
        passages: &[(Passage, Vec<f32>)],
    ) -> Result<(), LoreError> {
        let points = last_of_each(passages)
            .into_iter()
            .map(|(passage, vector)| Point {
                id: point(namespace, &passage.id),
                vector,
                payload: Payload {
                    namespace,
                    labels: labels(&passage.metadata),
                    passage: Kept {
                        id: &passage.id,
                        set: &passage.set,
                        source: &passage.source,
                        text: &passage.text,
                        metadata: &passage.metadata,
                    },
                },
            });
        let put = UPSERT
            .send(points, |list| self.change(Method::PUT, &[], list))
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
            "filter": { "must": [must("namespace", namespace), must("set", set)] },
            "limit": PAGE,
            "with_payload": ["id"],
            "with_vector": false,
        });
        if let Some(after) = after {
            body["offset"] = after.into();
        }
        let scrolled: Scrolled = self
            .look("scroll", &body)
            .await
            .map_err(|failed| self.error(failed))?;
        let ids = scrolled.points.into_iter().map(|it| it.payload.id);
        let next = scrolled.next_page_offset;
        Ok(Page {
            ids: ids.collect(),
            next: next.and_then(|next| next.as_str().map(str::to_owned)),
        })
    }

    async fn remove(&self, namespace: &str, ids: &[&str]) -> Result<(), LoreError> {
        let points = ids.iter().map(|id| point(namespace, id));
        REMOVE
            .send(points, |list| self.change(Method::POST, &["delete"], list))
            .await
            .map_err(|failed| self.error(failed))
    }
}
