//! The server of a Conduit that has one run for it. Pure.

use crate::pods::{container_security, pod_security};
use eywa_crds::{compile::conduit_service_name, conduit::ConduitServer};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        core::v1::{
            Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, Probe, Service,
            ServicePort, ServiceSpec, TCPSocketAction,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use std::collections::BTreeMap;

/// The label that names the Conduit, on everything that is made for it.
pub const CONDUIT: &str = "eywa.dev/conduit";

/// The Deployment and the Service of the server.
#[must_use]
pub fn children(
    name: &str,
    namespace: &str,
    owner: &OwnerReference,
    server: &ConduitServer,
) -> (Deployment, Service) {
    let metadata = ObjectMeta {
        name: Some(conduit_service_name(name)),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels(name)),
        owner_references: Some(vec![owner.clone()]),
        ..Default::default()
    };
    let deployment = Deployment {
        metadata: metadata.clone(),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            revision_history_limit: Some(3),
            selector: LabelSelector {
                match_labels: Some(selector(name)),
                ..Default::default()
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(name)),
                    ..Default::default()
                }),
                spec: Some(PodSpec {
                    // It is somebody else's program: it gets no access to the API server.
                    automount_service_account_token: Some(false),
                    enable_service_links: Some(false),
                    security_context: Some(pod_security()),
                    containers: vec![container(server)],
                    ..Default::default()
                }),
            },
            ..Default::default()
        }),
        ..Default::default()
    };
    let service = Service {
        metadata,
        spec: Some(ServiceSpec {
            selector: Some(selector(name)),
            ports: Some(vec![ServicePort {
                name: Some("mcp".to_owned()),
                port: i32::from(server.port),
                target_port: Some(IntOrString::String("mcp".to_owned())),
                ..Default::default()
            }]),
            ..Default::default()
        }),
        ..Default::default()
    };
    (deployment, service)
}

fn container(server: &ConduitServer) -> Container {
    let port = EnvVar {
        name: "PORT".to_owned(),
        value: Some(server.port.to_string()),
        ..Default::default()
    };
    let extra = server
        .env
        .iter()
        .filter(|variable| variable.name != port.name)
        .cloned();
    Container {
        name: "server".to_owned(),
        image: Some(server.image.clone()),
        command: (!server.command.is_empty()).then(|| server.command.clone()),
        args: (!server.args.is_empty()).then(|| server.args.clone()),
        env: Some(std::iter::once(port.clone()).chain(extra).collect()),
        ports: Some(vec![ContainerPort {
            name: Some("mcp".to_owned()),
            container_port: i32::from(server.port),
            protocol: Some("TCP".to_owned()),
            ..Default::default()
        }]),
        readiness_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::String("mcp".to_owned()),
                ..Default::default()
            }),
            period_seconds: Some(2),
            ..Default::default()
        }),
        // Its root file system stays writable: many servers keep caches, and `restricted` lets them.
        security_context: Some(container_security(false)),
        ..Default::default()
    }
}

fn selector(name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (
            "app.kubernetes.io/name".to_owned(),
            "eywa-conduit".to_owned(),
        ),
        (CONDUIT.to_owned(), name.to_owned()),
    ])
}

fn labels(name: &str) -> BTreeMap<String, String> {
    let mut labels = selector(name);
    for (key, value) in [
        ("app.kubernetes.io/instance", name),
        ("app.kubernetes.io/component", "conduit"),
        ("app.kubernetes.io/part-of", "eywa"),
        ("app.kubernetes.io/managed-by", "eywa-operator"),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_a_conduit_is_told_its_port_and_fits_pod_security_restricted() {
        let owner = OwnerReference {
            api_version: "eywa.dev/v1alpha1".to_owned(),
            kind: "Conduit".to_owned(),
            name: "shop-tools".to_owned(),
            uid: "0000".to_owned(),
            controller: Some(true),
            ..Default::default()
        };
        let server: ConduitServer = serde_json::from_value(serde_json::json!({
            "image": "shop-tools:1",
            "args": ["--quiet"],
            "env": [{"name": "LOG", "value": "warn"}, {"name": "PORT", "value": "1"}],
            "port": 9000,
        }))
        .unwrap();
        insta::assert_yaml_snapshot!(children("shop-tools", "cafe", &owner, &server));
    }
}
