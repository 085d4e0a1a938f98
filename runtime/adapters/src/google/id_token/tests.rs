use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use super::*;
use crate::rehearsal::client;

const ACCOUNT: &str = "pusher@cafe-fake.iam.gserviceaccount.com";
const AUDIENCE: &str = "https://barista.cafe.example/tasks/barista";

/// Keys that were made for these tests and open nothing.
static KEYS: LazyLock<[KeyPair; 2]> =
    LazyLock::new(|| [(); 2].map(|()| KeyPair::generate(KeySize::Rsa2048).unwrap()));

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn jwk(kid: &str, key: &KeyPair) -> Value {
    let public = key.public_key();
    let (n, e) = (public.modulus(), public.exponent());
    json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
        "n": base64(n.big_endian_without_leading_zero()), "e": base64(e.big_endian_without_leading_zero()),
    })
}

fn signed(head: &Value, claims: &Value, key: &KeyPair) -> String {
    let signed = format!(
        "{}.{}",
        base64(head.to_string()),
        base64(claims.to_string())
    );
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", base64(signature))
}

fn claims() -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "iss": "https://accounts.google.com", "aud": AUDIENCE, "azp": "1", "sub": "1",
        "email": ACCOUNT, "email_verified": true, "iat": now, "exp": now + 3600,
    })
}

fn head(kid: &str) -> Value {
    json!({"alg": "RS256", "kid": kid, "typ": "JWT"})
}

/// A token as Google makes it, but for these claims.
fn with(changes: Value) -> String {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    signed(&head("one"), &claims, &KEYS[0])
}

fn keys(keys: &[Value]) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .insert_header("cache-control", "public, max-age=20000, must-revalidate")
        .set_body_json(json!({ "keys": keys }))
}

async fn serving(response: ResponseTemplate) -> (MockServer, IdTokens) {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/certs"))
        .respond_with(response)
        .mount(&server)
        .await;
    let url = format!("{}/certs", server.uri()).parse().unwrap();
    let tokens = IdTokens::new(client(), url, ACCOUNT, AUDIENCE);
    (server, tokens)
}

/// Lets so much time pass for the keys. Tokens are judged by the machine's clock, which stays.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn checked(tokens: &IdTokens, token: &str) -> Result<(), NotGoogle> {
    tokens.check(Some(&format!("Bearer {token}"))).await
}

