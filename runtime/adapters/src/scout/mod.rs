//! Scouts: what is looked up first. The contract is [`eywa_weave::ports::scout`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryScout;

#[cfg(feature = "scout-fixed")]
mod fixed;

#[cfg(feature = "scout-fixed")]
pub use fixed::FixedScout;

#[cfg(feature = "scout-imprint")]
mod imprint;

#[cfg(feature = "scout-imprint")]
pub use imprint::ImprintScout;

#[cfg(feature = "scout-lore")]
mod lore;

#[cfg(feature = "scout-lore")]
pub use lore::{LoreScout, LoreScoutSettings};

#[cfg(feature = "scout-http")]
mod http;

#[cfg(feature = "scout-http")]
pub use http::{HttpScout, HttpScoutSettings};
