//! Lore in a file: every passage of the namespace is compared with the question.

use async_trait::async_trait;
use eywa_weave::{
    StoreError,
    ports::lore::{Lore, LoreError, Match, PAGE, Page, Passage, Search},
};
use redb::{ReadableTable, TableDefinition};

use super::nearest::{cosine, nearest};
use crate::redb::{Failed, Redb, STORE, Txn, decode, encode};

/// A Spirit, and its collection.
type Collection<'a> = (&'a str, &'a str);

/// A Spirit, its collection, a namespace and an id.
type Key<'a> = (&'a str, &'a str, &'a str, &'a str);

/// A Spirit, its collection, a namespace, a set and an id.
type Membership<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

/// How long a collection's vectors are.
const COLLECTIONS: TableDefinition<'static, Collection<'static>, u64> =
    TableDefinition::new("lore-collections");

/// Vectors, as 32-bit floats with the lowest byte first, and what a passage is filtered by: its metadata as JSON, empty for
/// none. All that a search reads of what it does not find.
const VECTORS: TableDefinition<'static, Key<'static>, (&[u8], &[u8])> =
    TableDefinition::new("lore-vectors");

/// Passages, as JSON.
const PASSAGES: TableDefinition<'static, Key<'static>, &[u8]> =
    TableDefinition::new("lore-passages");

/// Which passages a set has.
const SETS: TableDefinition<'static, Membership<'static>, ()> = TableDefinition::new("lore-sets");

/// How many passages are written in one go, so that others who write do not wait for all.
const TOGETHER: usize = 512;

/// Sorts after every id: no text has this character.
const LAST: &str = "\u{10FFFF}";

/// Lore in a file, by comparing with every passage of the namespace: right for some ten thousand of them.
#[derive(Clone, Debug)]
pub struct RedbLore {
    redb: Redb,
    collection: String,
}

impl RedbLore {
    /// A collection of this Spirit.
    #[must_use]
    pub fn new(redb: Redb, collection: impl Into<String>) -> Self {
        Self {
            redb,
            collection: collection.into(),
        }
    }

    fn missing(&self) -> LoreError {
        LoreError::Missing {
            store: STORE,
            collection: self.collection.clone(),
            how: " by preparing it",
        }
    }

    fn takes(&self, found: Option<u64>, dimensions: usize) -> Result<(), LoreError> {
        match found {
            None => Err(self.missing()),
            Some(found) if found == dimensions as u64 => Ok(()),
            Some(found) => Err(LoreError::Unfit {
                store: STORE,
                collection: self.collection.clone(),
                found: format!("has vectors of {found} dimensions"),
                needed: format!("{dimensions} dimensions"),
            }),
        }
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(COLLECTIONS)?;
    txn.table(VECTORS)?;
    txn.table(PASSAGES)?;
    txn.table(SETS)?;
    Ok(())
}

/// How long a collection's vectors are, if there is such a collection.
fn length(
    table: &impl ReadableTable<Collection<'static>, u64>,
    collection: Collection<'_>,
) -> Result<Option<u64>, Failed> {
    Ok(table.get(collection)?.map(|length| length.value()))
}

fn written(vector: &[f32]) -> Vec<u8> {
    vector
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .collect()
}

fn read_into(vector: &mut Vec<f32>, bytes: &[u8]) {
    vector.clear();
    let (entries, _) = bytes.as_chunks::<4>();
    vector.extend(entries.iter().map(|entry| f32::from_le_bytes(*entry)));
}

/// Takes a passage away; says whether there was one.
fn drop_one(txn: &Txn<'_>, key: Key<'_>) -> Result<bool, Failed> {
    let set = {
        let mut passages = txn.table(PASSAGES)?;
        let Some(before) = passages.remove(key)? else {
            return Ok(false);
        };
        let before: Passage = decode(|| format!("lore {}", key.3), before.value())?;
        before.set
    };
    txn.table(VECTORS)?.remove(key)?;
    let (spirit, collection, namespace, id) = key;
    txn.table(SETS)?
        .remove((spirit, collection, namespace, set.as_str(), id))?;
    Ok(true)
}

#[async_trait]
impl Lore for RedbLore {
    async fn check(&self, dimensions: usize) -> Result<(), LoreError> {
        let (spirit, collection) = (self.redb.spirit(), self.collection.clone());
        let found = self
            .redb
            .read(move |txn| length(&txn.open_table(COLLECTIONS)?, (&spirit, &collection)))
            .await?;
        self.takes(found, dimensions)
    }

