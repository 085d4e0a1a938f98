//! Writing the children of a Spirit, and taking away those it no longer has.

use super::build::{self, Blueprint, Children};
use crate::{
    apply::{Applied, FIELD_MANAGER, apply, remove},
    context::Context,
    error::Error,
};
use eywa_crds::labels;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

/// The field manager that the number of pods is left to until the autoscaler sets it.
const HANDOVER_MANAGER: &str = "eywa-operator-handover";

/// Applies all children, what the pods need before the pods. Returns the live Deployment.
///
/// # Errors
/// The first that could not be applied. Those before it are; the next reconcile takes it from there.
pub async fn apply_children(
    ctx: &Context,
    owner: &OwnerReference,
    blueprint: &Blueprint<'_>,
    children: Children,
) -> Result<Applied<Deployment>, Error> {
    let (namespace, name) = (blueprint.namespace, build::child_name(blueprint.name));
    apply(ctx, owner, children.service_account).await?;
    apply(ctx, owner, children.role).await?;
    apply(ctx, owner, children.role_binding).await?;
    apply(ctx, owner, children.config_map).await?;
    if let Some(secret) = children.redis_secret {
        apply(ctx, owner, secret).await?;
    }
    apply(ctx, owner, children.network_policy).await?;
    apply(ctx, owner, children.service).await?;
    apply(ctx, owner, children.disruption_budget).await?;
    let deployment = apply(ctx, owner, children.deployment).await?;
    match children.autoscaler {
        Some(autoscaler) => drop(apply(ctx, owner, autoscaler).await?),
        None => drop(remove::<HorizontalPodAutoscaler>(ctx, owner, namespace, &name).await?),
    }
    if blueprint.default_redis.is_none() {
        remove_redis_secret(ctx, owner, namespace, blueprint.name).await?;
    }
    Ok(deployment)
}

/// Takes away all children: the Spirit is not served any more. Who its pods are is kept for the Job of its Lore.
///
/// # Errors
/// The API server's.
pub async fn remove_children(
    ctx: &Context,
    owner: &OwnerReference,
    namespace: &str,
    name: &str,
    has_lore: bool,
) -> Result<(), Error> {
    let child = build::child_name(name);
    remove::<HorizontalPodAutoscaler>(ctx, owner, namespace, &child).await?;
    remove::<Deployment>(ctx, owner, namespace, &child).await?;
    remove::<PodDisruptionBudget>(ctx, owner, namespace, &child).await?;
    remove::<Service>(ctx, owner, namespace, &child).await?;
    remove::<NetworkPolicy>(ctx, owner, namespace, &child).await?;
    remove::<ConfigMap>(ctx, owner, namespace, &child).await?;
    remove::<RoleBinding>(ctx, owner, namespace, &child).await?;
    remove::<Role>(ctx, owner, namespace, &child).await?;
    if !has_lore {
        remove::<ServiceAccount>(ctx, owner, namespace, &child).await?;
    }
    remove_redis_secret(ctx, owner, namespace, name).await
}

/// The live Deployment of the Spirit, if there is one of its own.
///
/// # Errors
/// The API server's.
pub async fn live_deployment(
    ctx: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<Deployment>, Error> {
    let child = build::child_name(name);
    let live = Api::<Deployment>::namespaced(ctx.client.clone(), namespace)
        .get_opt(&child)
        .await
        .map_err(Error::api("get", "Deployment", &child))?;
    Ok(live.filter(|live| {
        live.labels()
            .get(labels::SPIRIT)
            .is_some_and(|spirit| spirit == name)
    }))
}

/// Whether the operator sets the number of pods: always without an autoscaler, and with one for a Deployment that does
/// not exist yet.
#[must_use]
pub fn sets_replicas(autoscaled: bool, live: Option<&Deployment>) -> bool {
    !autoscaled || live.is_none()
}

/// Before the operator stops saying how many pods there are, gives its say to another field manager. Without that, the
/// API server would fall back to one pod until the autoscaler comes around.
///
/// # Errors
/// The API server's.
pub async fn hand_replicas_over(ctx: &Context, live: &Deployment) -> Result<(), Error> {
    let replicas = live.spec.as_ref().and_then(|spec| spec.replicas);
    let (Some(replicas), Some(namespace)) =
        (replicas.filter(|_| owns_replicas(live)), live.namespace())
    else {
        return Ok(());
    };
    let name = live.name_any();
    let patch = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas},
    });
    let params = PatchParams::apply(HANDOVER_MANAGER).force();
    let written = Api::<Deployment>::namespaced(ctx.client.clone(), &namespace)
        .patch(&name, &params, &Patch::Apply(&patch))
        .await;
    ctx.metrics
        .wrote("Deployment", if written.is_ok() { "ok" } else { "error" });
    written
        .map(drop)
        .map_err(Error::api("apply", "Deployment", &name))
}

fn owns_replicas(live: &Deployment) -> bool {
    live.managed_fields().iter().any(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0["f:spec"].get("f:replicas").is_some())
    })
}

/// Only an operator that has a default Redis may write Secrets, and has any to take away.
async fn remove_redis_secret(
    ctx: &Context,
    owner: &OwnerReference,
    namespace: &str,
    name: &str,
) -> Result<(), Error> {
    if ctx.settings.default_redis_secret.is_some() {
        remove::<Secret>(ctx, owner, namespace, &build::redis_secret_name(name)).await?;
    }
    Ok(())
}
