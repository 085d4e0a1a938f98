//! The Inbox: accepted Pulses not yet finished. The contract is [`eywa_weave::ports::inbox`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "inbox-redis")]
mod redis;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryInbox;
#[cfg(feature = "inbox-redis")]
pub use redis::RedisInbox;
