//! Memory: a session's working state. The contract is [`eywa_weave::ports::memory`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "memory-redb")]
pub(crate) mod redb;
#[cfg(feature = "memory-redis")]
mod redis;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryMemory;
#[cfg(feature = "memory-redb")]
pub use redb::RedbMemory;
#[cfg(feature = "memory-redis")]
pub use redis::RedisMemory;

#[cfg(any(feature = "in-memory", feature = "memory-redis"))]
/// How long it is known when and from where a person last wrote.
const HEARD_FOR: std::time::Duration = std::time::Duration::from_secs(90 * 24 * 60 * 60);
