//! Conduits: MCP servers, run where asked, and probed.

pub mod build;
pub mod mcp;
pub mod probe;
pub mod schedule;
pub mod status;

use self::{
    probe::Probe,
    schedule::Schedule,
    status::{Outcome, READY, SERVER_NOT_AVAILABLE},
};
use crate::{
    apply::{apply, hash_of, remove},
    conditions,
    context::Context,
    controller::{self, Scope},
    error::Error,
    references::{References, Target},
    retry::{Retries, jittered},
};
use eywa_crds::{
    Conduit,
    compile::{Defaults, Surroundings, compile_conduit, conduit_secrets, conduit_service_name},
    runtime_config::{CompiledConduit, SecretFile},
};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Secret, Service},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
    jiff::Timestamp,
};
use kube::{
    Api, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{controller::Action, reflector::ObjectRef, watcher},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

const KIND: &str = "Conduit";
const RESYNC: Duration = Duration::from_secs(600);
/// The conditions that deserve an Event when they become false.
const WARNED_OF: [&str; 2] = ["Accepted", "Connected"];

/// What the reconciles of Conduits share.
pub struct ConduitContext {
    /// What all reconciles share.
    pub ctx: Context,
    /// Which Secrets the Conduits refer to.
    pub references: References<Conduit>,
    probe: Arc<dyn Probe>,
    schedule: Schedule,
    retries: Retries<ObjectRef<Conduit>>,
}

impl ConduitContext {
    /// With nothing known yet.
    #[must_use]
    pub fn new(ctx: Context, probe: Arc<dyn Probe>) -> Self {
        Self {
            ctx,
            references: References::default(),
            probe,
            schedule: Schedule::default(),
            retries: Retries::default(),
        }
    }
}

/// Runs the controller until `stop`.
pub async fn run(ctx: Context, probe: Arc<dyn Probe>, scope: &Scope, stop: watch::Receiver<bool>) {
    let settings = Arc::clone(&ctx.settings);
    let shared = Arc::new(ConduitContext::new(ctx, probe));
    let controller = controller::of::<Conduit>(scope, settings.concurrency, stop);
    let is_ready = |conduit: &Conduit| {
        conduit
            .status
            .as_ref()
            .is_some_and(|status| conditions::is_true(&status.conditions, READY))
    };
    shared
        .ctx
        .metrics
        .count_objects(KIND, controller::census(controller.store(), is_ready));
    let ours = || watcher::Config::default().labels("app.kubernetes.io/managed-by=eywa-operator");
    let secrets = Arc::clone(&shared);
    let gone = Arc::clone(&shared);
    let stream = controller
        .owns(scope.api::<Deployment>(), ours())
        .owns(scope.api::<PartialObjectMeta<Service>>(), ours())
        .watches(
            scope.api::<PartialObjectMeta<Secret>>(),
            watcher::Config::default(),
            move |secret| {
                secrets.references.to(
                    Target::Secret,
                    &secret.namespace().unwrap_or_default(),
                    &secret.name_any(),
                )
            },
        )
        .run(reconcile, error_policy, shared);
    controller::drain(KIND, stream, |conduit| {
        gone.references.record(conduit, HashSet::new());
        gone.schedule.forget(conduit);
    })
    .await;
}

/// Runs the Conduit's server where it asks for one, probes it when that is due, and says what was found.
///
/// # Errors
/// What kept it from that; a server that does not answer is in the status instead.
pub async fn reconcile(
    conduit: Arc<Conduit>,
    shared: Arc<ConduitContext>,
) -> Result<Action, Error> {
    let work = steps(&conduit, &shared);
    controller::timed(KIND, &conduit, &shared.ctx.metrics, &shared.retries, work).await
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that the controller asks for"
)]
fn error_policy(conduit: Arc<Conduit>, error: &Error, shared: Arc<ConduitContext>) -> Action {
    controller::retry(conduit.as_ref(), error, &shared.retries)
}

