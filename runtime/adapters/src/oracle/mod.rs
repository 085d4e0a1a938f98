//! Oracles: language models. The contract is [`eywa_weave::ports::oracle`].

#[cfg(feature = "oracle-anthropic")]
mod anthropic;
#[cfg(feature = "oracle-bedrock")]
mod bedrock;
#[cfg(feature = "oracle-claude")]
mod claude;
#[cfg(feature = "oracle-gemini")]
mod gemini;
#[cfg(feature = "oracle-generate-content")]
mod generate_content;
#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "oracle-openai")]
mod openai;
#[cfg(feature = "oracle-scripted")]
mod scripted;
#[cfg(feature = "oracle-wire")]
mod sending;
#[cfg(feature = "oracle-vertexai")]
mod vertexai;
#[cfg(feature = "oracle-wire")]
mod wire;

#[cfg(feature = "oracle-anthropic")]
pub use anthropic::Anthropic;
#[cfg(feature = "oracle-bedrock")]
pub use bedrock::Bedrock;
#[cfg(feature = "oracle-gemini")]
pub use gemini::Gemini;
#[cfg(feature = "in-memory")]
pub use in_memory::{Asked, InMemoryOracle};
#[cfg(feature = "oracle-openai")]
pub use openai::OpenAi;
#[cfg(feature = "oracle-scripted")]
pub use scripted::Scripted;
#[cfg(feature = "oracle-wire")]
pub use sending::Sending;
#[cfg(feature = "oracle-vertexai")]
pub use vertexai::VertexAi;
