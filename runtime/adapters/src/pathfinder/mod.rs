//! Pathfinders: which Spirit answers. The contract is [`eywa_weave::ports::pathfinder`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryPathfinder;

#[cfg(feature = "pathfinder-rules")]
mod routes;

#[cfg(feature = "pathfinder-rules")]
pub use routes::{Chooser, InvalidRule, RoutesPathfinder, Ways};

#[cfg(feature = "pathfinder-oracle")]
mod oracle;

#[cfg(feature = "pathfinder-oracle")]
pub use oracle::OracleChooser;
