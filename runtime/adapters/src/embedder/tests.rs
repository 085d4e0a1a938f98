//! Against stand-ins that answer as the vendors' documentation says.

use std::time::Duration;

use eywa_weave::ports::{
    lore::{Embedder, EmbedderError, Purpose},
    oracle::Fault,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

use super::{BedrockEmbedder, GeminiEmbedder, OpenAiEmbedder, VertexAiEmbedder};
use crate::{
    aws::{BedrockAuth, BedrockSite},
    google::{GoogleTokens, VertexSite},
    rehearsal::client,
};

const KEY: &str = "not-a-real-key";

fn key() -> Option<SecretString> {
    Some(SecretString::from(KEY))
}

fn openai(server: &MockServer, model: &str) -> OpenAiEmbedder {
    OpenAiEmbedder::new(client(), &server.uri().parse().unwrap(), model, key(), 2)
}

fn gemini(server: &MockServer, model: &str) -> GeminiEmbedder {
    GeminiEmbedder::new(client(), &server.uri().parse().unwrap(), model, key(), 2)
}

async fn vertexai(server: &MockServer, model: &str) -> VertexAiEmbedder {
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"access_token": "fake-token", "expires_in": 3599, "token_type": "Bearer"}),
        ))
        .mount(server)
        .await;
    let site = VertexSite {
        base_url: server.uri().parse().unwrap(),
        project: "cafe-fake".into(),
        location: "europe-west1".into(),
    };
    let tokens = GoogleTokens::of_metadata_server_at(server.uri());
    VertexAiEmbedder::new(client(), &site, model, tokens, 2)
}

fn bedrock(server: &MockServer) -> BedrockEmbedder {
    let site = BedrockSite {
        base_url: server.uri().parse().unwrap(),
        region: "eu-west-1".into(),
        auth: BedrockAuth::ApiKey(SecretString::from(KEY)),
    };
    BedrockEmbedder::new(client(), site, BedrockEmbedder::MODEL, 2)
}

/// A vector that tells its text: longer texts lean further.
fn vector(text: &str) -> Value {
    json!([1.0, text.len() as f32])
}

/// A stand-in that embeds what it is sent, by one of the formats.
async fn stand_in(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(move |request: &Request| {
            ResponseTemplate::new(200).set_body_json(answer(&request.body_json().unwrap()))
        })
        .mount(&server)
        .await;
    server
}

