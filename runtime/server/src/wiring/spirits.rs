//! One Spirit: its persona, Oracles, Scouts, tools and limits.

use std::{sync::Arc, time::Duration};

use eywa_adapters::persona::TemplatePersona;
use eywa_crds::runtime_config::CompiledSpirit;
use eywa_weave::{
    SpiritName,
    spirit::{Limits, RiteRule, Spirit},
};

use super::{Shared, WireError, lore, oracles, tools};
use crate::secrets::Secrets;

pub(super) fn wire(
    spirit: &CompiledSpirit,
    secrets: &dyn Secrets,
    conduits: &mut tools::Conduits,
    shared: &Shared,
) -> Result<Spirit, WireError> {
    let persona = TemplatePersona::parse(&spirit.persona)
        .map_err(|reason| WireError::invalid(&spirit.name, "persona", reason))?;
    let mut scouts = tools::scouts(spirit, secrets, shared)?;
    scouts.extend(lore::scout(spirit, secrets, shared)?);
    Ok(Spirit {
        name: SpiritName::from(spirit.name.as_str()),
        generation: generation(spirit),
        persona: Arc::new(persona),
        oracles: oracles::wire(spirit, secrets, shared)?,
        scouts,
        actions: tools::actions(spirit, secrets, shared)?,
        conduits: conduits.of(spirit, secrets, shared)?,
        rites: spirit.rites.iter().map(rite).collect(),
        limits: limits(spirit),
    })
}

/// What is built in concerns the conversation alone: a human's yes to asking for a human would help nobody.
const NEVER_WAIT: [&str; 4] = ["offer_choices", "remember", "summon_human", "switch_spirit"];

fn rite(rule: &eywa_crds::spirit::RiteRule) -> RiteRule {
    let of = rule.clone();
    RiteRule {
        gates: Box::new(move |action| !NEVER_WAIT.contains(&action) && of.holds_for(action)),
        timeout: rule.timeout.as_std(),
        redact: rule.redact.clone(),
        notice: rule.notice.clone(),
    }
}

fn limits(spirit: &CompiledSpirit) -> Limits {
    let actions = spirit.actions.iter().map(|action| action.timeout.as_std());
    let conduits = spirit
        .conduits
        .iter()
        .map(|conduit| conduit.timeout.as_std());
    Limits {
        rounds: spirit.limits.rounds,
        pulse_timeout: spirit.limits.pulse_timeout.as_std(),
        // Each tool bounds its own time; this only has to be no shorter than any of them.
        action_timeout: actions.chain(conduits).max().unwrap_or_default() + Duration::from_secs(1),
        history: usize::try_from(spirit.limits.history_messages).unwrap_or(usize::MAX),
        tokens_per_day: spirit.limits.tokens_per_session_per_day,
        pulses_per_minute: spirit.limits.pulses_per_user_per_minute.map(u64::from),
    }
}

/// Tells one version of the Spirit from another. The object's own generation is not in the configuration, since it counts
/// changes that are none to a runtime, such as scaling.
fn generation(spirit: &CompiledSpirit) -> i64 {
    let revision = spirit.revision();
    let digits = revision.get(..15).unwrap_or_default();
    i64::from_str_radix(digits, 16).unwrap_or_default()
}
