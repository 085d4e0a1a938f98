//! Spirits: from configuration to running pods.

pub mod apply;
pub mod build;
pub mod dereference;
pub mod lore;
pub mod status;
pub mod validate;

use self::{
    build::{Blueprint, CONFIG_HASH, SECRETS_HASH},
    dereference::{DefaultRedis, Dereferenced},
    lore::Brought,
    status::{Outcome, READY, WARNED_OF, annotation},
    validate::{CONDUIT_NOT_READY, Plan, Validated},
};
use crate::{
    conditions,
    context::Context,
    controller::{self, Scope},
    error::Error,
    references::{References, Target},
    retry::{Retries, jittered},
};
use eywa_crds::{Conduit, Spirit};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
    jiff::Timestamp,
};
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{controller::Action, reflector::ObjectRef, watcher},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

const KIND: &str = "Spirit";

/// A Spirit is looked at again after this long even when nothing happened, in case a watch missed something.
const RESYNC: Duration = Duration::from_secs(600);

/// The most by which it is looked at later than something is due, so that many that are due at once do not come at once.
const LATE: Duration = Duration::from_secs(10);

/// What the reconciles of Spirits share.
pub struct SpiritContext {
    /// What all reconciles share.
    pub ctx: Context,
    /// What Spirits refer to.
    pub references: References<Spirit>,
    retries: Retries<ObjectRef<Spirit>>,
}

impl SpiritContext {
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
    let shared = Arc::new(SpiritContext::new(ctx));
    let controller = controller::of::<Spirit>(scope, settings.concurrency, stop);
    let store = controller.store();
    shared.ctx.metrics.count_objects(
        KIND,
        controller::census(store.clone(), |spirit: &Spirit| {
            spirit
                .status
                .as_ref()
                .is_some_and(|status| conditions::is_true(&status.conditions, READY))
        }),
    );

    let ours = || watcher::Config::default().labels("app.kubernetes.io/managed-by=eywa-operator");
    let secrets = Arc::clone(&shared);
    let config_maps = Arc::clone(&shared);
    let conduits = Arc::clone(&shared);
    let spirits = Arc::clone(&shared);
    let gone = Arc::clone(&shared);
    let stream = controller
        .owns(scope.api::<Deployment>(), ours())
        .owns(scope.api::<Job>(), ours())
        // Of the others only the metadata is watched: it tells that something changed, and is small.
        .owns(scope.api::<PartialObjectMeta<ServiceAccount>>(), ours())
        .owns(scope.api::<PartialObjectMeta<Role>>(), ours())
        .owns(scope.api::<PartialObjectMeta<RoleBinding>>(), ours())
        .owns(scope.api::<PartialObjectMeta<NetworkPolicy>>(), ours())
        .owns(scope.api::<PartialObjectMeta<Service>>(), ours())
        .owns(
            scope.api::<PartialObjectMeta<PodDisruptionBudget>>(),
            ours(),
        )
        .owns(
            scope.api::<PartialObjectMeta<HorizontalPodAutoscaler>>(),
            ours(),
        )
        .watches(
            scope.api::<PartialObjectMeta<Secret>>(),
            watcher::Config::default(),
            move |secret| {
                let mut affected = affected(&secrets, Target::Secret, &secret);
                if is_default_redis(&secrets.ctx, &secret) {
                    let users = store.state_filter(|spirit| spirit.spec.stores.is_none());
                    affected.extend(
                        users
                            .iter()
                            .map(|spirit| ObjectRef::from_obj(spirit.as_ref())),
                    );
                }
                affected
            },
        )
        .watches(
            scope.api::<PartialObjectMeta<ConfigMap>>(),
            watcher::Config::default(),
            move |config_map| affected(&config_maps, Target::ConfigMap, &config_map),
        )
        .watches(
            scope.api::<Conduit>(),
            watcher::Config::default(),
            move |conduit| affected(&conduits, Target::Conduit, &conduit),
        )
        .watches(
            scope.api::<Spirit>(),
            watcher::Config::default(),
            move |spirit| affected(&spirits, Target::Spirit, &spirit),
        )
        .run(reconcile, error_policy, shared);
    controller::drain(KIND, stream, |spirit| {
        gone.references.record(spirit, Default::default());
    })
    .await;
}

/// The Spirits that refer to an object, and the one that owns it.
fn affected<K: Resource<DynamicType = ()>>(
    shared: &SpiritContext,
    target: Target,
    object: &K,
) -> Vec<ObjectRef<Spirit>> {
    let namespace = object.namespace();
    let mut affected = shared.references.to(
        target,
        namespace.as_deref().unwrap_or_default(),
        &object.name_any(),
    );
    affected.extend(
        object
            .owner_references()
            .iter()
            .filter_map(|owner| ObjectRef::from_owner_ref(namespace.as_deref(), owner, ())),
    );
    affected
}

