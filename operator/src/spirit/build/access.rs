//! Who the pods are and what they may ask of the API server.

use super::{Blueprint, child_name};
use k8s_openapi::{
    api::{
        core::v1::ServiceAccount,
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

pub(super) fn service_account(blueprint: &Blueprint<'_>) -> ServiceAccount {
    let annotations = &blueprint.spirit.spec.runtime.service_account_annotations;
    ServiceAccount {
        metadata: ObjectMeta {
            annotations: (!annotations.is_empty()).then(|| annotations.clone()),
            ..blueprint.metadata()
        },
        // Only where a pod asks for its token.
        automount_service_account_token: Some(false),
        ..Default::default()
    }
}

/// Vigils and Rites of its namespace, its own Spirit, and nothing else: not even the Secrets that the pods mount.
pub(super) fn role(blueprint: &Blueprint<'_>) -> Role {
    let rule = |resources: &[&str], verbs: &[&str]| PolicyRule {
        api_groups: Some(vec!["eywa.dev".to_owned()]),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..Default::default()
    };
    Role {
        metadata: blueprint.metadata(),
        rules: Some(vec![
            rule(&["vigils", "rites"], &["get", "list", "watch"]),
            rule(&["vigils/status", "rites/status"], &["patch"]),
            // Only its own Spirit, to say there when a channel refuses its credentials.
            PolicyRule {
                resource_names: Some(vec![blueprint.name.to_owned()]),
                ..rule(&["spirits"], &["get"])
            },
            PolicyRule {
                resource_names: Some(vec![blueprint.name.to_owned()]),
                ..rule(&["spirits/status"], &["patch"])
            },
            // Those of conversations that were taken over on the desk, or that the Spirit wants taken.
            rule(&["vigils"], &["create", "patch", "delete"]),
            // Those of calls that wait for a human's yes.
            rule(&["rites"], &["create", "delete"]),
            PolicyRule {
                api_groups: Some(vec!["events.k8s.io".to_owned()]),
                resources: Some(owned(&["events"])),
                verbs: owned(&["create"]),
                ..Default::default()
            },
        ]),
    }
}

pub(super) fn role_binding(blueprint: &Blueprint<'_>) -> RoleBinding {
    let name = child_name(blueprint.name);
    RoleBinding {
        metadata: blueprint.metadata(),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name,
            namespace: Some(blueprint.namespace.to_owned()),
            ..Default::default()
        }]),
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