    async fn prepare(&self, dimensions: usize) -> Result<(), LoreError> {
        let (spirit, collection) = (self.redb.spirit(), self.collection.clone());
        let found = self
            .redb
            .write(move |txn| {
                let mut collections = txn.table(COLLECTIONS)?;
                let key = (&*spirit, collection.as_str());
                let found = length(&collections, key)?;
                match found {
                    Some(_) => txn.unchanged(),
                    None => _ = collections.insert(key, dimensions as u64)?,
                }
                Ok(found.unwrap_or(dimensions as u64))
            })
            .await?;
        self.takes(Some(found), dimensions)
    }

    async fn search(&self, search: Search<'_>) -> Result<Vec<Match>, LoreError> {
        let (spirit, collection) = (self.redb.spirit(), self.collection.clone());
        let (namespace, vector) = (search.namespace.to_owned(), search.vector.to_vec());
        let (filter, top_k, min_score) = (search.filter.clone(), search.top_k, search.min_score);
        let looked = self
            .redb
            .read(move |txn| {
                let found = length(&txn.open_table(COLLECTIONS)?, (&spirit, &collection))?;
                if found != Some(vector.len() as u64) {
                    return Ok(Err(found));
                }
                let key = |id| (&*spirit, collection.as_str(), namespace.as_str(), id);
                let vectors = txn.open_table(VECTORS)?;
                let mut failed = None;
                let mut of = Vec::with_capacity(vector.len());
                let compared = vectors.range(key("")..key(LAST))?.filter_map(|entry| {
                    let compare = || {
                        let (found, value) = entry?;
                        let (bytes, metadata) = value.value();
                        let id = found.value().3;
                        if !filter.is_empty() && !has_all(&filter, id, metadata)? {
                            return Ok(None);
                        }
                        read_into(&mut of, bytes);
                        Ok(Some((cosine(&vector, &of), id.to_owned())))
                    };
                    compare().unwrap_or_else(|error: Failed| {
                        failed.get_or_insert(error);
                        None
                    })
                });
                let chosen = nearest(compared, top_k, min_score);
                if let Some(failed) = failed {
                    return Err(failed);
                }
                let passages = txn.open_table(PASSAGES)?;
                let mut matches = Vec::with_capacity(chosen.len());
                for (score, id) in chosen {
                    let key = (&*spirit, collection.as_str(), namespace.as_str(), &*id);
                    if let Some(passage) = passages.get(key)? {
                        let passage = decode(|| format!("lore {id}"), passage.value())?;
                        matches.push(Match { passage, score });
                    }
                }
                Ok(Ok(matches))
            })
            .await?;
        match looked {
            Ok(matches) => Ok(matches),
            Err(found) => {
                self.takes(found, search.vector.len())?;
                Ok(Vec::new())
            }
        }
    }

