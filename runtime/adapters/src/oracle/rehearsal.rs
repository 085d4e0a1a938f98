//! What the tests of the wire formats share: a question, and what a stand-in got of it.

use std::sync::Arc;

use eywa_weave::{
    ports::oracle::{OnText, Oracle, OracleError, Question, Reply, Turn},
    tool::{ToolCall, ToolSpec},
};
use serde_json::{Value, json};
use wiremock::{MockServer, Request};

/// The one request that the stand-in got.
pub(super) async fn asked(server: &MockServer) -> Request {
    let mut requests = server.received_requests().await.unwrap();
    assert_eq!(
        requests.len(),
        1,
        "an Oracle asks once: retries are the Weave's"
    );
    requests.remove(0)
}

pub(super) fn person(text: &str) -> Turn {
    Turn::User {
        text: text.to_owned(),
        attachments: Vec::new(),
    }
}

pub(super) fn tool(name: &str) -> Arc<ToolSpec> {
    Arc::new(ToolSpec {
        name: name.to_owned(),
        description: format!("What {name} does."),
        parameters: json!({"type": "object", "properties": {"drink": {"type": "string"}}, "required": ["drink"]}),
    })
}

pub(super) fn call(id: &str, name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments,
        sealed: None,
    }
}

pub(super) fn question<'a>(turns: &'a [Turn], tools: &'a [Arc<ToolSpec>]) -> Question<'a> {
    Question {
        system: "You serve coffee.",
        turns,
        tools,
        temperature: None,
        max_tokens: None,
        effort: None,
    }
}

/// Asks for a flat white, with one tool.
pub(super) async fn ask(
    oracle: &dyn Oracle,
    on_text: Option<OnText<'_>>,
) -> Result<Reply, OracleError> {
    oracle
        .ask(
            question(&[person("A flat white, please.")], &[tool("place_order")]),
            on_text,
        )
        .await
}
