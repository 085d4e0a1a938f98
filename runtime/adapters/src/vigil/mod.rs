//! The Vigil: who has a conversation. The contract is [`eywa_weave::ports::vigil`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryVigil;
