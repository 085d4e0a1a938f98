//! Lore: documents in a vector store, found by meaning.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// A piece of a document, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Unique in its collection, and stable over ingestions.
    pub id: String,
    /// The document that it is from.
    pub source: String,
    /// The text.
    pub text: String,
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// What was found.
    pub passage: Passage,
    /// Cosine similarity, -1 to 1, larger is nearer.
    pub score: f32,
}

/// A vector store's collection. Vectors have [`Embedder::dimensions`] entries.
#[async_trait]
pub trait Lore: Send + Sync {
    /// The `top_k` nearest passages with at least `min_score`, nearest first; ties in the order of ids.
    async fn search(
        &self,
        vector: &[f32],
        top_k: usize,
        min_score: f32,
    ) -> Result<Vec<Match>, StoreError>;

    /// Adds passages, each with its vector; one with the same id is replaced.
    async fn put(&self, passages: &[(Passage, Vec<f32>)]) -> Result<(), StoreError>;

    /// Removes every passage of a source; how many there were.
    async fn remove(&self, source: &str) -> Result<u64, StoreError>;
}

/// An embedder did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the embedder failed: {0}")]
pub struct EmbedderError(pub String);

/// Turns text into vectors of unit length.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// How many entries a vector has.
    fn dimensions(&self) -> usize;

    /// One vector for each text, in order. The same text gives the same vector.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedderError>;
}
