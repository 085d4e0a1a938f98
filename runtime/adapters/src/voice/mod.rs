//! Voices: channels. The contract is [`eywa_weave::ports::voice`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::{InMemoryVoice, Said};
