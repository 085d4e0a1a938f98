//! Against a stand-in that answers as Anthropic's API reference says, request bodies compared too.

mod errors;
mod request;
mod response;
mod stream;

use std::sync::Arc;

use eywa_guard::{GuardedClient, Policy};
use eywa_weave::{
    ports::oracle::{OnText, Oracle, OracleError, Question, Reply, Turn},
    tool::{ToolCall, ToolSpec},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use crate::oracle::Anthropic;

const KEY: &str = "sk-ant-not-a-real-key";

fn client() -> GuardedClient {
    // Another test of the process may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    GuardedClient::new(Arc::new(Policy {
        loopback: true,
        ..Policy::default()
    }))
}

fn oracle_at(base_url: &str) -> Anthropic {
    Anthropic::new(
        client(),
        &Url::parse(base_url).unwrap(),
        "claude-sonnet-4-5",
        Some(SecretString::from(KEY)),
    )
}

/// A stand-in that gives one answer to every question that is asked with key and version.
async fn stand_in(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/messages"))
        .and(header("x-api-key", KEY))
        .and(header("anthropic-version", "2023-06-01"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn oracle(server: &MockServer) -> Anthropic {
    oracle_at(&format!("{}/v1", server.uri()))
}

/// The body of the one request that the stand-in got.
async fn asked(server: &MockServer) -> Value {
    let requests = server.received_requests().await.unwrap();
    assert_eq!(
        requests.len(),
        1,
        "an Oracle asks once: retries are the Weave's"
    );
    requests[0].body_json().unwrap()
}

fn person(text: &str) -> Turn {
    Turn::User {
        text: text.to_owned(),
        attachments: Vec::new(),
    }
}

fn tool(name: &str) -> Arc<ToolSpec> {
    Arc::new(ToolSpec {
        name: name.to_owned(),
        description: format!("What {name} does."),
        parameters: json!({"type": "object", "properties": {"drink": {"type": "string"}}, "required": ["drink"]}),
    })
}

fn call(id: &str, name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments,
        sealed: None,
    }
}

fn question<'a>(turns: &'a [Turn], tools: &'a [Arc<ToolSpec>]) -> Question<'a> {
    Question {
        system: "You serve coffee.",
        turns,
        tools,
        temperature: None,
        max_tokens: None,
        effort: None,
    }
}

async fn ask(oracle: &Anthropic, on_text: Option<OnText<'_>>) -> Result<Reply, OracleError> {
    oracle
        .ask(
            question(&[person("A flat white, please.")], &[tool("place_order")]),
            on_text,
        )
        .await
}

/// A whole message with this content.
fn message(content: Value, stop: &str) -> Value {
    json!({
        "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": content, "stop_reason": stop, "stop_sequence": null,
        "usage": {
            "input_tokens": 20, "cache_creation_input_tokens": 36, "cache_read_input_tokens": 64, "output_tokens": 8,
            "service_tier": "standard"
        }
    })
}
