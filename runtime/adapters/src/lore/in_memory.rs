//! Lore for one process: every passage is compared with the question.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

use async_trait::async_trait;
use eywa_weave::ports::lore::{Lore, LoreError, Match, PAGE, Page, Passage, Search};

use super::nearest::{cosine, nearest};
use crate::in_memory::Shared;

/// The name in errors.
const STORE: &str = "in-memory";
/// There is one collection.
const COLLECTION: &str = "lore";

/// Lore for one process, by comparing with every passage of the namespace: right for some ten thousand of them.
#[derive(Debug, Default)]
pub struct InMemoryLore(Shared<Option<Collection>>);

#[derive(Debug)]
struct Collection {
    dimensions: usize,
    /// By namespace and id.
    passages: BTreeMap<(String, String), (Passage, Vec<f32>)>,
}

impl InMemoryLore {
    /// Without a collection: [`Lore::prepare`] makes it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Collection {
    fn takes(&self, dimensions: usize) -> Result<(), LoreError> {
        if self.dimensions == dimensions {
            return Ok(());
        }
        Err(LoreError::Unfit {
            store: STORE,
            collection: COLLECTION.to_owned(),
            found: format!("has vectors of {} dimensions", self.dimensions),
            needed: format!("{dimensions} dimensions"),
        })
    }
}

fn missing() -> LoreError {
    LoreError::Missing {
        store: STORE,
        collection: COLLECTION.to_owned(),
        how: " by preparing it",
    }
}

#[async_trait]
impl Lore for InMemoryLore {
    async fn check(&self, dimensions: usize) -> Result<(), LoreError> {
        let lore = self.0.lock();
        lore.as_ref().ok_or_else(missing)?.takes(dimensions)
    }

    async fn prepare(&self, dimensions: usize) -> Result<(), LoreError> {
        let mut lore = self.0.lock();
        let made = lore.get_or_insert_with(|| Collection {
            dimensions,
            passages: BTreeMap::new(),
        });
        made.takes(dimensions)
    }

    async fn search(&self, search: Search<'_>) -> Result<Vec<Match>, LoreError> {
        let lore = self.0.lock();
        let lore = lore.as_ref().ok_or_else(missing)?;
        lore.takes(search.vector.len())?;
        let compared = of_namespace(lore, search.namespace)
            .map(|(_, kept)| kept)
            .filter(|(passage, _)| {
                let mut asked = search.filter.iter();
                asked.all(|(key, value)| passage.metadata.get(key) == Some(value))
            })
            .map(|(passage, of)| (cosine(search.vector, of), passage));
        Ok(nearest(compared, search.top_k, search.min_score)
            .into_iter()
            .map(|(score, passage)| Match {
                passage: passage.clone(),
                score,
            })
            .collect())
    }

    async fn put(
        &self,
        namespace: &str,
        passages: &[(Passage, Vec<f32>)],
    ) -> Result<(), LoreError> {
        let mut lore = self.0.lock();
        let lore = lore.as_mut().ok_or_else(missing)?;
        for (_, vector) in passages {
            lore.takes(vector.len())?;
        }
        for (passage, vector) in passages {
            let key = (namespace.to_owned(), passage.id.clone());
            lore.passages.insert(key, (passage.clone(), vector.clone()));
        }
        Ok(())
    }

    async fn ids(
        &self,
        namespace: &str,
        set: &str,
        after: Option<&str>,
    ) -> Result<Page, LoreError> {
        let lore = self.0.lock();
        let lore = lore.as_ref().ok_or_else(missing)?;
        let from = after.map_or_else(
            || Bound::Included((namespace.to_owned(), String::new())),
            |after| Bound::Excluded((namespace.to_owned(), after.to_owned())),
        );
        let mut ids: Vec<String> = lore
            .passages
            .range((from, Bound::Unbounded))
            .take_while(|((of, _), _)| of == namespace)
            .filter(|(_, (passage, _))| passage.set == set)
            .map(|((_, id), _)| id.clone())
            .take(PAGE + 1)
            .collect();
        let more = ids.len() > PAGE;
        ids.truncate(PAGE);
        let next = more.then(|| ids.last().cloned()).flatten();
        Ok(Page { ids, next })
    }

    async fn remove(&self, namespace: &str, ids: &[&str]) -> Result<(), LoreError> {
        let mut lore = self.0.lock();
        let lore = lore.as_mut().ok_or_else(missing)?;
        let ids: HashSet<&str> = ids.iter().copied().collect();
        lore.passages
            .retain(|(of, id), _| of != namespace || !ids.contains(id.as_str()));
        Ok(())
    }
}

/// The passages of a namespace, in the order of their ids.
fn of_namespace<'a>(
    lore: &'a Collection,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a (String, String), &'a (Passage, Vec<f32>))> {
    lore.passages
        .range((namespace.to_owned(), String::new())..)
        .take_while(move |((of, _), _)| of == namespace)
}
