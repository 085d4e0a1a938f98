//! What a pod's environment gives it to sign with: the standard credential chain, against stand-ins of what hands out
//! credentials. Each case runs this binary once more, with an environment of its own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use eywa_adapters::{
    aws::{AwsCredentials, BedrockAuth, BedrockSite},
    oracle::Bedrock,
};
use eywa_guard::{GuardedClient, Policy};
use eywa_weave::ports::oracle::{Oracle, Question, Turn};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string_contains, header, method, path},
};

/// What the case below is told by.
const STAND_IN: &str = "BEDROCK_STAND_IN";

/// The other half of every test here: a runtime with its environment.
#[tokio::test]
#[ignore = "the other tests run it, with an environment of its own"]
async fn a_runtime_asks_three_times() {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .unwrap();
    let client = GuardedClient::new(Arc::new(Policy {
        loopback: true,
        ..Policy::default()
    }));
    let site = BedrockSite {
        base_url: std::env::var(STAND_IN).unwrap().parse().unwrap(),
        region: "eu-west-1".into(),
        auth: BedrockAuth::Signature(AwsCredentials::of_the_pod(client.clone(), "eu-west-1")),
    };
    let oracle = Bedrock::new(client, site, "amazon.nova-lite-v1:0");
    let turns = [Turn::User {
        text: "Hi".into(),
        attachments: Vec::new(),
    }];
    for _ in 0..3 {
        let question = Question {
            system: "",
            turns: &turns,
            tools: &[],
            temperature: None,
            max_tokens: None,
            effort: None,
        };
        match oracle.ask(question, None).await {
            Ok(reply) => println!("said: {}", reply.text),
            Err(error) => println!("failed: {:?} {error}", error.fault),
        }
    }
}

/// A Bedrock that answers everybody.
async fn bedrock() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/model/amazon.nova-lite-v1%3A0/converse"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({
            "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
            "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
        })))
        .mount(&server)
        .await;
    server
}

/// What a runtime with this environment, and nothing else, says.
async fn runtime(bedrock: &MockServer, home: &TempDir, environment: &[(&str, &str)]) -> String {
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_runtime_asks_three_times",
            "--ignored",
            "--nocapture",
        ])
        .env_clear()
        .env("HOME", home.path())
        .env(STAND_IN, bedrock.uri())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Each request's access key and session token, as it was sent to Bedrock.
async fn signed_with(bedrock: &MockServer) -> Vec<(String, Option<String>)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let requests = bedrock.received_requests().await.unwrap();
    requests
        .iter()
        .map(|request| {
            let authorization = text(&request.headers["authorization"]);
            let key = authorization
                .strip_prefix("AWS4-HMAC-SHA256 Credential=")
                .unwrap();
            let token = request.headers.get("x-amz-security-token").map(text);
            (key.split('/').next().unwrap().to_owned(), token)
        })
        .collect()
}

fn three_times(key: &str, token: Option<&str>) -> Vec<(String, Option<String>)> {
    vec![(key.to_owned(), token.map(str::to_owned)); 3]
}

fn in_seconds(seconds: i64) -> String {
    let then = Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// STS, as "AssumeRoleWithWebIdentity" documents its answer.
async fn sts(expires_in: i64) -> MockServer {
    let server = MockServer::start().await;
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><AssumedRoleUser>\
         <Arn>arn:aws:sts::111122223333:assumed-role/barista/fake</Arn><AssumedRoleId>AROAFAKE:fake</AssumedRoleId>\
         </AssumedRoleUser><Credentials><AccessKeyId>ASIAFAKE</AccessKeyId><SecretAccessKey>fake</SecretAccessKey>\
         <SessionToken>fake-session</SessionToken><Expiration>{}</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        in_seconds(expires_in)
    );
    Mock::given(method("POST"))
        .and(body_string_contains("Action=AssumeRoleWithWebIdentity"))
        .and(body_string_contains("WebIdentityToken=fake-web-identity"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(answer, "text/xml"))
        .mount(&server)
        .await;
    server
}

async fn with_irsa(bedrock: &MockServer, sts: &MockServer) -> String {
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    std::fs::write(&token, "fake-web-identity").unwrap();
    let environment = [
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/barista"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &sts.uri()),
    ];
    runtime(bedrock, &home, &environment).await
}

#[tokio::test]
async fn irsa_exchanges_the_pods_token_once_and_keeps_what_it_got() {
    let (bedrock, sts) = (bedrock().await, sts(3600).await);
    let said = with_irsa(&bedrock, &sts).await;
    assert_eq!(
        signed_with(&bedrock).await,
        three_times("ASIAFAKE", Some("fake-session")),
        "{said}"
    );
    assert_eq!(sts.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn credentials_that_are_about_to_expire_are_used_while_others_are_fetched() {
    let (bedrock, sts) = (bedrock().await, sts(120).await);
    let said = with_irsa(&bedrock, &sts).await;
    assert_eq!(said.matches("said: Hello").count(), 3, "{said}");
    assert!(sts.received_requests().await.unwrap().len() > 1);
}

#[tokio::test]
async fn pod_identity_asks_its_agent_with_the_pods_token() {
    let (bedrock, agent) = (bedrock().await, MockServer::start().await);
    Mock::given(method("GET"))
        .and(path("/v1/credentials"))
        .and(header("authorization", "fake-pod-token"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({
            "AccessKeyId": "ASIAPOD", "SecretAccessKey": "fake", "Token": "fake-session",
            "AccountId": "111122223333", "Expiration": in_seconds(3600)
        })))
        .expect(1)
        .mount(&agent)
        .await;
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    std::fs::write(&token, "fake-pod-token").unwrap();
    let environment = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &*format!("{}/v1/credentials", agent.uri()),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token.to_str().unwrap(),
        ),
    ];
    let said = runtime(&bedrock, &home, &environment).await;
    assert_eq!(
        signed_with(&bedrock).await,
        three_times("ASIAPOD", Some("fake-session")),
        "{said}"
    );
}

#[tokio::test]
async fn the_environment_and_profiles_are_looked_at_too() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(
        home.path().join(".aws/credentials"),
        "[cafe]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = fake\n",
    )
    .unwrap();
    for (environment, key) in [
        (
            &[
                ("AWS_ACCESS_KEY_ID", "AKIDENV"),
                ("AWS_SECRET_ACCESS_KEY", "fake"),
            ][..],
            "AKIDENV",
        ),
        (&[("AWS_PROFILE", "cafe")][..], "AKIDPROFILE"),
    ] {
        let bedrock = bedrock().await;
        let said = runtime(&bedrock, &home, environment).await;
        assert_eq!(
            signed_with(&bedrock).await,
            three_times(key, None),
            "{said}"
        );
    }
}

/// The last of the chain is the node's metadata service, at a link-local address: no request goes there.
#[tokio::test]
async fn a_pod_without_an_identity_does_not_take_the_nodes() {
    let bedrock = bedrock().await;
    let home = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let said = runtime(&bedrock, &home, &[]).await;
    assert_eq!(said.matches("failed: Unauthorized").count(), 3, "{said}");
    assert!(
        said.contains("serviceAccountAnnotations"),
        "it says what to do: {said}"
    );
    assert!(signed_with(&bedrock).await.is_empty());
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "nothing is waited for"
    );
}
