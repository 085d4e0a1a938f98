//! People take conversations over, and give them back.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Scene, cluster, eventually, kubectl::Kubectl, model::Model, scene::ANSWERED_WITHIN, spirit,
    wait::hold,
};
use serde_json::{Value, json};
use tokio::time::Instant;

const ANA: &str = "5511999990000";
const TAKE_OVER: &str = r#"{"spec":{"takeover":true,"by":"ana@cafe.example"}}"#;
const GIVE_BACK: &str = r#"{"spec":{"takeover":false}}"#;
/// How long a takeover may take to be told of.
const TOLD_WITHIN: Duration = Duration::from_secs(15);

pub async fn a_human_takes_a_conversation_over_and_gives_it_back(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    scene.kubectl.apply(&[&vigil()]).await;
    wait_for_status(&scene, "phase is Watching", |status| {
        status["phase"] == "Watching"
    })
    .await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );

    patch(&scene, TAKE_OVER).await;
    let status = wait_for_status(&scene, "phase is Active", |status| {
        status["phase"] == "Active"
    })
    .await;
    assert_eq!(status["by"], "ana@cafe.example", "{status}");
    assert!(
        status["since"]
            .as_str()
            .is_some_and(|since| since.contains('T')),
        "{status}"
    );

    scene
        .say(&pods[1], ANA, "wamid.2", "my table is by the window")
        .await;
    scene.wait_for_outcomes("wamid.2", &["vigil"]).await;
    wait_for_status(&scene, "unanswered is 1", |status| {
        status["unanswered"] == 1
    })
    .await;
    let columns = scene
        .kubectl
        .run(&["get", "vigil", "ana", "--no-headers"])
        .await;
    for word in [
        "concierge",
        "wa/5511999990000",
        "Active",
        "ana@cafe.example",
    ] {
        assert!(columns.contains(word), "{word} is not in: {columns}");
    }

    patch(&scene, GIVE_BACK).await;
    let status = wait_for_status(&scene, "phase is Released", |status| {
        status["phase"] == "Released"
    })
    .await;
    assert!(status["releasedAt"].as_str().is_some(), "{status}");
    assert_eq!(
        scene
            .converse(&pods[0], ANA, "wamid.3", "where do I sit?")
            .await,
        Model::echo("where do I sit?")
    );
    let asked = scene
        .model
        .wait_for("where do I sit?", 1, ANSWERED_WITHIN)
        .await;
    assert!(
        asked.remembers("my table is by the window"),
        "{:?}",
        asked.messages
    );
    // Nothing was said for the one that the human had.
    assert!(
        scene
            .model
            .asked_about("my table is by the window")
            .is_empty()
    );
    assert_eq!(
        scene.graph.texts_to(ANA),
        [Model::echo("hello"), Model::echo("where do I sit?")]
    );
}

pub async fn a_reply_in_flight_is_not_spoken_once_a_human_has_it(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    scene.kubectl.apply(&[&vigil()]).await;
    wait_for_status(&scene, "phase is Watching", |status| {
        status["phase"] == "Watching"
    })
    .await;
    let held = scene.model.hold("tell me all");
    scene.say(&pods[0], ANA, "wamid.1", "tell me all").await;
    scene
        .model
        .wait_for("tell me all", 1, ANSWERED_WITHIN)
        .await;

    patch(&scene, TAKE_OVER).await;
    wait_for_status(&scene, "phase is Active", |status| {
        status["phase"] == "Active"
    })
    .await;
    let active = Instant::now();
    held.release();
    scene.wait_for_outcomes("wamid.1", &["vigil"]).await;
    let sent = scene.graph.sent_to(ANA);
    assert!(
        sent.iter().all(|sent| sent.at < active),
        "spoken after Active: {sent:?}"
    );
    assert!(sent.is_empty(), "{sent:?}");

    patch(&scene, GIVE_BACK).await;
    wait_for_status(&scene, "phase is Released", |status| {
        status["phase"] == "Released"
    })
    .await;
    assert_eq!(
        scene
            .converse(&pods[1], ANA, "wamid.2", "still there?")
            .await,
        Model::echo("still there?")
    );
    let asked = scene
        .model
        .wait_for("still there?", 1, ANSWERED_WITHIN)
        .await;
    assert!(asked.remembers("tell me all"), "{:?}", asked.messages);
}

