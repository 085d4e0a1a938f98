//! What a Spirit looks up and what it can do: Scouts, Actions and Conduits.

use std::sync::Arc;

use eywa_adapters::condition::CelCondition;
use eywa_crds::runtime_config::{CompiledAction, CompiledConduit, CompiledScout, CompiledSpirit};
use eywa_weave::{
    ports::{Action, Conduit, Scout},
    spirit::{Condition, Scouting},
    weave::choices::OfferChoices,
};

use super::{Shared, WireError};
use crate::secrets::Secrets;

pub(super) fn scouts(
    spirit: &CompiledSpirit,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Vec<Scouting>, WireError> {
    let scouting = |config: &CompiledScout| {
        let parse = |when: &String| match CelCondition::parse(when) {
            Ok(condition) => Ok(Arc::new(condition) as Arc<dyn Condition>),
            Err(reason) => Err(WireError::invalid(
                &spirit.name,
                format!("scouts[{}].when", config.name),
                reason,
            )),
        };
        let when = config.when.as_ref().map(parse).transpose()?;
        Ok(Scouting {
            scout: scout(spirit, config, secrets, shared)?,
            timeout: config.timeout.as_std(),
            when,
        })
    };
    spirit.scouts.iter().map(scouting).collect()
}

pub(super) fn actions(
    spirit: &CompiledSpirit,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Vec<Arc<dyn Action>>, WireError> {
    let own = spirit
        .actions
        .iter()
        .map(|config| action(spirit, config, secrets, shared));
    let choices = spirit.offer_choices.then(|| {
        OfferChoices::new()
            .map(|offer| Arc::new(offer) as Arc<dyn Action>)
            .map_err(|reason| WireError::invalid(&spirit.name, "offerChoices", reason))
    });
    own.chain(choices).collect()
}

#[cfg(any(
    feature = "scout-http",
    feature = "action-http",
    feature = "conduit-mcp"
))]
fn headers(
    spirit: &CompiledSpirit,
    field: String,
    from: &[eywa_crds::runtime_config::SecretHeader],
    secrets: &dyn Secrets,
) -> Result<eywa_adapters::headers::SecretHeaders, WireError> {
    let headers = from
        .iter()
        .map(|header| Ok((header.name.clone(), secrets.get(&header.value)?)));
    let headers = headers.collect::<Result<Vec<_>, WireError>>()?;
    eywa_adapters::headers::SecretHeaders::new(headers)
        .map_err(|reason| WireError::invalid(&spirit.name, field, reason))
}

#[cfg(feature = "scout-http")]
fn scout(
    spirit: &CompiledSpirit,
    config: &CompiledScout,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Scout>, WireError> {
    use eywa_adapters::scout::{HttpScout, HttpScoutSettings};

    let settings = HttpScoutSettings {
        name: config.name.clone(),
        spirit: spirit.name.as_str().into(),
        url: &config.url,
        headers: headers(
            spirit,
            format!("scouts[{}].headersFrom", config.name),
            &config.headers,
            secrets,
        )?,
        timeout: config.timeout.as_std(),
    };
    let scout = HttpScout::new(settings, shared.client.clone()).map_err(|reason| {
        WireError::invalid(&spirit.name, format!("scouts[{}].url", config.name), reason)
    })?;
    Ok(Arc::new(scout))
}

#[cfg(not(feature = "scout-http"))]
fn scout(
    spirit: &CompiledSpirit,
    _: &CompiledScout,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Scout>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "Scouts over http",
        "scout-http",
    ))
}

#[cfg(feature = "action-http")]
fn action(
    spirit: &CompiledSpirit,
    config: &CompiledAction,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Action>, WireError> {
    use eywa_adapters::action::{HttpAction, HttpActionSettings};
    use eywa_crds::spirit::HttpMethod;
    use eywa_weave::tool::{Tool, ToolSpec};
    use http::Method;

    let invalid = |field: &str, reason: String| {
        WireError::invalid(
            &spirit.name,
            format!("actions[{}].{field}", config.name),
            reason,
        )
    };
    let spec = ToolSpec {
        name: config.name.clone(),
        description: config.description.clone(),
        parameters: config.parameters.clone().into(),
    };
    let settings = HttpActionSettings {
        tool: Tool::new(spec).map_err(|reason| invalid("parameters", reason.to_string()))?,
        spirit: spirit.name.as_str().into(),
        method: match config.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
            HttpMethod::Patch => Method::PATCH,
            HttpMethod::Delete => Method::DELETE,
        },
        url: &config.url,
        headers: headers(
            spirit,
            format!("actions[{}].headersFrom", config.name),
            &config.headers,
            secrets,
        )?,
        timeout: config.timeout.as_std(),
    };
    let action = HttpAction::new(settings, shared.client.clone())
        .map_err(|reason| invalid("url", reason.to_string()))?;
    Ok(Arc::new(action))
}

#[cfg(not(feature = "action-http"))]
fn action(
    spirit: &CompiledSpirit,
    _: &CompiledAction,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Action>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "Actions over http",
        "action-http",
    ))
}

/// The Conduits of one configuration: Spirits that use one in the same way share its session.
#[derive(Default)]
pub(super) struct Conduits(Vec<(CompiledConduit, Arc<dyn Conduit>)>);

impl Conduits {
    pub(super) fn of(
        &mut self,
        spirit: &CompiledSpirit,
        secrets: &dyn Secrets,
        shared: &Shared,
    ) -> Result<Vec<Arc<dyn Conduit>>, WireError> {
        let mut conduits = Vec::with_capacity(spirit.conduits.len());
        for config in &spirit.conduits {
            let known = self
                .0
                .iter()
                .find(|(known, _)| known == config)
                .map(|(_, conduit)| Arc::clone(conduit));
            let conduit = match known {
                Some(conduit) => conduit,
                None => {
                    let conduit = conduit(spirit, config, secrets, shared)?;
                    self.0.push((config.clone(), Arc::clone(&conduit)));
                    conduit
                }
            };
            // Which of its tools are offered is the Conduit's to know: its filter and the Spirit's are one.
            conduits.push(conduit);
        }
        Ok(conduits)
    }
}

#[cfg(feature = "conduit-mcp")]
fn conduit(
    spirit: &CompiledSpirit,
    config: &CompiledConduit,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Conduit>, WireError> {
    use eywa_adapters::conduit::{McpConduit, mcp::Endpoint};

    let field = |field: &str| format!("conduits[{}].{field}", config.name);
    let endpoint = Endpoint {
        url: config
            .url
            .parse()
            .map_err(|reason| WireError::invalid(&spirit.name, field("url"), reason))?,
        headers: headers(spirit, field("headersFrom"), &config.headers, secrets)?,
    };
    let (offers, limit) = (config.clone(), config.timeout.as_std());
    let offers = move |tool: &str| offers.offers(tool);
    Ok(Arc::new(McpConduit::new(
        shared.client.clone(),
        config.name.as_str(),
        endpoint,
        offers,
        limit,
    )))
}

#[cfg(not(feature = "conduit-mcp"))]
fn conduit(
    spirit: &CompiledSpirit,
    _: &CompiledConduit,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Conduit>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "Conduits",
        "conduit-mcp",
    ))
}
