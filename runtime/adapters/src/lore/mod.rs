//! Lore: documents found by meaning. The contract is [`eywa_weave::ports::lore`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryLore;
