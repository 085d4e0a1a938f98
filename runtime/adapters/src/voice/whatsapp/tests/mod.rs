//! The voice as a whole, against a stand-in for the Graph API that answers as Meta documents it.

mod media;
mod sending;

use std::sync::Arc;

use eywa_guard::Policy;
use eywa_weave::PulseId;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use super::*;
use crate::contacts::InMemoryContacts;

const TOKEN: &str = "not-a-real-access-token";
const SECRET: &str = "not-a-real-app-secret";

fn settings(graph_url: &str) -> WhatsAppSettings {
    WhatsAppSettings {
        name: "wa".into(),
        phone_number_id: "1055".to_owned(),
        graph_url: graph_url.parse().unwrap(),
        access_token: format!("{TOKEN}\n").into(),
        app_secret: SECRET.into(),
        verify_token: "not-a-real-verify-token".into(),
        typing: true,
        media: MediaSettings {
            max_bytes: 1000,
            types: vec!["image/*".to_owned(), "application/pdf".to_owned()],
        },
        template: None,
        list_label: "Options".to_owned(),
    }
}

fn voice_of(settings: WhatsAppSettings) -> WhatsAppVoice {
    let policy = Policy {
        loopback: true,
        ..Policy::default()
    };
    let contacts = Arc::new(InMemoryContacts::new());
    WhatsAppVoice::new(settings, contacts, GuardedClient::new(Arc::new(policy))).unwrap()
}

fn voice(graph_url: &str) -> WhatsAppVoice {
    voice_of(settings(graph_url))
}

fn graph_url(server: &MockServer) -> String {
    format!("{}/v24.0", server.uri())
}

async fn graph(answers: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v24.0/1055/messages"))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .respond_with(answers)
        .mount(&server)
        .await;
    server
}

fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "messaging_product": "whatsapp",
        "contacts": [{"input": "5511999990000", "wa_id": "5511999990000"}],
        "messages": [{"id": "wamid.out"}],
    }))
}

fn refused(status: u16, code: i64, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": {
        "message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1",
        "error_data": {"messaging_product": "whatsapp", "details": "the details"},
    }}))
}

async fn speak_to(server: &MockServer, to: Value, text: &str) -> Result<(), VoiceError> {
    let voice = voice(&format!("{}/v24.0/", server.uri()));
    voice
        .speak(Utterance::new(&PulseId::from("wa/wamid.1"), &to, text))
        .await
}

async fn speak(server: &MockServer, text: &str) -> Result<(), VoiceError> {
    speak_to(
        server,
        json!({"to": "5511999990000", "message": "wamid.1"}),
        text,
    )
    .await
}

async fn sent(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .map(|request| request.body_json().unwrap())
        .collect()
}

async fn failure(answers: ResponseTemplate) -> VoiceError {
    speak(&graph(answers).await, "hello").await.unwrap_err()
}

#[tokio::test]
async fn a_text_is_sent_as_the_graph_api_wants_it() {
    let server = graph(accepted()).await;
    speak(&server, "Two flat whites, coming up!").await.unwrap();
    assert_eq!(
        sent(&server).await,
        [json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "5511999990000",
            "type": "text",
            "text": {"preview_url": false, "body": "Two flat whites, coming up!"},
        })]
    );
}

#[tokio::test]
async fn a_person_without_a_number_is_reached_by_their_id() {
    let server = graph(accepted()).await;
    speak_to(
        &server,
        json!({"recipient": "US.1", "message": "wamid.1"}),
        "hi",
    )
    .await
    .unwrap();
    let sent = sent(&server).await;
    assert_eq!(
        (&sent[0]["recipient"], sent[0].get("to")),
        (&json!("US.1"), None)
    );
}

