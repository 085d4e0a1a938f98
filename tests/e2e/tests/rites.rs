//! A call waits for a human's yes, who says it with `kubectl` alone.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Scene, eventually,
    plugin::Person,
    redis,
    scene::{ANSWERED_WITHIN, Pod},
    spirit,
    till::Till,
    wait::hold,
};
use serde_json::{Value, json};

const ANA: &str = "5511999990000";
const NOTICE: &str = "I have asked a colleague.";
/// How long a Rite may take to appear, and what became of it to be told.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

pub async fn an_approved_call_is_made_once_and_the_person_hears(scene: Arc<Scene>) {
    let till = Till::start().await;
    let pods = serve(&scene, &till, "15m").await;
    let name = ask_for_a_refund(&scene, &pods, "wamid.1").await;
    let rite = scene.kubectl.get(&["rite", &name]).await;
    assert_eq!(
        rite["spec"]["arguments"],
        json!({"order": 7, "card": "[redacted]"}),
        "{rite}"
    );
    assert_eq!(rite["spec"]["session"], format!("wa/{ANA}"), "{rite}");
    assert!(rite["status"]["expiresAt"].is_string(), "{rite}");
    assert!(till.made().is_empty());

    // The conversation goes on.
    assert_eq!(
        scene.converse(&pods[1], ANA, "wamid.2", "hello").await,
        "You said: hello"
    );

    let yes = r#"{"spec":{"decision":"Approved","by":"ana@cafe.example"}}"#;
    let eve = Person::with_role(&scene.kubectl, &scene.namespace, "eve", "eywa-viewer").await;
    let user = format!("--as={}", eve.user);
    let refused = scene
        .kubectl
        .attempt(&["patch", "rite", &name, "--type", "merge", "-p", yes, &user])
        .await;
    assert!(
        refused.err.contains("cannot patch resource \"rites\""),
        "{refused:?}"
    );
    patch(&scene, &name, yes).await;
    patch(&scene, &name, yes).await;
    let no = r#"{"spec":{"decision":"Denied"}}"#;
    let refused = scene
        .kubectl
        .attempt(&["patch", "rite", &name, "--type", "merge", "-p", no])
        .await;
    assert!(
        refused.err.contains("a decision is made once"),
        "{refused:?}"
    );

    let status = wait_for_status(&scene, &name, "the outcome is known", |status| {
        status["outcome"].is_string()
    })
    .await;
    assert_eq!(
        (&status["phase"], &status["outcome"], &status["by"]),
        (
            &json!("Consumed"),
            &json!("Succeeded"),
            &json!("ana@cafe.example")
        ),
        "{status}"
    );
    assert!(status["decidedAt"].is_string(), "{status}");
    let said = scene.graph.wait_for(ANA, 3, ANSWERED_WITHIN).await;
    let told = &said[2].text;
    assert!(
        told.contains("ana@cafe.example") && told.contains("refunded"),
        "{told}"
    );
    let columns = scene
        .kubectl
        .run(&["get", "rite", &name, "--no-headers"])
        .await;
    for word in ["concierge", "refund", "Consumed"] {
        assert!(columns.contains(word), "{word} is not in: {columns}");
    }
    let waited = scene
        .metric(&pods, "eywa_pulses_total", &[("outcome", "rite")])
        .await;
    assert!((waited - 1.0).abs() < 0.5, "{waited}");

    // Every pod looks every three seconds for what is due: a second call would come with one of the next looks.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let made = till.made();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0].arguments, json!({"order": 7, "card": "4111"}));
    assert_eq!(scene.graph.sent_to(ANA).len(), 3);
}

pub async fn a_no_and_silence_make_no_call_and_are_told_apart(scene: Arc<Scene>) {
    let till = Till::start().await;
    let pods = serve(&scene, &till, "12s").await;
    let denied = ask_for_a_refund(&scene, &pods, "wamid.1").await;
    let no = r#"{"spec":{"decision":"Denied","by":"ana@cafe.example"}}"#;
    patch(&scene, &denied, no).await;
    wait_for_status(&scene, &denied, "phase is Denied", |status| {
        status["phase"] == "Denied"
    })
    .await;
    let said = scene.graph.wait_for(ANA, 2, ANSWERED_WITHIN).await;
    assert!(said[1].text.contains("said no"), "{said:?}");
    scene.wait_until_free(spirit::NAME, ANA).await;

    let lapsed = ask_for_a_refund(&scene, &pods, "wamid.2").await;
    wait_for_status(&scene, &lapsed, "phase is Expired", |status| {
        status["phase"] == "Expired"
    })
    .await;
    let said = scene.graph.wait_for(ANA, 4, ANSWERED_WITHIN).await;
    assert!(said[3].text.contains("Nobody decided in time"), "{said:?}");
    assert!(till.made().is_empty());
}

