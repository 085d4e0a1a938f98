//! The pods that run a Spirit.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, LocalObjectReference, ResourceRequirements, Toleration,
    TopologySpreadConstraint,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::Duration, schema::undescribed};

/// The pods that run a Spirit.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeSettings {
    /// How many pods. With `autoscaling`, how many there are before it has its say.
    #[serde(default = "RuntimeSettings::default_replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Grows and shrinks the number of pods with their CPU use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// The runtime's image, `name:tag`. Without it, the chart's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Secrets to pull the image with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        schema_with = "undescribed::<Vec<LocalObjectReference>>"
    )]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// CPU and memory of one pod. Without it, the chart's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "undescribed::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// Environment variables of the runtime, beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), schema_with = "undescribed::<Vec<EnvVar>>")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// Labels of the pods, beside Eywa's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// Annotations of the pods' service account, by which a cloud gives them an identity: `eks.amazonaws.com/role-arn`,
    /// `iam.gke.io/gcp-service-account`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service_account_annotations: BTreeMap<String, String>,
    /// Nodes the pods may run on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), schema_with = "undescribed::<Vec<Toleration>>")]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours the pods prefer or need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "undescribed::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread. Without it, over nodes where that can be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        schema_with = "undescribed::<Vec<TopologySpreadConstraint>>"
    )]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// How long a pod that is told to stop may take to finish the Pulses it has. What is left is taken by other pods.
    #[serde(default = "RuntimeSettings::default_grace_period")]
    pub termination_grace_period: Duration,
}

impl RuntimeSettings {
    fn default_replicas() -> i32 {
        2
    }

    fn default_grace_period() -> Duration {
        Duration::from_secs(60)
    }
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            replicas: Self::default_replicas(),
            autoscaling: None,
            image: None,
            image_pull_secrets: Vec::new(),
            resources: None,
            env: Vec::new(),
            pod_labels: BTreeMap::new(),
            pod_annotations: BTreeMap::new(),
            service_account_annotations: BTreeMap::new(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            affinity: None,
            topology_spread_constraints: Vec::new(),
            priority_class_name: None,
            termination_grace_period: Self::default_grace_period(),
        }
    }
}

/// Grows and shrinks the number of pods with their CPU use.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min must not be larger than max"))]
pub struct Autoscaling {
    /// The fewest pods.
    #[schemars(range(min = 1, max = 1000))]
    pub min: i32,
    /// The most pods.
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// CPU use aimed at, in percent of what the pods request.
    #[serde(rename = "targetCPU", default = "Autoscaling::default_target")]
    #[schemars(range(min = 1, max = 100))]
    pub target_cpu: i32,
}

impl Autoscaling {
    fn default_target() -> i32 {
        70
    }
}
