//! People attend to conversations with `kubectl eywa`.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{Scene, eventually, model::Model, plugin::Person, spirit, till::Till, wait::hold};
use serde_json::Value;

use crate::rites;

const ANA: &str = "5511999990000";
const SESSION: &str = "wa/5511999990000";
/// How long what happens may take to be shown.
const SHOWN_WITHIN: Duration = Duration::from_secs(20);

pub async fn a_person_who_may_takes_over_replies_and_gives_back_with_the_plugin(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let person = async |name: &str, role: &str| {
        Person::with_role(&scene.kubectl, &scene.namespace, name, role).await
    };
    let mia = person("mia", "eywa-attendant").await;
    let tom = person("tom", "eywa-attendant").await;
    let eve = person("eve", "eywa-viewer").await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );

    // Eve may look, and nothing else.
    let watching = eve.watch(&[SESSION]);
    watching
        .wait_for(
            &format!("concierge: {}", Model::echo("hello")),
            SHOWN_WITHIN,
        )
        .await;
    let told = eve.refused(&["takeover", SESSION]).await;
    for words in [
        "may not take over",
        "create vigils.eywa.dev in namespace",
        "eywa-attendant",
        "create rolebinding",
    ] {
        assert!(told.contains(words), "{words:?} is not in: {told}");
    }
    let told = eve.refused(&["reply", SESSION, "I should not"]).await;
    assert!(told.contains("update vigils.eywa.dev"), "{told}");

    // Mia takes it; Tom is told so.
    let taken = mia.run(&["takeover", SESSION, "-o", "json"]).await;
    let vigil: Value = serde_json::from_str(&taken).unwrap_or_default();
    assert_eq!(vigil["status"]["phase"], "Active", "{taken}");
    assert_eq!(vigil["status"]["by"], Value::from(&*mia.user), "{taken}");
    let told = tom.refused(&["takeover", SESSION]).await;
    assert!(told.contains(&mia.user), "{told}");
    watching
        .wait_for("took the conversation", SHOWN_WITHIN)
        .await;

    scene
        .say(&pods[1], ANA, "wamid.2", "my coffee is cold")
        .await;
    scene.wait_for_outcomes("wamid.2", &["vigil"]).await;
    eventually("conversations shows it", SHOWN_WITHIN, || async {
        let listed = mia.run(&["conversations", "--phase", "Active"]).await;
        let row = listed
            .lines()
            .find(|line| line.contains(SESSION))
            .unwrap_or_default();
        let shown = ["Active", mia.user.as_str(), " 1 "]
            .iter()
            .all(|word| row.contains(word));
        hold(shown, listed)
    })
    .await;
    let told = tom.refused(&["reply", SESSION, "not mine to say"]).await;
    assert!(told.contains("takeover"), "{told}");
    mia.run(&["reply", SESSION, "A new one is coming."]).await;
    let sent = scene.graph.wait_for(ANA, 2, SHOWN_WITHIN).await;
    assert_eq!(sent[1].text, "A new one is coming.");
    watching
        .wait_for("A new one is coming.", SHOWN_WITHIN)
        .await;
    let traced = eve.run(&["trace", "wa/wamid.2"]).await;
    assert!(
        traced.contains("Outcome:  vigil") && traced.contains("bond"),
        "{traced}"
    );

    let told = tom.refused(&["release", SESSION]).await;
    assert!(told.contains("--force"), "{told}");
    mia.run(&["release", SESSION]).await;
    watching
        .wait_for("gave the conversation back", SHOWN_WITHIN)
        .await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.3", "thank you").await,
        Model::echo("thank you")
    );
}

