//! Contacts: the people on a voice. The contract is [`eywa_weave::ports::contacts`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "contacts-redb")]
pub(crate) mod redb;
#[cfg(feature = "contacts-redis")]
mod redis;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryContacts;
#[cfg(feature = "contacts-redb")]
pub use redb::RedbContacts;
#[cfg(feature = "contacts-redis")]
pub use redis::RedisContacts;
