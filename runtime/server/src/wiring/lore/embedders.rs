//! What turns text into vectors.

use std::sync::Arc;

use eywa_crds::runtime_config::{BedrockEmbedder, KeyedEmbedder, VertexaiEmbedder};
use eywa_weave::ports::Embedder;

use super::{Shared, WireError};
use crate::secrets::Secrets;

#[cfg(any(
    feature = "embedder-bedrock",
    feature = "embedder-gemini",
    feature = "embedder-openai",
    feature = "embedder-vertexai"
))]
use super::{dimensions, url};

#[cfg(any(
    feature = "embedder-bedrock",
    feature = "embedder-gemini",
    feature = "embedder-openai",
    feature = "embedder-vertexai"
))]
const BASE_URL: &str = "lore.embedder.baseUrl";

#[cfg(feature = "embedder-hashing")]
pub(super) fn hashing(_: &str) -> Result<Arc<dyn Embedder>, WireError> {
    Ok(Arc::new(eywa_adapters::embedder::HashingEmbedder::new()))
}

#[cfg(not(feature = "embedder-hashing"))]
pub(super) fn hashing(spirit: &str) -> Result<Arc<dyn Embedder>, WireError> {
    Err(WireError::not_built_in(
        spirit,
        "the embedder hashing",
        "embedder-hashing",
    ))
}

#[cfg(feature = "embedder-openai")]
pub(super) fn openai(
    spirit: &str,
    config: &KeyedEmbedder,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Embedder>, WireError> {
    Ok(Arc::new(eywa_adapters::embedder::OpenAiEmbedder::new(
        shared.client.clone(),
        &url(spirit, BASE_URL, &config.base_url)?,
        config.model.as_str(),
        super::key(config.api_key.as_ref(), secrets)?,
        dimensions(config.dimensions),
    )))
}

#[cfg(not(feature = "embedder-openai"))]
pub(super) fn openai(
    spirit: &str,
    _: &KeyedEmbedder,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Embedder>, WireError> {
    Err(WireError::not_built_in(
        spirit,
        "the embedder openai",
        "embedder-openai",
    ))
}

#[cfg(feature = "embedder-gemini")]
pub(super) fn gemini(
    spirit: &str,
    config: &KeyedEmbedder,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Embedder>, WireError> {
    Ok(Arc::new(eywa_adapters::embedder::GeminiEmbedder::new(
        shared.client.clone(),
        &url(spirit, BASE_URL, &config.base_url)?,
        config.model.as_str(),
        super::key(config.api_key.as_ref(), secrets)?,
        dimensions(config.dimensions),
    )))
}

#[cfg(not(feature = "embedder-gemini"))]
pub(super) fn gemini(
    spirit: &str,
    _: &KeyedEmbedder,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Embedder>, WireError> {
    Err(WireError::not_built_in(
        spirit,
        "the embedder gemini",
        "embedder-gemini",
    ))
}

#[cfg(feature = "embedder-vertexai")]
pub(super) fn vertexai(
    spirit: &str,
    config: &VertexaiEmbedder,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Embedder>, WireError> {
    use eywa_adapters::google::{GoogleTokens, VertexSite};

    let tokens = match super::key(config.credentials.as_ref(), secrets)? {
        Some(key) => GoogleTokens::of_key(&key)
            .map_err(|reason| WireError::invalid(spirit, "lore.embedder.credentials", reason))?,
        None => GoogleTokens::of_the_pod(),
    };
    let site = VertexSite {
        base_url: url(spirit, BASE_URL, &config.base_url)?,
        project: config.project.clone(),
        location: config.location.clone(),
    };
    Ok(Arc::new(eywa_adapters::embedder::VertexAiEmbedder::new(
        shared.client.clone(),
        &site,
        config.model.as_str(),
        tokens,
        dimensions(config.dimensions),
    )))
}

#[cfg(not(feature = "embedder-vertexai"))]
pub(super) fn vertexai(
    spirit: &str,
    _: &VertexaiEmbedder,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Embedder>, WireError> {
    Err(WireError::not_built_in(
        spirit,
        "the embedder vertexai",
        "embedder-vertexai",
    ))
}

/// What it is, and its model's name.
#[cfg(feature = "embedder-bedrock")]
pub(super) fn bedrock(
    spirit: &str,
    config: &BedrockEmbedder,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<(Arc<dyn Embedder>, String), WireError> {
    use eywa_adapters::{
        aws::{AwsCredentials, BedrockAuth, BedrockSite},
        embedder::BedrockEmbedder as Adapter,
    };
    use eywa_crds::runtime_config::BedrockAuth as Auth;

    let auth = match &config.auth {
        Auth::ApiKey(file) => BedrockAuth::ApiKey(secrets.get(file)?),
        Auth::Credentials(file) => {
            BedrockAuth::Signature(AwsCredentials::from_file(&secrets.get(file)?).map_err(
                |reason| WireError::invalid(spirit, "lore.embedder.credentials", reason),
            )?)
        }
        Auth::Pod => BedrockAuth::Signature(AwsCredentials::of_the_pod(
            shared.client.clone(),
            &config.region,
        )),
    };
    let site = BedrockSite {
        base_url: url(spirit, BASE_URL, &config.base_url)?,
        region: config.region.clone(),
        auth,
    };
    let model = config.model.as_deref().unwrap_or(Adapter::MODEL);
    let embedder = Adapter::new(
        shared.client.clone(),
        site,
        model,
        dimensions(config.dimensions),
    );
    Ok((Arc::new(embedder), model.to_owned()))
}

#[cfg(not(feature = "embedder-bedrock"))]
pub(super) fn bedrock(
    spirit: &str,
    _: &BedrockEmbedder,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<(Arc<dyn Embedder>, String), WireError> {
    Err(WireError::not_built_in(
        spirit,
        "the embedder bedrock",
        "embedder-bedrock",
    ))
}
