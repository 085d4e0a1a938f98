//! A Chronicle in MongoDB.

use std::time::Duration;

use ::mongodb::{
    Collection,
    bson::{Document, doc},
};
use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        chronicle::{Chronicle, Deed, Entry},
        vigil::Target,
    },
};
use futures::TryStreamExt as _;
use serde::{Serialize, de::DeserializeOwned};

use super::NEWEST;
use crate::mongodb::{CHRONICLE, DEEDS, Mongo, STORE, ends, is_duplicate, signed, text};

/// How long an entry is kept, where nothing else is said.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A Chronicle in MongoDB. Keeps entries for 90 days, or as [`keeping`](Self::keeping) says; at most [`NEWEST`] are read
/// at a time.
#[derive(Clone, Debug)]
pub struct MongoChronicle {
    mongo: Mongo,
    kept: Duration,
}

impl MongoChronicle {
    /// The Chronicle of this Spirit.
    #[must_use]
    pub fn new(mongo: Mongo) -> Self {
        Self { mongo, kept: KEPT }
    }

    /// Keeps entries for `kept`.
    #[must_use]
    pub fn keeping(self, kept: Duration) -> Self {
        Self { kept, ..self }
    }

    /// The last of those that the filter finds, oldest first.
    async fn last<T: DeserializeOwned>(
        &self,
        collection: &'static str,
        (filter, order): (Document, Document),
        field: &str,
        most: usize,
    ) -> Result<Vec<T>, StoreError> {
        let most = most.min(NEWEST);
        if most == 0 {
            return Ok(Vec::new());
        }
        let found: Vec<Document> = self
            .mongo
            .within(async |database| {
                let found: Collection<Document> = database.collection(collection);
                let found = found.find(filter).sort(order).limit(signed(most as u64));
                found.await?.try_collect().await
            })
            .await?;
        let read = |found: &Document| {
            serde_json::from_str(text(found, field)?)
                .map_err(|error| StoreError::unreadable(STORE, collection, error))
        };
        found.iter().rev().map(read).collect()
    }
}

fn encode(value: &impl Serialize, collection: &str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::unreadable(STORE, collection, error))
}

#[async_trait]
impl Chronicle for MongoChronicle {
    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let document = doc! {
            "of": self.mongo.of(&entry.session),
            "pulse": self.mongo.of(&entry.pulse),
            "entry": encode(entry, CHRONICLE)?,
            "ends": ends(self.kept),
        };
        self.mongo
            .within(async |database| {
                let entries: Collection<Document> = database.collection(CHRONICLE);
                entries.insert_one(document).await
            })
            .await?;
        Ok(())
    }

    async fn of_pulse(&self, id: &PulseId) -> Result<Vec<Entry>, StoreError> {
        let filter = doc! { "pulse": self.mongo.of(id) };
        self.last(CHRONICLE, (filter, doc! { "_id": -1 }), "entry", NEWEST)
            .await
    }

    async fn of_session(
        &self,
        session: &SessionKey,
        most: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let filter = doc! { "of": self.mongo.of(session) };
        self.last(CHRONICLE, (filter, doc! { "_id": -1 }), "entry", most)
            .await
    }

    async fn did(&self, deed: &Deed) -> Result<(), StoreError> {
        let of = self.mongo.of(&deed.about);
        let document = doc! {
            "_id": format!("{of} {}", deed.id),
            "of": of,
            "at": deed.at.as_millisecond(),
            "deed": encode(deed, DEEDS)?,
            "ends": ends(self.kept),
        };
        self.mongo
            .within(async |database| {
                let deeds: Collection<Document> = database.collection(DEEDS);
                match deeds.insert_one(document).await {
                    Err(error) if !is_duplicate(&error) => Err(error),
                    _ => Ok(()),
                }
            })
            .await
    }

    async fn deeds(&self, about: &Target, most: usize) -> Result<Vec<Deed>, StoreError> {
        let filter = doc! { "of": self.mongo.of(about) };
        self.last(DEEDS, (filter, doc! { "at": -1, "_id": -1 }), "deed", most)
            .await
    }
}
