//! Rites: actions that wait for a human's yes. The contract is [`eywa_weave::ports::rite`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryRites;
