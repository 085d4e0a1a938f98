//! The installation that all scenarios share: the chart, as a person installs it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    kubectl::{Kubectl, Said, run},
    server,
};

/// The namespace of the installation.
pub const NAMESPACE: &str = "eywa-system";
/// The release's name.
pub const RELEASE: &str = "eywa";
/// The operator's Deployment.
pub const OPERATOR: &str = "eywa-operator";
/// Redis' Deployment, Service and Secret.
pub const REDIS: &str = "eywa-redis";

/// The label of the namespaces that the suite made.
pub const LABEL: &str = "eywa.dev/e2e";

/// Redis' volume where the cluster has no storage of its own.
const VOLUME: &str = "eywa-e2e-redis";

/// The chart's folder.
pub fn chart() -> PathBuf {
    workspace().join("charts/eywa")
}

/// The workspace's root.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A namespace in which only pods as Pod Security's level `restricted` wants them may run.
pub fn restricted_namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {
            LABEL: "true",
            "pod-security.kubernetes.io/enforce": "restricted",
        }},
    })
}

/// A number that no other run has.
pub fn run_id() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:x}", now.as_millis())
}

/// Removes what a run left, even one that was killed, and installs the chart.
///
/// # Panics
/// When it does not come up.
pub async fn install() {
    remove().await;
    let kubectl = Kubectl::of(NAMESPACE);
    let storage = kubectl.get(&["storageclass"]).await;
    if storage["items"].as_array().is_none_or(Vec::is_empty) {
        kubectl.apply(&[&volume()]).await;
    }
    kubectl.apply(&[&restricted_namespace(NAMESPACE)]).await;
    adopt_definitions(&kubectl).await;
    upgrade(&chart()).await.expect_ok("helm upgrade --install");
}

/// Lets the release have resource definitions that somebody applied without Helm, which would refuse to touch them.
async fn adopt_definitions(kubectl: &Kubectl) {
    let definitions = kubectl.run(&["get", "crds", "-o", "name"]).await;
    for definition in definitions
        .lines()
        .filter(|name| name.ends_with(".eywa.dev"))
    {
        let (name, namespace) = (
            format!("meta.helm.sh/release-name={RELEASE}"),
            format!("meta.helm.sh/release-namespace={NAMESPACE}"),
        );
        kubectl
            .run(&["annotate", "--overwrite", definition, &name, &namespace])
            .await;
        kubectl
            .run(&[
                "label",
                "--overwrite",
                definition,
                "app.kubernetes.io/managed-by=Helm",
            ])
            .await;
    }
}

/// `helm upgrade --install`, with the chart in this folder.
pub async fn upgrade(chart: &Path) -> Said {
    upgrade_with(chart, &[]).await
}

/// The same, with more values, each as `--set` takes it.
pub async fn upgrade_with(chart: &Path, more: &[&str]) -> Said {
    let chart = chart.to_string_lossy();
    let arguments = [
        "upgrade",
        "--install",
        RELEASE,
        &chart,
        "-n",
        NAMESPACE,
        "--values",
        "-",
        "--wait",
        "--timeout",
        "3m",
    ];
    let more = more.iter().flat_map(|value| ["--set", value]);
    let arguments: Vec<&str> = arguments.into_iter().chain(more).collect();
    run("helm", &arguments, Some(&values().to_string())).await
}

/// Brings back what a scenario took away and, having failed, did not bring back.
pub async fn restore() {
    let kubectl = Kubectl::of(NAMESPACE);
    for deployment in [REDIS, OPERATOR] {
        kubectl
            .attempt(&["scale", "deployment", deployment, "--replicas=1"])
            .await;
        kubectl
            .attempt(&[
                "rollout",
                "status",
                "deployment",
                deployment,
                "--timeout=90s",
            ])
            .await;
    }
}

/// Removes the installation and every namespace of the suite. The resource definitions stay, as the chart promises.
pub async fn remove() {
    let kubectl = Kubectl::of(NAMESPACE);
    let label = format!("{LABEL}=true");
    // Their pods first: they need Redis to stop in peace.
    let said = kubectl
        .attempt(&["get", "namespaces", "-l", &label, "-o", "name"])
        .await;
    let names: Vec<&str> = said
        .out
        .lines()
        .filter(|name| *name != format!("namespace/{NAMESPACE}"))
        .collect();
    if !names.is_empty() {
        kubectl
            .attempt(&[&["delete", "--timeout=120s"], names.as_slice()].concat())
            .await;
    }
    run(
        "helm",
        &[
            "uninstall",
            RELEASE,
            "-n",
            NAMESPACE,
            "--ignore-not-found",
            "--wait",
            "--timeout",
            "2m",
        ],
        None,
    )
    .await;
    kubectl
        .attempt(&[
            "delete",
            "namespace",
            NAMESPACE,
            "--ignore-not-found",
            "--timeout=120s",
        ])
        .await;
    kubectl
        .attempt(&[
            "delete",
            "persistentvolume",
            VOLUME,
            "--ignore-not-found",
            "--timeout=60s",
        ])
        .await;
    // Absent where the cluster has storage of its own.
    let _ = fs::remove_dir_all(volumes());
}

/// Where Redis' files are when they are on this machine.
fn volumes() -> PathBuf {
    workspace().join("target/cluster/redis")
}

fn values() -> Value {
    json!({
        "operator": {"image": "eywa-operator:dev"},
        "runtime": {"image": "eywa-runtime:dev"},
        "redis": {
            "enabled": true,
            "image": "eywa-redis:dev",
            // It goes away and comes back, with what it was told.
            "persistence": {"enabled": true},
        },
        "network": {"allow": {"cidrs": [format!("{}/32", server::host())]}},
    })
}

/// A folder of this machine as Redis' volume: the test cluster's node sees the same files.
fn volume() -> Value {
    let folder = volumes().join(run_id());
    let made = fs::create_dir_all(&folder)
        .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)));
    let folder = made.and_then(|()| folder.canonicalize());
    let folder = folder.unwrap_or_else(|error| panic!("no folder for Redis: {error}"));
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": VOLUME, "labels": {LABEL: "true"}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": folder},
            "claimRef": {"namespace": NAMESPACE, "name": REDIS},
        },
    })
}
