//! The Job that brings a Spirit's documents in. Pure.

use super::super::{
    build::{self, Blueprint},
    validate::LorePlan,
};
use crate::pods::{container_security, pod_security};
use eywa_crds::labels;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            ConfigMap, ConfigMapVolumeSource, Container, PodSpec, PodTemplateSpec,
            ResourceRequirements, Volume,
        },
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
    },
};
use std::collections::BTreeMap;

/// The value of `app.kubernetes.io/component` of the Job and its pods.
pub(super) const COMPONENT: &str = "lore";

/// The value of `app.kubernetes.io/name`: another than the runtime's, whose Service must not find these pods.
const APP: &str = "eywa-lore";

const CONFIG_FILE: &str = "ingest.json";
const CONFIG_DIR: &str = "/etc/eywa/config";
const DOCUMENTS_DIR: &str = "/etc/eywa/documents";

/// The longest that a Job may take, in seconds. What it has brought in by then is not brought in again by the next.
const DEADLINE: i64 = 60 * 60;

/// How often a pod that failed is followed by another.
const RETRIES: i32 = 2;

/// The annotation of a Job with how many before it, one after the other, left documents out.
pub(super) const TRIES: &str = "eywa.dev/tries";

/// What the Job and its company are called.
pub(super) fn child_name(name: &str) -> String {
    format!("{name}-lore")
}

/// Not the runtime's, which reads no documents: up to four are read at a time, each by a process that may take 512 MiB.
fn resources() -> ResourceRequirements {
    let quantities = |named: &[(&str, &str)]| {
        let named = named.iter();
        named
            .map(|(name, quantity)| ((*name).to_owned(), Quantity((*quantity).to_owned())))
            .collect()
    };
    ResourceRequirements {
        requests: Some(quantities(&[("cpu", "50m"), ("memory", "64Mi")])),
        limits: Some(quantities(&[("memory", "2560Mi")])),
        ..Default::default()
    }
}

/// What the Job is built from.
pub(super) struct LoreBlueprint<'a> {
    pub(super) spirit: &'a Blueprint<'a>,
    pub(super) plan: &'a LorePlan,
}

impl LoreBlueprint<'_> {
    /// At most 63 characters, since it is a label of its pods: a Spirit's name has 50 at most.
    pub(super) fn job_name(&self, hash: &str) -> String {
        let hash = hash.get(..7).unwrap_or(hash);
        format!("{}-{hash}", child_name(self.spirit.name))
    }

    pub(super) fn config_map(&self) -> ConfigMap {
        ConfigMap {
            metadata: self.metadata(child_name(self.spirit.name)),
            data: Some(BTreeMap::from([(
                CONFIG_FILE.to_owned(),
                self.plan.config.clone(),
            )])),
            ..Default::default()
        }
    }

    /// As the runtime's pods, but that nobody reaches them.
    pub(super) fn network_policy(&self) -> NetworkPolicy {
        let mut policy = build::network_policy(self.spirit);
        policy.metadata = self.metadata(child_name(self.spirit.name));
        if let Some(spec) = &mut policy.spec {
            spec.pod_selector = Some(LabelSelector {
                match_labels: Some(self.selector()),
                ..Default::default()
            });
            spec.ingress = Some(Vec::new());
        }
        policy
    }

    /// The Job of this name, which keeps `tries` for the one that takes its place.
    pub(super) fn job(&self, name: &str, tries: u32) -> Job {
        let tries = (TRIES.to_owned(), tries.to_string());
        Job {
            metadata: ObjectMeta {
                annotations: Some([tries].into()),
                ..self.metadata(name.to_owned())
            },
            spec: Some(JobSpec {
                active_deadline_seconds: Some(DEADLINE),
                backoff_limit: Some(RETRIES),
                template: self.pods(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    pub(super) fn pods(&self) -> PodTemplateSpec {
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.labels()),
                annotations: Some(self.spirit.spirit.spec.runtime.pod_annotations.clone()),
                ..Default::default()
            }),
            spec: Some(self.pod()),
        }
    }

    fn pod(&self) -> PodSpec {
        let runtime = &self.spirit.spirit.spec.runtime;
        PodSpec {
            // A cloud knows the runtime's pods by it, and these too.
            service_account_name: Some(build::child_name(self.spirit.name)),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            restart_policy: Some("Never".to_owned()),
            security_context: Some(pod_security()),
            containers: vec![self.container()],
            volumes: Some(self.volumes()),
            image_pull_secrets: (!runtime.image_pull_secrets.is_empty())
                .then(|| runtime.image_pull_secrets.clone()),
            node_selector: (!runtime.node_selector.is_empty())
                .then(|| runtime.node_selector.clone()),
            tolerations: (!runtime.tolerations.is_empty()).then(|| runtime.tolerations.clone()),
            affinity: runtime.affinity.clone(),
            priority_class_name: runtime.priority_class_name.clone(),
            ..Default::default()
        }
    }

    fn container(&self) -> Container {
        let runtime = &self.spirit.spirit.spec.runtime;
        let mut mounts = vec![
            build::mount("config", CONFIG_DIR),
            build::mount("secrets", build::SECRETS_DIR),
        ];
        mounts.extend(
            self.documents()
                .map(|(volume, name)| build::mount(&volume, &format!("{DOCUMENTS_DIR}/{name}"))),
        );
        Container {
            name: "ingest".to_owned(),
            image: Some(build::runtime_image(self.spirit).to_owned()),
            args: Some(vec![
                "ingest".to_owned(),
                format!("--config={CONFIG_DIR}/{CONFIG_FILE}"),
                format!("--secrets={}", build::SECRETS_DIR),
                format!("--documents={DOCUMENTS_DIR}"),
            ]),
            env: Some(build::environment(&runtime.env)),
            resources: Some(resources()),
            security_context: Some(container_security(true)),
            volume_mounts: Some(mounts),
            ..Default::default()
        }
    }

    fn volumes(&self) -> Vec<Volume> {
        let config_map = |volume: &str, name: String| Volume {
            name: volume.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name,
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut volumes = vec![
            config_map("config", child_name(self.spirit.name)),
            build::secrets_volume(&self.plan.secrets),
        ];
        volumes.extend(
            self.documents()
                .map(|(volume, name)| config_map(&volume, name.to_owned())),
        );
        volumes
    }

    /// The volume and the name of each ConfigMap of documents.
    fn documents(&self) -> impl Iterator<Item = (String, &str)> {
        let names = self.plan.config_maps.iter().enumerate();
        names.map(|(index, name)| (format!("documents-{index}"), name.as_str()))
    }

    fn metadata(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.spirit.namespace.to_owned()),
            labels: Some(self.labels()),
            owner_references: Some(vec![self.spirit.owner.clone()]),
            ..Default::default()
        }
    }

    fn selector(&self) -> BTreeMap<String, String> {
        [(labels::NAME, APP), (labels::SPIRIT, self.spirit.name)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.spirit.labels();
        labels.extend(self.selector());
        labels.insert(
            "app.kubernetes.io/component".to_owned(),
            COMPONENT.to_owned(),
        );
        labels
    }
}
