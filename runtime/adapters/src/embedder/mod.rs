//! Embedders: text into vectors. The contract is [`eywa_weave::ports::lore::Embedder`].

#[cfg(feature = "embedder-hashing")]
mod hashing;

#[cfg(feature = "embedder-hashing")]
pub use hashing::HashingEmbedder;
