//! Embedders: text into vectors. The contract is [`eywa_weave::ports::lore::Embedder`].

#[cfg(feature = "embedder-bedrock")]
mod bedrock;
#[cfg(feature = "embedder-exchange")]
#[cfg_attr(
    not(any(
        feature = "embedder-bedrock",
        feature = "embedder-gemini",
        feature = "embedder-openai",
        feature = "embedder-vertexai"
    )),
    allow(
        dead_code,
        unused_imports,
        reason = "what adapters share is checked without any of them too"
    )
)]
mod exchange;
#[cfg(feature = "embedder-gemini")]
mod gemini;
#[cfg(any(feature = "embedder-gemini", feature = "embedder-vertexai"))]
mod google;
#[cfg(feature = "embedder-hashing")]
mod hashing;
#[cfg(feature = "embedder-openai")]
mod openai;
#[cfg(test)]
#[cfg(all(
    feature = "embedder-bedrock",
    feature = "embedder-gemini",
    feature = "embedder-openai",
    feature = "embedder-vertexai"
))]
mod tests;
#[cfg(feature = "embedder-vertexai")]
mod vertexai;

#[cfg(feature = "embedder-bedrock")]
pub use bedrock::BedrockEmbedder;
#[cfg(feature = "embedder-gemini")]
pub use gemini::GeminiEmbedder;
#[cfg(feature = "embedder-hashing")]
pub use hashing::HashingEmbedder;
#[cfg(feature = "embedder-openai")]
pub use openai::OpenAiEmbedder;
#[cfg(feature = "embedder-vertexai")]
pub use vertexai::VertexAiEmbedder;