#[tokio::test]
async fn a_long_text_goes_out_in_order_in_few_messages() {
    let server = graph(accepted()).await;
    let text = format!(
        "{}\n\n{}\n\n{}",
        "a".repeat(3000),
        "b".repeat(900),
        "c".repeat(3000)
    );
    speak(&server, &text).await.unwrap();
    let bodies: Vec<_> = sent(&server)
        .await
        .iter()
        .map(|message| message["text"]["body"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        bodies,
        [
            format!("{}\n\n{}", "a".repeat(3000), "b".repeat(900)),
            "c".repeat(3000)
        ]
    );
}

#[tokio::test]
async fn once_a_part_is_out_a_failure_is_not_repeated() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(accepted())
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(refused(400, 131_056, "too fast"))
        .mount(&server)
        .await;
    let error = speak(&server, &"word ".repeat(1500)).await.unwrap_err();
    assert!(
        matches!(&error, VoiceError::Unknown { message } if message.contains("after 1 of 2")),
        "{error:?}"
    );
    assert_eq!(sent(&server).await.len(), 2);
}

#[tokio::test]
async fn nothing_is_sent_for_a_text_without_words() {
    let server = graph(accepted()).await;
    speak(&server, " \n ").await.unwrap();
    assert!(sent(&server).await.is_empty());
}

#[tokio::test]
async fn limits_and_faults_of_metas_are_busy_and_carry_the_hint() {
    for code in [130_429, 131_000, 2, 131_057] {
        let error = failure(refused(400, code, "later")).await;
        assert!(
            matches!(
                error,
                VoiceError::Busy {
                    retry_after: None,
                    ..
                }
            ),
            "{code}: {error:?}"
        );
    }
    let error = failure(refused(400, 131_056, "(#131056) Pair rate limit hit")).await;
    assert!(
        matches!(error, VoiceError::Busy { retry_after: Some(after), .. } if after == PACE.interval),
        "{error:?}"
    );
    let error = failure(refused(429, 130_429, "later").insert_header("retry-after", "7")).await;
    assert!(
        matches!(error, VoiceError::Busy { retry_after: Some(after), .. } if after == Duration::from_secs(7)),
        "{error:?}"
    );
    assert!(matches!(
        failure(refused(500, 99_999, "oops")).await,
        VoiceError::Busy { .. }
    ));
    assert!(matches!(
        failure(ResponseTemplate::new(503)).await,
        VoiceError::Busy { .. }
    ));
}

#[tokio::test]
async fn what_cannot_be_delivered_is_refused_with_metas_code_and_words() {
    for code in [100, 131_008, 131_009, 131_026] {
        let error = failure(refused(400, code, "Re-engagement message")).await;
        let VoiceError::Refused {
            code: said,
            message,
        } = error
        else {
            panic!("{code}: {error:?}")
        };
        assert_eq!(
            (said, message),
            (
                code.to_string(),
                "Re-engagement message: the details".to_owned()
            )
        );
    }
    assert!(matches!(
        failure(ResponseTemplate::new(404).set_body_string("<html>")).await,
        VoiceError::Refused { .. }
    ));
}

#[tokio::test]
async fn a_bad_token_is_unauthorized_and_is_not_repeated_in_the_error() {
    for (status, code) in [(401, 190), (400, 190), (403, 10), (400, 200), (401, 0)] {
        let error = failure(refused(
            status,
            code,
            &format!("Malformed access token {TOKEN}"),
        ))
        .await;
        assert!(
            matches!(error, VoiceError::Unauthorized { .. }),
            "{code}: {error:?}"
        );
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    }
    assert!(matches!(
        failure(ResponseTemplate::new(401)).await,
        VoiceError::Unauthorized { .. }
    ));
}

