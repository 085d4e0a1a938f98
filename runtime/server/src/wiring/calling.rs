//! How the Spirit and people call one another, and the Actions that are built in.

use std::sync::Arc;

use eywa_adapters::condition::CelCondition;
use eywa_crds::runtime_config::{CompiledNotify, CompiledSpirit, RuntimeConfig};
use eywa_weave::{
    SpiritName,
    builtin::{Remember, SummonHuman, SwitchSpirit},
    ports::{Action, Herald},
    spirit::{Calling, Condition},
    tool::InvalidSchema,
};

use super::{Shared, WireError};
use crate::secrets::Secrets;

pub(super) fn wire(front: &CompiledSpirit) -> Result<Calling, WireError> {
    let parse = |when: &String| match CelCondition::parse(when) {
        Ok(condition) => Ok(Arc::new(condition) as Arc<dyn Condition>),
        Err(reason) => Err(WireError::invalid(&front.name, "vigil.summonWhen", reason)),
    };
    let vigil = &front.vigil;
    Ok(Calling {
        summon: vigil.summon,
        summon_when: vigil.summon_when.as_ref().map(parse).transpose()?,
        release_phrases: vigil
            .release_phrases
            .iter()
            .map(|phrase| phrase.trim().to_lowercase())
            .collect(),
    })
}

/// The Actions that need nothing from outside, for one of the front Spirit's. An Action of the same name that the manifest
/// has comes before them.
pub(super) fn actions(
    config: &RuntimeConfig,
    front: &CompiledSpirit,
    spirit: &CompiledSpirit,
) -> Result<Vec<Arc<dyn Action>>, WireError> {
    let invalid = |reason: InvalidSchema| WireError::invalid(&spirit.name, "actions", reason);
    let mut actions: Vec<Arc<dyn Action>> = Vec::new();
    if front.vigil.summon {
        actions.push(Arc::new(SummonHuman::new().map_err(invalid)?));
    }
    if spirit.memory.remember {
        actions.push(Arc::new(Remember::new().map_err(invalid)?));
    }
    let others: Vec<(SpiritName, String)> = config
        .spirits
        .keys()
        .filter(|other| **other != spirit.name)
        .map(|other| (other.as_str().into(), descriptions(config, other)))
        .collect();
    let switches = front
        .pathfinder
        .as_ref()
        .is_some_and(|pathfinder| pathfinder.switch);
    if switches && !others.is_empty() {
        actions.push(Arc::new(SwitchSpirit::new(&others).map_err(invalid)?));
    }
    Ok(actions)
}

/// What the routes to a Spirit say that it is for, whoever's routes they are.
fn descriptions(config: &RuntimeConfig, of: &str) -> String {
    let pathfinders = config
        .spirits
        .values()
        .filter_map(|spirit| spirit.pathfinder.as_ref());
    let mut descriptions: Vec<&str> = pathfinders
        .flat_map(|pathfinder| &pathfinder.routes)
        .filter(|route| route.spirit == of)
        .filter_map(|route| route.description.as_deref())
        .collect();
    descriptions.dedup();
    descriptions.join(" ")
}

/// Who is told of what happens with the Spirit's conversations.
pub(super) fn herald(
    front: &CompiledSpirit,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Option<Arc<dyn Herald>>, WireError> {
    let notify = front.vigil.notify.as_ref();
    notify
        .map(|notify| webhook(front, notify, secrets, shared))
        .transpose()
}

#[cfg(feature = "herald-webhook")]
fn webhook(
    front: &CompiledSpirit,
    notify: &CompiledNotify,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Herald>, WireError> {
    use eywa_adapters::{
        herald::{WebhookHerald, WebhookHeraldSettings},
        standard_webhooks::SigningKey,
    };

    let field = |field: &str| format!("vigil.notify.{field}");
    let settings = WebhookHeraldSettings {
        url: notify
            .url
            .parse()
            .map_err(|reason| WireError::invalid(&front.name, field("url"), reason))?,
        key: SigningKey::parse(&secrets.get(&notify.signing_key)?)
            .map_err(|reason| WireError::invalid(&front.name, field("secretRef"), reason))?,
        include_text: notify.include_text,
    };
    Ok(Arc::new(WebhookHerald::new(
        settings,
        shared.client.clone(),
    )))
}

#[cfg(not(feature = "herald-webhook"))]
fn webhook(
    front: &CompiledSpirit,
    _: &CompiledNotify,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Herald>, WireError> {
    Err(WireError::not_built_in(
        &front.name,
        "vigil.notify",
        "herald-webhook",
    ))
}
