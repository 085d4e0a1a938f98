//! What is remembered of a person, and their right to see it and to have it forgotten.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{Scene, eventually, model::Model, plugin::Person, spirit, wait::hold};
use serde_json::json;

const ANA: &str = "5511999990000";
const SESSION: &str = "wa/5511999990000";
const FACT: &str = "Drinks coffee with oat milk.";
/// The conversation is finished after 10 s; then a pod has to take it up.
const LEARNT_WITHIN: Duration = Duration::from_secs(60);

pub async fn what_a_person_said_is_remembered_shown_and_forgotten_at_their_wish(scene: Arc<Scene>) {
    let mut concierge = scene.concierge();
    concierge["spec"]["imprint"] = json!({
        "enabled": true,
        "after": "10s",
        "oracle": {"provider": "scripted", "script": {
            "rules": [{
                "when": {"text": r"(?s)<conversation>.*oat milk"},
                "reply": {"toolCalls": [{"name": "learn_facts", "arguments": {"facts": [FACT], "forget": []}}]},
            }],
            "default": {"toolCalls": [{"name": "learn_facts", "arguments": {"facts": [], "forget": []}}]},
        }},
    });
    let pods = scene.serve_as(&concierge).await;
    let person = async |name: &str, role: &str| {
        Person::with_role(&scene.kubectl, &scene.namespace, name, role).await
    };
    let mia = person("mia", "eywa-attendant").await;
    let eve = person("eve", "eywa-viewer").await;

    let first = "a flat white with oat milk, please";
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", first).await,
        Model::echo(first)
    );
    let list = ["imprint", "list", spirit::NAME, SESSION];
    eventually("the fact is learnt", LEARNT_WITHIN, || async {
        let listed = eve.run(&list).await;
        hold(listed.contains(FACT), listed)
    })
    .await;

    // Whichever pod it is, the model knows; as data.
    let second = "the usual";
    scene.converse(&pods[1], ANA, "wamid.2", second).await;
    let shown = scene.system_prompt(second);
    let context = shown.find("<context>").unwrap_or(shown.len());
    let fact = shown.find("oat milk").unwrap_or_default();
    assert!(
        fact > context,
        "the fact is no part of the context: {shown}"
    );
    // Nobody else's model does.
    let other = "and mine?";
    scene
        .converse(&pods[0], "5511888880000", "wamid.3", other)
        .await;
    assert!(!scene.system_prompt(other).contains("oat milk"));

    let forget = ["imprint", "forget", spirit::NAME, SESSION, "--all", "--yes"];
    eve.refused(&forget).await;
    mia.run(&forget).await;
    let listed = mia.run(&list).await;
    assert!(!listed.contains("oat milk"), "{listed}");
    let third = "what do you know of me?";
    scene.converse(&pods[1], ANA, "wamid.4", third).await;
    let shown = scene.system_prompt(third);
    let context = shown.find("<context>").map_or("", |at| &shown[at..]);
    assert!(!context.contains("oat milk"), "{shown}");
}
