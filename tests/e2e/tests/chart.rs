//! The chart, by its own tools and on the real API server.

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use eywa_e2e::{
    Scene, cluster, eventually,
    kubectl::{Kubectl, run},
    plugin::Person,
    wait::hold,
};
use serde_json::json;
use tempfile::TempDir;

/// How long a new policy may take to be followed.
const TAKES_EFFECT_WITHIN: Duration = Duration::from_secs(30);

pub async fn helm_and_kubeconform_find_nothing_wrong(_scene: Arc<Scene>) {
    let chart = cluster::chart();
    let chart = chart.to_string_lossy();
    run("helm", &["lint", "--strict", &chart], None)
        .await
        .expect_ok("helm lint");
    let unknown = run(
        "helm",
        &["lint", &chart, "--set", "oprator.replicas=2"],
        None,
    )
    .await;
    assert!(
        !unknown.ok && unknown.out.contains("oprator"),
        "{}{}",
        unknown.out,
        unknown.err
    );

    let schemas =
        cluster::workspace().join("target/cluster/schemas/{{.ResourceKind}}{{.KindSuffix}}.json");
    for settings in [
        "redis.enabled=true",
        "redis.urlSecretRef.name=our-redis",
        "redis.enabled=true,redis.persistence.enabled=true,operator.replicas=2,operator.watchNamespaces={a,b}",
    ] {
        let rendered = run(
            "helm",
            &[
                "template",
                "eywa",
                &chart,
                "-n",
                "eywa-system",
                "--set",
                settings,
            ],
            None,
        )
        .await;
        let rendered = rendered.expect_ok("helm template");
        let arguments = [
            "-strict",
            "-summary",
            "-schema-location",
            &schemas.to_string_lossy(),
        ];
        let said = run("kubeconform", &arguments, Some(&rendered))
            .await
            .expect_ok(&format!("kubeconform with {settings}"));
        assert!(said.contains("Invalid: 0, Errors: 0, Skipped: 0"), "{said}");
    }
    let mut broken = run("helm", &["template", "eywa", &chart], None)
        .await
        .expect_ok("helm template");
    broken = broken.replacen("replicas: 1", "replicas: many", 1);
    let said = run(
        "kubeconform",
        &["-strict", "-schema-location", &schemas.to_string_lossy()],
        Some(&broken),
    )
    .await;
    assert!(!said.ok, "kubeconform finds everything right: {}", said.out);
}

pub async fn a_pod_that_pod_security_restricts_is_refused(scene: Arc<Scene>) {
    // All namespaces of the suite enforce it, so every pod of the chart and of Spirits runs under it. This is to see that.
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless"},
        "spec": {"containers": [{"name": "redis", "image": "eywa-redis:dev"}]},
    });
    let said = scene.kubectl.attempt_apply(&[&pod]).await;
    assert!(
        !said.ok && said.err.contains("violates PodSecurity \"restricted"),
        "{}{}",
        said.out,
        said.err
    );

    let system = Kubectl::of(cluster::NAMESPACE);
    let namespace = system.get(&["namespace", cluster::NAMESPACE]).await;
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    for deployment in [cluster::OPERATOR, cluster::REDIS] {
        system
            .wait(
                &format!("deployment/{deployment}"),
                "condition=Available",
                60,
            )
            .await;
    }
}

pub async fn an_upgrade_that_changes_a_crd_changes_it(_scene: Arc<Scene>) {
    let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder: {error}"));
    let next = folder.path().join("eywa");
    copy(&cluster::chart(), &next);
    let file = next.join("files/crds/vigils.yaml");
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let changed = text.replacen(
        "shortNames:\n    - vg",
        "shortNames:\n    - vg\n    - vigilante",
        1,
    );
    assert_ne!(
        changed, text,
        "the short name of Vigils is not where it was"
    );
    fs::write(&file, changed).unwrap_or_else(|error| panic!("{}: {error}", file.display()));

    assert!(!short_names().await.contains("vigilante"));
    cluster::upgrade(&next).await.expect_ok("helm upgrade");
    assert!(
        short_names().await.contains("vigilante"),
        "{}",
        short_names().await
    );
    cluster::upgrade(&cluster::chart())
        .await
        .expect_ok("helm upgrade");
    assert!(
        !short_names().await.contains("vigilante"),
        "{}",
        short_names().await
    );
}

pub async fn an_order_in_anothers_name_is_refused_where_the_admin_wants_it_so(scene: Arc<Scene>) {
    let vigil = json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Vigil",
        "metadata": {"name": "ana"},
        "spec": {"spiritRef": {"name": "concierge"}, "session": "wa/5511999990000"},
    });
    scene.kubectl.apply(&[&vigil]).await;
    let mia = Person::with_role(&scene.kubectl, &scene.namespace, "mia", "eywa-attendant").await;
    let patch = async |spec: serde_json::Value| {
        let (user, patch) = (
            format!("--as={}", mia.user),
            json!({"spec": spec}).to_string(),
        );
        let arguments = [
            "patch", "vigil", "ana", "--type", "merge", "-p", &patch, &user,
        ];
        scene.kubectl.attempt(&arguments).await
    };
    cluster::upgrade_with(&cluster::chart(), &["vigil.verifiedBy=true"])
        .await
        .expect_ok("helm upgrade");
    // The API server follows its policies after a moment; until then a name is taken, and the next try is another one.
    let tries = AtomicUsize::new(0);
    eventually("another's name is refused", TAKES_EFFECT_WITHIN, || async {
        let by = format!("ana-{}", tries.fetch_add(1, Ordering::Relaxed));
        let said = patch(json!({"by": by})).await;
        hold(!said.ok && said.err.contains("your own name"), said.err)
    })
    .await;
    let said = patch(json!({"takeover": true})).await;
    assert!(!said.ok && said.err.contains(&mia.user), "{said:?}");
    let said = patch(json!({"takeover": true, "by": mia.user})).await;
    assert!(said.ok, "{said:?}");
    cluster::upgrade(&cluster::chart())
        .await
        .expect_ok("helm upgrade");
}

async fn short_names() -> String {
    let path = "jsonpath={.spec.names.shortNames}";
    Kubectl::of(cluster::NAMESPACE)
        .run(&["get", "crd", "vigils.eywa.dev", "-o", path])
        .await
}

fn copy(from: &Path, to: &Path) {
    try_to_copy(from, to)
        .unwrap_or_else(|error| panic!("{} cannot be copied: {error}", from.display()));
}

fn try_to_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_to_copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
