//! Against a stand-in that answers as the Bedrock API reference says, request bodies compared too.

mod errors;
mod reply;
mod request;

use std::sync::Arc;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use eywa_weave::{
    ports::oracle::Turn,
    tool::{ToolCall, ToolResult, ToolSpec},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use super::*;
use crate::{
    aws::{AwsCredentials, BedrockAuth},
    oracle::rehearsal::{asked, call, person, question},
    rehearsal::client,
};

const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn signed() -> BedrockAuth {
    let file = "aws_access_key_id=AKIDFAKE\naws_secret_access_key=not-a-real-secret";
    BedrockAuth::Signature(AwsCredentials::from_file(&SecretString::from(file)).unwrap())
}

fn oracle_of(server: &MockServer, model: &str, auth: BedrockAuth) -> Bedrock {
    let site = BedrockSite {
        base_url: server.uri().parse().unwrap(),
        region: "eu-west-1".into(),
        auth,
    };
    Bedrock::new(client(), site, model)
}

fn oracle(server: &MockServer) -> Bedrock {
    oracle_of(server, CLAUDE, signed())
}

async fn stand_in(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(answer.insert_header("x-amzn-requestid", "req-7"))
        .mount(&server)
        .await;
    server
}

fn tool(name: &str) -> Arc<ToolSpec> {
    Arc::new(ToolSpec {
        name: name.to_owned(),
        description: format!("What {name} does."),
        parameters: json!({"type": "object", "properties": {"drink": {"type": "string"}}}),
    })
}

async fn ask(oracle: &Bedrock, on_text: Option<OnText<'_>>) -> Result<Reply, OracleError> {
    oracle
        .ask(
            question(&[person("A flat white, please.")], &[tool("place_order")]),
            on_text,
        )
        .await
}

/// A whole answer.
fn answer(content: Value, stop: &str) -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": {
            "inputTokens": 20, "outputTokens": 8, "totalTokens": 1128, "cacheReadInputTokens": 1000,
            "cacheWriteInputTokens": 100
        },
        "metrics": {"latencyMs": 551}
    })
}

/// One message of an event stream.
fn message(kind: &'static str, name: &str, payload: Value) -> Vec<u8> {
    let name_header = if kind == "exception" {
        ":exception-type"
    } else {
        ":event-type"
    };
    let text = |text: &str| HeaderValue::String(text.to_owned().into());
    let message = Message::new(payload.to_string())
        .add_header(Header::new(name_header, text(name)))
        .add_header(Header::new(":content-type", text("application/json")))
        .add_header(Header::new(":message-type", text(kind)));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

fn event(name: &str, payload: Value) -> Vec<u8> {
    message("event", name, payload)
}

/// The events of "ConverseStream", for a text and two calls.
fn whole_stream() -> Vec<u8> {
    [
        event("messageStart", json!({"role": "assistant", "p": "abc"})),
        event("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "Com"}, "p": "ab"})),
        event("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "ing ☕"}})),
        event("contentBlockStop", json!({"contentBlockIndex": 0})),
        event("contentBlockStart", json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "place_order"}}})),
        event("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{\"drink\": \"ca"}}})),
        event("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "fé\"}"}}})),
        event("contentBlockStop", json!({"contentBlockIndex": 1})),
        event("contentBlockStart", json!({"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "tooluse_2", "name": "place_order"}}})),
        event("contentBlockStop", json!({"contentBlockIndex": 2})),
        event("messageStop", json!({"stopReason": "tool_use"})),
        event("metadata", json!({"usage": {"inputTokens": 20, "outputTokens": 8, "totalTokens": 28}, "metrics": {"latencyMs": 551}})),
    ]
    .concat()
}

fn streamed(body: Vec<u8>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, EVENTS)
}
