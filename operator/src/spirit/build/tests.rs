use super::*;
use clap::Parser;
use serde_json::{Value, json};

fn spirit(runtime: Value) -> Spirit {
    serde_json::from_value(json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Spirit",
        "metadata": {"name": "barista", "namespace": "cafe", "uid": "0000"},
        "spec": {
            "persona": {"text": "You serve coffee."},
            "oracle": {"provider": "scripted", "model": "demo", "script": {"rules": []}},
            "voices": [{"name": "web", "http": {"secretRef": {"name": "web", "key": "signing-key"}}}],
            "runtime": runtime,
        },
    }))
    .unwrap()
}

fn children(runtime: Value, default_redis: Option<&SecretString>, sets_replicas: bool) -> Children {
    children_with(
        runtime,
        default_redis,
        sets_replicas,
        PodIdentities::default(),
    )
}

fn children_with(
    runtime: Value,
    default_redis: Option<&SecretString>,
    sets_replicas: bool,
    pod_identities: PodIdentities,
) -> Children {
    let settings = Settings::try_parse_from([
        "eywa-operator",
        "--runtime-image=eywa-runtime:test",
        r#"--runtime-resources={"requests":{"cpu":"50m"}}"#,
    ])
    .unwrap();
    let owner = OwnerReference {
        api_version: "eywa.dev/v1alpha1".to_owned(),
        kind: "Spirit".to_owned(),
        name: "barista".to_owned(),
        uid: "0000".to_owned(),
        controller: Some(true),
        ..Default::default()
    };
    let keys = |keys: &[&str]| {
        keys.iter()
            .map(|&key| key.to_owned())
            .collect::<BTreeSet<_>>()
    };
    Blueprint {
        spirit: &spirit(runtime),
        name: "barista",
        namespace: "cafe",
        owner: &owner,
        settings: &settings,
        config: r#"{"version":1}"#,
        config_hash: "c0ffee",
        pod_identities,
        secrets: &BTreeMap::from([
            (
                "wa".to_owned(),
                keys(&["access-token", "app-secret", "verify-token"]),
            ),
            ("web".to_owned(), keys(&["signing-key"])),
        ]),
        secrets_hash: "5ec7e7",
        default_redis,
        sets_replicas,
    }
    .children()
}

#[test]
fn a_plain_spirit_s_pods() {
    insta::assert_yaml_snapshot!(children(json!({}), None, true).deployment);
}

#[test]
fn who_the_pods_are_and_what_they_may_do() {
    let children = children(json!({}), None, true);
    insta::assert_yaml_snapshot!((
        children.service_account,
        children.role,
        children.role_binding
    ));
}

#[test]
fn where_the_pods_are_reached_and_may_reach() {
    let children = children(json!({}), None, true);
    insta::assert_yaml_snapshot!((children.service, children.network_policy));
}

#[test]
fn an_identity_of_a_cloud_is_the_pods_and_its_place_alone_is_opened() {
    let annotations = json!({"serviceAccountAnnotations": {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/barista"
    }});
    let account = children(annotations, None, true).service_account;
    assert_eq!(
        account.metadata.annotations.unwrap()["eks.amazonaws.com/role-arn"],
        "arn:aws:iam::111122223333:role/barista"
    );
    let opened = |aws, google| {
        let identities = PodIdentities { aws, google };
        let policy = children_with(json!({}), None, true, identities).network_policy;
        let egress = policy.spec.unwrap().egress.unwrap();
        let rule = egress.get(3)?;
        let places: Vec<String> = (rule.to.iter().flatten())
            .map(|peer| peer.ip_block.as_ref().unwrap().cidr.clone())
            .collect();
        Some(places.join(" "))
    };
    assert_eq!(opened(false, false), None);
    assert_eq!(
        opened(true, false).unwrap(),
        "169.254.170.23/32 fd00:ec2::23/128"
    );
    assert_eq!(
        opened(false, true).unwrap(),
        "169.254.169.254/32 169.254.169.252/32 fd20:ce::254/128"
    );
}

#[test]
fn what_the_pods_read_and_how_many_may_be_drained() {
    let redis = SecretString::from("redis://fake");
    let children = children(json!({}), Some(&redis), true);
    insta::assert_yaml_snapshot!((
        children.config_map,
        children.redis_secret,
        children.disruption_budget
    ));
}

#[test]
fn a_spirit_s_own_wishes_for_its_pods() {
    let runtime = json!({
        "autoscaling": {"min": 2, "max": 10, "targetCPU": 60},
        "image": "mine:1",
        "imagePullSecrets": [{"name": "registry"}],
        "resources": {"limits": {"memory": "1Gi"}},
        "env": [{"name": "LOG", "value": "debug"}, {"name": "POD_NAME", "value": "spoofed"}],
        "podLabels": {"team": "cafe", "eywa.dev/spirit": "spoofed"},
        "podAnnotations": {"note": "yes"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "priorityClassName": "high",
        "terminationGracePeriod": "90s",
    });
    let children = children(runtime, None, false);
    assert_eq!(
        children.deployment.spec.as_ref().unwrap().replicas,
        None,
        "the autoscaler's to set"
    );
    insta::assert_yaml_snapshot!((children.deployment, children.autoscaler));
}
