//! People take conversations over, and give them back.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Scene,
    bell::{self, Bell},
    cluster, eventually,
    kubectl::{Kubectl, Said},
    model::Model,
    plugin::Person,
    scene::ANSWERED_WITHIN,
    spirit,
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

    // Who may is Kubernetes' to say.
    let person = async |name: &str, role: &str| {
        Person::with_role(&scene.kubectl, &scene.namespace, name, role).await
    };
    let eve = person("eve", "eywa-viewer").await;
    let refused = patch_as(&scene, &eve, TAKE_OVER).await;
    assert!(
        !refused.ok && refused.err.contains("cannot patch resource \"vigils\""),
        "{refused:?}"
    );
    let mia = person("mia", "eywa-attendant").await;
    patch_as(&scene, &mia, TAKE_OVER)
        .await
        .expect_ok("kubectl patch");
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

pub async fn an_agent_asks_for_a_human_who_is_called_and_the_person_has_it_back_by_their_word(
    scene: Arc<Scene>,
) {
    let bell = Bell::start().await;
    let mut concierge = scene.concierge();
    concierge["spec"]["vigil"] = json!({
        "summonWhen": "text.matches('(?i)lawyer')",
        "releasePhrases": ["bot"],
        "notify": {"url": bell.url(), "secretRef": {"name": "bell", "key": "signing-key"}},
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bell"},
        "stringData": {"signing-key": bell::SIGNING_KEY},
    });
    scene.kubectl.apply(&[&secret]).await;
    let pods = scene.serve_as(&concierge).await;
    let words = "my lawyer will write to you";
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", words).await,
        Model::echo(words),
        "the agent answers until a human is there"
    );

    // The object is the runtime's own, and a person works with it as with any other.
    let name = eventually("a Vigil is made", TOLD_WITHIN, || async {
        let vigils = scene.kubectl.get(&["vigils"]).await;
        let made = vigils["items"][0].clone();
        hold(made["status"]["phase"] == "Requested", &made).map(|()| {
            made["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
    })
    .await;
    assert!(name.starts_with("concierge-wa-5511999990000-"), "{name}");
    let vigil = scene.kubectl.get(&["vigil", &name]).await;
    assert!(
        !vigil.to_string().contains("lawyer"),
        "the object holds what was said: {vigil}"
    );
    let owner = &vigil["metadata"]["ownerReferences"][0];
    assert_eq!(owner["kind"], "Spirit", "it goes with its Spirit: {owner}");
    let asked = bell.wait_for("vigil.requested", TOLD_WITHIN).await;
    assert!(asked.signed, "{asked:?}");
    assert_eq!(asked.body["data"]["cause"], "rule", "{asked:?}");
    let requests = scene
        .metric(&pods, "eywa_vigil_requests_total", &[("reason", "rule")])
        .await;
    assert!((requests - 1.0).abs() < f64::EPSILON, "{requests}");
    eventually("an Event says so", TOLD_WITHIN, || async {
        let events = scene
            .kubectl
            .run(&["events", "--for", &format!("vigil/{name}")])
            .await;
        hold(events.contains("Requested"), events)
    })
    .await;

    let patch = |patch: &'static str| {
        let (kubectl, name) = (&scene.kubectl, &name);
        async move {
            kubectl
                .run(&["patch", "vigil", name, "--type", "merge", "-p", patch])
                .await
        }
    };
    patch(TAKE_OVER).await;
    let phase = |wanted: &'static str| {
        let (scene, name) = (&scene, &name);
        eventually(wanted, TOLD_WITHIN, move || async move {
            let status = scene.kubectl.get(&["vigil", name]).await["status"].clone();
            hold(status["phase"] == wanted, &status).map(|()| status)
        })
    };
    phase("Active").await;
    scene.say(&pods[1], ANA, "wamid.2", "anybody?").await;
    scene.wait_for_outcomes("wamid.2", &["vigil"]).await;
    let told = bell.wait_for("vigil.message", TOLD_WITHIN).await;
    assert!(
        told.signed && !told.body.to_string().contains("anybody?"),
        "{told:?}"
    );

    // The person's own word, and it is answered by the agent at once.
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.3", "Bot").await,
        Model::echo("Bot")
    );
    let status = phase("Released").await;
    assert_eq!(status["releaseReason"], "User", "{status}");
    assert_eq!(status["unanswered"], 0, "{status}");
    assert_eq!(
        bell.wait_for("vigil.released", TOLD_WITHIN).await.body["data"]["reason"],
        "User"
    );
    let spec = eventually("the spec follows", TOLD_WITHIN, || async {
        let spec = scene.kubectl.get(&["vigil", &name]).await["spec"].clone();
        hold(spec["takeover"] != true, &spec).map(|()| spec)
    })
    .await;
    assert_eq!(spec["session"], format!("wa/{ANA}"), "{spec}");
    // So the same patch takes it over once more.
    patch(TAKE_OVER).await;
    phase("Active").await;
}

pub async fn of_two_people_the_second_is_told_who_has_it(scene: Arc<Scene>) {
    scene.serve().await;
    scene.kubectl.apply(&[&vigil()]).await;
    patch(&scene, TAKE_OVER).await;
    wait_for_status(&scene, "phase is Active", |status| {
        status["phase"] == "Active"
    })
    .await;
    patch(&scene, r#"{"spec":{"by":"ben@cafe.example"}}"#).await;
    let status = wait_for_status(&scene, "the second is refused", |status| {
        status["conditions"].as_array().is_some_and(|conditions| {
            conditions
                .iter()
                .any(|one| one["reason"] == "HeldByAnother")
        })
    })
    .await;
    assert_eq!(status["by"], "ana@cafe.example", "{status}");
    assert!(
        status["conditions"]
            .to_string()
            .contains("ana@cafe.example has"),
        "{status}"
    );
}

pub async fn one_object_silences_every_conversation(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let mut all = vigil();
    all["spec"]["session"] = json!("*");
    all["spec"]["takeover"] = json!(true);
    all["spec"]["by"] = json!("ana@cafe.example");
    scene.kubectl.apply(&[&all]).await;
    wait_for_status(&scene, "phase is Active", |status| {
        status["phase"] == "Active"
    })
    .await;
    for (person, wamid) in [(ANA, "wamid.1"), ("5511999990001", "wamid.2")] {
        scene.say(&pods[0], person, wamid, "hello?").await;
        scene.wait_for_outcomes(wamid, &["vigil"]).await;
    }
    assert!(scene.graph.sent_to(ANA).is_empty());
    patch(&scene, GIVE_BACK).await;
    wait_for_status(&scene, "phase is Released", |status| {
        status["phase"] == "Released"
    })
    .await;
    assert_eq!(
        scene.converse(&pods[1], ANA, "wamid.3", "now?").await,
        Model::echo("now?")
    );
}

fn vigil() -> Value {
    json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Vigil",
        "metadata": {"name": "ana"},
        "spec": {"spiritRef": {"name": spirit::NAME}, "session": format!("wa/{ANA}")},
    })
}

/// The same patch, by somebody with a role of the chart.
async fn patch_as(scene: &Scene, person: &Person, patch: &str) -> Said {
    let user = format!("--as={}", person.user);
    let arguments = [
        "patch", "vigil", "ana", "--type", "merge", "-p", patch, &user,
    ];
    scene.kubectl.attempt(&arguments).await
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
