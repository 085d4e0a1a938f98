//! Actions: what a Spirit can do. The contract is [`eywa_weave::ports::action`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::{InMemoryAction, Made};

#[cfg(feature = "action-http")]
mod http;

#[cfg(feature = "action-http")]
pub use http::{HttpAction, HttpActionSettings};