#[tokio::test]
async fn the_accounts_own_token_for_this_audience_is_right() {
    let (server, tokens) = serving(keys(&[jwk("one", &KEYS[0])])).await;
    assert_eq!(checked(&tokens, &with(json!({}))).await, Ok(()));
    let short = with(json!({"iss": "accounts.google.com"}));
    assert_eq!(checked(&tokens, &short).await, Ok(()));
    // The keys are kept.
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_does_not_claim_the_right_thing_is_refused() {
    let (_server, tokens) = serving(keys(&[jwk("one", &KEYS[0])])).await;
    let now = Timestamp::now().as_second();
    for (changes, says) in [
        (json!({"aud": "https://elsewhere.example"}), "audience"),
        (
            json!({"aud": [AUDIENCE, "https://elsewhere.example"]}),
            "claims",
        ),
        (json!({"aud": null}), "claims"),
        (
            json!({"iss": "https://accounts.google.com.evil.example"}),
            "issuer",
        ),
        (
            json!({"email": "other@cafe-fake.iam.gserviceaccount.com"}),
            "account",
        ),
        (json!({"email": null}), "account"),
        (json!({"email_verified": false}), "verified"),
        (json!({"email_verified": null}), "verified"),
        (json!({"email_verified": "true"}), "claims"),
        (json!({"iat": now - 7200, "exp": now - 60}), "expired"),
        (json!({"exp": null}), "claims"),
        (json!({"iat": now + 300}), "not valid yet"),
        (json!({"nbf": now + 300}), "not valid yet"),
    ] {
        let refused = checked(&tokens, &with(changes.clone())).await.unwrap_err();
        assert!(
            matches!(refused, NotGoogle::Another(why) if why.contains(says)),
            "{changes}: {refused}"
        );
    }
    // Clocks may be a little apart.
    let just = json!({"iat": now + 10, "exp": now - 10});
    assert_eq!(checked(&tokens, &with(just)).await, Ok(()));
}

#[tokio::test]
async fn what_google_has_not_signed_is_refused() {
    let (_server, tokens) = serving(keys(&[jwk("one", &KEYS[0])])).await;
    let body = base64(claims().to_string());
    let unsigned = |head: Value| format!("{}.{body}.", base64(head.to_string()));
    // The public key as a shared secret, in every form that somebody might hold it in.
    let public = KEYS[0].public_key();
    let der: PublicKeyX509Der<'_> = public.as_der().unwrap();
    let symmetric = |secret: &[u8]| {
        let signed = format!(
            "{}.{body}",
            base64(json!({"alg": "HS256", "kid": "one"}).to_string())
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!("{signed}.{}", base64(hmac::sign(&key, signed.as_bytes())))
    };
    let right = with(json!({}));
    let (start, signature) = right.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for token in [
        unsigned(json!({"alg": "none", "kid": "one"})),
        unsigned(json!({"alg": "RS256", "kid": "one"})),
        symmetric(der.as_ref()),
        symmetric(public.as_ref()),
        symmetric(jwk("one", &KEYS[0])["n"].as_str().unwrap().as_bytes()),
        signed(&json!({"alg": "RS512", "kid": "one"}), &claims(), &KEYS[0]),
        signed(&json!({"alg": "RS256"}), &claims(), &KEYS[0]),
        signed(
            &json!({"alg": "RS256", "kid": "one", "crit": ["b64"], "b64": false}),
            &claims(),
            &KEYS[0],
        ),
        // Signed by another key, which the head brings along.
        signed(
            &json!({"alg": "RS256", "kid": "one", "jwk": jwk("one", &KEYS[1])}),
            &claims(),
            &KEYS[1],
        ),
        format!("{start}.{flipped}{}", &signature[1..]),
        format!("{start}."),
        format!("{right}.x"),
        format!("{right}="),
        "hush-hush".to_owned(),
        String::new(),
    ] {
        let refused = checked(&tokens, &token).await.unwrap_err();
        assert!(
            matches!(refused, NotGoogle::Forged(_) | NotGoogle::Missing),
            "{token}: {refused}"
        );
        assert!(!refused.to_string().contains("hush"));
    }
}

#[tokio::test]
async fn what_is_missing_or_endless_is_refused_before_any_key_is_fetched() {
    let (server, tokens) = serving(keys(&[jwk("one", &KEYS[0])])).await;
    for header in [None, Some(""), Some("Bearer"), Some("Basic YTpi")] {
        assert_eq!(tokens.check(header).await, Err(NotGoogle::Missing));
    }
    let endless = with(json!({"x": "x".repeat(LONGEST_TOKEN)}));
    assert_eq!(
        checked(&tokens, &endless).await,
        Err(NotGoogle::Forged("it is too long"))
    );
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_not_for_every_one_that_is_made_up() {
    let server = MockServer::start().await;
    let mount = async |response: ResponseTemplate, times| {
        let mock = Mock::given(method("GET")).respond_with(response);
        mock.up_to_n_times(times).mount(&server).await;
    };
    mount(keys(&[jwk("one", &KEYS[0])]), 1).await;
    mount(keys(&[jwk("one", &KEYS[0]), jwk("two", &KEYS[1])]), 9).await;
    let url = format!("{}/certs", server.uri()).parse().unwrap();
    let tokens = IdTokens::new(client(), url, ACCOUNT, AUDIENCE);
    let rotated = signed(&head("two"), &claims(), &KEYS[1]);

    assert_eq!(checked(&tokens, &with(json!({}))).await, Ok(()));
    // Asked a moment ago: nobody is asked again yet.
    for kid in ["two", "three", "four"] {
        let made_up = signed(&head(kid), &claims(), &KEYS[1]);
        assert!(checked(&tokens, &made_up).await.is_err());
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);

    pass(Duration::from_secs(31)).await;
    assert_eq!(checked(&tokens, &rotated).await, Ok(()));
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
    assert_eq!(checked(&tokens, &with(json!({}))).await, Ok(()));
}

#[tokio::test]
async fn keys_are_fetched_anew_when_their_time_is_over_and_one_that_was_withdrawn_opens_nothing() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(keys(&[jwk("one", &KEYS[0])]))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(keys(&[jwk("two", &KEYS[1])]))
        .mount(&server)
        .await;
    let url = format!("{}/certs", server.uri()).parse().unwrap();
    let tokens = IdTokens::new(client(), url, ACCOUNT, AUDIENCE);
    assert_eq!(checked(&tokens, &with(json!({}))).await, Ok(()));
    pass(Duration::from_secs(19_000)).await;
    assert_eq!(checked(&tokens, &with(json!({}))).await, Ok(()));
    pass(Duration::from_secs(1_001)).await;
    assert!(matches!(
        checked(&tokens, &with(json!({}))).await,
        Err(NotGoogle::Forged(_))
    ));
}

#[tokio::test]
async fn without_keys_nobody_gets_in_and_the_server_is_not_pressed() {
    for response in [
        ResponseTemplate::new(503),
        ResponseTemplate::new(200).set_body_string("no keys here"),
        keys(&[]),
        keys(&[json!({"kty": "oct", "kid": "one", "k": "aHVzaA"})]),
        keys(&[
            jwk("one", &KEYS[0]),
            json!({"pad": "x".repeat(70_000), "kty": "RSA"}),
        ]),
    ] {
        let (server, tokens) = serving(response).await;
        for _ in 0..3 {
            let refused = checked(&tokens, &with(json!({}))).await.unwrap_err();
            assert!(matches!(refused, NotGoogle::NoKeys { .. }), "{refused}");
        }
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }
    // Nobody there at all.
    let url = "http://127.0.0.1:9/certs".parse().unwrap();
    let tokens = IdTokens::new(client(), url, ACCOUNT, AUDIENCE);
    let refused = checked(&tokens, &with(json!({}))).await.unwrap_err();
    assert!(matches!(refused, NotGoogle::NoKeys { .. }), "{refused}");
}

#[tokio::test]
async fn keys_are_not_fetched_from_where_the_guard_does_not_go() {
    let url = "http://169.254.169.254/certs".parse().unwrap();
    let tokens = IdTokens::new(client(), url, ACCOUNT, AUDIENCE);
    let refused = checked(&tokens, &with(json!({}))).await.unwrap_err();
    assert!(
        matches!(&refused, NotGoogle::NoKeys { reason, .. } if reason.contains("169.254.169.254")),
        "{refused}"
    );
}
