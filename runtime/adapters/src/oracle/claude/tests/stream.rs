use eywa_weave::ports::oracle::{Fault, Stop, Usage};

use super::*;

fn events(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| {
            let kind = event["type"].as_str().unwrap();
            format!("event: {kind}\ndata: {event}\n\n")
        })
        .collect()
}

fn streamed(body: String) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .insert_header("request-id", "req_8")
        .set_body_raw(body, "text/event-stream; charset=utf-8")
}

fn start() -> Value {
    json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-sonnet-4-5-20250929",
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 5, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 1}
    }})
}

fn begin(index: usize, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: usize, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn text(text: &str) -> Value {
    delta(0, json!({"type": "text_delta", "text": text}))
}

fn end(stop: &str) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop"}),
    ]
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
    let mut told = vec![
        start(),
        begin(0, json!({"type": "text", "text": ""})),
        json!({"type": "ping"}),
        text("Com"),
        text("ing ☕"),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "something_new", "x": 1}),
        delta(0, json!({"type": "citations_delta", "citation": {}})),
    ];
    told.extend(end("end_turn"));
    let server = stand_in(streamed(events(&told))).await;
    let (pieces, reply) = heard(&server).await;
    assert_eq!(pieces, ["Com", "ing ☕"]);
    let expected = Reply {
        text: "Coming ☕".into(),
        calls: Vec::new(),
        stop: Stop::End,
        usage: Usage {
            input: 10,
            output: 15,
            cached: 2,
            cache_write: 3,
        },
        request_id: Some("req_8".into()),
    };
    assert_eq!(reply.unwrap(), expected);
    assert_eq!(asked(&server).await["stream"], true);
}

#[tokio::test]
async fn calls_and_thoughts_are_put_together_from_their_pieces() {
    let call_begins = |index, id: &str| {
        begin(
            index,
            json!({"type": "tool_use", "id": id, "name": "place_order", "input": {}}),
        )
    };
    let piece = |index, json: &str| {
        delta(
            index,
            json!({"type": "input_json_delta", "partial_json": json}),
        )
    };
    let mut told = vec![
        start(),
        begin(
            0,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
        ),
        delta(0, json!({"type": "thinking_delta", "thinking": "Two "})),
        delta(0, json!({"type": "thinking_delta", "thinking": "drinks."})),
        delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
        call_begins(1, "toolu_a"),
        piece(1, ""),
        piece(1, "{\"drink\": \"la"),
        piece(1, "tte\"}"),
        call_begins(2, "toolu_b"),
        call_begins(3, "toolu_c"),
        piece(3, "{\"drink\": "),
    ];
    told.extend(end("tool_use"));
    let (pieces, reply) = heard(&stand_in(streamed(events(&told))).await).await;
    assert!(pieces.is_empty());
    let reply = reply.unwrap();
    assert_eq!(reply.stop, Stop::Tools);
    let arguments: Vec<_> = reply.calls.iter().map(|call| &call.arguments).collect();
    assert_eq!(
        arguments,
        [
            &json!({"drink": "latte"}),
            &json!({}),
            &json!("{\"drink\": ")
        ]
    );
    let thoughts = super::super::answer::thoughts(&reply.calls[0]);
    assert_eq!(
        thoughts,
        [json!({"type": "thinking", "thinking": "Two drinks.", "signature": "c2ln"})]
    );
}

#[tokio::test]
async fn a_failure_in_the_middle_has_its_class() {
    for (kind, fault) in [
        ("overloaded_error", Fault::Overloaded),
        ("rate_limit_error", Fault::RateLimited(None)),
        ("invalid_request_error", Fault::Malformed),
    ] {
        let error = json!({"type": "error", "error": {"type": kind, "message": "No"}});
        let told = [
            start(),
            begin(0, json!({"type": "text", "text": ""})),
            text("Com"),
            error,
        ];
        let (pieces, reply) = heard(&stand_in(streamed(events(&told))).await).await;
        assert_eq!(pieces, ["Com"]);
        assert_eq!(reply.unwrap_err().fault, fault, "{kind}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_the_answer_does_is_no_answer() {
    let told = [
        start(),
        begin(0, json!({"type": "text", "text": ""})),
        text("Com"),
    ];
    let (_, reply) = heard(&stand_in(streamed(events(&told))).await).await;
    assert_eq!(reply.unwrap_err().fault, Fault::TimedOut);
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood_all_the_same() {
    let whole = message(json!([{"type": "text", "text": "Coming!"}]), "end_turn");
    let server = stand_in(ResponseTemplate::new(200).set_body_json(whole)).await;
    let (pieces, reply) = heard(&server).await;
    assert!(pieces.is_empty());
    assert_eq!(reply.unwrap().text, "Coming!");
}
