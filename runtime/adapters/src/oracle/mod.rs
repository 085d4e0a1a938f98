//! Oracles: language models. The contract is [`eywa_weave::ports::oracle`].

#[cfg(feature = "oracle-anthropic")]
mod anthropic;
#[cfg(feature = "oracle-bedrock")]
mod bedrock;
#[cfg(feature = "oracle-claude")]
#[cfg_attr(
    not(any(feature = "oracle-anthropic", feature = "oracle-vertexai")),
    allow(dead_code, reason = "a format without a service that speaks it")
)]
mod claude;
#[cfg(feature = "oracle-gemini")]
mod gemini;
#[cfg(feature = "oracle-generate-content")]
#[cfg_attr(
    not(any(feature = "oracle-gemini", feature = "oracle-vertexai")),
    allow(
        dead_code,
        unused_imports,
        reason = "what adapters share is checked without any of them too"
    )
)]
mod generate_content;
#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "oracle-openai")]
mod openai;
#[cfg(test)]
#[cfg(feature = "oracle-wire")]
mod rehearsal;
#[cfg(feature = "oracle-scripted")]
mod scripted;
#[cfg(feature = "oracle-wire")]
#[cfg_attr(
    not(any(
        feature = "oracle-anthropic",
        feature = "oracle-bedrock",
        feature = "oracle-gemini",
        feature = "oracle-openai",
        feature = "oracle-vertexai"
    )),
    allow(dead_code, reason = "it is the Oracles' own")
)]
mod sending;
#[cfg(feature = "oracle-vertexai")]
mod vertexai;
#[cfg(feature = "oracle-wire")]
#[cfg_attr(
    not(all(
        feature = "oracle-bedrock",
        feature = "oracle-claude",
        feature = "oracle-generate-content",
        feature = "oracle-openai"
    )),
    allow(
        dead_code,
        reason = "one Oracle alone does not use all that they share"
    )
)]
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
