//! Where the pods are reached, and where their traffic may go.

use super::{ADMIN_PORT, Blueprint, HTTP_PORT, selector};
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
            selector: Some(selector(blueprint.name)),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: HTTP_PORT,
                target_port: Some(IntOrString::String("http".to_owned())),
                ..Default::default()
            }]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The second wall behind the runtime's own guard, in clusters that enforce it: no link-local address, and so none of
/// the metadata services that hand out a node's credentials.
///
/// Three rules, since an address block does not match pods and the API server in every network plugin: the ports of
/// DNS and TLS anywhere (metadata services have neither), pods anywhere, and every other address but link-local.
pub(super) fn policy(blueprint: &Blueprint<'_>) -> NetworkPolicy {
    let block = |cidr: &str, except: &[&str]| NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.to_owned(),
            except: Some(except.iter().map(|&cidr| cidr.to_owned()).collect()),
        }),
        ..Default::default()
    };
    let pods = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..Default::default()
    };
    NetworkPolicy {
        metadata: blueprint.metadata(),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(blueprint.pods()),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(vec![port("TCP", HTTP_PORT), port("TCP", ADMIN_PORT)]),
                ..Default::default()
            }]),
            egress: Some(vec![
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
                        block("0.0.0.0/0", &["169.254.0.0/16"]),
                        block("::/0", &["fd00:ec2::/32", "fe80::/10"]),
                    ]),
                    ..Default::default()
                },
            ]),
        }),
    }
}

fn port(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(port)),
        ..Default::default()
    }
}
