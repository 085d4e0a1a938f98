//! Where the pods are reached, and where their traffic may go.

use super::{ADMIN_PORT, Blueprint, DESK_PORT, HTTP_PORT};
use eywa_crds::labels;
use eywa_guard::{METADATA_V4, METADATA_V6};
use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        networking::v1::{
            IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule,
            NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
        },
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

pub(super) fn service(blueprint: &Blueprint<'_>) -> Service {
    Service {
        metadata: blueprint.metadata(),
        spec: Some(ServiceSpec {
            selector: Some(labels::runtime_pods(blueprint.name)),
            ports: Some(vec![
                service_port("http", HTTP_PORT),
                service_port("desk", DESK_PORT),
            ]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The second wall behind the runtime's own guard, in clusters that enforce it: none of the metadata services that hand out
/// a node's credentials, be they at link-local addresses or at others that clouds are known to use.
///
/// Three rules, since an address block does not match pods and the API server in every network plugin: the ports of
/// DNS and TLS anywhere (metadata services hand nothing out there), pods anywhere, and every other address but those. A
/// fourth is for pods that use the identity which a cloud gives them.
pub(crate) fn policy(blueprint: &Blueprint<'_>) -> NetworkPolicy {
    let pods = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..Default::default()
    };
    let mut egress = vec![
        NetworkPolicyEgressRule {
            ports: Some(vec![
                port("UDP", 53),
                port("TCP", 53),
                port("TCP", 443),
                port("TCP", 6443),
            ]),
            ..Default::default()
        },
        NetworkPolicyEgressRule {
            to: Some(vec![pods]),
            ..Default::default()
        },
        NetworkPolicyEgressRule {
            to: Some(vec![
                block("0.0.0.0/0", but("169.254.0.0/16", &METADATA_V4)),
                block("::/0", but("fe80::/10", &METADATA_V6)),
            ]),
            ..Default::default()
        },
    ];
    egress.extend(identity(blueprint));
    NetworkPolicy {
        metadata: blueprint.metadata(),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(blueprint.pods()),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(vec![
                    port("TCP", HTTP_PORT),
                    port("TCP", DESK_PORT),
                    port("TCP", ADMIN_PORT),
                ]),
                ..Default::default()
            }]),
            egress: Some(egress),
        }),
    }
}

/// Where a cloud gives pods their identity.
///
/// Source: Amazon EKS User Guide, "Learn how EKS Pod Identity grants pods access to AWS services"; Google Kubernetes
/// Engine, "Control communication between Pods and Services using network policies", on Workload Identity Federation.
fn identity(blueprint: &Blueprint<'_>) -> Option<NetworkPolicyEgressRule> {
    let mut places = Vec::new();
    let mut ports = vec![80];
    if blueprint.pod_identities.aws {
        places.extend([
            block("169.254.170.23/32", Vec::new()),
            block("fd00:ec2::23/128", Vec::new()),
        ]);
    }
    if blueprint.pod_identities.google {
        places.extend([
            block("169.254.169.254/32", Vec::new()),
            block("169.254.169.252/32", Vec::new()),
            block("fd20:ce::254/128", Vec::new()),
        ]);
        ports.push(988);
    }
    (!places.is_empty()).then(|| NetworkPolicyEgressRule {
        to: Some(places),
        ports: Some(
            ports
                .into_iter()
                .map(|number| port("TCP", number))
                .collect(),
        ),
    })
}

/// What is taken out of a block: link-local addresses, and metadata services elsewhere.
fn but(link_local: &str, metadata: &[impl ToString]) -> Vec<String> {
    let metadata = metadata.iter().map(ToString::to_string);
    std::iter::once(link_local.to_owned())
        .chain(metadata)
        .collect()
}

fn block(cidr: &str, except: Vec<String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.to_owned(),
            except: (!except.is_empty()).then_some(except),
        }),
        ..Default::default()
    }
}

/// A port of the Service, to the container's port of the same name.
fn service_port(name: &str, port: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::String(name.to_owned())),
        ..Default::default()
    }
}

fn port(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(port)),
        ..Default::default()
    }
}
