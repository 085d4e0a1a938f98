//! Pathfinders: which Spirit answers. The contract is [`eywa_weave::ports::pathfinder`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryPathfinder;

#[cfg(feature = "pathfinder-rules")]
mod rules;

#[cfg(feature = "pathfinder-rules")]
pub use rules::{InvalidRule, RulesPathfinder};
