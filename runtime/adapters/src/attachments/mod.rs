//! Attachments: files that came with messages, kept between turns. The contract is [`eywa_weave::ports::attachments`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "attachments-redb")]
pub(crate) mod redb;
#[cfg(feature = "attachments-redis")]
mod redis;
#[cfg(feature = "attachments-storage")]
mod storage;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryAttachments;
#[cfg(feature = "attachments-redb")]
pub use redb::RedbAttachments;
#[cfg(feature = "attachments-redis")]
pub use redis::RedisAttachments;
#[cfg(feature = "attachments-storage")]
pub use storage::{StorageAttachments, StorageSite};
