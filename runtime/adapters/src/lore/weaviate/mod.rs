//! Lore in a class of Weaviate, over its REST interface; searches are GraphQL, as Weaviate has no other by HTTP.
//!
//! # The schema
//!
//! The class has no vectorizer, and vectors without a name compared by cosine; how long they are stands in its
//! description. An object's id is the UUIDv5 of its namespace and id. Its properties:
//!
//! | property | what | index |
//! |---|---|---|
//! | `namespace`, `set` | as JSON strings, since Weaviate trims what it indexes and does not index what is empty | filterable, tokenization `field` |
//! | `labels` | a list of `["key","value"]`, one for each entry of the metadata | filterable, tokenization `field` |
//! | `key` | the object's id, to page by: a cursor of Weaviate's takes no filter | filterable, tokenization `field` |
//! | `passage`, `source`, `text`, `metadata` | the passage's id, the rest of it, and its metadata as JSON | none |
//!
//! Namespaces are a property and not Weaviate's tenants: a tenant's name is of 4 to 64 letters, digits, `_` and `-`, and
//! has to be made before it can be asked for; any text is a namespace. Weaviate compares up to 40,000 passages that a
//! filter leaves one by one, so that small namespaces are searched exactly.
//!
//! Sources: Weaviate's REST and GraphQL references; what a server of 1.35 answers.

mod objects;

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::{
    StoreError,
    ports::lore::{Lore, LoreError, Match, PAGE, Page, Passage, Search},
};
use http::{Method, header};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use self::objects::{
    DESCRIPTION, Inserted, Kept, Listed, Object, Properties, Removed, all, class_name, equal,
    object, schema,
};
use super::{
    InvalidName,
    exchange::{
        CHANGING, Exchange, Failed, LOOKING, Limits, SPARE, labels, last_of_each, lengths, plain,
        ranked,
    },
};

/// The name in errors.
const STORE: &str = "weaviate";

/// Weaviate has no limit but time.
const INSERT: Limits = Limits {
    items: 100,
    bytes: 8 * 1024 * 1024,
};

/// How many objects are removed with one request: at most 10,000, unless a server is told otherwise.
const REMOVE: Limits = Limits {
    items: 500,
    bytes: 1024 * 1024,
};

/// A class of a Weaviate.
pub struct WeaviateLore {
    exchange: Exchange,
    class: String,
    /// How long the class's vectors were when it was last looked at; 0 when that is not known.
    dimensions: AtomicUsize,
}