fn is_default_redis<K: Resource>(ctx: &Context, secret: &K) -> bool {
    ctx.settings.default_redis_secret.as_deref() == Some(secret.name_any().as_str())
        && secret.namespace().as_deref() == Some(ctx.settings.pod_namespace.as_str())
}

/// Makes the cluster be what the Spirit says, and the Spirit's status say what is so.
///
/// # Errors
/// What kept it from that; what a user got wrong is in the status instead.
pub async fn reconcile(spirit: Arc<Spirit>, shared: Arc<SpiritContext>) -> Result<Action, Error> {
    let work = steps(&spirit, &shared);
    controller::timed(KIND, &spirit, &shared.ctx.metrics, &shared.retries, work).await
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that the controller asks for"
)]
fn error_policy(spirit: Arc<Spirit>, error: &Error, shared: Arc<SpiritContext>) -> Action {
    controller::retry(spirit.as_ref(), error, &shared.retries)
}

async fn steps(spirit: &Spirit, shared: &SpiritContext) -> Result<Action, Error> {
    // Its children go with it: they have it as their owner.
    if spirit.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let incomplete = |field| Error::Incomplete { kind: KIND, field };
    let name = spirit.name_any();
    let namespace = spirit.namespace().ok_or(incomplete("namespace"))?;
    let owner = spirit.controller_owner_ref(&()).ok_or(incomplete("uid"))?;

    let read = dereference::dereference(&shared.ctx, &shared.references, spirit, &name, &namespace)
        .await?;
    let validated =
        validate::validate(spirit, &name, &read).map_err(|source| Error::Serialize {
            kind: "RuntimeConfig",
            source,
        })?;
    let subject = Subject {
        spirit,
        name: &name,
        namespace: &namespace,
        owner: &owner,
    };
    let live = apply::live_deployment(&shared.ctx, &namespace, &name).await?;

    let applied = match &validated.plan {
        None => {
            return subject
                .report(shared, &validated, &Outcome::Kept(live.as_ref()), None)
                .await;
        }
        Some(plan) if spirit.spec.voices.is_empty() => {
            let has_lore = plan.lore.is_some();
            apply::remove_children(&shared.ctx, &owner, &namespace, &name, has_lore).await?;
            let brought = Box::pin(subject.bring(shared, plan, &read)).await?;
            return subject
                .report(shared, &validated, &Outcome::NotServed, Some(&brought))
                .await;
        }
        // On the heap: what all the children and their requests take is too much for a thread's stack.
        Some(plan) => Box::pin(subject.apply(shared, plan, &read, live.as_ref())).await,
    };
    match applied {
        Ok((deployment, brought)) => {
            subject
                .report(
                    shared,
                    &validated,
                    &Outcome::Applied(&deployment),
                    Some(&brought),
                )
                .await
        }
        Err(error) => {
            // What the API server refuses is for a person to see; what is merely late is not.
            if let Some((reason, message)) = error.refusal() {
                subject
                    .report(
                        shared,
                        &validated,
                        &Outcome::Failed(live.as_ref(), reason, message),
                        None,
                    )
                    .await?;
            }
            Err(error)
        }
    }
}

/// The Spirit at hand.
struct Subject<'a> {
    spirit: &'a Spirit,
    name: &'a str,
    namespace: &'a str,
    owner: &'a OwnerReference,
}

