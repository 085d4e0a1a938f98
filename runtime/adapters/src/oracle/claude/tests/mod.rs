//! Against a stand-in that answers as Anthropic's API reference says, request bodies compared too.

mod errors;
mod request;
mod response;
mod stream;

use eywa_weave::{
    ports::oracle::{Oracle, OracleError, Question, Reply, Turn},
    tool::ToolCall,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use crate::{
    oracle::{
        Anthropic,
        rehearsal::{self, ask, call, person, question, tool},
    },
    rehearsal::client,
};

const KEY: &str = "sk-ant-not-a-real-key";

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
    rehearsal::asked(server).await.body_json().unwrap()
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
