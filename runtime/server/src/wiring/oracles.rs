//! A Spirit's Oracle and its fallbacks.

use std::sync::Arc;

use eywa_crds::runtime_config::{CompiledOracle, CompiledSpirit, OpenaiOracle, ScriptedOracle};
use eywa_weave::{ports::Oracle, spirit::Asking};

use super::{Shared, WireError};
use crate::secrets::Secrets;

pub(super) fn wire(
    spirit: &CompiledSpirit,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Vec<Asking>, WireError> {
    let asking = |oracle: &CompiledOracle| {
        let (temperature, max_tokens) = match oracle {
            CompiledOracle::Openai(openai) => (openai.temperature, openai.max_tokens),
            CompiledOracle::Scripted(_) => (None, None),
        };
        let timeout = oracle.timeout().as_std();
        let oracle = match oracle {
            CompiledOracle::Openai(config) => openai(spirit, config, secrets, shared),
            CompiledOracle::Scripted(config) => scripted(spirit, config),
        };
        Ok(Asking {
            oracle: oracle?,
            temperature,
            max_tokens,
            timeout,
        })
    };
    spirit.oracles.iter().map(asking).collect()
}

#[cfg(feature = "oracle-openai")]
fn openai(
    spirit: &CompiledSpirit,
    config: &OpenaiOracle,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Oracle>, WireError> {
    use eywa_adapters::oracle::OpenAi;

    let url = config
        .base_url
        .parse()
        .map_err(|reason| WireError::invalid(&spirit.name, "oracle.baseUrl", reason))?;
    let key = config
        .api_key
        .as_ref()
        .map(|file| secrets.get(file))
        .transpose()?;
    Ok(Arc::new(OpenAi::new(
        shared.client.clone(),
        &url,
        config.model.as_str(),
        key,
    )))
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
