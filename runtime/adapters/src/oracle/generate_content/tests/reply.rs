use eywa_weave::ports::oracle::{Fault, Stop, Usage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn told(body: Value) -> Result<Reply, OracleError> {
    let server = stand_in(ResponseTemplate::new(200).set_body_json(body)).await;
    ask(&oracle(&server), None).await
}

#[tokio::test]
async fn a_text_and_what_it_used_are_read() {
    let parts = json!([{"text": "They ask for coffee.", "thought": true}, {"text": "Coming "}, {"text": "right up!"}]);
    let expected = Reply {
        text: "Coming right up!".into(),
        calls: Vec::new(),
        stop: Stop::End,
        usage: Usage {
            input: 120,
            output: 38,
            cached: 64,
            cache_write: 0,
        },
        request_id: Some("resp-7".into()),
    };
    assert_eq!(told(answer(parts, Some("STOP"))).await.unwrap(), expected);
}

#[tokio::test]
async fn parallel_calls_keep_their_ids_and_the_signature() {
    let parts = json!([
        {"functionCall": {"id": "fc-1", "name": "place_order", "args": {"drink": "latte"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "place_order"}}
    ]);
    let reply = told(answer(parts, Some("STOP"))).await.unwrap();
    assert_eq!(reply.stop, Stop::Tools);
    assert_eq!(
        reply.calls[0],
        call(
            "fc-1",
            "place_order",
            json!({"drink": "latte"}),
            Some("gemini:c2ln")
        )
    );
    assert_eq!(
        (&reply.calls[1].arguments, &reply.calls[1].sealed),
        (&json!({}), &None)
    );
    assert!(
        reply.calls[1].id.starts_with("call_"),
        "the older series give no ids"
    );
}

#[tokio::test]
async fn each_reason_to_stop_is_told() {
    let said = json!([{"text": "I"}]);
    for (parts, finish, stop) in [
        (said.clone(), "MAX_TOKENS", Ok(Stop::Length)),
        (json!([]), "SAFETY", Ok(Stop::Policy)),
        (said.clone(), "RECITATION", Ok(Stop::Policy)),
        (json!([]), "PROHIBITED_CONTENT", Ok(Stop::Policy)),
        (json!([]), "SPII", Ok(Stop::Policy)),
        (said.clone(), "OTHER", Ok(Stop::End)),
        (json!([]), "OTHER", Err(Fault::Overloaded)),
        (json!([]), "MALFORMED_FUNCTION_CALL", Err(Fault::Overloaded)),
        (
            json!([]),
            "MISSING_THOUGHT_SIGNATURE",
            Err(Fault::Malformed),
        ),
    ] {
        let told = told(answer(parts, Some(finish))).await;
        let told = told.map(|reply| reply.stop).map_err(|error| error.fault);
        assert_eq!(told, stop, "{finish}");
    }
}

#[tokio::test]
async fn a_conversation_that_is_blocked_is_refused() {
    let error = told(json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}}))
        .await
        .unwrap_err();
    assert_eq!(error.fault, Fault::Refused);
    assert!(error.message.contains("PROHIBITED_CONTENT"), "{error}");
}

#[tokio::test]
async fn an_answer_of_another_form_is_not_taken_for_one() {
    for body in ["", "[]", "{}", "<html>", r#"{"candidates": 7}"#] {
        let server =
            stand_in(ResponseTemplate::new(200).set_body_raw(body, "application/json")).await;
        let error = ask(&oracle(&server), None).await.unwrap_err();
        assert!(
            matches!(error.fault, Fault::Malformed | Fault::TimedOut),
            "{body}: {error}"
        );
    }
}

fn events(chunks: &[Value]) -> String {
    chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\r\n\r\n"))
        .collect()
}

async fn heard(server: &MockServer) -> (Vec<String>, Result<Reply, OracleError>) {
    let mut pieces = Vec::new();
    let mut on_text = |piece: &str| pieces.push(piece.to_owned());
    let reply = ask(&oracle(server), Some(&mut on_text)).await;
    (pieces, reply)
}

fn streamed(body: String) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "text/event-stream")
}

fn whole_stream() -> String {
    events(&[
        answer(json!([{"text": "Com"}]), None),
        answer(json!([{"text": "ing ☕"}]), None),
        answer(
            json!([{"functionCall": {"id": "fc-1", "name": "place_order", "args": {"drink": "café"}}, "thoughtSignature": "c2ln"}]),
            None,
        ),
        answer(json!([{"text": ""}]), Some("STOP")),
    ])
}

#[tokio::test]
async fn text_is_heard_as_it_comes_and_the_reply_holds_the_whole() {
    let server = stand_in(streamed(whole_stream())).await;
    let (pieces, reply) = heard(&server).await;
    assert_eq!(pieces, ["Com", "ing ☕"]);
    let reply = reply.unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.stop),
        ("Coming ☕", Stop::Tools)
    );
    assert_eq!(
        reply.calls,
        [call(
            "fc-1",
            "place_order",
            json!({"drink": "café"}),
            Some("gemini:c2ln")
        )]
    );
    assert_eq!((reply.usage.input, reply.usage.output), (120, 38));
    assert_eq!(
        asked(&server).await.0,
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    );
}

#[tokio::test]
async fn a_stream_is_the_same_wherever_it_is_cut() {
    let body = whole_stream();
    let cuts: Vec<usize> = (1..body.len()).step_by(7).collect();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn({
        let cuts = cuts.clone();
        async move {
            for cut in cuts {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut request = [0; 8192];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                for piece in [&body.as_bytes()[..cut], &body.as_bytes()[cut..]] {
                    stream.write_all(piece).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let oracle = oracle_at(&format!("http://{address}/v1beta"), "gemini-2.5-flash");
    for cut in cuts {
        let mut pieces = String::new();
        let mut on_text = |piece: &str| pieces.push_str(piece);
        let reply = ask(&oracle, Some(&mut on_text)).await.unwrap();
        assert_eq!(
            (pieces.as_str(), reply.calls.len()),
            ("Coming ☕", 1),
            "cut at {cut}"
        );
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_stream_that_ends_before_the_answer_does_is_no_answer() {
    let server = stand_in(streamed(events(&[answer(json!([{"text": "Com"}]), None)]))).await;
    let (pieces, reply) = heard(&server).await;
    assert_eq!(pieces, ["Com"]);
    assert_eq!(reply.unwrap_err().fault, Fault::TimedOut);
}

#[tokio::test]
async fn a_failure_in_the_middle_has_its_class() {
    for (error, fault) in [
        (
            json!({"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}),
            Fault::Overloaded,
        ),
        (
            json!({"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}),
            Fault::RateLimited(None),
        ),
    ] {
        let server = stand_in(streamed(events(&[
            answer(json!([{"text": "Com"}]), None),
            json!({"error": error}),
        ])))
        .await;
        assert_eq!(heard(&server).await.1.unwrap_err().fault, fault);
    }
}

#[tokio::test]
async fn a_stream_without_end_is_given_up() {
    let endless = events(&[answer(json!([{"text": "x".repeat(1000)}]), None)]).repeat(7000);
    let server = stand_in(streamed(endless)).await;
    assert_eq!(heard(&server).await.1.unwrap_err().fault, Fault::Malformed);
}
