//! The Vigil: who has a conversation. The contract is [`eywa_weave::ports::vigil`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "vigil-redb")]
pub(crate) mod redb;
#[cfg(feature = "vigil-redis")]
mod redis;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryVigil;
#[cfg(feature = "vigil-redb")]
pub use redb::RedbVigil;
#[cfg(feature = "vigil-redis")]
pub use redis::RedisVigil;
