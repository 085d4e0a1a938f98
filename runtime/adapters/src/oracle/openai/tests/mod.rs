//! Against a stand-in that answers as OpenAI's API reference says, request bodies compared too.

mod errors;
mod request;
mod response;
mod stream;

use eywa_weave::ports::oracle::{Oracle, OracleError, Question, Reply, Turn};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use super::OpenAi;
use crate::{
    oracle::rehearsal::{self, ask, call, person, question, tool},
    rehearsal::client,
};

const KEY: &str = "sk-not-a-real-key";

fn oracle_at(base_url: &str) -> OpenAi {
    OpenAi::new(
        client(),
        &Url::parse(base_url).unwrap(),
        "gpt-5-mini",
        Some(SecretString::from(KEY)),
    )
}

/// A stand-in that gives one answer to every question that is asked with the key.
async fn stand_in(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .and(header("authorization", format!("Bearer {KEY}")))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn oracle(server: &MockServer) -> OpenAi {
    oracle_at(&format!("{}/v1", server.uri()))
}

/// The body of the one request that the stand-in got.
async fn asked(server: &MockServer) -> Value {
    rehearsal::asked(server).await.body_json().unwrap()
}

/// A whole answer with this message.
fn completion(message: Value, finish: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_741_569_952, "model": "gpt-5-mini-2025-08-07",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": 120, "completion_tokens": 8, "total_tokens": 128,
            "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0}
        },
        "service_tier": "default"
    })
}
