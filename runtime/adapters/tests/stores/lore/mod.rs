//! The stores of Lore: Weaviate's and PostgreSQL's own servers, a file, and stand-ins for those that no machine of one's
//! own can run.

#[cfg(feature = "lore-pgvector")]
mod pgvector;
#[cfg(feature = "lore-pinecone")]
mod pinecone;
#[cfg(feature = "lore-qdrant")]
mod qdrant;
#[cfg(feature = "lore-redb")]
mod redb;
#[cfg(any(feature = "lore-pgvector", feature = "lore-weaviate"))]
mod server;
#[cfg(any(feature = "lore-pinecone", feature = "lore-qdrant"))]
mod standin;
#[cfg(feature = "lore-weaviate")]
mod weaviate;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use eywa_weave::{
    StoreError,
    ports::lore::{Lore, LoreError, Match, Passage, Search},
};

use crate::suites::lore::passage;

/// A number that no other test of this process has.
fn number() -> usize {
    static NUMBERS: AtomicUsize = AtomicUsize::new(0);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// A client that may call this machine.
#[cfg(any(
    feature = "lore-pinecone",
    feature = "lore-qdrant",
    feature = "lore-weaviate"
))]
fn client() -> eywa_guard::GuardedClient {
    // Another test of the process may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    eywa_guard::GuardedClient::new(std::sync::Arc::new(eywa_guard::Policy {
        loopback: true,
        ..eywa_guard::Policy::default()
    }))
}

/// The nearest to a vector, of those in the namespace without a name.
async fn nearest(lore: &impl Lore, vector: &[f32], top_k: usize) -> Result<Vec<Match>, LoreError> {
    lore.search(Search {
        namespace: "",
        vector,
        filter: &BTreeMap::new(),
        top_k,
        min_score: -1.0,
    })
    .await
}

fn one(id: &str) -> [(Passage, Vec<f32>); 1] {
    [(passage(id, "menu"), vec![1.0, 0.0])]
}

#[cfg(feature = "lore-pinecone")]
fn rejected<T: std::fmt::Debug>(given: Result<T, LoreError>) -> String {
    match given {
        Err(LoreError::Rejected { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn unavailable<T: std::fmt::Debug>(given: Result<T, LoreError>) -> String {
    match given {
        Err(LoreError::Store(StoreError::Unavailable { reason, .. })) => reason,
        other => panic!("{other:?}"),
    }
}
