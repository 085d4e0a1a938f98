//! Lore: documents in a vector store, found by meaning.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::oracle::Fault;
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

/// What a text is to be found by, or to find: some models embed the two differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A passage that is stored.
    Document,
    /// A question that passages are looked for with.
    Query,
}

/// The vectors of some texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// One for each text, in order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that the provider counted; 0 where it counts none.
    pub tokens: u64,
}

/// An embedder did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the embedder {provider} failed: {message}")]
pub struct EmbedderError {
    /// What to do about it: as for an Oracle. [`Fault::TooLong`] is a text, not a conversation.
    pub fault: Fault,
    /// The provider.
    pub provider: &'static str,
    /// What happened, without any of the texts and without the key.
    pub message: String,
}

impl EmbedderError {
    /// A failure of `provider`.
    pub fn new(provider: &'static str, fault: Fault, message: impl Into<String>) -> Self {
        Self {
            fault,
            provider,
            message: message.into(),
        }
    }
}

/// Turns text into vectors of unit length.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// How many entries a vector has.
    fn dimensions(&self) -> usize;

    /// One vector for each text, in order. The same text for the same purpose gives the same vector. Any number of texts:
    /// the adapter asks in as many requests as its provider's limits need, some at a time, and does not retry. The caller
    /// bounds the time by dropping the future.
    async fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Embeddings, EmbedderError>;
}
