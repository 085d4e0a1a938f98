//! What channels send, and what they get.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Held, Scene, eventually,
    model::Model,
    redis,
    scene::ANSWERED_WITHIN,
    spirit,
    wait::hold,
    webhook::{self, Meta},
};
use serde_json::json;
use tokio::time::Instant;

const ANA: &str = "5511999990000";
const BEA: &str = "5511999990001";

/// The most bytes of a webhook that Meta sends: 3 MB.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

pub async fn a_webhook_is_acknowledged_at_once_and_answered_once(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let [one, other] = pods.as_slice() else {
        panic!("not two pods: {pods:?}")
    };
    let webhook = webhook::text(ANA, "wamid.1", "hello");

    let answer = scene.meta.post(&one.webhook(), &webhook).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.took < Duration::from_secs(1),
        "acknowledged after {:?}",
        answer.took
    );
    let sent = scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
    assert_eq!(sent[0].text, Model::echo("hello"));
    scene.wait_for_outcomes("wamid.1", &["answered"]).await;

    // The channel delivers it again: to the same pod, to another, and to pods that were not there then.
    for pod in [one, other] {
        let again = scene.meta.post(&pod.webhook(), &webhook).await;
        assert_eq!(again.status, 200, "{again:?}");
    }
    scene
        .wait_for_outcomes("wamid.1", &["answered", "duplicate", "duplicate"])
        .await;
    let duplicates = scene
        .metric(
            &pods,
            "eywa_pulses_total",
            &[("spirit", spirit::NAME), ("outcome", "duplicate")],
        )
        .await;
    assert_eq!(duplicates, 2.0);

    scene
        .kubectl
        .run(&["delete", "pods", "-l", "eywa.dev/spirit=concierge"])
        .await;
    let others = eventually("two other pods", Duration::from_secs(60), || async {
        let now = scene.pods(spirit::NAME).await;
        if now.len() == 2 && now.iter().all(|pod| !pods.contains(pod)) {
            Ok(now)
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    let again = scene.meta.post(&others[0].webhook(), &webhook).await;
    assert_eq!(again.status, 200, "{again:?}");
    scene
        .wait_for_outcomes(
            "wamid.1",
            &["answered", "duplicate", "duplicate", "duplicate"],
        )
        .await;

    // What comes after it is answered, and nothing else was.
    assert_eq!(
        scene.converse(&others[1], ANA, "wamid.2", "and now?").await,
        Model::echo("and now?")
    );
    assert_eq!(
        scene.graph.texts_to(ANA),
        [Model::echo("hello"), Model::echo("and now?")]
    );
    assert_eq!(scene.model.asked_about("hello").len(), 1);
}

pub async fn of_two_messages_at_the_same_time_one_is_answered_and_one_discarded(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let [one, other] = pods.as_slice() else {
        panic!("not two pods: {pods:?}")
    };
    // Whichever is first thinks until the other has ended.
    let held = [scene.model.hold("left"), scene.model.hold("right")];
    let (left, right) = (
        webhook::text(ANA, "wamid.left", "left"),
        webhook::text(ANA, "wamid.right", "right"),
    );
    let (to_one, to_other) = (one.webhook(), other.webhook());
    let (a, b) = tokio::join!(
        scene.meta.post(&to_one, &left),
        scene.meta.post(&to_other, &right)
    );
    assert_eq!((a.status, b.status), (200, 200));
    let session = format!("wa/{ANA}");
    eventually("one of the two is discarded", ANSWERED_WITHIN, || async {
        let entries = redis::chronicle_of_session(&scene.namespace, spirit::NAME, &session).await;
        let outcomes: Vec<String> = entries
            .iter()
            .map(|entry| entry["outcome"].to_string())
            .collect();
        hold(outcomes == ["\"busy\""], outcomes)
    })
    .await;
    held.iter().for_each(Held::release);

    let sent = scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
    eventually("both are in the Chronicle", ANSWERED_WITHIN, || async {
        let mut outcomes = [
            scene.outcomes("wamid.left").await,
            scene.outcomes("wamid.right").await,
        ]
        .concat();
        outcomes.sort();
        hold(outcomes == ["answered", "busy"], outcomes)
    })
    .await;
    let labels = |outcome| {
        [
            ("spirit", spirit::NAME),
            ("voice", "wa"),
            ("outcome", outcome),
        ]
    };
    assert_eq!(
        scene
            .metric(&pods, "eywa_pulses_total", &labels("busy"))
            .await,
        1.0
    );
    assert_eq!(
        scene
            .metric(&pods, "eywa_pulses_total", &labels("answered"))
            .await,
        1.0
    );
    let asked = scene.model.asked_about("left").len() + scene.model.asked_about("right").len();
    assert_eq!((asked, sent.len()), (1, 1), "{sent:?}");
}

pub async fn people_do_not_wait_for_each_other(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let held = scene.model.hold("a long story");
    scene.say(&pods[0], ANA, "wamid.ana", "a long story").await;
    scene
        .model
        .wait_for("a long story", 1, ANSWERED_WITHIN)
        .await;

    // On the very pod that is busy with Ana, and on the other.
    assert_eq!(
        scene.converse(&pods[0], BEA, "wamid.bea.1", "quick").await,
        Model::echo("quick")
    );
    assert_eq!(
        scene
            .converse(&pods[1], BEA, "wamid.bea.2", "quicker")
            .await,
        Model::echo("quicker")
    );
    assert!(scene.graph.texts_to(ANA).is_empty());

    held.release();
    scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
}

pub async fn what_is_not_a_signed_webhook_is_turned_away(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let (url, meta) = (pods[0].webhook(), &scene.meta);
    let genuine = webhook::text(ANA, "wamid.forged", "hello").to_string();

    // A signature of nobody, or of somebody else, is turned away before anything is read.
    for body in [genuine.as_str(), "this is no JSON"] {
        let forged = Meta::new("another-secret").signature(body.as_bytes());
        for signature in [
            None,
            Some(forged.as_str()),
            Some("sha256="),
            Some("sha1=00"),
        ] {
            let answer = meta.post_as_is(&url, body.to_owned(), signature).await;
            assert_eq!(answer.status, 401, "{signature:?}: {answer:?}");
        }
    }
    // Signed rightly, and no webhook.
    for body in [
        "this is no JSON",
        r#"{"some": "other JSON"}"#,
        "[]",
        r#"{"object": "page", "entry": []}"#,
    ] {
        let answer = meta
            .post_as_is(&url, body, Some(&meta.signature(body.as_bytes())))
            .await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    // What is announced as too large is not waited for.
    let answer = meta.announce(&url, BODY_LIMIT + 1).await;
    assert_eq!(answer.status, 413, "{answer:?}");

    let answer = meta.verify(&url, "a-guess", "1158201444").await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(!answer.body.contains("1158201444"), "{answer:?}");
    let answer = meta.verify(&url, spirit::VERIFY_TOKEN, "1158201444").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "1158201444"));

    assert_eq!(
        scene
            .converse(&pods[0], ANA, "wamid.genuine", "and now?")
            .await,
        Model::echo("and now?")
    );
    assert!(scene.model.asked_about("hello").is_empty());
}

pub async fn an_unknown_message_does_not_fail_its_neighbours(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let part = |from, kind, part| webhook::message(from, &format!("wamid.{kind}"), kind, part);
    let mut batch = webhook::messages(
        ANA,
        json!([
            part(BEA, "hologram", json!({"depth": 3})),
            {"id": "wamid.broken"},
            part(ANA, "text", json!({"body": "hello"})),
            part(ANA, "image", json!("nothing")),
        ]),
    );
    let mut strange = batch["entry"][0].clone();
    strange["changes"] = json!([{"field": "moods", "value": {"mood": "fine"}}, 7]);
    let entries = batch["entry"].as_array_mut();
    entries
        .unwrap_or_else(|| panic!("a webhook has entries"))
        .insert(0, strange);

    let answer = scene.meta.post(&pods[0].webhook(), &batch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sent = scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
    assert_eq!(sent[0].text, Model::echo("hello"));
    // The agent can say that it does not understand.
    let sent = scene.graph.wait_for(BEA, 1, ANSWERED_WITHIN).await;
    assert!(sent[0].text.contains("hologram"), "{sent:?}");
}

pub async fn a_message_that_meta_refuses_for_now_is_sent_again(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    // Too many messages from this number in a short time; then one that no repeating helps.
    scene.graph.refuse(ANA, 130_429, 2);
    scene.graph.refuse(BEA, 131_026, u32::MAX);
    let started = Instant::now();
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );
    assert!(
        started.elapsed() > Duration::from_millis(250),
        "it did not wait between its attempts"
    );
    scene.say(&pods[0], BEA, "wamid.2", "hello?").await;
    scene.wait_for_outcomes("wamid.2", &["failed"]).await;
    assert!(scene.graph.texts_to(BEA).is_empty());
}
