//! Who the pods are and what they may ask of the API server.

use super::{Blueprint, child_name};
use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};

pub(super) fn service_account(blueprint: &Blueprint<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: blueprint.metadata(),
        // Only where a pod asks for its token.
        automount_service_account_token: Some(false),
        ..Default::default()
    }
}

/// Vigils and Rites of its namespace, and nothing else: not even the Secrets that the pods mount.
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