impl Subject<'_> {
    async fn apply(
        &self,
        shared: &SpiritContext,
        plan: &Plan,
        read: &Dereferenced,
        live: Option<&Deployment>,
    ) -> Result<(Deployment, Brought), Error> {
        let ctx = &shared.ctx;
        let sets_replicas =
            apply::sets_replicas(self.spirit.spec.runtime.autoscaling.is_some(), live);
        if let (Some(live), false) = (live, sets_replicas) {
            apply::hand_replicas_over(ctx, live).await?;
        }
        let blueprint = self.blueprint(shared, plan, read, sets_replicas);
        let applied =
            apply::apply_children(ctx, self.owner, &blueprint, blueprint.children()).await?;
        let (deployment, written) = applied.into_parts();
        if written && let Some(note) = what_rolls(live, plan) {
            ctx.events
                .normal(
                    &self.spirit.object_ref(&()),
                    "Apply",
                    "RolloutStarted",
                    note,
                )
                .await;
        }
        let now = Timestamp::now();
        let brought = Box::pin(lore::bring(ctx, &blueprint, plan.lore.as_ref(), read, now)).await?;
        Ok((deployment, brought))
    }

    /// Its Lore, for a Spirit that is not served itself.
    async fn bring(
        &self,
        shared: &SpiritContext,
        plan: &Plan,
        read: &Dereferenced,
    ) -> Result<Brought, Error> {
        let blueprint = self.blueprint(shared, plan, read, false);
        if plan.lore.is_some() {
            let account = blueprint.children().service_account;
            crate::apply::apply(&shared.ctx, self.owner, account).await?;
        }
        let now = Timestamp::now();
        lore::bring(&shared.ctx, &blueprint, plan.lore.as_ref(), read, now).await
    }

    fn blueprint<'a>(
        &'a self,
        shared: &'a SpiritContext,
        plan: &'a Plan,
        read: &'a Dereferenced,
        sets_replicas: bool,
    ) -> Blueprint<'a> {
        Blueprint {
            spirit: self.spirit,
            name: self.name,
            namespace: self.namespace,
            owner: self.owner,
            settings: &shared.ctx.settings,
            config: &plan.config,
            config_hash: &plan.config_hash,
            pod_identities: plan.pod_identities,
            secrets: &plan.secrets,
            secrets_hash: &plan.secrets_hash,
            default_redis: match &read.default_redis {
                DefaultRedis::Url(url) => Some(url),
                DefaultRedis::Unused | DefaultRedis::Missing(_) => None,
            },
            sets_replicas,
        }
    }

    async fn report(
        &self,
        shared: &SpiritContext,
        validated: &Validated,
        outcome: &Outcome<'_>,
        brought: Option<&Brought>,
    ) -> Result<Action, Error> {
        let ctx = &shared.ctx;
        let now = Timestamp::now();
        let compute = |spirit: &Spirit| {
            let name = self.name;
            status::status(
                spirit,
                name,
                self.namespace,
                validated,
                outcome,
                brought,
                now,
            )
        };
        let change = crate::status::write(ctx, self.spirit, status::own, compute).await?;
        if let Some(change) = change {
            let before = change
                .before
                .map(|status| status.conditions)
                .unwrap_or_default();
            let about = self.spirit.object_ref(&());
            for condition in conditions::newly_false(&before, &change.after.conditions) {
                let failed = condition.type_ == READY && matches!(outcome, Outcome::Failed(..));
                // A Conduit that does not answer has an Event of its own.
                let told = condition.reason == CONDUIT_NOT_READY;
                if failed || (WARNED_OF.contains(&condition.type_.as_str()) && !told) {
                    ctx.events
                        .warning(&about, "Reconcile", &condition.reason, &condition.message)
                        .await;
                }
            }
            if conditions::is_true(&change.after.conditions, READY)
                && !conditions::is_true(&before, READY)
            {
                ctx.events
                    .normal(&about, "Reconcile", "Ready", "it answers")
                    .await;
            }
        }
        let due = brought.and_then(Brought::again);
        Ok(Action::requeue(next_look(due, now)))
    }
}

/// How long until the Spirit is looked at again: soon after something is `due`, and no later than the resync.
fn next_look(due: Option<Timestamp>, now: Timestamp) -> Duration {
    let resync = jittered(RESYNC);
    due.map_or(resync, |due| {
        let left = Duration::try_from(due.duration_since(now)).unwrap_or_default();
        resync.min(left.saturating_add(jittered(LATE)))
    })
}

/// Why new pods come, when they do.
fn what_rolls(live: Option<&Deployment>, plan: &Plan) -> Option<&'static str> {
    let Some(live) = live else {
        return Some("the first pods start");
    };
    if annotation(CONFIG_HASH)(live).as_deref() != Some(plan.config_hash.as_str()) {
        return Some("pods with the new configuration replace those with the former");
    }
    if annotation(SECRETS_HASH)(live).as_deref() != Some(plan.secrets_hash.as_str()) {
        return Some("pods with the new Secrets replace those with the former");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_looked_at_then_and_everything_at_the_latest_after_the_resync() {
        let now = Timestamp::UNIX_EPOCH;
        let due = |seconds| Some(Timestamp::from_second(seconds).unwrap());
        let usual = RESYNC / 2..=RESYNC;
        assert!(usual.contains(&next_look(None, now)));
        assert!(usual.contains(&next_look(due(86400), now)));
        let soon = Duration::from_secs(60);
        assert!((soon..=soon + LATE).contains(&next_look(due(60), now)));
        assert!((LATE / 2..=LATE).contains(&next_look(due(-60), now)));
    }
}
