//! WhatsApp beyond plain texts.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Scene, eventually,
    model::Model,
    scene::ANSWERED_WITHIN,
    spirit,
    wait::hold,
    webhook::{self, PHONE_NUMBER_ID},
};
use serde_json::{Value, json};

const ANA: &str = "5511999990000";
/// How long a change of the Spirit may take to reach the status or the pods.
const NOTICED_WITHIN: Duration = Duration::from_secs(90);
/// A picture of one pixel.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89,
];

/// Serves the concierge with these fields of its voice and of its spec.
async fn serve(scene: &Scene, voice: Value, spec: Value) -> Vec<eywa_e2e::scene::Pod> {
    let mut concierge = scene.concierge();
    merge(&mut concierge["spec"]["voices"][0]["whatsapp"], voice);
    merge(&mut concierge["spec"], spec);
    scene.serve_as(&concierge).await
}

fn merge(into: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

pub async fn a_picture_reaches_the_model(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    scene.graph.keep_file("m1", "image/png", PIXEL);
    let image = json!({"id": "m1", "mime_type": "image/png", "caption": "what is this?"});
    let message = webhook::message(ANA, "wamid.1", "image", image);
    let webhook = webhook::messages(ANA, json!([message]));
    assert_eq!(
        scene.meta.post(&pods[0].webhook(), &webhook).await.status,
        200
    );
    scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
    scene.wait_for_outcomes("wamid.1", &["answered"]).await;
    // The bytes of a picture begin with PNG, which base64 writes so.
    let asked = scene.model.asked_about("what is this?");
    let shown = asked.iter().any(|asked| {
        Value::from(asked.messages.clone())
            .to_string()
            .contains("iVBORw0KGgo")
    });
    assert!(shown, "the model was not shown the picture: {asked:?}");
}

pub async fn choices_come_as_buttons_and_one_comes_back(scene: Arc<Scene>) {
    let offer = json!({"text": "Which size?", "choices": [{"title": "Small"}, {"title": "Large"}]});
    let ask = json!({"when": {"text": "coffee"}, "reply": {"toolCalls": [{"name": "offer_choices", "arguments": offer}]}});
    let script = json!({"rules": [ask], "default": {"text": "Coming up."}});
    let scripted = json!({"offerChoices": true, "oracle": {"provider": "scripted", "model": "scripted", "script": script}});
    let pods = serve(&scene, json!({}), scripted).await;
    scene
        .say(&pods[0], ANA, "wamid.1", "a coffee, please")
        .await;
    let sent = scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
    assert_eq!(sent[0].text, "Which size?");
    let buttons = &sent[0].message["interactive"]["action"]["buttons"];
    assert_eq!(buttons[1]["reply"]["title"], "Large", "{buttons}");
    scene.wait_until_free(spirit::NAME, ANA).await;
    let reply = json!({"type": "button_reply", "button_reply": {"id": "Large", "title": "Large"}});
    let message = webhook::message(ANA, "wamid.2", "interactive", reply);
    let webhook = webhook::messages(ANA, json!([message]));
    assert_eq!(
        scene.meta.post(&pods[0].webhook(), &webhook).await.status,
        200
    );
    let sent = scene.graph.wait_for(ANA, 2, ANSWERED_WITHIN).await;
    assert_eq!(sent[1].text, "Coming up.");
}

pub async fn a_message_is_marked_read_while_it_is_answered(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let held = scene.model.hold("hello");
    scene.say(&pods[0], ANA, "wamid.1", "hello").await;
    eventually("the message is marked read", ANSWERED_WITHIN, || async {
        let read = scene.graph.read();
        hold(read == ["wamid.1"], read)
    })
    .await;
    assert!(scene.graph.texts_to(ANA).is_empty());
    held.release();
    scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
}

pub async fn a_person_with_a_new_id_goes_on_with_their_conversation(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let text = |id: &str, sender: &Value, words: &str| {
        let mut message = webhook::message(ANA, id, "text", json!({"body": words}));
        message["from"] = Value::Null;
        merge(&mut message, sender.clone());
        let mut webhook = webhook::messages(ANA, json!([message]));
        webhook["entry"][0]["changes"][0]["value"]["contacts"] =
            json!([{"profile": {"name": "Ana"}}]);
        webhook
    };
    let known = json!({"from": ANA, "from_user_id": "US.1"});
    let hidden = json!({"from_user_id": "US.2"});
    let renamed = json!({"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [{
        "field": "user_id_update",
        "value": {"metadata": {"phone_number_id": PHONE_NUMBER_ID}, "user_id_update": [
            {"user_id": {"previous": "US.1", "current": "US.2"}}]},
    }]}]});
    let url = pods[0].webhook();
    let post = async |webhook: Value| {
        let answer = scene.meta.post(&url, &webhook).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    post(text("wamid.1", &known, "my name is Ana")).await;
    scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
    scene.wait_until_free(spirit::NAME, ANA).await;
    post(renamed).await;
    post(text("wamid.2", &hidden, "who am I?")).await;
    scene.graph.wait_for("US.2", 1, ANSWERED_WITHIN).await;
    let asked = scene.model.wait_for("who am I?", 1, ANSWERED_WITHIN).await;
    assert!(asked.remembers("my name is Ana"), "{asked:?}");
}

pub async fn after_a_day_the_template_goes_out(scene: Arc<Scene>) {
    let template =
        json!({"template": {"name": "reply_waiting", "language": "en_US", "carriesText": true}});
    let pods = serve(&scene, template, json!({})).await;
    scene.graph.refuse(ANA, 131_047, u32::MAX);
    scene.say(&pods[0], ANA, "wamid.1", "hello").await;
    let sent = scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
    assert_eq!(sent[0].text, "reply_waiting");
    let parameters = &sent[0].message["template"]["components"][0]["parameters"];
    assert_eq!(parameters[0]["text"], Model::echo("hello"));
}

pub async fn a_token_that_ended_shows_in_the_status_until_it_is_renewed(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    scene.graph.take_token("fake-renewed-token");
    scene.say(&pods[0], ANA, "wamid.1", "hello").await;
    scene.wait_for_outcomes("wamid.1", &["failed"]).await;
    let condition = async |wanted: &str| {
        eventually(
            &format!("VoicesReady is {wanted}"),
            NOTICED_WITHIN,
            || async {
                let found = scene.kubectl.get(&["spirit", spirit::NAME]).await;
                let conditions = found["status"]["conditions"].clone();
                let status = conditions
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find_map(|condition| {
                        (condition["type"] == "VoicesReady").then(|| condition["status"].clone())
                    });
                hold(status == Some(wanted.into()), conditions)
            },
        )
        .await;
    };
    condition("False").await;
    let mut secret = spirit::voice_secret();
    secret["stringData"]["access-token"] = "fake-renewed-token".into();
    scene.kubectl.apply(&[&secret]).await;
    // The pods follow the Secret; once a message goes through, all is well again.
    let mut number = 1;
    eventually("a message is answered again", NOTICED_WITHIN, || {
        number += 1;
        let id = format!("wamid.{number}");
        let scene = Arc::clone(&scene);
        async move {
            let Some(pod) = scene.pods(spirit::NAME).await.into_iter().next() else {
                return Err("no pod is ready");
            };
            let webhook = webhook::text(ANA, &id, "hello again");
            let _ = scene.meta.try_post(&pod.webhook(), &webhook).await;
            if scene.graph.texts_to(ANA).is_empty() {
                Err("nothing was sent")
            } else {
                Ok(())
            }
        }
    })
    .await;
    condition("True").await;
}
