use eywa_weave::ports::oracle::{Fault, Stop, Usage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn events(chunks: &[Value]) -> String {
    let mut body: String = chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    body.push_str("data: [DONE]\n\n");
    body
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5-mini", "usage": null,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]
    })
}

fn call_piece(index: Value, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    chunk(
        json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
        None,
    )
}

fn streamed(body: String) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .insert_header("x-request-id", "req_8")
        .set_body_raw(body, "text/event-stream; charset=utf-8")
}

/// What came piece by piece, and what came of it.
async fn heard(server: &MockServer) -> (Vec<String>, Result<Reply, OracleError>) {
    let mut pieces = Vec::new();
    let mut on_text = |piece: &str| pieces.push(piece.to_owned());
    let reply = ask(&oracle(server), Some(&mut on_text)).await;
    (pieces, reply)
}

#[tokio::test]
async fn text_is_heard_as_it_comes_and_the_reply_holds_the_whole() {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}});
    let server = stand_in(streamed(events(&[
        chunk(json!({"role": "assistant", "content": ""}), None),
        chunk(json!({"content": "Com"}), None),
        chunk(json!({"content": "ing ☕"}), None),
        chunk(json!({}), Some("stop")),
        usage,
    ])))
    .await;
    let (pieces, reply) = heard(&server).await;
    assert_eq!(pieces, ["Com", "ing ☕"]);
    let expected = Reply {
        text: "Coming ☕".into(),
        calls: Vec::new(),
        stop: Stop::End,
        usage: Usage {
            input: 9,
            output: 3,
            cached: 4,
            cache_write: 0,
        },
        request_id: Some("req_8".into()),
    };
    assert_eq!(reply.unwrap(), expected);
    let body = asked(&server).await;
    assert_eq!(
        (&body["stream"], &body["stream_options"]),
        (&json!(true), &json!({"include_usage": true}))
    );
}

#[tokio::test]
async fn parallel_calls_are_put_together_from_their_pieces() {
    let one = json!({"drink": "latte"});
    let two = json!({"drink": "tea"});
    let expected = [
        call("call_a", "place_order", one),
        call("call_b", "place_order", two),
    ];
    let name = Some("place_order");
    for pieces in [
        // As OpenAI sends them.
        [
            call_piece(json!(0), Some("call_a"), name, ""),
            call_piece(json!(0), None, None, "{\"drink\":\"latte\"}"),
            call_piece(json!(1), Some("call_b"), name, "{\"drink\":"),
            call_piece(json!(1), None, None, "\"tea\"}"),
        ],
        // With one index for all, and only ids to tell them apart.
        [
            call_piece(json!(0), Some("call_a"), name, "{\"drink\":\"latte\"}"),
            call_piece(json!(0), Some("call_b"), name, "{\"drink\":"),
            call_piece(json!(0), None, None, "\"te"),
            call_piece(json!(0), None, None, "a\"}"),
        ],
        // Without an index.
        [
            call_piece(Value::Null, Some("call_a"), name, "{\"drink\":"),
            call_piece(Value::Null, None, None, "\"latte\"}"),
            call_piece(Value::Null, Some("call_b"), name, "{\"drink\":"),
            call_piece(Value::Null, None, None, "\"tea\"}"),
        ],
    ] {
        let mut chunks = pieces.to_vec();
        chunks.push(chunk(json!({}), Some("tool_calls")));
        let (_, reply) = heard(&stand_in(streamed(events(&chunks))).await).await;
        let reply = reply.unwrap();
        assert_eq!(
            (reply.calls.as_slice(), reply.stop),
            (expected.as_slice(), Stop::Tools)
        );
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_has_its_class() {
    for (error, fault) in [
        (
            json!({"message": "The server had an error", "type": "server_error"}),
            Fault::Overloaded,
        ),
        (
            json!({"message": "Slow down", "code": "rate_limit_exceeded"}),
            Fault::RateLimited(None),
        ),
        (
            json!({"message": "No", "code": "content_filter"}),
            Fault::Refused,
        ),
    ] {
        let server = stand_in(streamed(events(&[
            chunk(json!({"content": "Com"}), None),
            json!({"error": error}),
        ])))
        .await;
        let (pieces, reply) = heard(&server).await;
        assert_eq!(pieces, ["Com"]);
        assert_eq!(reply.unwrap_err().fault, fault);
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_the_answer_does_is_no_answer() {
    let body = format!("data: {}\n\n", chunk(json!({"content": "Com"}), None));
    let (_, reply) = heard(&stand_in(streamed(body)).await).await;
    assert_eq!(reply.unwrap_err().fault, Fault::TimedOut);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_may_be_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let event = format!("data: {}\n\n", chunk(json!({"content": "Com"}), None));
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
        stream
            .write_all(format!("{head}{event}").as_bytes())
            .await
            .unwrap();
    });
    let mut on_text = |_: &str| {};
    let error = ask(
        &oracle_at(&format!("http://{address}/v1")),
        Some(&mut on_text),
    )
    .await
    .unwrap_err();
    assert_eq!(error.fault, Fault::TimedOut);
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood_all_the_same() {
    let server = stand_in(
        ResponseTemplate::new(200).set_body_json(completion(json!({"content": "Coming!"}), "stop")),
    )
    .await;
    let (pieces, reply) = heard(&server).await;
    assert!(pieces.is_empty());
    assert_eq!(reply.unwrap().text, "Coming!");
}

#[tokio::test]
async fn a_stream_without_end_is_given_up() {
    let endless = format!(
        "data: {}\n\n",
        chunk(json!({"content": "x".repeat(1000)}), None)
    )
    .repeat(9000);
    let (_, reply) = heard(&stand_in(streamed(endless)).await).await;
    assert_eq!(reply.unwrap_err().fault, Fault::Malformed);
}
