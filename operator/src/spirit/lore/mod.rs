//! A Spirit's Lore: a Job that checks the store and brings the documents in.
//!
//! A Job cannot be changed, so each is named after the hash of all that it works with: configuration, documents, Secrets
//! and its pods. One whose hash is no longer wanted is deleted; one that failed or left documents out is made anew after a
//! while.

mod build;
mod report;

use self::{build::LoreBlueprint, report::Report};
use super::{
    build::Blueprint,
    dereference::Dereferenced,
    validate::{LORE_READY, LorePlan},
};
use crate::{
    apply::{FIELD_MANAGER, apply, hash_of, remove},
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
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use std::time::Duration;

pub use self::report::verdict;

/// How long a Job that failed stays, to be looked at, before another tries.
const RETRY: Duration = Duration::from_secs(600);

/// The longest that one stays that left documents out: what it asked for may be gone for good, or never be read.
const LAST_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

/// The annotation of a Job with what it reported. Its pods, who said it, may be collected before the Job is.
const REPORT: &str = "eywa.dev/report";

/// What came of the Job.
pub enum Brought {
    /// The Spirit has no Lore.
    None,
    /// The Job of this name is not done.
    Running(String),
    /// It came to its end.
    Done(Ended),
    /// It failed.
    Failed(Ended),
}

/// A Job that is over.
pub struct Ended {
    name: String,
    report: Option<Report>,
    again: Option<Timestamp>,
}

impl Brought {
    /// When another Job takes this one's place, if nothing changes until then.
    #[must_use]
    pub fn again(&self) -> Option<Timestamp> {
        match self {
            Self::None | Self::Running(_) => None,
            Self::Done(ended) | Self::Failed(ended) => ended.again,
        }
    }
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
    let wanted = LoreBlueprint {
        spirit: blueprint,
        plan,
    };
    let name = wanted.job_name(&hash(&wanted, read)?);
    let mut live = None;
    for job in jobs(ctx, blueprint.namespace, blueprint.name).await? {
        if job.name_any() == name {
            live = Some(job);
        } else {
            remove::<Job>(ctx, blueprint.owner, blueprint.namespace, &job.name_any()).await?;
        }
    }
    let mut tries = 0;
    if let Some(job) = &live
        && let Some(brought) = ended(ctx, job).await?
    {
        if brought.again().is_none_or(|again| now < again) {
            return Ok(brought);
        }
        remove::<Job>(ctx, blueprint.owner, blueprint.namespace, &name).await?;
        let left_out = matches!(brought, Brought::Done(_));
        tries = tries_of(job).saturating_add(u32::from(left_out));
        live = None;
    }
    apply(ctx, blueprint.owner, wanted.config_map()).await?;
    apply(ctx, blueprint.owner, wanted.network_policy()).await?;
    // A Job is not applied again: of its template nothing may change.
    if live.is_none() {
        apply(ctx, blueprint.owner, wanted.job(&name, tries)).await?;
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

/// Everything that decides what is brought in and how, and whether the Job's pods can start.
fn hash(wanted: &LoreBlueprint<'_>, read: &Dereferenced) -> Result<String, Error> {
    let (plan, runtime) = (wanted.plan, &wanted.spirit.spirit.spec.runtime);
    let documents: Vec<_> = plan
        .config_maps
        .iter()
        .map(|name| (name, read.contents.get(name)))
        .collect();
    let all = (
        &plan.config,
        &plan.secrets_hash,
        documents,
        wanted.pods(),
        // A cloud looks at them only when a pod is made.
        &runtime.service_account_annotations,
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

/// What came of a Job, if it is over.
async fn ended(ctx: &Context, job: &Job) -> Result<Option<Brought>, Error> {
    let conditions = job.status.as_ref().and_then(|it| it.conditions.as_ref());
    let over = conditions.into_iter().flatten().find(|condition| {
        ["Complete", "Failed"].contains(&condition.type_.as_str()) && condition.status == "True"
    });
    let Some(over) = over else {
        return Ok(None);
    };
    let failed = over.type_ == "Failed";
    let report = report(ctx, job).await?.as_deref().and_then(Report::read);
    let left_out = report.as_ref().is_some_and(|report| report.left_out() > 0);
    let pause = match (failed, left_out) {
        (true, _) => Some(RETRY),
        (false, true) => Some(patience(tries_of(job))),
        (false, false) => None,
    };
    let at = over.last_transition_time.as_ref().map(|time| time.0);
    let again = at
        .zip(pause)
        .and_then(|(at, pause)| at.checked_add(pause).ok());
    let ended = Ended {
        name: job.name_any(),
        report,
        again,
    };
    Ok(Some(if failed {
        Brought::Failed(ended)
    } else {
        Brought::Done(ended)
    }))
}

/// How long a Job stays that left documents out, as `tries` before it did: each time twice as long.
fn patience(tries: u32) -> Duration {
    RETRY
        .saturating_mul(2_u32.saturating_pow(tries))
        .min(LAST_RETRY)
}

fn tries_of(job: &Job) -> u32 {
    let tries = job.annotations().get(build::TRIES);
    tries.and_then(|tries| tries.parse().ok()).unwrap_or(0)
}

/// What a Job that has ended reported.
async fn report(ctx: &Context, job: &Job) -> Result<Option<String>, Error> {
    if let Some(report) = job.annotations().get(REPORT) {
        return Ok(Some(report.clone()));
    }
    let Some(report) = message(ctx, job).await? else {
        return Ok(None);
    };
    let (name, namespace) = (job.name_any(), job.namespace().unwrap_or_default());
    let by_us = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let kept = json!({ "metadata": { "annotations": { REPORT: report } } });
    Api::<Job>::namespaced(ctx.client.clone(), &namespace)
        .patch_metadata(&name, &by_us, &Patch::Merge(kept))
        .await
        .map_err(Error::api("patch", "Job", &name))?;
    Ok(Some(report))
}

/// What the last of the Job's pods left to be read.
async fn message(ctx: &Context, job: &Job) -> Result<Option<String>, Error> {
    let (name, namespace) = (job.name_any(), job.namespace().unwrap_or_default());
    // Not by the name: a Job that was made anew has it, too.
    let uid = job.uid().unwrap_or_default();
    let params = ListParams::default().labels(&format!("batch.kubernetes.io/controller-uid={uid}"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_left_out_is_asked_for_ever_less_often_but_once_a_day() {
        let minutes = |tries| patience(tries).as_secs() / 60;
        assert_eq!([0, 1, 2].map(minutes), [10, 20, 40]);
        assert_eq!([7, 8, u32::MAX].map(minutes), [1280, 1440, 1440]);
    }
}