async fn steps(conduit: &Conduit, shared: &ConduitContext) -> Result<Action, Error> {
    if conduit.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let incomplete = |field| Error::Incomplete { kind: KIND, field };
    let namespace = conduit.namespace().ok_or(incomplete("namespace"))?;
    let owner = conduit.controller_owner_ref(&()).ok_or(incomplete("uid"))?;

    let secrets = dereference(shared, conduit, &namespace).await?;
    let around = surroundings(shared, &namespace, &secrets);
    let server = apply_server(&shared.ctx, conduit, &namespace, &owner).await;
    let (outcome, wait) = match (compile_conduit(conduit, &around), &server) {
        (Err(problems), _) => (Outcome::Refused(problems), RESYNC),
        (Ok(compiled), Err(error)) => match error.refusal() {
            Some((reason, message)) => (
                Outcome::NotAsked(Box::new(compiled), reason, message),
                RESYNC,
            ),
            None => return server.map(|_| Action::await_change()),
        },
        (Ok(compiled), Ok(Server::Starting)) => {
            // Whoever answers next has just started, and may have other tools.
            shared.schedule.forget(&ObjectRef::from_obj(conduit));
            let child = conduit_service_name(&conduit.name_any());
            let message = format!(
                "no pod of its server answers yet; see `kubectl describe pods` of Deployment {child:?} if that stays so"
            );
            (
                Outcome::NotAsked(Box::new(compiled), SERVER_NOT_AVAILABLE, message),
                RESYNC,
            )
        }
        (Ok(compiled), Ok(Server::Up(rollout))) => {
            probed(
                shared,
                conduit,
                compiled,
                rollout.as_ref(),
                &secrets,
                &around,
            )
            .await?
        }
    };
    report(shared, conduit, &outcome).await?;
    server.map(|_| Action::requeue(wait.min(jittered(RESYNC))))
}

type SecretValues = BTreeMap<String, BTreeMap<String, SecretString>>;

/// The Secrets that the Conduit's headers are in.
async fn dereference(
    shared: &ConduitContext,
    conduit: &Conduit,
    namespace: &str,
) -> Result<SecretValues, Error> {
    let names: HashSet<String> = conduit_secrets(&conduit.spec)
        .into_iter()
        .map(|secret| secret.name)
        .collect();
    let references = names
        .iter()
        .map(|name| (Target::Secret, name.clone()))
        .collect();
    shared
        .references
        .record(&ObjectRef::from_obj(conduit), references);
    let api = Api::<Secret>::namespaced(shared.ctx.client.clone(), namespace);
    let mut values = SecretValues::new();
    for name in names {
        let Some(secret) = api
            .get_opt(&name)
            .await
            .map_err(Error::api("get", "Secret", &name))?
        else {
            continue;
        };
        let data = secret.data.unwrap_or_default().into_iter();
        // A header that is not text cannot be sent; compiling says that the key is missing.
        let texts = data.filter_map(|(key, value)| {
            Some((key, SecretString::from(String::from_utf8(value.0).ok()?)))
        });
        values.insert(name, texts.collect());
    }
    Ok(values)
}

fn surroundings(shared: &ConduitContext, namespace: &str, secrets: &SecretValues) -> Surroundings {
    Surroundings {
        namespace: namespace.to_owned(),
        secrets: secrets
            .iter()
            .map(|(name, data)| (name.clone(), data.keys().cloned().collect()))
            .collect(),
        defaults: Defaults {
            network: shared.ctx.settings.network(),
            ..Defaults::default()
        },
        ..Surroundings::default()
    }
}

/// Whether there is something to ask.
enum Server {
    /// It is somebody else's, or its pods answer; those, as they are now.
    Up(Option<Rollout>),
    /// It is run for the Conduit, and no pod answers yet. Its Deployment's next change asks for a reconcile.
    Starting,
}

