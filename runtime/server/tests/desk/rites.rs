use serde_json::{Value, json};

use crate::{
    kubernetes::{ATTENDANT, VIEWER},
    office::{Office, problem, until},
};

/// An office where a refund waits for a yes; and the Rite.
async fn waiting() -> (Office, Value) {
    let (office, _) = Office::in_a_cluster().await;
    assert_eq!(office.say("ana", "1", "refund").await["outcome"], "rite");
    let rites = office.read("/api/rites", VIEWER).await;
    let rite = rites["rites"][0].clone();
    (office, rite)
}

fn decision(rite: &Value) -> String {
    format!(
        "/api/rites/barista/{}/decision",
        rite["id"].as_str().unwrap()
    )
}

#[tokio::test]
async fn what_waits_is_shown_without_what_is_redacted() {
    let (office, rite) = waiting().await;
    assert_eq!(
        (&rite["phase"], &rite["action"]),
        (&json!("Pending"), &json!("refund"))
    );
    assert_eq!(
        rite["arguments"],
        json!({"card": "[redacted]", "amount": 5})
    );
    let opened = office
        .read("/api/conversations/barista/web%2Fana", VIEWER)
        .await;
    assert_eq!(opened["rites"], json!([rite]));
    assert_eq!(opened["conversation"]["pendingRites"], 1);
    assert!(!opened.to_string().contains("4111"), "{opened}");
}

#[tokio::test]
async fn a_yes_counts_once_and_the_call_is_made() {
    let (office, rite) = waiting().await;
    let yes = json!({"decision": "Approved", "comment": "go on"});
    for _ in 0..2 {
        let decided = office.post(&decision(&rite), ATTENDANT, yes.clone()).await;
        assert_eq!(decided.status(), 200);
        let decided: Value = decided.json().await.unwrap();
        assert_eq!(decided["by"], "ana@cafe.example");
        assert_eq!(decided["comment"], "go on");
    }
    until("the call", async || {
        (office.shop.sent("refund").len() == 1).then_some(())
    })
    .await;
    until("the end", async || {
        let rites = office.read("/api/rites?spirit=barista", VIEWER).await;
        // The script asks for another refund when it hears of this one.
        let mut rites = rites["rites"].as_array().unwrap().iter();
        let consumed = rites.any(|one| one["id"] == rite["id"] && one["phase"] == "Consumed");
        consumed.then_some(())
    })
    .await;
    let no = json!({"decision": "Denied"});
    let late = office.post(&decision(&rite), ATTENDANT, no).await;
    assert_eq!(late.status(), 409);
    let late = problem(late).await;
    assert_eq!(
        (&late["by"], &late["phase"]),
        (&json!("ana@cafe.example"), &json!("Consumed"))
    );
    assert_eq!(office.shop.sent("refund").len(), 1);
}

#[tokio::test]
async fn what_is_no_decision_and_what_is_no_rite_is_refused() {
    let (office, rite) = waiting().await;
    let maybe = office
        .post(&decision(&rite), ATTENDANT, json!({"decision": "Maybe"}))
        .await;
    assert_eq!(maybe.status(), 400);
    problem(maybe).await;
    let unknown = json!({"id": "ffffffffffff"});
    let missing = office
        .post(
            &decision(&unknown),
            ATTENDANT,
            json!({"decision": "Denied"}),
        )
        .await;
    assert_eq!(missing.status(), 404);
    problem(missing).await;
}