#[tokio::test]
async fn what_a_gateway_says_tells_nothing_of_the_message() {
    for status in [500, 502, 504] {
        let error =
            failure(ResponseTemplate::new(status).set_body_string("<html>bad gateway</html>"))
                .await;
        assert!(
            matches!(error, VoiceError::Unknown { .. }),
            "{status}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_a_success() {
    speak(
        &graph(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 200 * 1024])).await,
        "hi",
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent_and_with_a_broken_one_nobody_knows() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let say = async || {
        let to = json!({"to": "1", "message": "wamid.1"});
        let voice = voice(&format!("http://{address}/v24.0"));
        voice
            .speak(Utterance::new(&PulseId::from("wa/wamid.1"), &to, "hi"))
            .await
            .unwrap_err()
    };
    let hangs_up = async {
        // Read what is sent, then break off without an answer.
        let (stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        loop {
            stream.readable().await.unwrap();
            match stream.try_read(&mut buffer) {
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    let (error, ()) = tokio::join!(say(), hangs_up);
    assert!(matches!(error, VoiceError::Unknown { .. }), "{error:?}");
    drop(listener);
    assert!(matches!(say().await, VoiceError::Busy { .. }));
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_refused() {
    let voice = voice("http://10.0.0.1/v24.0");
    let to = json!({"to": "1", "message": "wamid.1"});
    let error = voice
        .speak(Utterance::new(&PulseId::from("wa/1"), &to, "hi"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, VoiceError::Refused { code, message } if code == "AddressNotAllowed" && message.contains("10.0.0.1")),
        "{error:?}"
    );
}

fn receive(
    method: Method,
    query: &str,
    signature: Option<&str>,
    body: &[u8],
) -> Result<Received, Rejected> {
    let header = |name: &str| (name == "x-hub-signature-256").then_some(signature?.as_bytes());
    voice("https://graph.facebook.com/v24.0").receive(Webhook {
        method,
        query,
        header: &header,
        body,
    })
}

fn sign(body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())
        .unwrap()
        .chain_update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[test]
fn a_signed_webhook_is_received() {
    // As Meta sends it: the signature is over these very bytes, escapes included.
    let body = br#"{"object":"whatsapp_business_account","entry":[{"id":"9","changes":[{"field":"messages","value":{
        "metadata":{"phone_number_id":"1055"},"contacts":[{"profile":{"name":"Jos\u00e9"},"wa_id":"1"}],
        "messages":[{"from":"1","id":"wamid.1","type":"text","text":{"body":"caf\u00e9"}}]}}]}]}"#;
    let Ok(Received::Pulses {
        pulses, ignored: 0, ..
    }) = receive(Method::Post, "", Some(&sign(body)), body)
    else {
        panic!()
    };
    assert_eq!(
        (
            pulses[0].content.text.as_str(),
            pulses[0].user.name.as_deref()
        ),
        ("café", Some("José"))
    );
}

#[test]
fn the_signature_is_checked_before_anything_is_parsed() {
    let body = b"not even JSON";
    assert_eq!(
        receive(Method::Post, "", None, body),
        Err(Rejected::Signature)
    );
    assert_eq!(
        receive(Method::Post, "", Some(&sign(b"other")), body),
        Err(Rejected::Signature)
    );
    assert!(matches!(
        receive(Method::Post, "", Some(&sign(body)), body),
        Err(Rejected::Malformed(_))
    ));
}

#[test]
fn the_endpoint_is_verified_by_its_token() {
    let query =
        "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=not-a-real-verify-token";
    assert_eq!(
        receive(Method::Get, query, None, b""),
        Ok(Received::Challenge("1158201444".to_owned()))
    );
    assert_eq!(
        receive(Method::Get, &query.replace("not-a", "a"), None, b""),
        Err(Rejected::VerifyToken)
    );
}

#[test]
fn an_empty_secret_is_refused() {
    for (empty, name) in [(0, "access-token"), (1, "app-secret"), (2, "verify-token")] {
        let secret = |index| {
            SecretString::from(if index == empty {
                " \n"
            } else {
                "not-a-real-secret"
            })
        };
        let settings = WhatsAppSettings {
            access_token: secret(0),
            app_secret: secret(1),
            verify_token: secret(2),
            ..settings("https://graph.facebook.com/v24.0")
        };
        let contacts = Arc::new(InMemoryContacts::new());
        let client = GuardedClient::new(Arc::new(Policy::default()));
        assert_eq!(
            WhatsAppVoice::new(settings, contacts, client).unwrap_err(),
            InvalidWhatsApp::EmptySecret(name)
        );
    }
}

#[test]
fn no_secret_is_in_debug_output() {
    let debug = format!("{:?}", voice("https://graph.facebook.com/v24.0"));
    assert!(!debug.contains("not-a-real"), "{debug}");
}