/// How far a Deployment is with its pods. What another pod answers is found out at once, and not when the next probe is
/// due.
#[derive(Serialize)]
struct Rollout {
    generation: Option<i64>,
    observed: Option<i64>,
    updated: i32,
    available: i32,
}

async fn apply_server(
    ctx: &Context,
    conduit: &Conduit,
    namespace: &str,
    owner: &OwnerReference,
) -> Result<Server, Error> {
    let name = conduit.name_any();
    let Some(server) = &conduit.spec.server else {
        let child = conduit_service_name(&name);
        remove::<Deployment>(ctx, owner, namespace, &child).await?;
        remove::<Service>(ctx, owner, namespace, &child).await?;
        return Ok(Server::Up(None));
    };
    let (deployment, service) = build::children(&name, namespace, owner, server);
    apply(ctx, owner, service).await?;
    let (live, _) = apply(ctx, owner, deployment).await?.into_parts();
    let generation = live.metadata.generation;
    let status = live.status.unwrap_or_default();
    let rollout = Rollout {
        generation,
        observed: status.observed_generation,
        updated: status.updated_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
    };
    Ok(if rollout.available > 0 {
        Server::Up(Some(rollout))
    } else {
        Server::Starting
    })
}

/// What stands of the last probe, or a new one when that is due; and how long until the next.
async fn probed(
    shared: &ConduitContext,
    conduit: &Conduit,
    compiled: CompiledConduit,
    rollout: Option<&Rollout>,
    secrets: &SecretValues,
    around: &Surroundings,
) -> Result<(Outcome, Duration), Error> {
    let value = |file: &SecretFile| secrets.get(&file.name)?.get(&file.key).cloned();
    let headers: Vec<(String, SecretString)> = compiled
        .headers
        .iter()
        .filter_map(|header| Some((header.name.clone(), value(&header.value)?)))
        .collect();
    let exposed: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name, value.expose_secret()))
        .collect();
    // Kept in memory only.
    let fingerprint = hash_of(&(&compiled, exposed, rollout))
        .map_err(|source| Error::Serialize { kind: KIND, source })?;
    let reference = ObjectRef::from_obj(conduit);
    let probed = match shared.schedule.standing(&reference, &fingerprint) {
        Some(standing) => standing,
        None => {
            let mut network = around.defaults.network.clone();
            network.namespace = Some(around.namespace.clone());
            let result = shared
                .probe
                .probe(&compiled, headers, Arc::new(network))
                .await;
            shared.schedule.note(&reference, fingerprint, result)
        }
    };
    let wait = probed.wait();
    Ok((Outcome::Probed(Box::new(compiled), probed.result), wait))
}

async fn report(
    shared: &ConduitContext,
    conduit: &Conduit,
    outcome: &Outcome,
) -> Result<(), Error> {
    let now = Timestamp::now();
    let compute = |conduit: &Conduit| status::status(conduit, outcome, now);
    let change = crate::status::write(
        &shared.ctx,
        conduit,
        |conduit| conduit.status.clone(),
        compute,
    )
    .await?;
    let Some(change) = change else { return Ok(()) };
    let before = change
        .before
        .map(|status| status.conditions)
        .unwrap_or_default();
    let about = conduit.object_ref(&());
    for condition in conditions::newly_false(&before, &change.after.conditions) {
        // The pods of a server that starts have Events of their own.
        let told = condition.reason == SERVER_NOT_AVAILABLE;
        if WARNED_OF.contains(&condition.type_.as_str()) && !told {
            shared
                .ctx
                .events
                .warning(&about, "Probe", &condition.reason, &condition.message)
                .await;
        }
    }
    if conditions::is_true(&change.after.conditions, READY) && !conditions::is_true(&before, READY)
    {
        shared
            .ctx
            .events
            .normal(&about, "Probe", "Connected", "the server answers")
            .await;
    }
    Ok(())
}
