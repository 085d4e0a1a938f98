//! Lore: documents found by meaning. The contract is [`eywa_weave::ports::lore`].

#[cfg(feature = "lore-exchange")]
#[cfg_attr(
    not(all(
        feature = "lore-pinecone",
        feature = "lore-qdrant",
        feature = "lore-weaviate"
    )),
    allow(dead_code, reason = "one store alone does not use all that they share")
)]
mod exchange;
#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(any(feature = "in-memory", feature = "lore-redb"))]
mod nearest;
#[cfg(feature = "lore-pgvector")]
mod pgvector;
#[cfg(feature = "lore-pinecone")]
mod pinecone;
#[cfg(feature = "lore-qdrant")]
mod qdrant;
#[cfg(feature = "lore-redb")]
pub(crate) mod redb;
#[cfg(feature = "lore-weaviate")]
mod weaviate;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryLore;
#[cfg(feature = "lore-pgvector")]
pub use pgvector::{PgvectorLore, Unusable, UnusableUrl};
#[cfg(feature = "lore-pinecone")]
pub use pinecone::PineconeLore;
#[cfg(feature = "lore-qdrant")]
pub use qdrant::QdrantLore;
#[cfg(feature = "lore-redb")]
pub use redb::RedbLore;
#[cfg(feature = "lore-weaviate")]
pub use weaviate::WeaviateLore;

/// A store cannot have a collection of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{store} cannot have a collection {name:?}: its name is {rule}")]
pub struct InvalidName {
    /// Which store.
    pub store: &'static str,
    /// The name.
    pub name: String,
    /// What names it can have.
    pub rule: &'static str,
}
