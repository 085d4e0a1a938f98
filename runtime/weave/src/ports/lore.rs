//! Lore: documents in a vector store, found by meaning.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::oracle::Fault;
use crate::error::StoreError;

/// A piece of a document, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Unique in its namespace, and made of what the passage says and where it is from: the same id is the same passage,
    /// embedded in the same way. At most [`LONGEST_ID`] bytes of printable ASCII.
    pub id: String,
    /// The set that it was brought in with: what one ingestion looks after, and no other touches.
    pub set: String,
    /// The document that it is from, as people know it: a path or a URL.
    pub source: String,
    /// The text.
    pub text: String,
    /// What is known of it, to be filtered by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The most bytes of a passage's id. Pinecone, which has the tightest limit of the stores, takes 512.
pub const LONGEST_ID: usize = 256;

/// The most ids in one [page](Lore::ids).
pub const PAGE: usize = 100;

/// A passage that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// What was found.
    pub passage: Passage,
    /// Cosine similarity, -1 to 1, larger is nearer.
    pub score: f32,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Where: one tenant's passages. No search sees two namespaces.
    pub namespace: &'a str,
    /// What is near to this.
    pub vector: &'a [f32],
    /// Only passages whose metadata has all of these.
    pub filter: &'a BTreeMap<String, String>,
    /// The most that are found.
    pub top_k: usize,
    /// How similar they are at least.
    pub min_score: f32,
}

/// Some ids of a set, in whatever order the store keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The ids.
    pub ids: Vec<String>,
    /// What to ask for the next page with; none when this was the last.
    pub next: Option<String>,
}

/// A vector store cannot be used as it is. The messages name the collection, and hold no key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoreError {
    /// There is no such collection. [`Lore::prepare`] makes it, where the store lets it.
    #[error("{store} has no collection {collection:?}: create it{how}")]
    Missing {
        /// Which store.
        store: &'static str,
        /// What was asked for.
        collection: String,
        /// How, in words that go on after "create it".
        how: &'static str,
    },
    /// The collection's vectors are not of the embedder's length, or not compared by cosine.
    #[error(
        "the collection {collection:?} of {store} {found}, and the embedder needs {needed}: use another collection, or the embedder that it was made with"
    )]
    Unfit {
        /// Which store.
        store: &'static str,
        /// The collection.
        collection: String,
        /// What it has, such as `has vectors of 1536 dimensions`.
        found: String,
        /// What is needed, such as `256 dimensions`.
        needed: String,
    },
    /// The store does not accept the key.
    #[error("{store} does not accept the credentials: {reason}")]
    Refused {
        /// Which store.
        store: &'static str,
        /// What it said.
        reason: String,
    },
    /// The store does not take what it is asked, and would not the next time.
    #[error("{store} does not take this, now or later: {reason}")]
    Rejected {
        /// Which store.
        store: &'static str,
        /// What it said.
        reason: String,
    },
    /// The store failed. [`StoreError::Unavailable`] may pass by itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A vector store's collection. Vectors have [`Embedder::dimensions`] entries. Namespaces keep tenants apart; the empty
/// name is a namespace as any other.
#[async_trait]
pub trait Lore: Send + Sync {
    /// Whether the collection is there and takes vectors of this many dimensions, compared by cosine. Changes nothing.
    async fn check(&self, dimensions: usize) -> Result<(), LoreError>;

    /// [`check`](Self::check)s, and makes the collection when it is missing. Idempotent; two that make it at once both
    /// succeed.
    async fn prepare(&self, dimensions: usize) -> Result<(), LoreError>;

    /// The nearest passages, nearest first; ties in the order of ids.
    async fn search(&self, search: Search<'_>) -> Result<Vec<Match>, LoreError>;

    /// Adds passages to a namespace, each with its vector; one with the same id is replaced. Any number: the adapter asks
    /// in as many requests as its store's limits need. What was put is found by every later request, as soon as the store
    /// lets it: at once, unless its documentation says otherwise.
    async fn put(&self, namespace: &str, passages: &[(Passage, Vec<f32>)])
    -> Result<(), LoreError>;

    /// A page of at most [`PAGE`] ids of a set: the first, or the one after a page's `next`.
    async fn ids(&self, namespace: &str, set: &str, after: Option<&str>)
    -> Result<Page, LoreError>;

    /// Removes the passages of these ids from a namespace. Those that are not there are no error.
    async fn remove(&self, namespace: &str, ids: &[&str]) -> Result<(), LoreError>;
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
