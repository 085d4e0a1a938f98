//! Against a stand-in that answers as Google's API reference says, request bodies compared too.

mod errors;
mod reply;
mod request;

use std::sync::Arc;

use eywa_weave::{
    ports::oracle::{Oracle, OracleError, Question, Reply, Turn},
    tool::{ToolCall, ToolResult, ToolSpec},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method},
};

use crate::{
    oracle::{
        Gemini,
        rehearsal::{self, ask, person, question, tool},
    },
    rehearsal::client,
};

const KEY: &str = "not-a-real-key";

fn oracle_at(base_url: &str, model: &str) -> Gemini {
    Gemini::new(
        client(),
        &Url::parse(base_url).unwrap(),
        model,
        Some(SecretString::from(KEY)),
    )
}

fn oracle(server: &MockServer) -> Gemini {
    oracle_at(&format!("{}/v1beta", server.uri()), "gemini-2.5-flash")
}

/// A stand-in that gives one answer to every question that is asked with the key.
async fn stand_in(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("x-goog-api-key", KEY))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

/// Path, query and body of the one request that the stand-in got.
async fn asked(server: &MockServer) -> (String, Value) {
    let request = rehearsal::asked(server).await;
    let url = &request.url;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    (path, request.body_json().unwrap())
}

fn call(id: &str, name: &str, arguments: Value, sealed: Option<&str>) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments,
        sealed: sealed.map(str::to_owned),
    }
}

fn result(call: &str, name: &str, content: &str, failed: bool) -> ToolResult {
    ToolResult {
        call: call.to_owned(),
        name: name.to_owned(),
        content: content.to_owned(),
        failed,
    }
}

/// An answer, or a chunk of one.
fn answer(parts: Value, finish: Option<&str>) -> Value {
    let mut answer = json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 120, "candidatesTokenCount": 8, "totalTokenCount": 158, "cachedContentTokenCount": 64,
            "thoughtsTokenCount": 30, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 120}]
        },
        "modelVersion": "gemini-2.5-flash", "responseId": "resp-7"
    });
    if let Some(finish) = finish {
        answer["candidates"][0]["finishReason"] = json!(finish);
    }
    answer
}
