//! Against a stand-in that answers as Google Cloud's documentation says.

use eywa_weave::{
    ports::oracle::{Fault, Stop, Turn},
    tool::ToolCall,
};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method},
};

use super::*;
use crate::rehearsal::client;

async fn metadata_server() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("metadata-flavor", "Google"))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"access_token": "fake-token", "expires_in": 3599, "token_type": "Bearer"}),
        ))
        .mount(&server)
        .await;
    server
}

async fn stand_in(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("authorization", "Bearer fake-token"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn oracle(server: &MockServer, model: &str, tokens: GoogleTokens) -> VertexAi {
    let site = VertexSite {
        base_url: server.uri().parse().unwrap(),
        project: "cafe-fake".into(),
        location: "europe-west1".into(),
    };
    VertexAi::new(client(), &site, model, tokens)
}

async fn asked(server: &MockServer) -> (String, Value) {
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    let url = &requests[0].url;
    let query = url.query().map(|it| format!("?{it}")).unwrap_or_default();
    (
        format!("{}{query}", url.path()),
        requests[0].body_json().unwrap(),
    )
}

fn turns() -> [Turn; 3] {
    [
        Turn::User {
            text: "A latte.".into(),
            attachments: Vec::new(),
        },
        Turn::Agent {
            text: String::new(),
            calls: vec![ToolCall {
                id: "c1".into(),
                name: "place_order".into(),
                arguments: json!({}),
                sealed: None,
            }],
        },
        Turn::Tools(vec![eywa_weave::tool::ToolResult {
            call: "c1".into(),
            name: "place_order".into(),
            content: "ok".into(),
            failed: false,
        }]),
    ]
}

fn question(turns: &[Turn]) -> Question<'_> {
    Question {
        system: "You serve coffee.",
        turns,
        tools: &[],
        temperature: None,
        max_tokens: Some(100),
        effort: None,
    }
}

#[tokio::test]
async fn gemini_is_asked_in_the_projects_location_with_the_pods_token_and_without_ids() {
    let metadata = metadata_server().await;
    let server = stand_in(ResponseTemplate::new(200).set_body_json(json!({
        "candidates": [{"content": {"parts": [{"text": "Coming!"}]}, "finishReason": "STOP"}]
    })))
    .await;
    let tokens = GoogleTokens::of_metadata_server_at(metadata.uri());
    let oracle = oracle(&server, "gemini-2.5-flash", tokens);
    let reply = oracle.ask(question(&turns()), None).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.stop), ("Coming!", Stop::End));
    let (path, body) = asked(&server).await;
    assert_eq!(
        path,
        "/v1/projects/cafe-fake/locations/europe-west1/publishers/google/models/gemini-2.5-flash:generateContent"
    );
    assert_eq!(
        body["contents"][1]["parts"][0],
        json!({"functionCall": {"name": "place_order", "args": {}}})
    );
    assert_eq!(
        body["contents"][2]["parts"][0],
        json!({"functionResponse": {"name": "place_order", "response": {"output": "ok"}}})
    );
}

#[tokio::test]
async fn claude_is_asked_in_its_own_format_with_the_version_in_the_body() {
    let metadata = metadata_server().await;
    let server = stand_in(ResponseTemplate::new(200).set_body_json(json!({
        "id": "msg_vrtx_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Coming!"}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 20, "output_tokens": 3, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    })))
    .await;
    let tokens = GoogleTokens::of_metadata_server_at(metadata.uri());
    let oracle = oracle(&server, "claude-sonnet-4-5@20250929", tokens);
    let reply = oracle.ask(question(&turns()), None).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.usage.input), ("Coming!", 20));
    let (path, body) = asked(&server).await;
    assert_eq!(
        path,
        "/v1/projects/cafe-fake/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"
    );
    assert_eq!(body["anthropic_version"], "vertex-2023-10-16");
    assert!(body.get("model").is_none(), "the path names it");
}

#[tokio::test]
async fn both_are_heard_as_they_come() {
    let metadata = metadata_server().await;
    let gemini = json!({"candidates": [{"content": {"parts": [{"text": "Coming!"}]}, "finishReason": "STOP"}]});
    let claude = [
        json!({"type": "message_start", "message": {"id": "msg_vrtx_1", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Coming!"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}),
        json!({"type": "message_stop"}),
    ]
    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
    .concat();
    for (model, body, method) in [
        (
            "gemini-2.5-flash",
            format!("data: {gemini}\n\n"),
            "streamGenerateContent?alt=sse",
        ),
        ("claude-sonnet-4-5", claude, "streamRawPredict"),
    ] {
        let server =
            stand_in(ResponseTemplate::new(200).set_body_raw(body, "text/event-stream")).await;
        let tokens = GoogleTokens::of_metadata_server_at(metadata.uri());
        let mut heard = String::new();
        let mut on_text = |piece: &str| heard.push_str(piece);
        let oracle = oracle(&server, model, tokens);
        let reply = oracle
            .ask(question(&turns()), Some(&mut on_text))
            .await
            .unwrap();
        assert_eq!(
            (heard.as_str(), reply.text.as_str()),
            ("Coming!", "Coming!")
        );
        let (path, _) = asked(&server).await;
        assert!(path.ends_with(method), "{path}");
    }
}

#[tokio::test]
async fn a_service_accounts_key_opens_it_too() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({
            "candidates": [{"content": {"parts": [{"text": "Coming!"}]}, "finishReason": "STOP"}]
        })))
        .mount(&server)
        .await;
    let client = client();
    let tokens = GoogleTokens::of_key(&crate::google::tests::key()).unwrap();
    let site = VertexSite {
        base_url: server.uri().parse().unwrap(),
        project: "cafe-fake".into(),
        location: "global".into(),
    };
    let oracle = VertexAi::new(client, &site, "gemini-2.5-flash", tokens);
    oracle.ask(question(&turns()), None).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let sent = requests[0].headers["authorization"].to_str().unwrap();
    assert_eq!(
        sent.strip_prefix("Bearer ").unwrap().split('.').count(),
        3,
        "it is a signed token"
    );
}

#[tokio::test]
async fn without_an_identity_nothing_is_asked_and_the_error_says_what_to_do() {
    let metadata = MockServer::start().await;
    let server = stand_in(ResponseTemplate::new(200)).await;
    let tokens = GoogleTokens::of_metadata_server_at(metadata.uri());
    let error = oracle(&server, "gemini-2.5-flash", tokens)
        .ask(question(&turns()), None)
        .await
        .unwrap_err();
    assert_eq!(
        (error.fault, error.provider),
        (Fault::Unauthorized, PROVIDER)
    );
    assert!(error.message.contains("credentials"), "{error}");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn googles_errors_have_their_class_for_both() {
    let metadata = metadata_server().await;
    for model in ["gemini-2.5-flash", "claude-sonnet-4-5"] {
        for (code, status, fault) in [
            (403, "PERMISSION_DENIED", Fault::Unauthorized),
            (429, "RESOURCE_EXHAUSTED", Fault::RateLimited(None)),
            (503, "UNAVAILABLE", Fault::Overloaded),
        ] {
            let body = json!({"error": {"code": code, "message": "No.", "status": status}});
            let server = stand_in(ResponseTemplate::new(code).set_body_json(body)).await;
            let tokens = GoogleTokens::of_metadata_server_at(metadata.uri());
            let error = oracle(&server, model, tokens)
                .ask(question(&turns()), None)
                .await
                .unwrap_err();
            assert_eq!(
                (error.fault, error.provider),
                (fault, PROVIDER),
                "{model} {code}"
            );
        }
    }
}
