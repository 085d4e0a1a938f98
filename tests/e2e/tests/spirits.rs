//! What happens to a Spirit and to what it refers to.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{Scene, eventually, kubectl::condition, model::Model, spirit, wait::hold};
use serde_json::Value;

const ANA: &str = "5511999990000";
/// How long the operator may take to act on a change.
const ACTED_ON_WITHIN: Duration = Duration::from_secs(30);

pub async fn a_missing_secret_is_named_and_creating_it_heals(scene: Arc<Scene>) {
    let spirit = scene.concierge();
    scene
        .kubectl
        .apply(&[&spirit::voice_secret(), &spirit])
        .await;
    let (_, reason, message) = wait_for_condition(&scene, "SecretsResolved", "False").await;
    assert_eq!(reason, "SecretNotFound");
    assert!(
        message.contains("model") && message.contains("api-key"),
        "{message}"
    );
    let (_, _, message) = wait_for_condition(&scene, "Ready", "False").await;
    assert!(message.contains("model"), "{message}");
    assert!(scene.pods(spirit::NAME).await.is_empty());

    // A Secret of the right name that lacks the key is not enough.
    let mut other = spirit::model_secret("x");
    other["stringData"] = serde_json::json!({"apikey": "fake"});
    scene.kubectl.apply(&[&other]).await;
    eventually("the missing key is named", ACTED_ON_WITHIN, || async {
        let seen = condition(
            &scene.kubectl.get(&["spirit", spirit::NAME]).await,
            "SecretsResolved",
        );
        hold(
            seen.as_ref().is_some_and(|(_, reason, message)| {
                reason == "SecretKeyMissing" && message.contains("api-key")
            }),
            seen,
        )
    })
    .await;

    let before = generation(&scene).await;
    scene
        .kubectl
        .apply(&[&spirit::model_secret(spirit::API_KEY)])
        .await;
    scene
        .kubectl
        .wait("spirit/concierge", "condition=Ready", 90)
        .await;
    assert_eq!(
        generation(&scene).await,
        before,
        "somebody touched the Spirit"
    );
    let pods = scene.pods(spirit::NAME).await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );
}

pub async fn a_rotated_secret_reaches_the_pods(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );

    // Both sides change the key. The old one is refused from now on.
    scene.model.take_key("fake-rotated-key");
    scene
        .kubectl
        .apply(&[&spirit::model_secret("fake-rotated-key")])
        .await;
    let rotated = eventually(
        "pods that were started since",
        Duration::from_secs(90),
        || async {
            let now = scene.pods(spirit::NAME).await;
            if now.len() == 2 && now.iter().all(|pod| !pods.contains(pod)) {
                Ok(now)
            } else {
                Err(format!("{now:?}"))
            }
        },
    )
    .await;
    assert_eq!(
        scene
            .converse(&rotated[0], ANA, "wamid.2", "and now?")
            .await,
        Model::echo("and now?")
    );
    // The key is in the pods' files, and nowhere that others read.
    for what in ["spirit", "configmaps", "deployments", "pods", "events"] {
        let page = scene.kubectl.run(&["get", what, "-o", "yaml"]).await;
        assert!(!page.contains("fake-rotated-key"), "the key is in {what}");
    }
}

pub async fn a_bad_edit_is_refused_by_the_api_server(scene: Arc<Scene>) {
    let spirit = scene.concierge();
    scene.kubectl.apply(&[&spirit]).await;
    for (pointer, value, says) in [
        (
            "/spec/bond/ttl",
            Value::from("1s"),
            "ttl must be from 3s to 10m",
        ),
        (
            "/spec/persona",
            serde_json::json!({"text": "x", "configMapRef": {"name": "a", "key": "b"}}),
            "exactly one of text and configMapRef",
        ),
        (
            "/spec/oracle/provider",
            Value::from("clippy"),
            "Unsupported value",
        ),
        ("/spec/oracle/temprature", Value::from(1), "unknown field"),
        (
            "/spec/voices/0/http",
            serde_json::json!({"secretRef": {"name": "a", "key": "b"}}),
            "exactly one of whatsapp and http",
        ),
    ] {
        let mut bad = spirit.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
        let parent = bad
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("no {parent} in the Spirit"));
        parent[field] = value;
        let said = scene.kubectl.attempt_apply(&[&bad]).await;
        assert!(
            !said.ok && said.err.contains(says),
            "{pointer}: {}{}",
            said.out,
            said.err
        );
    }
    // The sound one is taken again, as it was.
    let said = scene.kubectl.attempt_apply(&[&spirit]).await;
    assert!(
        said.ok && said.out.contains("unchanged"),
        "{}{}",
        said.out,
        said.err
    );
}

