use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::json;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use super::*;

/// A key that was made for this test and opens nothing.
pub(crate) fn key() -> SecretString {
    static PRIVATE: LazyLock<String> = LazyLock::new(|| {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = STANDARD.encode(AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap().as_ref() as &[u8]);
        format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")
    });
    let private = PRIVATE.as_str();
    SecretString::from(
        json!({
            "type": "service_account", "project_id": "cafe-fake", "private_key_id": "fake-id",
            "private_key": private, "client_email": "barista@cafe-fake.iam.gserviceaccount.com",
            "client_id": "1", "token_uri": "http://169.254.169.254/never-followed",
        })
        .to_string(),
    )
}

fn crypto() {
    // Another test of the process may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_key_signs_its_own_tokens_and_follows_no_url() {
    crypto();
    let tokens = GoogleTokens::of_key(&key()).unwrap();
    let token = tokens.token().await.unwrap();
    let token = token.expose_secret();
    let (head, claims) = (part(token, 0), part(token, 1));
    assert_eq!(
        (&head["alg"], &head["kid"]),
        (&json!("RS256"), &json!("fake-id"))
    );
    assert_eq!(claims["iss"], "barista@cafe-fake.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], SCOPE);
    let (issued, expires) = (
        claims["iat"].as_i64().unwrap(),
        claims["exp"].as_i64().unwrap(),
    );
    assert!(issued < expires && expires <= issued + 3700);
    // Kept: the next one is the same.
    assert_eq!(tokens.token().await.unwrap().expose_secret(), token);
}

#[tokio::test]
async fn the_pods_identity_is_asked_for_at_the_metadata_server_and_kept() {
    crypto();
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(
            "/computeMetadata/v1/instance/service-accounts/default/token",
        ))
        .and(header("metadata-flavor", "Google"))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"access_token": "fake-token", "expires_in": 3599, "token_type": "Bearer"}),
        ))
        .expect(1)
        .mount(&server)
        .await;
    let tokens = GoogleTokens::of_metadata_server_at(server.uri());
    for _ in 0..3 {
        assert_eq!(tokens.token().await.unwrap().expose_secret(), "fake-token");
    }
}

#[tokio::test]
async fn an_identity_that_is_granted_later_needs_no_restart() {
    crypto();
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(404).set_body_string("not found"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"access_token": "fake-token", "expires_in": 3599, "token_type": "Bearer"}),
        ))
        .mount(&server)
        .await;
    let tokens = GoogleTokens::of_metadata_server_at(server.uri());
    let error = tokens.token().await.unwrap_err();
    assert!(!error.may_pass);
    assert!(
        error.message.contains("serviceAccountAnnotations"),
        "{}",
        error.message
    );
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "fake-token");
}

#[test]
fn what_is_no_service_accounts_key_is_refused_and_not_quoted() {
    let whole: Value = serde_json::from_str(key().expose_secret()).unwrap();
    let with = |name: &str, value: Value| {
        let mut key = whole.clone();
        key[name] = value;
        key.to_string()
    };
    for (text, says) in [
        ("hush-hush".to_owned(), "no JSON"),
        (with("type", json!("external_account")), "service_account"),
        (with("private_key", json!("")), "private_key"),
        (with("client_email", json!(7)), "client_email"),
    ] {
        let error = GoogleTokens::of_key(&SecretString::from(text)).unwrap_err();
        assert!(error.message.contains(says), "{}", error.message);
        assert!(!error.message.contains("hush") && !error.message.contains("BEGIN"));
    }
}

#[tokio::test]
async fn a_broken_key_is_neither_quoted_nor_shown() {
    crypto();
    let mut broken: Value = serde_json::from_str(key().expose_secret()).unwrap();
    broken["private_key"] =
        json!("-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----\n");
    let tokens = GoogleTokens::of_key(&SecretString::from(broken.to_string())).unwrap();
    let error = tokens.token().await.unwrap_err();
    assert!(
        !error.may_pass && !error.message.contains("hush"),
        "{error}"
    );
    assert!(!format!("{tokens:?}").contains("hush"));
}
