//! Oracles: language models. The contract is [`eywa_weave::ports::oracle`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "oracle-openai")]
mod openai;
#[cfg(feature = "oracle-scripted")]
mod scripted;
#[cfg(feature = "oracle-openai")]
mod sse;

#[cfg(feature = "in-memory")]
pub use in_memory::{Asked, InMemoryOracle};
#[cfg(feature = "oracle-openai")]
pub use openai::OpenAi;
#[cfg(feature = "oracle-scripted")]
pub use scripted::Scripted;