    async fn put(
        &self,
        namespace: &str,
        passages: &[(Passage, Vec<f32>)],
    ) -> Result<(), LoreError> {
        for (_, vector) in passages {
            // All of them before any is written.
            if vector.len() != passages[0].1.len() {
                self.check(vector.len()).await?;
            }
        }
        for some in passages.chunks(TOGETHER) {
            let (spirit, collection) = (self.redb.spirit(), self.collection.clone());
            let namespace = namespace.to_owned();
            let length_of_these = some[0].1.len();
            let mut kept = Vec::with_capacity(some.len());
            for (passage, vector) in some {
                let metadata = match passage.metadata.is_empty() {
                    true => Vec::new(),
                    false => encode(&passage.metadata).map_err(StoreError::from)?,
                };
                let json = encode(passage).map_err(StoreError::from)?;
                let (id, set) = (passage.id.clone(), passage.set.clone());
                kept.push((id, set, written(vector), metadata, json));
            }
            let found = self
                .redb
                .write(move |txn| {
                    let found = length(&txn.table(COLLECTIONS)?, (&spirit, &collection))?;
                    if found != Some(length_of_these as u64) {
                        txn.unchanged();
                        return Ok(found);
                    }
                    for (id, set, vector, metadata, json) in &kept {
                        let key = (
                            &*spirit,
                            collection.as_str(),
                            namespace.as_str(),
                            id.as_str(),
                        );
                        drop_one(txn, key)?;
                        txn.table(VECTORS)?
                            .insert(key, (vector.as_slice(), metadata.as_slice()))?;
                        txn.table(PASSAGES)?.insert(key, json.as_slice())?;
                        let membership = (key.0, key.1, key.2, set.as_str(), key.3);
                        txn.table(SETS)?.insert(membership, ())?;
                    }
                    Ok(found)
                })
                .await?;
            self.takes(found, length_of_these)?;
        }
        Ok(())
    }

    async fn ids(
        &self,
        namespace: &str,
        set: &str,
        after: Option<&str>,
    ) -> Result<Page, LoreError> {
        let (spirit, collection) = (self.redb.spirit(), self.collection.clone());
        let (namespace, set) = (namespace.to_owned(), set.to_owned());
        let after = after.map(str::to_owned);
        let page = self
            .redb
            .read(move |txn| {
                if length(&txn.open_table(COLLECTIONS)?, (&spirit, &collection))?.is_none() {
                    return Ok(None);
                }
                let key = |id| {
                    (
                        &*spirit,
                        collection.as_str(),
                        namespace.as_str(),
                        set.as_str(),
                        id,
                    )
                };
                let sets = txn.open_table(SETS)?;
                let mut ids = Vec::new();
                let from = after.as_deref().unwrap_or_default();
                for entry in sets.range(key(from)..key(LAST))? {
                    let (found, _) = entry?;
                    let id = found.value().4;
                    if after.as_deref() != Some(id) {
                        ids.push(id.to_owned());
                    }
                    if ids.len() > PAGE {
                        break;
                    }
                }
                let more = ids.len() > PAGE;
                ids.truncate(PAGE);
                let next = ids.last().filter(|_| more).cloned();
                Ok(Some(Page { ids, next }))
            })
            .await?;
        page.ok_or_else(|| self.missing())
    }

    async fn remove(&self, namespace: &str, ids: &[&str]) -> Result<(), LoreError> {
        let (spirit, collection) = (self.redb.spirit(), self.collection.clone());
        let namespace = namespace.to_owned();
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let found = self
            .redb
            .write(move |txn| {
                let found = length(&txn.table(COLLECTIONS)?, (&spirit, &collection))?;
                let mut changed = false;
                for id in &ids {
                    let key = (
                        &*spirit,
                        collection.as_str(),
                        namespace.as_str(),
                        id.as_str(),
                    );
                    changed |= drop_one(txn, key)?;
                }
                if !changed {
                    txn.unchanged();
                }
                Ok(found)
            })
            .await?;
        found.map(drop).ok_or_else(|| self.missing())
    }
}

fn has_all(
    filter: &std::collections::BTreeMap<String, String>,
    id: &str,
    metadata: &[u8],
) -> Result<bool, Failed> {
    if metadata.is_empty() {
        return Ok(false);
    }
    let metadata: std::collections::BTreeMap<String, String> =
        decode(|| format!("lore {id}"), metadata)?;
    let mut asked = filter.iter();
    Ok(asked.all(|(key, value)| metadata.get(key) == Some(value)))
}