pub async fn a_whole_spirit_is_silenced_and_one_command_lifts_it(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let role = "eywa-attendant";
    let mia = Person::with_role(&scene.kubectl, &scene.namespace, "mia", role).await;
    let told = mia
        .refused(&["takeover", "--spirit", spirit::NAME, "*"])
        .await;
    assert!(told.contains("--yes"), "{told}");
    mia.run(&["takeover", "--spirit", spirit::NAME, "*", "--yes"])
        .await;
    scene.say(&pods[0], ANA, "wamid.1", "anybody?").await;
    scene.wait_for_outcomes("wamid.1", &["vigil"]).await;
    mia.run(&["release", "--spirit", spirit::NAME, "*"]).await;
    assert_eq!(
        scene.converse(&pods[1], ANA, "wamid.2", "now?").await,
        Model::echo("now?")
    );
    assert_eq!(scene.graph.texts_to(ANA), [Model::echo("now?")]);
}

pub async fn a_person_who_may_approves_a_call_with_the_plugin(scene: Arc<Scene>) {
    let till = Till::start().await;
    let pods = rites::serve(&scene, &till, "15m").await;
    let person = async |name: &str, role: &str| {
        Person::with_role(&scene.kubectl, &scene.namespace, name, role).await
    };
    let mia = person("mia", "eywa-attendant").await;
    let eve = person("eve", "eywa-viewer").await;
    let name = rites::ask_for_a_refund(&scene, &pods, "wamid.1").await;
    let listed = eve.run(&["rites", "--pending", "-o", "wide"]).await;
    assert!(
        listed.contains(&name) && listed.contains("[redacted]"),
        "{listed}"
    );
    let told = eve.refused(&["approve", &name]).await;
    assert!(
        told.contains("patch rites.eywa.dev") && told.contains("eywa-attendant"),
        "{told}"
    );
    assert!(till.made().is_empty());

    mia.run(&["approve", &name, "--comment", "fine"]).await;
    let said = scene.graph.wait_for(ANA, 2, SHOWN_WITHIN).await;
    let told = &said[1].text;
    assert!(
        told.contains(&mia.user) && told.contains("refunded"),
        "{told}"
    );
    let told = mia.refused(&["deny", &name]).await;
    assert!(told.contains("approved"), "{told}");
    let id = name.rsplit('-').next().unwrap_or_default();
    let pulse = format!("rite:{id}");
    eventually("the trace of the decision", SHOWN_WITHIN, || async {
        let said = eve.attempt(&["trace", &pulse]).await;
        hold(
            said.out.contains("action") && said.out.contains("refund"),
            said,
        )
    })
    .await;
    assert_eq!(till.made().len(), 1);
}

pub async fn the_desk_of_a_namespace_lets_its_user_do_what_they_may(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    scene.converse(&pods[0], ANA, "wamid.1", "hello").await;
    let eve = Person::with_role(&scene.kubectl, &scene.namespace, "eve", "eywa-viewer").await;
    let mia = Person::with_role(&scene.kubectl, &scene.namespace, "mia", "eywa-attendant").await;
    let takeover = format!("/api/conversations/{}/wa%2F{ANA}/takeover", spirit::NAME);

    let desk = eve.desk().await;
    let (status, listed) = desk.get("/api/conversations").await;
    assert_eq!(
        (status, &listed["conversations"][0]["session"]),
        (200, &Value::from(SESSION))
    );
    let (status, refused) = desk.post(&takeover).await;
    assert_eq!(status, 403, "{refused}");
    assert!(
        refused["permission"]
            .as_str()
            .is_some_and(|missing| missing.contains("update vigils")),
        "{refused}"
    );

    let desk = mia.desk().await;
    let (status, taken) = desk.post(&takeover).await;
    assert_eq!(
        (status, &taken["by"]),
        (200, &Value::from(&*mia.user)),
        "{taken}"
    );
    // What was taken at the desk is given back with the plugin.
    eventually("it is given back", SHOWN_WITHIN, || async {
        let said = mia.attempt(&["release", SESSION]).await;
        hold(said.out.contains("the agent's again"), said)
    })
    .await;
}
