//! The voice as a whole.

use std::sync::Arc;

use eywa_guard::{Policy, http::header::HeaderValue};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use super::*;
use crate::standard_webhooks::{ID, SIGNATURE, TIMESTAMP};

const KEY: &str = "whsec_bm90LWEtcmVhbC1zaWduaW5nLWtleS1hdC1hbGw=";

fn key() -> SigningKey {
    SigningKey::parse(&KEY.into()).unwrap()
}

fn voice(reply_url: Option<&str>) -> HttpVoice {
    let reply_url = reply_url.map(|url| url.parse().unwrap());
    let policy = Policy {
        loopback: true,
        ..Policy::default()
    };
    let settings = HttpVoiceSettings {
        name: "web".into(),
        key: key(),
        reply_url,
    };
    HttpVoice::new(settings, GuardedClient::new(Arc::new(policy)))
}

async fn speak(voice: &HttpVoice) -> Result<(), VoiceError> {
    let (pulse, to) = (PulseId::from("web/msg_1"), json!({"session": "web/ana"}));
    voice.speak(Utterance::new(&pulse, &to, "ready")).await
}

fn reply() -> HttpReply {
    HttpReply {
        pulse: "web/msg_1".into(),
        session: "web/ana".parse().unwrap(),
        text: "ready".to_owned(),
        choices: Vec::new(),
    }
}

fn receive(method: Method, at: i64, signed: &[u8], body: &[u8]) -> Result<Received, Rejected> {
    let (at_text, signature) = (at.to_string(), key().sign("msg_1", at, signed));
    let header = |name: &str| match name {
        ID => Some(&b"msg_1"[..]),
        TIMESTAMP => Some(at_text.as_bytes()),
        SIGNATURE => Some(signature.as_bytes()),
        _ => None,
    };
    voice(None).receive(Webhook {
        method,
        query: "",
        header: &header,
        body,
    })
}

#[test]
fn a_signed_message_is_received() {
    let body = br#"{"user": {"id": "ana"}, "text": "hi"}"#;
    let Ok(Received::Pulses { pulses, .. }) =
        receive(Method::Post, Timestamp::now().as_second(), body, body)
    else {
        panic!()
    };
    assert_eq!(
        (pulses[0].id.as_str(), pulses[0].content.text.as_str()),
        ("web/msg_1", "hi")
    );
}

#[test]
fn the_signature_is_checked_before_anything_is_parsed() {
    let now = Timestamp::now().as_second();
    assert_eq!(
        receive(Method::Post, now, b"other", b"not even JSON"),
        Err(Rejected::Signature)
    );
    assert_eq!(
        receive(Method::Post, now - 400, b"{}", b"{}"),
        Err(Rejected::Signature)
    );
    assert!(matches!(
        receive(Method::Post, now, b"not even JSON", b"not even JSON"),
        Err(Rejected::Malformed(_))
    ));
    assert_eq!(receive(Method::Get, now, b"", b""), Err(Rejected::Method));
}

#[tokio::test]
async fn who_waits_gets_the_reply_and_nothing_is_posted() {
    let server = MockServer::start().await;
    let voice = voice(Some(&server.uri()));
    let mut waiter = voice.expect(&"web/msg_1".into()).unwrap();
    speak(&voice).await.unwrap();
    assert_eq!(waiter.reply().await, Some(reply()));
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reply_that_nobody_waits_for_is_posted_and_signed() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(202))
        .mount(&server)
        .await;
    let voice = voice(Some(&format!("{}/eywa", server.uri())));
    drop(voice.expect(&"web/msg_1".into()).unwrap());
    speak(&voice).await.unwrap();
    let seen = server.received_requests().await.unwrap();
    assert_eq!((seen.len(), seen[0].url.path()), (1, "/eywa"));
    let header = |name: &str| seen[0].headers.get(name).map(HeaderValue::as_bytes);
    assert_eq!(
        key().verify(header, &seen[0].body, Timestamp::now()),
        Ok("web/msg_1")
    );
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert_eq!(
        seen[0].body_json::<Value>().unwrap(),
        json!({"pulse": "web/msg_1", "session": "web/ana", "text": "ready"})
    );
}

#[tokio::test]
async fn without_a_waiter_and_a_reply_url_the_reply_has_nowhere_to_go() {
    assert!(matches!(
        speak(&voice(None)).await,
        Err(VoiceError::Gone { .. })
    ));
}

#[tokio::test]
async fn what_the_receiver_answers_says_whether_to_come_back() {
    for (status, class) in [
        (200, "taken"),
        (204, "taken"),
        (400, "refused"),
        (410, "refused"),
        (302, "refused"),
        (401, "unauthorized"),
        (429, "busy"),
        (503, "busy"),
        (500, "unknown"),
        (502, "unknown"),
    ] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status)
            .insert_header("retry-after", "3")
            .insert_header("location", "/elsewhere");
        Mock::given(method("POST"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let said = match speak(&voice(Some(&server.uri()))).await {
            Ok(()) => "taken",
            Err(VoiceError::Refused { .. }) => "refused",
            Err(VoiceError::Unauthorized { .. }) => "unauthorized",
            Err(VoiceError::Busy { retry_after, .. }) => {
                assert_eq!(retry_after, Some(Duration::from_secs(3)));
                "busy"
            }
            Err(VoiceError::Unknown { .. }) => "unknown",
            Err(VoiceError::Gone { .. }) => "gone",
        };
        assert_eq!(said, class, "{status}");
    }
}

#[tokio::test]
async fn a_reply_url_that_is_not_allowed_is_refused_and_one_that_is_down_is_busy() {
    let error = speak(&voice(Some("http://169.254.169.254/")))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, VoiceError::Refused { code, .. } if code == "AddressNotAllowed"),
        "{error:?}"
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    assert!(matches!(
        speak(&voice(Some(&format!("http://127.0.0.1:{port}/")))).await,
        Err(VoiceError::Busy { .. })
    ));
}

#[tokio::test]
async fn the_end_reaches_who_waits_and_a_duplicates_does_not() {
    let voice = voice(None);
    let mut waiter = voice.expect(&"web/msg_1".into()).unwrap();
    let tell = |outcome| {
        let HttpEnding {
            entry,
            echoes,
            findings,
        } = waiting::tests::ending("web/msg_1", outcome);
        voice.ended(Ending {
            entry: &entry,
            echoes: &echoes,
            findings: &findings,
        });
    };
    tell(Outcome::Duplicate);
    speak(&voice).await.unwrap();
    tell(Outcome::Answered);
    let ending = waiter.ended().await.unwrap();
    assert_eq!(
        (ending.entry.outcome, ending.findings.len()),
        (Outcome::Answered, 1)
    );
    assert_eq!(waiter.reply().await, Some(reply()));
}
