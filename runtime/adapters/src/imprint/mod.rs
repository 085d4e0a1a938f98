//! The Imprint: what is known of a person. The contract is [`eywa_weave::ports::imprint`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryImprint;
