//! Answers as server-sent events.

use eywa_runtime::http::Answer;
use eywa_weave::{
    SessionKey,
    ports::{Inbox as _, Vigil as _, vigil::Target},
};
use jiff::Timestamp;
use reqwest::Response;
use serde_json::{Value, json};

use crate::house::House;

const PULSES: &str = "/spirits/barista/pulses";
const EVENTS: (&str, &str) = ("accept", "text/event-stream");

/// Every event of a response, by name and data.
async fn events(response: Response) -> Vec<(String, Value)> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let text = response.text().await.unwrap();
    text.split_terminator("\n\n")
        .filter(|event| !event.starts_with(':'))
        .map(|event| {
            let field = |name: &str| {
                let lines: Vec<&str> = event
                    .lines()
                    .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                    .collect();
                assert_eq!(lines.len(), 1, "{name} in {event:?}");
                lines[0].to_owned()
            };
            (
                field("event"),
                serde_json::from_str(&field("data")).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn an_answer_comes_in_pieces_and_ends_with_the_same_answer_as_without_events() {
    let house = House::open().await;
    let whole: Value = house
        .say(PULSES, "msg_1", "slow", &[])
        .await
        .json()
        .await
        .unwrap();
    let heard = events(house.say(PULSES, "msg_2", "slow", &[EVENTS]).await).await;
    let ((last, done), pieces) = heard.split_last().unwrap();
    let text: String = pieces
        .iter()
        .map(|(name, data)| {
            assert_eq!(name, "text");
            data["text"].as_str().unwrap()
        })
        .collect();
    assert_eq!(text, "here at last");
    assert_eq!(last, "done");
    let mut done = done.clone();
    assert_eq!(done["pulse"], "web/msg_2");
    done["pulse"] = json!("web/msg_1");
    assert_eq!(done, whole);
}

#[tokio::test]
async fn details_come_with_the_last_event() {
    let house = House::open().await;
    let path = format!("{PULSES}?detail=true");
    let heard = events(house.say(&path, "msg_1", "hello", &[EVENTS]).await).await;
    let answer: Answer = serde_json::from_value(heard.last().unwrap().1.clone()).unwrap();
    assert_eq!(answer.detail.unwrap().spirit, "barista");
}

#[tokio::test]
async fn a_failure_is_the_same_problem_as_without_events() {
    let house = House::open().await;
    let heard = events(house.say(PULSES, "msg_1", "broken", &[EVENTS]).await).await;
    let [(name, problem)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!((name.as_str(), &problem["status"]), ("error", &json!(502)));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("the script says to fail here"), "{detail}");
}

#[tokio::test]
async fn a_human_who_has_the_conversation_and_a_message_that_came_before_are_told_at_once() {
    let house = House::open().await;
    events(house.say(PULSES, "msg_1", "hello", &[EVENTS]).await).await;
    let again = events(house.say(PULSES, "msg_1", "hello", &[EVENTS]).await).await;
    assert_eq!(
        (again.len(), &again[0].1["outcome"]),
        (1, &json!("duplicate"))
    );
    let target = Target::Session(SessionKey::new("web", "msg_2"));
    let now = Timestamp::now();
    house.vigil.take_over(&target, "ana", now).await.unwrap();
    house.vigil.settle(&target, now).await.unwrap();
    let silent = events(house.say(PULSES, "msg_2", "hello", &[EVENTS]).await).await;
    assert_eq!((silent.len(), silent[0].0.as_str()), (1, "done"));
    assert_eq!(silent[0].1["outcome"], "vigil");
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_stop_the_weave() {
    let house = House::open().await;
    let response = house.say(PULSES, "msg_1", "slow", &[EVENTS]).await;
    assert_eq!(response.status(), 200);
    drop(response);
    house.at_rest().await;
    assert_eq!(house.inbox.depth().await.unwrap().pulses, 0);
    let again = events(house.say(PULSES, "msg_1", "slow", &[EVENTS]).await).await;
    assert_eq!(again[0].1["outcome"], "duplicate");
}

#[tokio::test]
async fn who_does_not_want_to_wait_gets_no_events() {
    let house = House::open().await;
    let headers = [EVENTS, ("prefer", "respond-async")];
    let response = house.say(PULSES, "msg_1", "slow", &headers).await;
    assert_eq!(response.status(), 202);
    let refused = house
        .client
        .post(house.url(PULSES))
        .header(EVENTS.0, EVENTS.1)
        .body("{")
        .send()
        .await
        .unwrap();
    // What is wrong before anything is accepted is an answer like any other.
    assert_eq!(refused.status(), 401);
    crate::house::problem(refused).await;
}
