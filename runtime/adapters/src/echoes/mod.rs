//! Echo stores: what was said. The contract is [`eywa_weave::ports::echoes`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "echoes-mongodb")]
mod mongodb;
#[cfg(feature = "echoes-redb")]
pub(crate) mod redb;
#[cfg(feature = "echoes-redis")]
mod redis;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryEchoes;
#[cfg(feature = "echoes-mongodb")]
pub use mongodb::MongoEchoes;
#[cfg(feature = "echoes-redb")]
pub use redb::RedbEchoes;
#[cfg(feature = "echoes-redis")]
pub use redis::RedisEchoes;

/// How many Echoes of a session are kept where nothing else is said: far more than an Oracle is ever shown, and few
/// enough that one person cannot fill a store.
pub const NEWEST: usize = 1000;