pub async fn a_reply_being_sent_is_waited_for_before_a_human_has_it(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    scene.kubectl.apply(&[&vigil()]).await;
    wait_for_status(&scene, "phase is Watching", |status| {
        status["phase"] == "Watching"
    })
    .await;
    // The channel has it, and takes its time.
    let held = scene.graph.hold(ANA);
    scene.say(&pods[0], ANA, "wamid.1", "hello").await;
    scene.graph.wait_until_held(ANA, ANSWERED_WITHIN).await;

    patch(&scene, TAKE_OVER).await;
    wait_for_status(&scene, "phase is TakingOver", |status| {
        status["phase"] == "TakingOver"
    })
    .await;
    held.release();
    wait_for_status(&scene, "phase is Active", |status| {
        status["phase"] == "Active"
    })
    .await;
    let active = Instant::now();
    let sent = scene.graph.sent_to(ANA);
    assert_eq!(sent.len(), 1, "Active before it was sent: {sent:?}");

    scene.say(&pods[1], ANA, "wamid.2", "and now?").await;
    scene.wait_for_outcomes("wamid.2", &["vigil"]).await;
    assert!(scene.graph.sent_to(ANA).iter().all(|sent| sent.at < active));
}

pub async fn a_human_takes_over_while_the_operator_is_down(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let system = Kubectl::of(cluster::NAMESPACE);
    let operator = format!("deployment/{}", cluster::OPERATOR);
    system.run(&["scale", &operator, "--replicas=0"]).await;
    system
        .run(&[
            "wait",
            "--for=delete",
            "pods",
            "-l",
            "app.kubernetes.io/name=eywa-operator",
            "--timeout=60s",
        ])
        .await;

    // Even the Vigil is made while nobody is there.
    scene.kubectl.apply(&[&vigil()]).await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );
    patch(&scene, TAKE_OVER).await;
    let status = wait_for_status(&scene, "phase is Active", |status| {
        status["phase"] == "Active"
    })
    .await;
    assert_eq!(status["by"], "ana@cafe.example", "{status}");
    scene.say(&pods[1], ANA, "wamid.2", "anybody?").await;
    wait_for_status(&scene, "unanswered is 1", |status| {
        status["unanswered"] == 1
    })
    .await;
    patch(&scene, GIVE_BACK).await;
    wait_for_status(&scene, "phase is Released", |status| {
        status["phase"] == "Released"
    })
    .await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.3", "now?").await,
        Model::echo("now?")
    );
    assert_eq!(
        scene.graph.texts_to(ANA),
        [Model::echo("hello"), Model::echo("now?")]
    );

    system.run(&["scale", &operator, "--replicas=1"]).await;
    system
        .run(&["rollout", "status", &operator, "--timeout=90s"])
        .await;
    scene
        .kubectl
        .wait("vigil/ana", "condition=Accepted", 60)
        .await;
}

fn vigil() -> Value {
    json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Vigil",
        "metadata": {"name": "ana"},
        "spec": {"spiritRef": {"name": spirit::NAME}, "session": format!("wa/{ANA}")},
    })
}

async fn patch(scene: &Scene, patch: &str) {
    scene
        .kubectl
        .run(&["patch", "vigil", "ana", "--type", "merge", "-p", patch])
        .await;
}

async fn wait_for_status(scene: &Scene, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    eventually(what, TOLD_WITHIN, || async {
        let vigil = scene.kubectl.get(&["vigil", "ana"]).await;
        let status = vigil["status"].clone();
        hold(is(&status), &status).map(|()| status)
    })
    .await
}
