//! The pods of a Spirit.

use super::{
    ADMIN_PORT, Blueprint, CONFIG_HASH, DESK_PORT, HTTP_PORT, SECRETS_HASH, child_name,
    configuration::CONFIG_FILE,
};
use crate::pods::{container_security, pod_security};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            ConfigMapVolumeSource, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
            KeyToPath, Lifecycle, LifecycleHandler, ObjectFieldSelector, PodSpec, PodTemplateSpec,
            Probe, ProjectedVolumeSource, SecretProjection, SleepAction, TopologySpreadConstraint,
            Volume, VolumeMount, VolumeProjection,
        },
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use std::collections::{BTreeMap, BTreeSet};

const CONFIG_DIR: &str = "/etc/eywa/config";
pub(crate) const SECRETS_DIR: &str = "/etc/eywa/secrets";
/// Readable by the owner and the group of the process, and nobody else.
const SECRET_MODE: i32 = 0o440;
/// How many seconds a pod that is to go still serves as before. Services and load balancers hear
/// of it at the same time as the pod itself does, and send to it until they have.
const FAREWELL: i64 = 5;

pub(super) fn deployment(blueprint: &Blueprint<'_>) -> Deployment {
    let runtime = &blueprint.spirit.spec.runtime;
    Deployment {
        metadata: blueprint.metadata(),
        spec: Some(DeploymentSpec {
            replicas: blueprint.sets_replicas.then_some(runtime.replicas),
            revision_history_limit: Some(3),
            selector: blueprint.pods(),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                // A pod goes only once its successor is ready.
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::Int(1)),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(blueprint)),
                spec: Some(pod(blueprint)),
            },
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The hashes make a changed configuration or Secret a changed pod, and so a rollout.
fn pod_metadata(blueprint: &Blueprint<'_>) -> ObjectMeta {
    let runtime = &blueprint.spirit.spec.runtime;
    let mut labels = runtime.pod_labels.clone();
    labels.extend(blueprint.labels());
    let mut annotations = runtime.pod_annotations.clone();
    annotations.insert(CONFIG_HASH.to_owned(), blueprint.config_hash.to_owned());
    annotations.insert(SECRETS_HASH.to_owned(), blueprint.secrets_hash.to_owned());
    ObjectMeta {
        labels: Some(labels),
        annotations: Some(annotations),
        ..Default::default()
    }
}

fn pod(blueprint: &Blueprint<'_>) -> PodSpec {
    let runtime = &blueprint.spirit.spec.runtime;
    PodSpec {
        service_account_name: Some(child_name(blueprint.name)),
        // For Vigils and Rites.
        automount_service_account_token: Some(true),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(grace(blueprint)),
        security_context: Some(pod_security()),
        containers: vec![container(blueprint)],
        volumes: Some(volumes(blueprint)),
        image_pull_secrets: some(&runtime.image_pull_secrets),
        node_selector: (!runtime.node_selector.is_empty()).then(|| runtime.node_selector.clone()),
        tolerations: some(&runtime.tolerations),
        affinity: runtime.affinity.clone(),
        topology_spread_constraints: Some(spread(blueprint)),
        priority_class_name: runtime.priority_class_name.clone(),
        ..Default::default()
    }
}

/// The pod's whole grace period, in seconds.
fn grace(blueprint: &Blueprint<'_>) -> i64 {
    let period = blueprint.spirit.spec.runtime.termination_grace_period;
    i64::try_from(period.as_std().as_secs()).unwrap_or(i64::MAX)
}

/// A farewell, within the grace period: the API server refuses a longer one.
fn lifecycle(blueprint: &Blueprint<'_>) -> Option<Lifecycle> {
    let seconds = FAREWELL.min(grace(blueprint) / 2);
    (seconds > 0).then(|| Lifecycle {
        pre_stop: Some(LifecycleHandler {
            sleep: Some(SleepAction { seconds }),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// The image with the runtime.
pub(crate) fn runtime_image<'a>(blueprint: &Blueprint<'a>) -> &'a str {
    let own = blueprint.spirit.spec.runtime.image.as_deref();
    own.unwrap_or(&blueprint.settings.runtime_image)
}

fn container(blueprint: &Blueprint<'_>) -> Container {
    let runtime = &blueprint.spirit.spec.runtime;
    Container {
        name: "runtime".to_owned(),
        image: Some(runtime_image(blueprint).to_owned()),
        args: Some(vec![
            format!("--config={CONFIG_DIR}/{CONFIG_FILE}"),
            format!("--secrets={SECRETS_DIR}"),
        ]),
        env: Some(environment(&runtime.env)),
        lifecycle: lifecycle(blueprint),
        ports: Some(vec![
            port("http", HTTP_PORT),
            port("desk", DESK_PORT),
            port("admin", ADMIN_PORT),
        ]),
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            failure_threshold: Some(2),
            timeout_seconds: Some(2),
            ..probe("/readyz")
        }),
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(6),
            timeout_seconds: Some(5),
            ..probe("/livez")
        }),
        resources: runtime
            .resources
            .clone()
            .or_else(|| blueprint.settings.runtime_resources.clone()),
        security_context: Some(container_security(true)),
        volume_mounts: Some(vec![
            mount("config", CONFIG_DIR),
            mount("secrets", SECRETS_DIR),
        ]),
        ..Default::default()
    }
}

/// The pod's own name and namespace, which no manifest can change, then what the manifest adds.
pub(crate) fn environment(extra: &[EnvVar]) -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: path.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut environment = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
    ];
    let own = environment.len();
    for variable in extra {
        if !environment[..own]
            .iter()
            .any(|known| known.name == variable.name)
        {
            environment.push(variable.clone());
        }
    }
    environment
}

fn volumes(blueprint: &Blueprint<'_>) -> Vec<Volume> {
    vec![
        Volume {
            name: "config".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: child_name(blueprint.name),
                ..Default::default()
            }),
            ..Default::default()
        },
        secrets_volume(blueprint.secrets),
    ]
}

/// One file a referred-to key: `<Secret>/<key>`. No other key is mounted.
pub(crate) fn secrets_volume(secrets: &BTreeMap<String, BTreeSet<String>>) -> Volume {
    let sources = secrets.iter().map(|(secret, keys)| VolumeProjection {
        secret: Some(SecretProjection {
            name: secret.clone(),
            items: Some(
                keys.iter()
                    .map(|key| KeyToPath {
                        key: key.clone(),
                        path: format!("{secret}/{key}"),
                        ..Default::default()
                    })
                    .collect(),
            ),
            ..Default::default()
        }),
        ..Default::default()
    });
    Volume {
        name: "secrets".to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(SECRET_MODE),
            sources: Some(sources.collect()),
        }),
        ..Default::default()
    }
}

/// Over nodes where that can be: never a reason not to run.
fn spread(blueprint: &Blueprint<'_>) -> Vec<TopologySpreadConstraint> {
    let asked = &blueprint.spirit.spec.runtime.topology_spread_constraints;
    if !asked.is_empty() {
        return asked.clone();
    }
    vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(blueprint.pods()),
        ..Default::default()
    }]
}

fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..Default::default()
    }
}

pub(crate) fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..Default::default()
    }
}

fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}
