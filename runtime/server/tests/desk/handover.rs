use eywa_weave::ports::vigil::Target;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    kubernetes::ATTENDANT,
    office::{Office, problem, until},
};

const ANA: &str = "/api/conversations/barista/web%2Fana";

async fn post(office: &Office, path: &str, body: Value) -> Value {
    let response = office.post(path, ATTENDANT, body).await;
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_conversation_is_taken_over_and_given_back() {
    let (office, _) = Office::in_a_cluster().await;
    office.say("ana", "1", "hello").await;
    post(&office, &format!("{ANA}/takeover"), json!({})).await;
    until("the takeover", async || {
        let shown = office.read(ANA, ATTENDANT).await;
        (shown["conversation"]["phase"] == "Active").then_some(())
    })
    .await;
    let silent = office.say("ana", "2", "are you there?").await;
    assert_eq!(silent["outcome"], "vigil");
    let shown = office.read(ANA, ATTENDANT).await;
    assert_eq!(shown["conversation"]["unanswered"], 1);
    let given = post(&office, &format!("{ANA}/release"), json!({})).await;
    assert_eq!(given["phase"], "Released");
    assert_eq!(office.say("ana", "3", "hello").await["text"], "at once");
    let shown = office.read(ANA, ATTENDANT).await;
    let kinds: Vec<&str> = shown["echoes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|echo| echo["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "user",
            "agent",
            "took_over",
            "user",
            "gave_back",
            "user",
            "agent"
        ]
    );
}

#[tokio::test]
async fn the_second_who_takes_a_conversation_is_told_who_has_it() {
    let (office, _) = Office::in_a_cluster().await;
    office.say("ana", "1", "hello").await;
    let target: Target = "web/ana".parse().unwrap();
    let (vigil, now) = (&office.stores.vigil, Timestamp::now());
    vigil
        .take_over(&target, "ben@cafe.example", now)
        .await
        .unwrap();
    for (path, body) in [
        ("takeover", json!({})),
        ("release", json!({})),
        ("reply", json!({"id": "1", "text": "hi"})),
    ] {
        let refused = office.post(&format!("{ANA}/{path}"), ATTENDANT, body).await;
        assert_eq!(refused.status(), 409, "{path}");
        assert_eq!(problem(refused).await["by"], "ben@cafe.example", "{path}");
    }
    let forced = post(&office, &format!("{ANA}/release"), json!({"force": true})).await;
    assert_eq!(forced["phase"], "Released");
}

#[tokio::test]
async fn nobody_answers_in_a_conversation_that_they_have_not_taken() {
    let (office, _) = Office::in_a_cluster().await;
    office.say("ana", "1", "hello").await;
    let refused = office
        .post(
            &format!("{ANA}/reply"),
            ATTENDANT,
            json!({"id": "1", "text": "hi"}),
        )
        .await;
    assert_eq!(refused.status(), 409);
    assert_eq!(problem(refused).await["by"], "");
}

#[tokio::test]
async fn a_whole_spirit_is_silenced_and_speaks_again() {
    let (office, _) = Office::in_a_cluster().await;
    let silenced = post(
        &office,
        "/api/spirits/barista/takeover",
        json!({"reason": "fire"}),
    )
    .await;
    assert_eq!(
        (&silenced["session"], &silenced["by"]),
        (&json!("*"), &json!("ana@cafe.example"))
    );
    assert_eq!(office.say("ana", "1", "hello").await["outcome"], "vigil");
    let me = office.read("/api/me", ATTENDANT).await;
    assert_eq!(me["silenced"][0]["spirit"], "barista");
    let lifted = post(&office, "/api/spirits/barista/release", json!({})).await;
    assert_eq!(lifted["phase"], "Released");
    assert_eq!(office.say("ana", "2", "hello").await["text"], "at once");
    let me = office.read("/api/me", ATTENDANT).await;
    assert_eq!(me["silenced"], json!([]));
}

#[tokio::test]
async fn a_reply_goes_out_once_in_the_name_of_who_sent_it() {
    let (office, _) = Office::in_a_cluster().await;
    office.say("ana", "1", "hello").await;
    post(&office, &format!("{ANA}/takeover"), json!({})).await;
    let words = json!({"id": "r1", "text": "Hello Ana, this is Ben."});
    let said = post(&office, &format!("{ANA}/reply"), words.clone()).await;
    assert_eq!(
        (&said["echo"]["kind"], &said["echo"]["by"]),
        (&json!("human"), &json!("ana@cafe.example"))
    );
    let again = post(&office, &format!("{ANA}/reply"), words).await;
    assert_eq!(again, said);
    let sent = office.shop.sent("replies");
    let texts: Vec<&Value> = sent.iter().map(|reply| &reply["text"]).collect();
    assert_eq!(texts, ["Hello Ana, this is Ben."]);
    let typing = office
        .post(&format!("{ANA}/typing"), ATTENDANT, json!({}))
        .await;
    assert_eq!(typing.status(), 204);
    for empty in ["", "  "] {
        let refused = office
            .post(
                &format!("{ANA}/reply"),
                ATTENDANT,
                json!({"id": "r2", "text": empty}),
            )
            .await;
        assert_eq!(refused.status(), 422, "{empty:?}");
        problem(refused).await;
    }
}
