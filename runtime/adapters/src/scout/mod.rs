//! Scouts: what is looked up first. The contract is [`eywa_weave::ports::scout`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryScout;

#[cfg(feature = "scout-http")]
mod http;

#[cfg(feature = "scout-http")]
pub use http::{HttpScout, HttpScoutSettings};
