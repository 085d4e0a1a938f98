//! A Spirit's Lore: a Job that checks the store and brings the documents in.
//!
//! A Job cannot be changed, so each is named after the hash of all that it works with: configuration, documents, Secrets
//! and image. One whose hash is no longer wanted is deleted; one that failed is made anew after a while.

mod build;
mod report;

use self::build::LoreBlueprint;
use super::{
    build::Blueprint,
    dereference::Dereferenced,
    validate::{LORE_READY, LorePlan},
};
use crate::{
    apply::{apply, hash_of, remove},
    conditions,
    context::Context,
    error::Error,
};
use eywa_crds::{Spirit, labels};
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ConfigMap, Pod},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
    jiff::Timestamp,
};
use kube::{Api, ResourceExt, api::ListParams};
use std::time::Duration;

pub use self::report::verdict;

/// How long a Job that failed stays, to be looked at, before another tries.
pub const RETRY: Duration = Duration::from_secs(600);

/// What came of the Job.
pub enum Brought {
    /// The Spirit has no Lore.
    None,
    /// The Job of this name is not done.
    Running(String),
    /// It ended well, with what it reported.
    Done(Option<String>),
    /// It failed: its name, and what it reported.
    Failed(String, Option<String>),
}

/// Sees to it that the Job for the Spirit as it is now is there, and no other. Says what came of it.
///
/// # Errors
/// The API server's.
pub async fn bring(
    ctx: &Context,
    blueprint: &Blueprint<'_>,
    plan: Option<&LorePlan>,
    read: &Dereferenced,
    now: Timestamp,
) -> Result<Brought, Error> {
    let Some(plan) = plan else {
        if had_lore(blueprint.spirit) {
            remove_all(ctx, blueprint.owner, blueprint.namespace, blueprint.name).await?;
        }
        return Ok(Brought::None);
    };
    let hash = hash(blueprint, plan, read)?;
    let wanted = LoreBlueprint {
        spirit: blueprint,
        plan,
        hash: &hash,
    };
    let name = wanted.job_name();
    let mut live = None;
    for job in jobs(ctx, blueprint.namespace, blueprint.name).await? {
        let stale = failed_at(&job).is_some_and(|at| now.duration_since(at).unsigned_abs() > RETRY);
        if job.name_any() == name && !stale {
            live = Some(job);
        } else {
            remove::<Job>(ctx, blueprint.owner, blueprint.namespace, &job.name_any()).await?;
        }
    }
    let job = match live {
        // A Job is not applied again: of its template nothing may change.
        Some(job) => job,
        None => {
            apply(ctx, blueprint.owner, wanted.config_map()).await?;
            apply(ctx, blueprint.owner, wanted.network_policy()).await?;
            let (job, _) = apply(ctx, blueprint.owner, wanted.job())
                .await?
                .into_parts();
            job
        }
    };
    if is(&job, "Complete") {
        return Ok(Brought::Done(message(ctx, &job).await?));
    }
    if is(&job, "Failed") {
        return Ok(Brought::Failed(name, message(ctx, &job).await?));
    }
    Ok(Brought::Running(name))
}

/// Whether there may be something to take away: the condition goes only after the Job.
fn had_lore(spirit: &Spirit) -> bool {
    let status = spirit.status.as_ref();
    status.is_some_and(|status| conditions::find(&status.conditions, LORE_READY).is_some())
}

/// Takes away all that is made for a Spirit's Lore. The passages stay in their store.
async fn remove_all(
    ctx: &Context,
    owner: &OwnerReference,
    namespace: &str,
    name: &str,
) -> Result<(), Error> {
    for job in jobs(ctx, namespace, name).await? {
        remove::<Job>(ctx, owner, namespace, &job.name_any()).await?;
    }
    let child = build::child_name(name);
    remove::<NetworkPolicy>(ctx, owner, namespace, &child).await?;
    remove::<ConfigMap>(ctx, owner, namespace, &child).await?;
    Ok(())
}

/// Everything that decides what is brought in and how.
fn hash(blueprint: &Blueprint<'_>, plan: &LorePlan, read: &Dereferenced) -> Result<String, Error> {
    let documents: Vec<_> = plan
        .config_maps
        .iter()
        .map(|name| (name, read.contents.get(name)))
        .collect();
    let all = (
        &plan.config,
        &plan.secrets_hash,
        documents,
        super::build::runtime_image(blueprint),
    );
    hash_of(&all).map_err(|source| Error::Serialize {
        kind: "Job",
        source,
    })
}

async fn jobs(ctx: &Context, namespace: &str, name: &str) -> Result<Vec<Job>, Error> {
    let ours = format!(
        "{}={name},app.kubernetes.io/component={}",
        labels::SPIRIT,
        build::COMPONENT
    );
    let params = ListParams::default().labels(&ours);
    let found = Api::<Job>::namespaced(ctx.client.clone(), namespace)
        .list(&params)
        .await
        .map_err(Error::api("list", "Job", name))?;
    Ok(found.items)
}

fn is(job: &Job, type_: &str) -> bool {
    let status = job.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == type_ && condition.status == "True")
}

fn failed_at(job: &Job) -> Option<Timestamp> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions
        .iter()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True")?;
    Some(failed.last_transition_time.as_ref()?.0)
}

/// What the last of the Job's pods left to be read.
async fn message(ctx: &Context, job: &Job) -> Result<Option<String>, Error> {
    let (name, namespace) = (job.name_any(), job.namespace().unwrap_or_default());
    let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={name}"));
    let pods = Api::<Pod>::namespaced(ctx.client.clone(), &namespace)
        .list(&params)
        .await
        .map_err(Error::api("list", "Pod", &name))?;
    let ended = pods.items.iter().flat_map(|pod| {
        let status = pod.status.as_ref();
        let containers = status.and_then(|status| status.container_statuses.as_ref());
        containers.into_iter().flatten().filter_map(|container| {
            let ended = container.state.as_ref()?.terminated.as_ref()?;
            Some((ended.finished_at.as_ref()?.0, ended.message.clone()?))
        })
    });
    Ok(ended.max_by_key(|(at, _)| *at).map(|(_, message)| message))
}