async fn posted(server: &MockServer) -> Vec<(String, Value)> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .filter(|request| request.method.as_str() == "POST")
        .map(|request| (request.url.path().to_owned(), request.body_json().unwrap()))
        .collect()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn openai_answer(body: &Value) -> Value {
    // Out of order, as the index allows.
    let data: Vec<Value> = list(&body["input"])
        .iter()
        .enumerate()
        .rev()
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text.as_str().unwrap())}))
        .collect();
    json!({"object": "list", "data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5}})
}

fn gemini_answer(body: &Value) -> Value {
    let embeddings: Vec<Value> = list(&body["requests"])
        .iter()
        .map(|one| json!({"values": vector(one["content"]["parts"][0]["text"].as_str().unwrap())}))
        .collect();
    json!({ "embeddings": embeddings })
}

fn vertexai_answer(body: &Value) -> Value {
    let predictions: Vec<Value> = list(&body["instances"])
        .iter()
        .map(|one| json!({"embeddings": {"values": vector(one["content"].as_str().unwrap()), "statistics": {"token_count": 3.0, "truncated": false}}}))
        .collect();
    json!({ "predictions": predictions })
}

fn bedrock_answer(body: &Value) -> Value {
    let text = body["inputText"].as_str().unwrap();
    json!({"embedding": vector(text), "inputTextTokenCount": 4, "embeddingsByType": {"float": vector(text)}})
}

async fn assert_in_order(embedder: &dyn Embedder, texts: &[&str], lengths: &[usize]) -> u64 {
    let found = embedder.embed(texts, Purpose::Document).await.unwrap();
    assert_eq!(found.vectors.len(), texts.len());
    for (vector, length) in found.vectors.iter().zip(lengths) {
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((norm - 1.0).abs() < 1e-5, "unit length");
        let leaning = vector[1] / vector[0];
        assert!(
            (leaning - *length as f32).abs() < 1e-2,
            "{leaning} is not {length}"
        );
    }
    found.tokens
}

#[tokio::test]
async fn each_gives_one_vector_of_unit_length_for_each_text_in_order() {
    let texts = ["a", "bbb", "cc", "", "dddddd"];
    let lengths = texts.map(str::len);
    let server = stand_in(openai_answer).await;
    let tokens =
        assert_in_order(&openai(&server, "text-embedding-3-small"), &texts, &lengths).await;
    assert_eq!(tokens, 5);
    let server = stand_in(gemini_answer).await;
    assert_in_order(&gemini(&server, "gemini-embedding-001"), &texts, &lengths).await;
    let server = stand_in(vertexai_answer).await;
    let embedder = vertexai(&server, "text-multilingual-embedding-002").await;
    assert_eq!(assert_in_order(&embedder, &texts, &lengths).await, 15);
    let server = stand_in(bedrock_answer).await;
    assert_eq!(
        assert_in_order(&bedrock(&server), &texts, &lengths).await,
        20
    );
    assert_eq!(posted(&server).await.len(), 5, "one text in a request");
}

#[tokio::test]
async fn requests_are_as_the_vendors_document_them() {
    let server = stand_in(openai_answer).await;
    openai(&server, "text-embedding-3-small")
        .embed(&["a", "b"], Purpose::Query)
        .await
        .unwrap();
    assert_eq!(
        posted(&server).await,
        [(
            "/embeddings".to_owned(),
            json!({"model": "text-embedding-3-small", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2})
        )]
    );

    let server = stand_in(gemini_answer).await;
    gemini(&server, "gemini-embedding-001")
        .embed(&["a"], Purpose::Query)
        .await
        .unwrap();
    assert_eq!(
        posted(&server).await,
        [(
            "/models/gemini-embedding-001:batchEmbedContents".to_owned(),
            json!({"requests": [{
                "model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]},
                "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 2
            }]})
        )]
    );

    let server = stand_in(vertexai_answer).await;
    vertexai(&server, "gemini-embedding-001")
        .await
        .embed(&["a", "b"], Purpose::Document)
        .await
        .unwrap();
    let mut posted_there = posted(&server).await;
    // They are under way at the same time.
    posted_there.sort_by_key(|(_, body)| body["instances"][0]["content"].to_string());
    assert_eq!(
        posted_there.len(),
        2,
        "the Gemini models take one text in a request"
    );
    assert_eq!(
        posted_there[0],
        (
            "/v1/projects/cafe-fake/locations/europe-west1/publishers/google/models/gemini-embedding-001:predict".to_owned(),
            json!({
                "instances": [{"content": "a", "task_type": "RETRIEVAL_DOCUMENT"}],
                "parameters": {"outputDimensionality": 2, "autoTruncate": false}
            })
        )
    );

    let server = stand_in(bedrock_answer).await;
    bedrock(&server)
        .embed(&["a"], Purpose::Document)
        .await
        .unwrap();
    assert_eq!(
        posted(&server).await,
        [(
            "/model/amazon.titan-embed-text-v2%3A0/invoke".to_owned(),
            json!({"inputText": "a", "dimensions": 2, "normalize": true})
        )]
    );
}

#[tokio::test]
async fn the_second_generation_of_gemini_is_told_its_purpose_in_words() {
    let server = stand_in(gemini_answer).await;
    let embedder = gemini(&server, "gemini-embedding-2");
    embedder.embed(&["a"], Purpose::Query).await.unwrap();
    embedder.embed(&["a"], Purpose::Document).await.unwrap();
    let texts: Vec<Value> = posted(&server)
        .await
        .iter()
        .map(|(_, body)| body["requests"][0]["content"]["parts"][0]["text"].clone())
        .collect();
    assert_eq!(
        texts,
        [
            json!("task: search result | query: a"),
            json!("title: none | text: a")
        ]
    );
}

#[tokio::test]
async fn many_texts_go_in_batches_and_none_in_none() {
    let server = stand_in(gemini_answer).await;
    let embedder = gemini(&server, "gemini-embedding-001");
    let texts = vec!["abc"; 250];
    assert_in_order(&embedder, &texts, &[3; 250]).await;
    let mut sizes: Vec<usize> = posted(&server)
        .await
        .iter()
        .map(|(_, body)| list(&body["requests"]).len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    let none = embedder.embed(&[], Purpose::Query).await.unwrap();
    assert!(none.vectors.is_empty());
}

async fn failing(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

async fn failure(embedder: &dyn Embedder) -> EmbedderError {
    let error = embedder
        .embed(&["a secret recipe"], Purpose::Document)
        .await
        .unwrap_err();
    assert!(
        !error.to_string().contains("recipe") && !error.to_string().contains(KEY),
        "{error}"
    );
    error
}

#[tokio::test]
async fn each_failure_has_its_class_and_quotes_nothing() {
    let google = |code: u16, status: &str, message: &str| {
        ResponseTemplate::new(code).set_body_json(json!({"error": {
            "code": code, "status": status, "message": message,
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}]
        }}))
    };
    let aws = |code: u16, kind: &str, message: &str| {
        ResponseTemplate::new(code)
            .insert_header("x-amzn-errortype", kind)
            .set_body_json(json!({ "message": message }))
    };
    let openai_says = |code: u16, name: &str, message: &str| {
        ResponseTemplate::new(code)
            .set_body_json(json!({"error": {"message": message, "code": name, "type": "x"}}))
    };
    for (answer, fault) in [
        (
            openai_says(401, "invalid_api_key", KEY),
            Fault::Unauthorized,
        ),
        (
            openai_says(400, "", "maximum context length is 8192: a secret recipe"),
            Fault::TooLong,
        ),
        (
            openai_says(
                400,
                "",
                "Invalid 'input[0]': maximum input length is 8192 tokens.",
            ),
            Fault::TooLong,
        ),
        (
            openai_says(429, "rate_limit_exceeded", "Slow").insert_header("retry-after", "1.5"),
            Fault::RateLimited(Some(Duration::from_millis(1500))),
        ),
        (
            openai_says(429, "insufficient_quota", "Pay"),
            Fault::Unauthorized,
        ),
        (openai_says(500, "", "Oops"), Fault::Overloaded),
    ] {
        let server = failing(answer).await;
        assert_eq!(failure(&openai(&server, "m")).await.fault, fault);
    }
    for (answer, fault) in [
        (
            google(
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
            ),
            Fault::Unauthorized,
        ),
        (
            google(400, "INVALID_ARGUMENT", "Odd text: a secret recipe"),
            Fault::Malformed,
        ),
        (
            google(429, "RESOURCE_EXHAUSTED", "Quota"),
            Fault::RateLimited(Some(Duration::from_secs(2))),
        ),
        (google(503, "UNAVAILABLE", "Later"), Fault::Overloaded),
    ] {
        let server = failing(answer.clone()).await;
        assert_eq!(
            failure(&gemini(&server, "gemini-embedding-001"))
                .await
                .fault,
            fault
        );
        let server = failing(answer).await;
        let embedder = vertexai(&server, "text-embedding-005").await;
        assert_eq!(failure(&embedder).await.fault, fault);
    }
    for (answer, fault) in [
        (
            aws(
                400,
                "ValidationException",
                "400 Bad Request: Too many input tokens. Max input tokens: 8192",
            ),
            Fault::TooLong,
        ),
        (
            aws(403, "AccessDeniedException:http://x", "No"),
            Fault::Unauthorized,
        ),
        (
            aws(429, "ThrottlingException", "Slow"),
            Fault::RateLimited(None),
        ),
        (aws(408, "ModelTimeoutException", "Late"), Fault::TimedOut),
    ] {
        let server = failing(answer).await;
        assert_eq!(failure(&bedrock(&server)).await.fault, fault);
    }
}

#[tokio::test]
async fn a_vector_of_another_length_is_refused_and_the_error_says_so() {
    let server = failing(ResponseTemplate::new(200).set_body_json(
        json!({"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}], "usage": {"total_tokens": 1}}),
    ))
    .await;
    let error = failure(&openai(&server, "m")).await;
    assert_eq!(error.fault, Fault::Malformed);
    assert!(error.message.contains("3 entries, not 2"), "{error}");
}
