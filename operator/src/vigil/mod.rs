//! Vigils: accepted, or refused with the reason. All else of a Vigil is the runtime's, which works without the operator.

use crate::{
    conditions::{self, Verdict},
    context::Context,
    controller::{self, Scope},
    error::Error,
    references::{References, Target},
    retry::{Retries, jittered},
};
use eywa_crds::{
    Spirit, Vigil,
    vigil::{VigilSpec, VigilStatus},
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef, watcher},
};
use serde::Serialize;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::sync::watch;

const KIND: &str = "Vigil";
const ACCEPTED: &str = "Accepted";
const RESYNC: Duration = Duration::from_secs(600);

/// What the reconciles of Vigils share.
pub struct VigilContext {
    /// What all reconciles share.
    pub ctx: Context,
    /// Which Spirits the Vigils are about.
    pub references: References<Vigil>,
    retries: Retries<ObjectRef<Vigil>>,
}

impl VigilContext {
    /// With nothing known yet.
    #[must_use]
    pub fn new(ctx: Context) -> Self {
        Self {
            ctx,
            references: References::default(),
            retries: Retries::default(),
        }
    }
}

/// Runs the controller until `stop`.
pub async fn run(ctx: Context, scope: &Scope, stop: watch::Receiver<bool>) {
    let settings = Arc::clone(&ctx.settings);
    let shared = Arc::new(VigilContext::new(ctx));
    let controller = controller::of::<Vigil>(scope, settings.concurrency, stop);
    let is_ready =
        |vigil: &Vigil| conditions_of(vigil).is_some_and(|all| conditions::is_true(all, ACCEPTED));
    shared
        .ctx
        .metrics
        .count_objects(KIND, controller::census(controller.store(), is_ready));
    let spirits = Arc::clone(&shared);
    let gone = Arc::clone(&shared);
    let stream = controller
        .watches(
            scope.api::<Spirit>(),
            watcher::Config::default(),
            move |spirit| {
                spirits.references.to(
                    Target::Spirit,
                    &spirit.namespace().unwrap_or_default(),
                    &spirit.name_any(),
                )
            },
        )
        .run(reconcile, error_policy, shared);
    controller::drain(KIND, stream, |vigil| {
        gone.references.record(vigil, HashSet::new());
    })
    .await;
}

/// Says whether the Vigil is about a conversation that there can be.
///
/// # Errors
/// The API server's.
pub async fn reconcile(vigil: Arc<Vigil>, shared: Arc<VigilContext>) -> Result<Action, Error> {
    let work = steps(&vigil, &shared);
    controller::timed(KIND, &vigil, &shared.ctx.metrics, &shared.retries, work).await
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that the controller asks for"
)]
fn error_policy(vigil: Arc<Vigil>, error: &Error, shared: Arc<VigilContext>) -> Action {
    controller::retry(vigil.as_ref(), error, &shared.retries)
}

/// The part of a Vigil's status that is the operator's. The runtime's fields are not in it, and so are left alone.
#[derive(PartialEq, Serialize)]
struct Own {
    conditions: Vec<Condition>,
}

async fn steps(vigil: &Vigil, shared: &VigilContext) -> Result<Action, Error> {
    if vigil.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let namespace = vigil.namespace().ok_or(Error::Incomplete {
        kind: KIND,
        field: "namespace",
    })?;
    let name = &vigil.spec.spirit_ref.name;
    shared.references.record(
        &ObjectRef::from_obj(vigil),
        HashSet::from([(Target::Spirit, name.clone())]),
    );
    let spirit = Api::<Spirit>::namespaced(shared.ctx.client.clone(), &namespace)
        .get_opt(name)
        .await
        .map_err(Error::api("get", "Spirit", name))?;
    let verdict = accept(&vigil.spec, spirit.as_ref());
    let now = Timestamp::now();
    let compute = |vigil: &Vigil| {
        let previous = conditions_of(vigil).unwrap_or_default();
        Own {
            conditions: conditions::next(
                previous,
                vec![(ACCEPTED, verdict.clone())],
                vigil.metadata.generation,
                now,
            ),
        }
    };
    let current = |vigil: &Vigil| {
        let own = conditions::find(conditions_of(vigil)?, ACCEPTED)?;
        Some(Own {
            conditions: vec![own.clone()],
        })
    };
    let change = crate::status::write(&shared.ctx, vigil, current, compute).await?;
    if let Some(change) = change {
        let before = change.before.map(|own| own.conditions).unwrap_or_default();
        for condition in conditions::newly_false(&before, &change.after.conditions) {
            let about = vigil.object_ref(&());
            shared
                .ctx
                .events
                .warning(&about, "Reconcile", &condition.reason, &condition.message)
                .await;
        }
    }
    Ok(Action::requeue(jittered(RESYNC)))
}

fn conditions_of(vigil: &Vigil) -> Option<&[Condition]> {
    vigil
        .status
        .as_ref()
        .map(|VigilStatus { conditions, .. }| conditions.as_slice())
}

/// Is there such a conversation? Pure.
fn accept(vigil: &VigilSpec, spirit: Option<&Spirit>) -> Verdict {
    let name = &vigil.spirit_ref.name;
    let Some(spirit) = spirit else {
        return Verdict::no(
            "SpiritNotFound",
            format!(
                "there is no Spirit {name:?} in this namespace; create it, or make a Vigil for another"
            ),
        );
    };
    let voices = &spirit.spec.voices;
    if voices.is_empty() {
        return Verdict::no(
            "SpiritNotServed",
            format!(
                "Spirit {name:?} has no voices, and so no conversations of its own; name the Spirit that routes to it"
            ),
        );
    }
    if vigil.session == VigilSpec::EVERY_SESSION {
        return Verdict::yes(
            "Accepted",
            format!("it is about every conversation of Spirit {name:?}"),
        );
    }
    let voice = vigil
        .session
        .split_once('/')
        .map_or(vigil.session.as_str(), |(voice, _)| voice);
    if voices.iter().any(|known| known.name == voice) {
        return Verdict::yes(
            "Accepted",
            format!("it is about a conversation of Spirit {name:?}"),
        );
    }
    let known: Vec<String> = voices
        .iter()
        .map(|voice| format!("{:?}", voice.name))
        .collect();
    Verdict::no(
        "VoiceNotFound",
        format!(
            "Spirit {name:?} has no voice {voice:?}; it has {}. A session is voice/sender; make a Vigil with such a one",
            known.join(", ")
        ),
    )
}
