//! Saying what came of a Spirit.

use super::{
    build::{CONFIG_HASH, HTTP_PORT, child_name},
    lore::{self, Brought},
    validate::{CONDUITS_READY, LORE_READY, Validated},
};
use crate::conditions::{self, Verdict};
use eywa_crds::{
    Spirit, labels,
    spirit::{ADAPTERS_READY, SpiritStatus, VOICES_READY},
};
use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentStatus},
    jiff::Timestamp,
};

/// The condition `Available`.
pub const AVAILABLE: &str = "Available";
/// The condition `Ready`.
pub const READY: &str = "Ready";

/// What became of the children.
pub enum Outcome<'a> {
    /// They are as the Spirit says; this is the live Deployment.
    Applied(&'a Deployment),
    /// The Spirit is not served: there are none.
    NotServed,
    /// Something is wrong with the Spirit; the last good children were left alone.
    Kept(Option<&'a Deployment>),
    /// A child could not be written, for the reason and with the message given.
    Failed(Option<&'a Deployment>, &'static str, String),
}

impl<'a> Outcome<'a> {
    fn deployment(&self) -> Option<&'a Deployment> {
        match self {
            Self::Applied(deployment) => Some(deployment),
            Self::NotServed => None,
            Self::Kept(deployment) | Self::Failed(deployment, ..) => *deployment,
        }
    }
}

/// The whole status, from what was found and what was done; `brought` unless nothing was done about Lore. Pure.
#[must_use]
pub fn status(
    spirit: &Spirit,
    name: &str,
    namespace: &str,
    validated: &Validated,
    outcome: &Outcome<'_>,
    brought: Option<&Brought>,
    now: Timestamp,
) -> SpiritStatus {
    let before = spirit.status.as_ref();
    let previous = before
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let generation = spirit.metadata.generation;
    let deployment = outcome.deployment();
    let pods = deployment.and_then(|deployment| deployment.status.as_ref());

    let mut verdicts = validated.verdicts.clone();
    verdicts.push((AVAILABLE, available(outcome)));
    let ready = ready(&verdicts, outcome);
    verdicts.push((READY, ready));
    // Behind the others: answers go on without Lore.
    let lore = brought.and_then(lore::verdict);
    verdicts.extend(lore.map(|verdict| (LORE_READY, verdict)));
    let mut conditions = conditions::next(previous, verdicts, generation, now);
    if brought.is_none() {
        // Nothing was done about it: what was so still is, of the generation that it was seen of.
        conditions.extend(conditions::find(previous, LORE_READY).cloned());
    }

    SpiritStatus {
        observed_generation: generation,
        replicas: Some(pods.and_then(|pods| pods.replicas).unwrap_or(0)),
        ready_replicas: Some(pods.and_then(|pods| pods.ready_replicas).unwrap_or(0)),
        selector: Some(labels::runtime_pods_selector(name)),
        url: deployment.map(|_| format!("http://{}.{namespace}.svc:{HTTP_PORT}", child_name(name))),
        config_hash: deployment.and_then(annotation(CONFIG_HASH)),
        tools: match outcome {
            // What runs is the last good one; its tools are those it was said to have.
            Outcome::Kept(_) | Outcome::Failed(..) => before
                .map(|status| status.tools.clone())
                .unwrap_or_default(),
            Outcome::Applied(_) | Outcome::NotServed => validated.tools.clone(),
        },
        conditions,
    }
}

/// The status without what the runtime has to say in it, which is not the operator's to keep or to take away.
#[must_use]
pub fn own(spirit: &Spirit) -> Option<SpiritStatus> {
    let mut status = spirit.status.clone()?;
    status
        .conditions
        .retain(|condition| ![ADAPTERS_READY, VOICES_READY].contains(&condition.type_.as_str()));
    Some(status)
}

/// The value of an annotation of the Deployment's pods.
pub fn annotation(key: &str) -> impl Fn(&Deployment) -> Option<String> + '_ {
    move |deployment| {
        deployment
            .spec
            .as_ref()?
            .template
            .metadata
            .as_ref()?
            .annotations
            .as_ref()?
            .get(key)
            .cloned()
    }
}

/// Are there as many pods that can answer as there should be?
fn available(outcome: &Outcome<'_>) -> Verdict {
    let Some(deployment) = outcome.deployment() else {
        return match outcome {
            Outcome::NotServed => Verdict::yes(
                "NotServed",
                "it has no voices and is loaded by the Spirits that route to it",
            ),
            _ => Verdict::no("NotDeployed", "there are no pods yet"),
        };
    };
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    if wanted == 0 {
        return Verdict::no(
            "ScaledToZero",
            "it is scaled to no pods; set spec.runtime.replicas",
        );
    }
    let none = DeploymentStatus::default();
    let pods = deployment.status.as_ref().unwrap_or(&none);
    let count = pods.available_replicas.unwrap_or(0);
    let says = |type_: &str| {
        let condition = pods
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == type_);
        condition.map(|condition| {
            (
                condition.status.as_str(),
                condition.reason.as_deref().unwrap_or_default(),
            )
        })
    };
    if matches!(says("Available"), Some(("True", _))) && count > 0 {
        // No count here: it would make every step of a rollout a change of status.
        return Verdict::yes("PodsAvailable", "enough pods answer");
    }
    if let Some((_, reason @ "FailedCreate")) = says("ReplicaFailure") {
        let message = pods
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "ReplicaFailure");
        let message = message
            .and_then(|condition| condition.message.clone())
            .unwrap_or_default();
        return Verdict::no(reason, format!("pods cannot be created: {message}"));
    }
    let child = deployment.metadata.name.as_deref().unwrap_or_default();
    Verdict::no(
        "PodsNotAvailable",
        format!(
            "{count} of {wanted} pods answer; see `kubectl describe pods` of Deployment {child:?} if that stays so"
        ),
    )
}

/// Everything together: what `kubectl wait --for=condition=Ready` waits for.
fn ready(verdicts: &[(&'static str, Verdict)], outcome: &Outcome<'_>) -> Verdict {
    let kept = match outcome.deployment() {
        Some(_) if !matches!(outcome, Outcome::Applied(_)) => " (the last good pods keep running)",
        _ => "",
    };
    if let Outcome::Failed(_, reason, message) = outcome {
        return Verdict::no(reason, format!("{message}{kept}"));
    }
    if let Some((_, verdict)) = verdicts.iter().find(|(_, verdict)| !verdict.holds()) {
        return Verdict::no(&verdict.reason, format!("{}{kept}", verdict.message));
    }
    match outcome {
        Outcome::NotServed => Verdict::yes("NotServed", "it can be routed to"),
        Outcome::Applied(deployment) if is_stuck(deployment) => Verdict::no(
            "RolloutStuck",
            "pods of the new configuration do not get ready and those of the former one serve; see `kubectl describe pods`",
        ),
        Outcome::Applied(_) | Outcome::Kept(_) | Outcome::Failed(..) => {
            Verdict::yes("Serving", "it answers")
        }
    }
}

fn is_stuck(deployment: &Deployment) -> bool {
    let conditions = deployment
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut progressing = conditions.filter(|condition| condition.type_ == "Progressing");
    progressing.any(|condition| condition.status == "False")
}

/// The conditions that deserve an Event when they become false. The others follow from these, or from the pods', which
/// have Events of their own.
pub const WARNED_OF: [&str; 4] = [
    super::validate::ACCEPTED,
    super::validate::SECRETS_RESOLVED,
    CONDUITS_READY,
    LORE_READY,
];
