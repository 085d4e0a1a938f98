//! A Conduit's server restarts, changes and locks its door, and no pod restarts for it.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Scene, eventually, kubectl::condition, scene::Pod, spirit, wait::hold, workshop::Workshop,
};
use serde_json::{Value, json};

const ANA: &str = "5511999990000";
/// The operator asks a server that answers every two minutes, and one that does not, every minute at the latest.
const PROBED_WITHIN: Duration = Duration::from_secs(200);
/// The runtime lists the tools of a server that says nothing of changes every minute or so.
const LISTED_WITHIN: Duration = Duration::from_secs(120);

pub async fn a_server_that_restarts_changes_and_locks_its_door_is_followed(scene: Arc<Scene>) {
    let workshop = Workshop::start(&["saw"]).await;
    let pods = serve(&scene, &workshop).await;
    let pod = &pods[0];
    assert_eq!(
        scene.converse(pod, ANA, "wamid.1", "use saw").await,
        "this is saw"
    );
    assert_eq!(status(&scene).await["server"]["name"], "workshop");

    // A restart costs no call.
    workshop.restart();
    assert_eq!(
        scene.converse(pod, ANA, "wamid.2", "use saw").await,
        "this is saw"
    );
    assert_eq!(workshop.calls(), ["saw", "saw"]);

    // New tools are used, and told.
    workshop.offer(&["saw", "drill"]);
    let mut turn = 2;
    eventually("the new tool is used", LISTED_WITHIN, || {
        turn += 1;
        let wamid = format!("wamid.{turn}");
        let scene = Arc::clone(&scene);
        async move {
            let said = scene.converse(pod, ANA, &wamid, "use drill").await;
            hold(said == "this is drill", said)
        }
    })
    .await;
    eventually("the new tool is told", PROBED_WITHIN, || async {
        let status = status(&scene).await;
        hold(status["toolCount"] == 2, status)
    })
    .await;

    // A door that is locked is told with the key to look at, and so is that it is open again.
    workshop.ask_for(Some("Bearer fake-token-2222"));
    connected(&scene, "False", "Unauthorized", "Secret \"workshop\"").await;
    workshop.ask_for(Some("Bearer fake-token-1111"));
    connected(&scene, "True", "Connected", "").await;
    // The runtime does not ask a server that refuses it each time that somebody wants something of it.
    eventually("the tool is used again", LISTED_WITHIN, || {
        turn += 1;
        let wamid = format!("wamid.{turn}");
        let scene = Arc::clone(&scene);
        async move {
            let said = scene.converse(pod, ANA, &wamid, "use saw").await;
            hold(said == "this is saw", said)
        }
    })
    .await;
    assert_eq!(
        scene.pods(spirit::NAME).await,
        pods,
        "pods were started anew"
    );
}

async fn status(scene: &Scene) -> Value {
    scene.kubectl.get(&["conduit", "workshop"]).await["status"].clone()
}

async fn connected(scene: &Scene, status: &str, reason: &str, words: &str) {
    let what = format!("the Conduit says {status}, {reason}");
    eventually(&what, PROBED_WITHIN, || async {
        let object = scene.kubectl.get(&["conduit", "workshop"]).await;
        let seen = condition(&object, "Connected");
        let is = seen.as_ref().is_some_and(|seen| {
            (seen.0.as_str(), seen.1.as_str()) == (status, reason) && seen.2.contains(words)
        });
        hold(is, seen)
    })
    .await;
}

async fn serve(scene: &Scene, workshop: &Workshop) -> Vec<Pod> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "workshop"},
        "stringData": {"bearer": "Bearer fake-token-1111"},
    });
    let conduit = json!({
        "apiVersion": "eywa.dev/v1alpha1", "kind": "Conduit", "metadata": {"name": "workshop"},
        "spec": {
            "url": workshop.url(),
            "headersFrom": [{"name": "Authorization", "secretRef": {"name": "workshop", "key": "bearer"}}],
        },
    });
    let mut concierge = scene.concierge();
    let spec = &mut concierge["spec"];
    spec["conduits"] = json!([{"name": "workshop"}]);
    spec["oracle"] = json!({"provider": "scripted", "script": {
        "rules": [
            {"when": {"toolResult": {}}, "reply": {"text": "{{ toolResult }}"}},
            {"when": {"text": "^use saw$"}, "reply": {"toolCalls": [{"name": "saw"}]}},
            {"when": {"text": "^use drill$"}, "reply": {"toolCalls": [{"name": "drill"}]}},
        ],
        "default": {"text": "You said: {{ text }}"},
    }});
    scene
        .kubectl
        .apply(&[&spirit::voice_secret(), &secret, &conduit, &concierge])
        .await;
    scene
        .kubectl
        .wait("conduit/workshop", "condition=Ready", 60)
        .await;
    scene
        .kubectl
        .wait("spirit/concierge", "condition=Ready", 120)
        .await;
    scene.pods(spirit::NAME).await
}