pub async fn an_edit_of_the_spirit_makes_an_approval_void(scene: Arc<Scene>) {
    let till = Till::start().await;
    let pods = serve(&scene, &till, "15m").await;
    let name = ask_for_a_refund(&scene, &pods, "wamid.1").await;
    let mut edited = concierge(&scene, &till, "15m");
    edited["spec"]["persona"]["text"] = json!("You are a new concierge.");
    scene.kubectl.apply(&[&edited]).await;
    scene.rolled_out().await;
    // Those that are told to go serve on for a while, by the Spirit as it was.
    for old in &pods {
        let pod = format!("pod/{}", old.name);
        scene
            .kubectl
            .run(&["wait", "--for=delete", &pod, "--timeout=60s"])
            .await;
    }
    patch(&scene, &name, r#"{"spec":{"decision":"Approved"}}"#).await;
    wait_for_status(&scene, &name, "phase is Void", |status| {
        status["phase"] == "Void"
    })
    .await;
    let said = scene.graph.wait_for(ANA, 2, ANSWERED_WITHIN).await;
    assert!(said[1].text.contains("void"), "{said:?}");
    assert!(till.made().is_empty());
}

pub async fn an_approval_under_a_takeover_is_carried_out_in_silence(scene: Arc<Scene>) {
    let till = Till::start().await;
    let pods = serve(&scene, &till, "15m").await;
    let name = ask_for_a_refund(&scene, &pods, "wamid.1").await;
    let vigil = json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Vigil",
        "metadata": {"name": "ana"},
        "spec": {"spiritRef": {"name": spirit::NAME}, "session": format!("wa/{ANA}"), "takeover": true, "by": "ben"},
    });
    scene.kubectl.apply(&[&vigil]).await;
    eventually("the Vigil is Active", TOLD_WITHIN, || async {
        let phase = scene.kubectl.get(&["vigil", "ana"]).await["status"]["phase"].clone();
        hold(phase == "Active", phase)
    })
    .await;
    patch(
        &scene,
        &name,
        r#"{"spec":{"decision":"Approved","by":"ben"}}"#,
    )
    .await;
    wait_for_status(&scene, &name, "phase is Consumed", |status| {
        status["outcome"] == "Succeeded"
    })
    .await;
    till.wait_for(1, ANSWERED_WITHIN).await;
    let id = name.strip_prefix("concierge-").unwrap_or_default();
    eventually("the decision's turn is over", ANSWERED_WITHIN, || async {
        let entries =
            redis::chronicle_of_pulse(&scene.namespace, spirit::NAME, &format!("rite:{id}")).await;
        hold(
            entries.iter().any(|entry| entry["outcome"] == "vigil"),
            entries,
        )
    })
    .await;
    assert_eq!(
        scene.graph.texts_to(ANA),
        [NOTICE],
        "nothing but the notice from before"
    );
}

/// The concierge, whose refunds wait for a yes. It says what it is told: notes, and what the person wrote.
fn concierge(scene: &Scene, till: &Till, timeout: &str) -> Value {
    let mut concierge = scene.concierge();
    let spec = &mut concierge["spec"];
    spec["oracle"] = json!({"provider": "scripted", "script": {
        "rules": [
            {"when": {"text": r"(?s)\[Note: (?P<note>.*)"}, "reply": {"text": "{{ named.note }}"}},
            {"when": {"toolResult": {}}, "reply": {"text": "{{ toolResult }}"}},
            {"when": {"text": r"^refund (?P<order>\d+)$"}, "reply": {"toolCalls": [
                {"name": "refund", "arguments": {"order": "{{ named.order | int }}", "card": "4111"}},
            ]}},
        ],
        "default": {"text": "You said: {{ text }}"},
    }});
    spec["actions"] = json!([{
        "name": "refund",
        "description": "Refunds an order.",
        "parameters": {
            "type": "object",
            "required": ["order"],
            "properties": {"order": {"type": "integer"}, "card": {"type": "string"}},
        },
        "http": {"method": "POST", "url": till.url()},
    }]);
    spec["rites"] = json!([{
        "actions": ["refund*"], "timeout": timeout, "redact": ["/card"], "notice": NOTICE,
    }]);
    concierge
}

pub async fn serve(scene: &Scene, till: &Till, timeout: &str) -> Vec<Pod> {
    scene
        .kubectl
        .apply(&[&spirit::voice_secret(), &concierge(scene, till, timeout)])
        .await;
    scene
        .kubectl
        .wait("spirit/concierge", "condition=Ready", 120)
        .await;
    scene.pods(spirit::NAME).await
}

/// Ana asks for a refund, and is told that it waits; gives the name of the new Rite, which is Pending.
pub async fn ask_for_a_refund(scene: &Scene, pods: &[Pod], wamid: &str) -> String {
    let before = rites(scene).await;
    assert_eq!(
        scene.converse(&pods[0], ANA, wamid, "refund 7").await,
        NOTICE
    );
    scene.wait_for_outcomes(wamid, &["rite"]).await;
    eventually("a Rite waits", TOLD_WITHIN, || async {
        let all = rites(scene).await;
        let new = all.iter().find(|rite| {
            rite["status"]["phase"] == "Pending"
                && !before
                    .iter()
                    .any(|old| old["metadata"]["name"] == rite["metadata"]["name"])
        });
        match new.and_then(|rite| rite["metadata"]["name"].as_str()) {
            Some(name) => Ok(name.to_owned()),
            None => Err(format!("{all:?}")),
        }
    })
    .await
}

async fn rites(scene: &Scene) -> Vec<Value> {
    let all = scene.kubectl.get(&["rites"]).await;
    all["items"].as_array().cloned().unwrap_or_default()
}

async fn patch(scene: &Scene, name: &str, patch: &str) {
    scene
        .kubectl
        .run(&["patch", "rite", name, "--type", "merge", "-p", patch])
        .await;
}

async fn wait_for_status(
    scene: &Scene,
    name: &str,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, TOLD_WITHIN, || async {
        let status = scene.kubectl.get(&["rite", name]).await["status"].clone();
        hold(is(&status), &status).map(|()| status)
    })
    .await
}
