//! What a Spirit looks up and what it can do: Scouts, Actions and Conduits.

use std::sync::Arc;

use eywa_adapters::condition::CelCondition;
use eywa_crds::runtime_config::{
    CompiledAction, CompiledConduit, CompiledHttpScout, CompiledScout, CompiledSpirit, ScoutSource,
};
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

fn scout(
    spirit: &CompiledSpirit,
    config: &CompiledScout,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Scout>, WireError> {
    match &config.source {
        ScoutSource::Http(http) => http_scout(spirit, config, http, secrets, shared),
        ScoutSource::Text(text) => fixed_scout(spirit, config, text),
    }
}

#[cfg(feature = "scout-fixed")]
fn fixed_scout(
    spirit: &CompiledSpirit,
    config: &CompiledScout,
    text: &str,
) -> Result<Arc<dyn Scout>, WireError> {
    use eywa_adapters::scout::FixedScout;

    let name = spirit.name.as_str();
    let scout = FixedScout::new(config.name.as_str(), name.into(), text);
    let field = || format!("scouts[{}].text", config.name);
    Ok(Arc::new(scout.map_err(|reason| {
        WireError::invalid(name, field(), reason)
    })?))
}

#[cfg(not(feature = "scout-fixed"))]
fn fixed_scout(
    spirit: &CompiledSpirit,
    _: &CompiledScout,
    _: &str,
) -> Result<Arc<dyn Scout>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "Scouts with a fixed text",
        "scout-fixed",
    ))
}

#[cfg(any(feature = "action-http", feature = "scout-http"))]
fn templated(
    headers: &[eywa_crds::spirit::Header],
    vocabulary: eywa_crds::template::Vocabulary,
) -> Result<eywa_adapters::requests::TemplatedHeaders, eywa_adapters::requests::InvalidTemplate> {
    let headers = headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_str()));
    eywa_adapters::requests::TemplatedHeaders::parse(headers, vocabulary)
}

#[cfg(feature = "scout-http")]
fn http_scout(
    spirit: &CompiledSpirit,
    config: &CompiledScout,
    http: &CompiledHttpScout,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Scout>, WireError> {
    use eywa_adapters::{
        requests::Pick,
        scout::{HttpScout, HttpScoutSettings},
    };
    use eywa_crds::template::UrlTemplate;

    let field = |field: &str| format!("scouts[{}].http.{field}", config.name);
    let invalid =
        |name: &str, reason: String| WireError::invalid(&spirit.name, field(name), reason);
    let settings = HttpScoutSettings {
        name: config.name.clone(),
        spirit: spirit.name.as_str().into(),
        url: UrlTemplate::parse(&http.url, HttpScout::VOCABULARY)
            .map_err(|reason| invalid("url", reason.to_string()))?,
        headers: templated(&http.headers, HttpScout::VOCABULARY)
            .map_err(|reason| invalid("headers", reason.to_string()))?,
        secrets: headers(spirit, field("headersFrom"), &http.headers_from, secrets)?,
        pick: Pick::new(http.pick.clone()),
        cache: http.cache.map(eywa_crds::duration::Duration::as_std),
        timeout: config.timeout.as_std(),
    };
    Ok(Arc::new(HttpScout::new(settings, shared.client.clone())))
}

#[cfg(not(feature = "scout-http"))]
fn http_scout(
    spirit: &CompiledSpirit,
    _: &CompiledScout,
    _: &CompiledHttpScout,
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
    use eywa_adapters::{
        action::{HttpAction, HttpActionSettings},
        requests::Pick,
    };
    use eywa_crds::{
        spirit::HttpMethod,
        template::{JsonTemplate, UrlTemplate},
    };
    use eywa_weave::tool::{Tool, ToolSpec};
    use http::{HeaderName, Method};

    let field = |field: &str| format!("actions[{}].{field}", config.name);
    let invalid =
        |name: &str, reason: String| WireError::invalid(&spirit.name, field(name), reason);
    let template = |name: &str, template: &Option<_>| {
        let template = template.as_ref();
        let parsed = template.map(|template| JsonTemplate::parse(template, HttpAction::VOCABULARY));
        parsed
            .transpose()
            .map_err(|wrong| invalid(name, format!("{}: {}", wrong.field, wrong.error)))
    };
    let spec = ToolSpec {
        name: config.name.clone(),
        description: config.description.clone(),
        parameters: config.parameters.clone().into(),
    };
    let idempotency_key = config.idempotency_key.as_ref();
    let idempotency_key = idempotency_key.map(|name| HeaderName::try_from(name.as_str()));
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
        url: UrlTemplate::parse(&config.url, HttpAction::VOCABULARY)
            .map_err(|reason| invalid("http.url", reason.to_string()))?,
        query: template("http.query", &config.query)?,
        body: template("http.body", &config.body)?,
        headers: templated(&config.headers, HttpAction::VOCABULARY)
            .map_err(|reason| invalid("http.headers", reason.to_string()))?,
        secrets: headers(
            spirit,
            field("http.headersFrom"),
            &config.headers_from,
            secrets,
        )?,
        pick: Pick::new(config.pick.clone()),
        max_response: usize::try_from(config.max_response).unwrap_or(usize::MAX),
        idempotency_key: idempotency_key
            .transpose()
            .map_err(|reason| invalid("http.idempotencyKey", reason.to_string()))?,
        retries: config.retries,
        timeout: config.timeout.as_std(),
    };
    Ok(Arc::new(HttpAction::new(settings, shared.client.clone())))
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
    let url = config
        .url
        .parse()
        .map_err(|reason| WireError::invalid(&spirit.name, field("url"), reason))?;
    // What is missing is said at the start; what is renewed is read again when the server asks for it.
    headers(spirit, field("headersFrom"), &config.headers, secrets)?;
    let (from, secrets) = (config.headers.clone(), secrets.lasting());
    let endpoint = Endpoint::reading(url, move || {
        let headers = from.iter().map(|header| {
            let value = secrets.get(&header.value);
            Ok((
                header.name.clone(),
                value.map_err(|error| error.to_string())?,
            ))
        });
        let headers = headers.collect::<Result<Vec<_>, String>>()?;
        eywa_adapters::headers::SecretHeaders::new(headers).map_err(|error| error.to_string())
    });
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
