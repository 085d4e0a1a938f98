//! The Imprint: what is known of a person. The contract is [`eywa_weave::ports::imprint`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "imprint-redb")]
pub(crate) mod redb;
#[cfg(feature = "imprint-redis")]
mod redis;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryImprint;
#[cfg(feature = "imprint-redb")]
pub use redb::RedbImprint;
#[cfg(feature = "imprint-redis")]
pub use redis::RedisImprint;
