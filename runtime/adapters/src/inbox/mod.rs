//! The Inbox: accepted Pulses not yet finished. The contract is [`eywa_weave::ports::inbox`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "inbox-redb")]
pub(crate) mod redb;
#[cfg(feature = "inbox-redis")]
mod redis;
#[cfg(feature = "inbox-tasks")]
mod tasks;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryInbox;
#[cfg(feature = "inbox-redb")]
pub use redb::RedbInbox;
#[cfg(feature = "inbox-redis")]
pub use redis::RedisInbox;
#[cfg(feature = "inbox-tasks")]
pub use tasks::{Alarm, TaskEvent, TaskPushes, TaskQueue, TaskSite, TasksInbox};
