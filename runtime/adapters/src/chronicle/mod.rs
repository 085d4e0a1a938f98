//! The Chronicle: what the Weave did. The contract is [`eywa_weave::ports::chronicle`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "chronicle-mongodb")]
mod mongodb;
#[cfg(feature = "chronicle-redb")]
pub(crate) mod redb;
#[cfg(feature = "chronicle-redis")]
mod redis;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryChronicle;
#[cfg(feature = "chronicle-mongodb")]
pub use mongodb::MongoChronicle;
#[cfg(feature = "chronicle-redb")]
pub use redb::RedbChronicle;
#[cfg(feature = "chronicle-redis")]
pub use redis::RedisChronicle;

/// How many entries of a session are kept where nothing else is said.
pub const NEWEST: usize = 500;
