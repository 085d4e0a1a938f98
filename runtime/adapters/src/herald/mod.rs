//! The Herald: tells people of their conversations. The contract is [`eywa_weave::ports::herald`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "herald-webhook")]
mod webhook;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryHerald;
#[cfg(feature = "herald-webhook")]
pub use webhook::{WebhookHerald, WebhookHeraldSettings};