impl WeaviateLore {
    /// The class `collection`, with an initial capital as Weaviate writes it, at `url`, which is the server's. Opens no
    /// connection yet.
    ///
    /// # Errors
    /// When no class can have this name.
    pub fn new(
        client: GuardedClient,
        url: Url,
        collection: &str,
        key: Option<SecretString>,
    ) -> Result<Self, InvalidName> {
        Ok(Self {
            exchange: Exchange::new(STORE, client, url).with_key(
                header::AUTHORIZATION,
                "Bearer ",
                key,
            ),
            class: class_name(collection)?,
            dimensions: AtomicUsize::new(0),
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
        within: Duration,
    ) -> Result<T, Failed> {
        let path = [&["v1"], path].concat();
        let body = body.map(Value::to_string);
        self.exchange.ask(method, &path, body, within).await
    }

    /// The objects that a query gets.
    async fn get<T: DeserializeOwned>(
        &self,
        arguments: &str,
        fields: &str,
    ) -> Result<Vec<T>, Failed> {
        let query = format!("{{Get{{{}({arguments}){{{fields}}}}}}}", self.class);
        let body = json!({ "query": query });
        let path = ["graphql"];
        let mut answer: Value = self.ask(Method::POST, &path, Some(&body), LOOKING).await?;
        if let Some(error) = answer.pointer("/errors/0/message").and_then(Value::as_str) {
            // GraphQL's status says nothing.
            return Err(Failed::Status {
                status: 200,
                reason: self.exchange.told(error),
            });
        }
        let objects = answer["data"]["Get"][&self.class].take();
        serde_json::from_value(objects)
            .map_err(|_| Failed::Unanswered("an object of the class is no passage".to_owned()))
    }

    fn error(&self, failed: Failed) -> LoreError {
        self.exchange.error(failed)
    }

    /// What failed because the class is missing, as that.
    async fn explained(&self, failed: Failed) -> LoreError {
        if matches!(failed, Failed::Status { .. })
            && let Err(missing @ LoreError::Missing { .. }) = self.class().await
        {
            return missing;
        }
        self.error(failed)
    }

    async fn class(&self) -> Result<Value, LoreError> {
        let path = ["schema", &self.class];
        match self.ask(Method::GET, &path, None, LOOKING).await {
            Err(Failed::Status { status: 404, .. }) => Err(LoreError::Missing {
                store: STORE,
                collection: self.class.clone(),
                how: " by preparing it: a class without a vectorizer, its distance cosine",
            }),
            class => class.map_err(|failed| self.error(failed)),
        }
    }

    fn unfit(&self, found: String, dimensions: usize) -> LoreError {
        LoreError::Unfit {
            store: STORE,
            collection: self.class.clone(),
            found,
            needed: format!("vectors of {dimensions} dimensions compared by cosine"),
        }
    }

    /// Weaviate takes vectors of any length into a class that is empty, and answers questions of any length then.
    async fn fits(&self, dimensions: usize) -> Result<(), LoreError> {
        if self.dimensions.load(Ordering::Relaxed) == dimensions {
            return Ok(());
        }
        self.check(dimensions).await
    }

    /// How long the vectors of a class are that somebody else has made, if it has any.
    async fn first_length(&self) -> Result<Option<usize>, LoreError> {
        let first: Vec<Value> = self
            .get("limit:1", "_additional{vector}")
            .await
            .map_err(|failed| self.error(failed))?;
        let vector = first
            .first()
            .and_then(|first| first["_additional"]["vector"].as_array());
        Ok(vector.map(Vec::len).filter(|length| *length > 0))
    }

    async fn create(&self, dimensions: usize) -> Result<(), LoreError> {
        let body = schema(&self.class, dimensions);
        let path = ["schema"];
        match self
            .ask::<Value>(Method::POST, &path, Some(&body), CHANGING)
            .await
        {
            Ok(_) => Ok(()),
            // Somebody else may just have made it.
            Err(failed @ Failed::Status { status: 422, .. }) => {
                match self.check(dimensions).await {
                    Err(LoreError::Missing { .. }) => Err(self.error(failed)),
                    checked => checked,
                }
            }
            Err(failed) => Err(self.error(failed)),
        }
    }

    async fn insert(&self, objects: String) -> Result<(), Failed> {
        let body = format!("{{\"objects\":{objects}}}");
        let inserted: Vec<Inserted> = self.batch(Method::POST, body).await?;
        match inserted.iter().find(|it| it.result.status == "FAILED") {
            None => Ok(()),
            Some(failed) => {
                let errors = failed.result.errors.as_ref();
                let reason = errors
                    .and_then(|errors| errors.pointer("/error/0/message")?.as_str())
                    .unwrap_or("an object was not taken");
                // The status of the whole says nothing.
                Err(Failed::Status {
                    status: 200,
                    reason: self.exchange.told(reason),
                })
            }
        }
    }

    async fn delete(&self, ids: String) -> Result<(), Failed> {
        let body = format!(
            "{{\"match\":{{\"class\":\"{}\",\"where\":{{\"path\":[\"id\"],\"operator\":\"ContainsAny\",\"valueTextArray\":{ids}}}}}}}",
            self.class
        );
        let removed: Removed = self.batch(Method::DELETE, body).await?;
        match removed.results.failed {
            0 => Ok(()),
            failed => Err(Failed::Unanswered(format!(
                "{failed} objects were not removed"
            ))),
        }
    }

    async fn batch<T: DeserializeOwned>(&self, method: Method, body: String) -> Result<T, Failed> {
        let path = ["v1", "batch", "objects"];
        self.exchange.ask(method, &path, Some(body), CHANGING).await
    }
}

impl fmt::Debug for WeaviateLore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeaviateLore")
            .field("host", &self.exchange.host())
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Lore for WeaviateLore {
    async fn check(&self, dimensions: usize) -> Result<(), LoreError> {
        self.dimensions.store(0, Ordering::Relaxed);
        let class = self.class().await?;
        let distance = class["vectorIndexConfig"]["distance"].as_str();
        if distance != Some("cosine") {
            let found = match distance {
                Some(other) => format!("compares vectors by {other}"),
                None => "has vectors with names".to_owned(),
            };
            return Err(self.unfit(found, dimensions));
        }
        if class["vectorizer"].as_str().is_some_and(|it| it != "none") {
            let found = "makes vectors itself".to_owned();
            return Err(self.unfit(found, dimensions));
        }
        let written = class["description"]
            .as_str()
            .and_then(|text| text.strip_prefix(DESCRIPTION)?.parse().ok());
        let length = match written {
            Some(length) => Some(length),
            None => self.first_length().await?,
        };
        match length {
            Some(length) if length != dimensions => {
                Err(self.unfit(format!("has vectors of {length} dimensions"), dimensions))
            }
            _ => {
                self.dimensions.store(dimensions, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    async fn prepare(&self, dimensions: usize) -> Result<(), LoreError> {
        match self.check(dimensions).await {
            Err(LoreError::Missing { .. }) => self.create(dimensions).await,
            checked => checked,
        }
    }

    async fn search(&self, search: Search<'_>) -> Result<Vec<Match>, LoreError> {
        self.fits(search.vector.len()).await?;
        let mut conditions = vec![equal("namespace", &plain(search.namespace))];
        conditions.extend(labels(search.filter).iter().map(|it| equal("labels", it)));
        let arguments = format!(
            "limit:{},nearVector:{{vector:{}}},{}",
            search.top_k + SPARE,
            json!(search.vector),
            all(&conditions)
        );
        let fields = "set passage source text metadata _additional{distance}";
        let found: Vec<Kept> = match self.get(&arguments, fields).await {
            Ok(found) => found,
            Err(failed) => return Err(self.explained(failed).await),
        };
        let matches: Result<_, _> = found.into_iter().map(Kept::found).collect();
        Ok(ranked(matches?, search.top_k, search.min_score))
    }

    async fn put(
        &self,
        namespace: &str,
        passages: &[(Passage, Vec<f32>)],
    ) -> Result<(), LoreError> {
        // Each time: Weaviate makes a class that is missing by itself, as it likes.
        for length in lengths(passages) {
            self.check(length).await?;
        }
        let namespace_key = &plain(namespace);
        let objects = last_of_each(passages).into_iter().map(|(passage, vector)| {
            let id = object(namespace, &passage.id);
            Object {
                class: &self.class,
                id,
                vector,
                properties: Properties {
                    namespace: namespace_key,
                    set: plain(&passage.set),
                    labels: labels(&passage.metadata),
                    key: id,
                    passage: &passage.id,
                    source: &passage.source,
                    text: &passage.text,
                    metadata: json!(passage.metadata).to_string(),
                },
            }
        });
        match INSERT.send(objects, |list| self.insert(list)).await {
            Ok(()) => Ok(()),
            Err(failed) => Err(self.explained(failed).await),
        }
    }

    async fn ids(
        &self,
        namespace: &str,
        set: &str,
        after: Option<&str>,
    ) -> Result<Page, LoreError> {
        let mut conditions = vec![
            equal("namespace", &plain(namespace)),
            equal("set", &plain(set)),
        ];
        if let Some(after) = after {
            let after: Uuid = (after.parse())
                .map_err(|error| StoreError::unreadable(STORE, "a page's next", error))?;
            conditions.push(format!(
                "{{path:[\"key\"],operator:GreaterThan,valueText:\"{after}\"}}"
            ));
        }
        let arguments = format!(
            "limit:{},sort:[{{path:[\"key\"],order:asc}}],{}",
            PAGE + 1,
            all(&conditions)
        );
        let mut listed: Vec<Listed> = match self.get(&arguments, "key passage").await {
            Ok(listed) => listed,
            Err(failed) => return Err(self.explained(failed).await),
        };
        let more = listed.len() > PAGE;
        listed.truncate(PAGE);
        let next = listed.last().filter(|_| more).map(|it| it.key.clone());
        Ok(Page {
            ids: listed.into_iter().map(|it| it.passage).collect(),
            next,
        })
    }

    async fn remove(&self, namespace: &str, ids: &[&str]) -> Result<(), LoreError> {
        let ids = ids.iter().map(|id| object(namespace, id));
        let removed = REMOVE.send(ids, |list| self.delete(list)).await;
        match removed {
            Ok(()) => Ok(()),
            Err(failed) => Err(self.explained(failed).await),
        }
    }
}
