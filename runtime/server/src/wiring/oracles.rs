//! A Spirit's Oracle and its fallbacks.

use std::sync::Arc;

use eywa_crds::{
    runtime_config::{
        AnthropicOracle, BedrockOracle, CompiledOracle, CompiledSpirit, GeminiOracle, OpenaiOracle,
        ScriptedOracle, VertexaiOracle,
    },
    spirit::Effort as EffortSpec,
};
use eywa_weave::{
    ports::{Oracle, oracle::Effort},
    spirit::Asking,
    weave::breaker::Breaker,
};
#[cfg(any(
    feature = "oracle-anthropic",
    feature = "oracle-bedrock",
    feature = "oracle-gemini",
    feature = "oracle-openai",
    feature = "oracle-vertexai"
))]
use {
    eywa_adapters::oracle::Sending,
    eywa_crds::{runtime_config::Asked, spirit::ShownAttachments},
};
#[cfg(any(
    feature = "oracle-anthropic",
    feature = "oracle-gemini",
    feature = "oracle-openai",
    feature = "oracle-vertexai"
))]
use {eywa_crds::runtime_config::SecretFile, secrecy::SecretString};

use super::{Shared, WireError};
use crate::secrets::Secrets;

pub(super) fn wire(
    spirit: &CompiledSpirit,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Vec<Asking>, WireError> {
    let asking = |oracle| asking(spirit, oracle, secrets, shared);
    spirit.oracles.iter().map(asking).collect()
}

/// One Oracle of a Spirit, and how it is asked.
pub(super) fn asking(
    spirit: &CompiledSpirit,
    oracle: &CompiledOracle,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Asking, WireError> {
    let (asked, timeout) = (oracle.asked(), oracle.timeout().as_std());
    let oracle = match oracle {
        CompiledOracle::Anthropic(config) => anthropic(spirit, config, secrets, shared),
        CompiledOracle::Bedrock(config) => bedrock(spirit, config, secrets, shared),
        CompiledOracle::Gemini(config) => gemini(spirit, config, secrets, shared),
        CompiledOracle::Vertexai(config) => vertexai(spirit, config, secrets, shared),
        CompiledOracle::Openai(config) => openai(spirit, config, secrets, shared),
        CompiledOracle::Scripted(config) => scripted(spirit, config),
    };
    Ok(Asking {
        oracle: oracle?,
        temperature: asked.temperature,
        max_tokens: asked.max_tokens,
        effort: asked.effort.map(|effort| match effort {
            EffortSpec::Low => Effort::Low,
            EffortSpec::Medium => Effort::Medium,
            EffortSpec::High => Effort::High,
        }),
        timeout,
        breaker: Breaker::default(),
    })
}

#[cfg(any(
    feature = "oracle-anthropic",
    feature = "oracle-bedrock",
    feature = "oracle-gemini",
    feature = "oracle-openai",
    feature = "oracle-vertexai"
))]
fn base_url(spirit: &CompiledSpirit, base_url: &str) -> Result<url::Url, WireError> {
    base_url
        .parse()
        .map_err(|reason| WireError::invalid(&spirit.name, "oracle.baseUrl", reason))
}

#[cfg(any(
    feature = "oracle-anthropic",
    feature = "oracle-gemini",
    feature = "oracle-openai",
    feature = "oracle-vertexai"
))]
fn key(
    file: Option<&SecretFile>,
    secrets: &dyn Secrets,
) -> Result<Option<SecretString>, WireError> {
    Ok(file.map(|file| secrets.get(file)).transpose()?)
}

#[cfg(any(
    feature = "oracle-anthropic",
    feature = "oracle-bedrock",
    feature = "oracle-gemini",
    feature = "oracle-openai",
    feature = "oracle-vertexai"
))]
fn sending(asked: Asked) -> Sending {
    match asked.attachments {
        ShownAttachments::All => Sending::All,
        ShownAttachments::Images => Sending::Images,
        ShownAttachments::None => Sending::Nothing,
    }
}

#[cfg(feature = "oracle-anthropic")]
fn anthropic(
    spirit: &CompiledSpirit,
    config: &AnthropicOracle,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    let oracle = eywa_adapters::oracle::Anthropic::new(
        shared.client.clone(),
        &base_url(spirit, &config.base_url)?,
        config.model.as_str(),
        key(config.api_key.as_ref(), secrets)?,
    );
    Ok(Arc::new(
        oracle
            .caching(config.prompt_caching)
            .sending(sending(config.asked)),
    ))
}

#[cfg(not(feature = "oracle-anthropic"))]
fn anthropic(
    spirit: &CompiledSpirit,
    _: &AnthropicOracle,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "the Oracle anthropic",
        "oracle-anthropic",
    ))
}

