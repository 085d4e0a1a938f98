use std::time::Duration;

use futures::stream;
use reqwest::Body;

use crate::house::{House, message, problem};

const VERIFY: &str =
    "/voices/barista/wa?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=";

#[tokio::test]
async fn a_channel_verifies_the_endpoint_with_the_right_token_only() {
    let house = House::open().await;
    let right = house
        .client
        .get(house.url(&format!("{VERIFY}not-a-real-verify-token")))
        .send()
        .await
        .unwrap();
    assert_eq!(right.status(), 200);
    assert_eq!(right.text().await.unwrap(), "1158201444");
    let wrong = house
        .client
        .get(house.url(&format!("{VERIFY}guess")))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 403);
    problem(wrong).await;
}

#[tokio::test]
async fn a_signed_webhook_is_taken_and_answered_once_however_often_it_comes() {
    let house = House::open().await;
    let body = message("wamid.1", "5511999990000", "two flat whites, please");
    for _ in 0..3 {
        assert_eq!(house.whatsapp(&body).await.status(), 200);
    }
    house.at_rest().await;
    let sent = house.sent(1).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(
        (sent[0]["to"].as_str(), sent[0]["text"]["body"].as_str()),
        (Some("5511999990000"), Some("at once"))
    );
    let (_, metrics) = house.admin("/metrics").await;
    for series in [
        r#"eywa_pulses_total{outcome="answered",spirit="barista",voice="wa"} 1"#,
        r#"eywa_pulses_total{outcome="duplicate",spirit="barista",voice="wa"} 2"#,
        r#"eywa_voice_messages_total{outcome="delivered",spirit="barista",voice="wa"} 1"#,
        r#"eywa_inbox_pulses{spirit="barista"} 0"#,
    ] {
        assert!(
            metrics.contains(series),
            "{series} is missing from\n{metrics}"
        );
    }
}

#[tokio::test]
async fn a_signature_is_checked_before_anything_is_parsed() {
    let house = House::open().await;
    let url = house.url("/voices/barista/wa");
    for signature in [None, Some("sha256=00"), Some("nonsense")] {
        let mut request = house.client.post(&url).body("{ this is no JSON");
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        let response = request.send().await.unwrap();
        assert_eq!(
            response.status(),
            401,
            "a 400 would tell that it was parsed"
        );
        problem(response).await;
    }
    assert!(house.sent(0).await.is_empty());
}

#[tokio::test]
async fn what_is_signed_and_no_webhook_is_a_bad_request() {
    let house = House::open().await;
    for body in ["{ this is no JSON", r#"{"hello": "world"}"#] {
        let response = house.whatsapp(body).await;
        assert_eq!(response.status(), 400, "{body}");
        problem(response).await;
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let house = House::open().await;
    let long = vec![b'a'; 3 * 1024 * 1024 + 1];
    let url = house.url("/voices/barista/wa");
    let announced = house
        .client
        .post(&url)
        .body(long.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(announced.status(), 413);
    let said = problem(announced).await;
    assert!(
        said["detail"].as_str().unwrap().contains("3145728"),
        "{said}"
    );
    let pieces = long
        .chunks(64 * 1024)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
        .collect::<Vec<_>>();
    let streamed = house
        .client
        .post(&url)
        .body(Body::wrap_stream(stream::iter(pieces)))
        .send()
        .await
        .unwrap();
    assert_eq!(streamed.status(), 413);
}

#[tokio::test]
async fn who_asks_at_the_wrong_address_learns_nothing_of_the_right_ones() {
    let house = House::open().await;
    for path in [
        "/voices/barista/sms",
        "/voices/waiter/wa",
        "/spirits/waiter/pulses",
        "/elsewhere",
    ] {
        let response = house
            .client
            .post(house.url(path))
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 404, "{path}");
        let said = problem(response).await.to_string();
        assert!(!said.contains("barista") && !said.contains("web"), "{said}");
    }
    let response = house
        .client
        .delete(house.url("/voices/barista/wa"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 405);
    problem(response).await;
    let response = house
        .client
        .get(house.url("/voices/barista/web"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 405, "this voice verifies nothing");
    assert_eq!(response.headers()["allow"], "POST");
}

#[tokio::test]
async fn while_the_inbox_cannot_be_reached_the_channel_is_asked_to_come_again() {
    let house = House::open().await;
    house.stage.serving();
    assert_eq!(house.admin("/readyz").await.0, 200);
    house.inbox.switch(false);
    let body = message("wamid.1", "5511999990000", "hello");
    let response = house.whatsapp(&body).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    problem(response).await;
    // What was known of the store holds for a second.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    loop {
        let (status, said) = house.admin("/readyz").await;
        if status == 503 {
            assert!(said.contains("barista"), "{said}");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "it stays ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (status, metrics) = house.admin("/metrics").await;
    assert!(
        status == 200 && !metrics.contains("eywa_inbox_pulses{"),
        "an unknown depth is not shown as a known one"
    );

    house.inbox.switch(true);
    assert_eq!(house.whatsapp(&body).await.status(), 200);
    house.sent(1).await;
}