pub async fn a_bad_edit_leaves_the_last_good_pods_serving(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    // No schema can know that this template means nothing, or what may be reached.
    let mut bad = scene.concierge();
    bad["spec"]["persona"]["text"] = "You speak to {{ user.shoe_size }}.".into();
    scene.kubectl.apply(&[&bad]).await;
    let (_, reason, message) = wait_for_condition(&scene, "Accepted", "False").await;
    assert_eq!(reason, "TemplateInvalid");
    assert!(message.contains("shoe_size"), "{message}");
    let (_, _, message) = wait_for_condition(&scene, "Ready", "False").await;
    assert!(message.contains("last good pods keep running"), "{message}");

    bad["spec"]["persona"]["text"] = "You speak to {{ user.name }}.".into();
    bad["spec"]["oracle"]["baseUrl"] = "http://169.254.169.254/v1".into();
    scene.kubectl.apply(&[&bad]).await;
    eventually("the address is refused", ACTED_ON_WITHIN, || async {
        let seen = condition(
            &scene.kubectl.get(&["spirit", spirit::NAME]).await,
            "Accepted",
        );
        let refused = |(_, reason, message): &(String, String, String)| {
            reason == "AddressNotAllowed" && message.contains("169.254.169.254")
        };
        hold(seen.as_ref().is_some_and(refused), seen)
    })
    .await;

    assert_eq!(scene.pods(spirit::NAME).await, pods);
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );
    let events = scene.kubectl.run(&["get", "events"]).await;
    assert!(
        events.contains("TemplateInvalid") && events.contains("AddressNotAllowed"),
        "{events}"
    );

    scene.kubectl.apply(&[&scene.concierge()]).await;
    scene
        .kubectl
        .wait("spirit/concierge", "condition=Ready", 60)
        .await;
}

pub async fn deleting_a_spirit_leaves_nothing_behind(scene: Arc<Scene>) {
    let before = objects(&scene).await;
    let pods = scene.serve().await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );
    let during = objects(&scene).await;
    for child in [
        "serviceaccount/",
        "role.",
        "rolebinding.",
        "configmap/",
        "deployment.",
        "service/",
    ] {
        let child_of_ours =
            |name: &String| name.starts_with(child) && name.ends_with("/concierge-runtime");
        assert!(
            during.iter().any(child_of_ours),
            "no {child} among {during:?}"
        );
    }
    scene.kubectl.run(&["delete", "spirit", spirit::NAME]).await;
    scene
        .kubectl
        .run(&["delete", "secret", "wa", "model"])
        .await;
    eventually(
        "all that was made for it is gone",
        Duration::from_secs(60),
        || async {
            let left = objects(&scene).await;
            hold(left == before, left)
        },
    )
    .await;
}

/// Everything in the namespace, but for Events.
async fn objects(scene: &Scene) -> Vec<String> {
    let kinds = scene
        .kubectl
        .run(&[
            "api-resources",
            "--namespaced",
            "--verbs=list",
            "-o",
            "name",
        ])
        .await;
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !kind.starts_with("events"))
        .collect();
    let names = scene
        .kubectl
        .run(&["get", &kinds.join(","), "-o", "name", "--ignore-not-found"])
        .await;
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    names.sort();
    names
}

async fn generation(scene: &Scene) -> Value {
    scene.kubectl.get(&["spirit", spirit::NAME]).await["metadata"]["generation"].clone()
}

async fn wait_for_condition(scene: &Scene, kind: &str, status: &str) -> (String, String, String) {
    eventually(&format!("{kind} is {status}"), ACTED_ON_WITHIN, || async {
        let spirit = scene.kubectl.get(&["spirit", spirit::NAME]).await;
        match condition(&spirit, kind) {
            Some(found)
                if found.0 == status
                    && spirit["status"]["observedGeneration"]
                        == spirit["metadata"]["generation"] =>
            {
                Ok(found)
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await
}