#[cfg(feature = "oracle-openai")]
fn openai(
    spirit: &CompiledSpirit,
    config: &OpenaiOracle,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    let oracle = eywa_adapters::oracle::OpenAi::new(
        shared.client.clone(),
        &base_url(spirit, &config.base_url)?,
        config.model.as_str(),
        key(config.api_key.as_ref(), secrets)?,
    );
    Ok(Arc::new(oracle.sending(sending(config.asked))))
}

#[cfg(not(feature = "oracle-openai"))]
fn openai(
    spirit: &CompiledSpirit,
    _: &OpenaiOracle,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "the Oracle openai",
        "oracle-openai",
    ))
}

#[cfg(feature = "oracle-bedrock")]
fn bedrock(
    spirit: &CompiledSpirit,
    config: &BedrockOracle,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    use eywa_adapters::{
        aws::{AwsCredentials, BedrockAuth, BedrockSite},
        oracle::Bedrock,
    };
    use eywa_crds::runtime_config::BedrockAuth as Auth;

    let auth = match &config.auth {
        Auth::ApiKey(file) => BedrockAuth::ApiKey(secrets.get(file)?),
        Auth::Credentials(file) => BedrockAuth::Signature(
            AwsCredentials::from_file(&secrets.get(file)?)
                .map_err(|reason| WireError::invalid(&spirit.name, "oracle.credentials", reason))?,
        ),
        Auth::Pod => BedrockAuth::Signature(AwsCredentials::of_the_pod(
            shared.client.clone(),
            &config.region,
        )),
    };
    let site = BedrockSite {
        base_url: base_url(spirit, &config.base_url)?,
        region: config.region.clone(),
        auth,
    };
    let oracle = Bedrock::new(shared.client.clone(), site, config.model.as_str())
        .caching(config.prompt_caching)
        .sending(sending(config.asked));
    Ok(Arc::new(oracle))
}

#[cfg(not(feature = "oracle-bedrock"))]
fn bedrock(
    spirit: &CompiledSpirit,
    _: &BedrockOracle,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "the Oracle bedrock",
        "oracle-bedrock",
    ))
}

#[cfg(feature = "oracle-gemini")]
fn gemini(
    spirit: &CompiledSpirit,
    config: &GeminiOracle,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    use eywa_adapters::oracle::Gemini;

    let url = base_url(spirit, &config.base_url)?;
    let key = key(config.api_key.as_ref(), secrets)?;
    let oracle = Gemini::new(shared.client.clone(), &url, config.model.as_str(), key)
        .sending(sending(config.asked));
    Ok(Arc::new(oracle))
}

#[cfg(not(feature = "oracle-gemini"))]
fn gemini(
    spirit: &CompiledSpirit,
    _: &GeminiOracle,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "the Oracle gemini",
        "oracle-gemini",
    ))
}

#[cfg(feature = "oracle-vertexai")]
fn vertexai(
    spirit: &CompiledSpirit,
    config: &VertexaiOracle,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    use eywa_adapters::{
        google::{GoogleTokens, VertexSite},
        oracle::VertexAi,
    };

    let tokens = match key(config.credentials.as_ref(), secrets)? {
        Some(key) => GoogleTokens::of_key(&key)
            .map_err(|reason| WireError::invalid(&spirit.name, "oracle.credentials", reason))?,
        None => GoogleTokens::of_the_pod(),
    };
    let site = VertexSite {
        base_url: base_url(spirit, &config.base_url)?,
        project: config.project.clone(),
        location: config.location.clone(),
    };
    let oracle = VertexAi::new(shared.client.clone(), &site, config.model.as_str(), tokens)
        .caching(config.prompt_caching)
        .sending(sending(config.asked));
    Ok(Arc::new(oracle))
}

#[cfg(not(feature = "oracle-vertexai"))]
fn vertexai(
    spirit: &CompiledSpirit,
    _: &VertexaiOracle,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "the Oracle vertexai",
        "oracle-vertexai",
    ))
}

#[cfg(feature = "oracle-scripted")]
fn scripted(
    spirit: &CompiledSpirit,
    config: &ScriptedOracle,
) -> Result<Arc<dyn Oracle>, WireError> {
    use eywa_adapters::oracle::Scripted;
    use eywa_crds::script::CompiledScript;

    let script = CompiledScript::compile(&config.script).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        WireError::invalid(&spirit.name, "oracle.script", problems.join("; "))
    })?;
    Ok(Arc::new(Scripted::new(config.model.as_str(), script)))
}

#[cfg(not(feature = "oracle-scripted"))]
fn scripted(spirit: &CompiledSpirit, _: &ScriptedOracle) -> Result<Arc<dyn Oracle>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "the Oracle scripted",
        "oracle-scripted",
    ))
}
