//! Rites: actions that wait for a human's yes. The contract is [`eywa_weave::ports::rite`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "rite-redb")]
pub(crate) mod redb;
#[cfg(feature = "rite-redis")]
mod redis;
#[cfg(any(feature = "in-memory", feature = "rite-redb"))]
mod rules;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryRites;
#[cfg(feature = "rite-redb")]
pub use redb::RedbRites;
#[cfg(feature = "rite-redis")]
pub use redis::RedisRites;
