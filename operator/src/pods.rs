//! What every pod that the operator makes has, by the `restricted` level of the Pod Security Standards.

use k8s_openapi::api::core::v1::{
    Capabilities, PodSecurityContext, SeccompProfile, SecurityContext,
};

/// The user and group of the pods: nobody's, as in distroless images.
pub const NOBODY: i64 = 65532;

/// The security context of a pod. `fsGroup` lets the process read mounted Secrets that others may not.
#[must_use]
pub fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(NOBODY),
        run_as_group: Some(NOBODY),
        fs_group: Some(NOBODY),
        seccomp_profile: Some(seccomp()),
        ..Default::default()
    }
}

/// The security context of a container. A read-only root is more than `restricted` asks: for our own images.
#[must_use]
pub fn container_security(read_only_root: bool) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Default::default()
        }),
        read_only_root_filesystem: read_only_root.then_some(true),
        run_as_non_root: Some(true),
        seccomp_profile: Some(seccomp()),
        ..Default::default()
    }
}

fn seccomp() -> SeccompProfile {
    SeccompProfile {
        type_: "RuntimeDefault".to_owned(),
        ..Default::default()
    }
}
