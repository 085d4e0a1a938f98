//! Lore for one process: every passage is compared with the question.

use std::{cmp::Ordering, collections::BTreeMap};

use async_trait::async_trait;
use eywa_weave::{
    StoreError,
    ports::lore::{Lore, Match, Passage},
};

use crate::in_memory::Shared;

/// Lore for one process, by comparing with every passage: right for some ten thousand of them.
#[derive(Debug, Default)]
pub struct InMemoryLore(Shared<BTreeMap<String, (Passage, Vec<f32>)>>);

impl InMemoryLore {
    /// An empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Lore for InMemoryLore {
    async fn search(
        &self,
        vector: &[f32],
        top_k: usize,
        min_score: f32,
    ) -> Result<Vec<Match>, StoreError> {
        let passages = self.0.lock();
        // In the order of ids, which a stable sort keeps among equals.
        let mut found: Vec<(f32, &Passage)> = passages
            .values()
            .map(|(passage, of)| (cosine(vector, of), passage))
            .filter(|(score, _)| *score >= min_score)
            .collect();
        found.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
        found.truncate(top_k);
        Ok(found
            .into_iter()
            .map(|(score, passage)| Match {
                passage: passage.clone(),
                score,
            })
            .collect())
    }

    async fn put(&self, passages: &[(Passage, Vec<f32>)]) -> Result<(), StoreError> {
        let mut kept = self.0.lock();
        for (passage, vector) in passages {
            kept.insert(passage.id.clone(), (passage.clone(), vector.clone()));
        }
        Ok(())
    }

    async fn remove(&self, source: &str) -> Result<u64, StoreError> {
        let mut kept = self.0.lock();
        let before = kept.len();
        kept.retain(|_, (passage, _)| passage.source != source);
        Ok((before - kept.len()) as u64)
    }
}

/// Cosine similarity. A vector without a direction is like nothing.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let lengths = length(a) * length(b);
    if lengths > 0.0 { dot / lengths } else { 0.0 }
}
