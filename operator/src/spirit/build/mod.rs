//! From a compiled Spirit to its children. Pure: what is built depends on the blueprint alone.

mod access;
mod configuration;
mod deployment;
mod network;
mod scaling;

use crate::settings::Settings;
use eywa_crds::{Spirit, labels, runtime_config::PodIdentities};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) use deployment::{SECRETS_DIR, environment, mount, runtime_image, secrets_volume};
pub(crate) use network::policy as network_policy;

/// The annotation of the pods with the hash of their configuration.
pub const CONFIG_HASH: &str = "eywa.dev/config-hash";
/// The annotation of the pods with one hash over all values of the Secrets they mount.
pub const SECRETS_HASH: &str = "eywa.dev/secrets-hash";
/// The port of webhooks and Pulses.
pub const HTTP_PORT: i32 = 8080;
/// The port of the desk.
pub const DESK_PORT: i32 = 8081;
/// The port of probes and metrics.
pub const ADMIN_PORT: i32 = 9090;

/// Everything that the children of a Spirit are built from.
pub struct Blueprint<'a> {
    /// The Spirit.
    pub spirit: &'a Spirit,
    /// Its name.
    pub name: &'a str,
    /// Its namespace, where the children go.
    pub namespace: &'a str,
    /// The Spirit as the owner of its children.
    pub owner: &'a OwnerReference,
    /// Defaults for what the Spirit does not say.
    pub settings: &'a Settings,
    /// The compiled configuration, as the runtime reads it: JSON without any secret value.
    pub config: &'a str,
    /// The hash of that configuration.
    pub config_hash: &'a str,
    /// Which clouds' identities of pods they use.
    pub pod_identities: PodIdentities,
    /// The Secrets to mount, and of each the keys that are referred to.
    pub secrets: &'a BTreeMap<String, BTreeSet<String>>,
    /// One hash over the values of all those keys.
    pub secrets_hash: &'a str,
    /// The URL of the default Redis, for a Spirit that has no stores of its own.
    pub default_redis: Option<&'a SecretString>,
    /// Whether the number of pods is the operator's to set, rather than an autoscaler's.
    pub sets_replicas: bool,
}

/// The children of a Spirit, in the order in which they are applied: what the pods need comes before the pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// Who the pods are.
    pub service_account: ServiceAccount,
    /// What they may do.
    pub role: Role,
    /// That they may.
    pub role_binding: RoleBinding,
    /// The compiled configuration.
    pub config_map: ConfigMap,
    /// The default Redis' URL, for a Spirit without stores.
    pub redis_secret: Option<Secret>,
    /// Where the pods' traffic may come from and go to.
    pub network_policy: NetworkPolicy,
    /// Where the pods are reached.
    pub service: Service,
    /// How many may be drained at once.
    pub disruption_budget: PodDisruptionBudget,
    /// The pods.
    pub deployment: Deployment,
    /// What grows and shrinks them.
    pub autoscaler: Option<HorizontalPodAutoscaler>,
}

/// The name of all children of the Spirit `name`, but for the copy of the default Redis' URL.
#[must_use]
pub fn child_name(name: &str) -> String {
    format!("{name}-runtime")
}

/// The name of the Secret with the copy of the default Redis' URL.
#[must_use]
pub fn redis_secret_name(name: &str) -> String {
    format!("{name}-runtime-redis")
}

/// The key of that Secret.
pub const REDIS_KEY: &str = "url";

impl Blueprint<'_> {
    /// Builds all children.
    #[must_use]
    pub fn children(&self) -> Children {
        Children {
            service_account: access::service_account(self),
            role: access::role(self),
            role_binding: access::role_binding(self),
            config_map: configuration::config_map(self),
            redis_secret: configuration::redis_secret(self),
            network_policy: network::policy(self),
            service: network::service(self),
            disruption_budget: scaling::disruption_budget(self),
            deployment: deployment::deployment(self),
            autoscaler: scaling::autoscaler(self),
        }
    }

    fn metadata(&self) -> ObjectMeta {
        self.metadata_of(child_name(self.name))
    }

    fn metadata_of(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(self.labels()),
            owner_references: Some(vec![self.owner.clone()]),
            ..Default::default()
        }
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = labels::runtime_pods(self.name);
        for (key, value) in [
            ("app.kubernetes.io/instance", self.name),
            ("app.kubernetes.io/component", "runtime"),
            ("app.kubernetes.io/part-of", "eywa"),
            ("app.kubernetes.io/managed-by", "eywa-operator"),
        ] {
            labels.insert(key.to_owned(), value.to_owned());
        }
        labels
    }

    fn pods(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(labels::runtime_pods(self.name)),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests;
