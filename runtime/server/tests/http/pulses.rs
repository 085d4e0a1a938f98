use eywa_runtime::http::Answer;
use eywa_weave::{
    SessionKey,
    ports::{Vigil as _, vigil::Target},
};
use jiff::Timestamp;

use crate::house::{House, problem};

const PULSES: &str = "/spirits/barista/pulses";

#[tokio::test]
async fn a_message_is_answered_in_the_response() {
    let house = House::open().await;
    let response = house.say(PULSES, "msg_1", "hello", &[]).await;
    assert_eq!(response.status(), 200);
    let answer: Answer = response.json().await.unwrap();
    assert_eq!(
        (answer.pulse.as_str(), answer.outcome.as_str()),
        ("web/msg_1", "answered")
    );
    assert_eq!(answer.text.as_deref(), Some("at once"));
    assert_eq!(answer.detail, None);
}

#[tokio::test]
async fn choices_that_the_spirit_offers_are_in_the_response() {
    let house = House::open().await;
    let response = house.say(PULSES, "msg_1", "let me choose", &[]).await;
    let answer: Answer = response.json().await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("Which size?"));
    let titles: Vec<&str> = answer
        .choices
        .iter()
        .map(|choice| choice.title.as_str())
        .collect();
    assert_eq!(titles, ["Small", "Large"]);
}

#[tokio::test]
async fn who_asks_is_told_what_was_done_for_the_answer() {
    let house = House::open().await;
    let response = house
        .say(
            &format!("{PULSES}?detail=true&voice=web"),
            "msg_1",
            "hello",
            &[],
        )
        .await;
    let detail = response.json::<Answer>().await.unwrap().detail.unwrap();
    assert_eq!(detail.spirit, "barista");
    assert!(
        detail
            .steps
            .iter()
            .any(|step| step.stage.as_str() == "oracle"),
        "{:?}",
        detail.steps
    );
}

#[tokio::test]
async fn the_next_message_of_the_same_person_is_not_busy_with_the_one_before() {
    let house = House::open().await;
    for number in 0..20 {
        let body = serde_json::json!({"user": {"id": "ana"}, "text": "hello"}).to_string();
        let (id, at) = (format!("msg_{number}"), Timestamp::now().as_second());
        let key =
            eywa_adapters::standard_webhooks::SigningKey::parse(&crate::house::SIGNING_KEY.into())
                .unwrap();
        let request = house
            .client
            .post(house.url(PULSES))
            .header("webhook-id", &id)
            .header("webhook-timestamp", at);
        let request = request.header("webhook-signature", key.sign(&id, at, body.as_bytes()));
        let answer: Answer = request
            .body(body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(answer.outcome, "answered", "{number}");
    }
}

#[tokio::test]
async fn a_message_that_comes_again_is_not_answered_again() {
    let house = House::open().await;
    house.say(PULSES, "msg_1", "hello", &[]).await;
    let again = house.say(PULSES, "msg_1", "hello", &[]).await;
    assert_eq!(again.status(), 200);
    let again: Answer = again.json().await.unwrap();
    assert_eq!((again.outcome.as_str(), again.text), ("duplicate", None));
}

#[tokio::test]
async fn a_redelivery_does_not_take_the_answer_from_the_one_who_waits() {
    let house = House::open().await;
    let (first, again) = tokio::join!(house.say(PULSES, "msg_1", "slow", &[]), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        house.say(PULSES, "msg_1", "slow", &[]).await
    });
    assert_eq!(again.json::<Answer>().await.unwrap().outcome, "duplicate");
    let first: Answer = first.json().await.unwrap();
    assert_eq!(
        (first.outcome.as_str(), first.text.as_deref()),
        ("answered", Some("here at last"))
    );
}

#[tokio::test]
async fn who_prefers_not_to_wait_does_not() {
    let house = House::open().await;
    let response = house
        .say(
            PULSES,
            "msg_1",
            "slow",
            &[("prefer", "respond-async, wait=10")],
        )
        .await;
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    let answer: Answer = response.json().await.unwrap();
    assert_eq!((answer.outcome.as_str(), answer.text), ("accepted", None));
}

#[tokio::test]
async fn while_a_human_has_the_conversation_the_answer_says_so() {
    let house = House::open().await;
    let target = Target::Session(SessionKey::new("web", "msg_1"));
    house
        .vigil
        .take_over(&target, "ana@cafe.example", Timestamp::now())
        .await
        .unwrap();
    house.vigil.settle(&target, Timestamp::now()).await.unwrap();
    let answer: Answer = house
        .say(PULSES, "msg_1", "hello", &[])
        .await
        .json()
        .await
        .unwrap();
    assert_eq!((answer.outcome.as_str(), answer.text), ("vigil", None));
    assert_eq!(house.vigil.state(&target).await.unwrap().unanswered, 1);
}

#[tokio::test]
async fn a_message_that_cannot_be_answered_is_a_problem_that_says_why() {
    let house = House::open().await;
    let response = house.say(PULSES, "msg_1", "broken", &[]).await;
    assert_eq!(response.status(), 502);
    problem(response).await;
}

#[tokio::test]
async fn a_message_that_is_not_signed_is_refused() {
    let house = House::open().await;
    let response = house
        .client
        .post(house.url(PULSES))
        .header("webhook-id", "msg_1")
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    problem(response).await;
    let unknown = house
        .say(&format!("{PULSES}?voice=wa"), "msg_1", "hello", &[])
        .await;
    assert_eq!(unknown.status(), 404, "there is no waiting on that voice");
}
