//! Every store, held to the contract of its port: one suite of behaviours a port, run on each adapter.

// What a test builds on may fail only because the test is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says so by panicking"
)]

#[cfg(all(feature = "attachments-storage", feature = "inbox-tasks"))]
mod google;
mod in_memory;
#[cfg(any(
    feature = "lore-pgvector",
    feature = "lore-pinecone",
    feature = "lore-qdrant",
    feature = "lore-redb",
    feature = "lore-weaviate"
))]
mod lore;
#[cfg(all(feature = "chronicle-mongodb", feature = "echoes-mongodb"))]
mod mongodb;
#[cfg(all(
    feature = "attachments-redb",
    feature = "chronicle-redb",
    feature = "contacts-redb",
    feature = "echoes-redb",
    feature = "inbox-redb",
    feature = "memory-redb",
    feature = "rite-redb",
    feature = "vigil-redb"
))]
mod redb;
#[cfg(all(
    feature = "attachments-redis",
    feature = "bond-redis",
    feature = "chronicle-redis",
    feature = "contacts-redis",
    feature = "echoes-redis",
    feature = "inbox-redis",
    feature = "memory-redis",
    feature = "rite-redis",
    feature = "vigil-redis"
))]
mod redis;
#[cfg(feature = "bond-redlock")]
mod redlock;
mod suites;
