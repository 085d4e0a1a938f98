//! The Bond: the lock on a session. The contract is [`eywa_weave::ports::bond`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "bond-redis")]
mod redis;
#[cfg(feature = "bond-redlock")]
mod redlock;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryBond;
#[cfg(feature = "bond-redis")]
pub use redis::RedisBond;
#[cfg(feature = "bond-redlock")]
pub use redlock::{FEWEST_SERVERS, RedlockBond, TooFewServers};
