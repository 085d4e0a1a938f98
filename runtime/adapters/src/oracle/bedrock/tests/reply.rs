use eywa_weave::ports::oracle::{Stop, Usage};
use proptest::prelude::*;

use super::*;

async fn told(body: Value) -> Result<Reply, OracleError> {
    let server = stand_in(ResponseTemplate::new(200).set_body_json(body)).await;
    ask(&oracle(&server), None).await
}

#[tokio::test]
async fn text_calls_and_usage_are_read() {
    let content = json!([
        {"reasoningContent": {"reasoningText": {"text": "They want coffee.", "signature": "s"}}},
        {"text": "Coming!"},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "place_order", "input": {"drink": "latte"}}},
        {"toolUse": {"toolUseId": "tooluse_2", "name": "place_order", "input": {}}}
    ]);
    let expected = Reply {
        text: "Coming!".into(),
        calls: vec![
            call("tooluse_1", "place_order", json!({"drink": "latte"})),
            call("tooluse_2", "place_order", json!({})),
        ],
        stop: Stop::Tools,
        usage: Usage {
            input: 1120,
            output: 8,
            cached: 1000,
            cache_write: 100,
        },
        request_id: Some("req-7".into()),
    };
    assert_eq!(told(answer(content, "tool_use")).await.unwrap(), expected);
}

#[tokio::test]
async fn each_reason_to_stop_is_told() {
    for (reason, stop) in [
        ("end_turn", Ok(Stop::End)),
        ("stop_sequence", Ok(Stop::End)),
        ("max_tokens", Ok(Stop::Length)),
        ("model_context_window_exceeded", Ok(Stop::Length)),
        ("guardrail_intervened", Ok(Stop::Policy)),
        ("content_filtered", Ok(Stop::Policy)),
        ("malformed_tool_use", Err(Fault::Overloaded)),
    ] {
        let told = told(answer(json!([{"text": "Sorry"}]), reason)).await;
        let told = told.map(|reply| reply.stop).map_err(|error| error.fault);
        assert_eq!(told, stop, "{reason}");
    }
}

#[tokio::test]
async fn an_answer_of_another_form_is_not_taken_for_one() {
    for body in ["", "{}", r#"{"output": {}}"#, "<html>"] {
        let server =
            stand_in(ResponseTemplate::new(200).set_body_raw(body, "application/json")).await;
        let error = ask(&oracle(&server), None).await.unwrap_err();
        assert_eq!(error.fault, Fault::Malformed, "{body}");
    }
}

async fn heard(body: Vec<u8>) -> (Vec<String>, Result<Reply, OracleError>) {
    let server = stand_in(streamed(body)).await;
    let mut pieces = Vec::new();
    let mut on_text = |piece: &str| pieces.push(piece.to_owned());
    let reply = ask(&oracle(&server), Some(&mut on_text)).await;
    let path = asked(&server).await.url.path().to_owned();
    assert!(path.ends_with("/converse-stream"), "{path}");
    (pieces, reply)
}

fn expected_calls() -> [ToolCall; 2] {
    [
        call("tooluse_1", "place_order", json!({"drink": "café"})),
        call("tooluse_2", "place_order", json!({})),
    ]
}

#[tokio::test]
async fn text_is_heard_as_it_comes_and_the_reply_holds_the_whole() {
    let (pieces, reply) = heard(whole_stream()).await;
    assert_eq!(pieces, ["Com", "ing ☕"]);
    let reply = reply.unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.stop),
        ("Coming ☕", Stop::Tools)
    );
    assert_eq!(reply.calls, expected_calls());
    assert_eq!((reply.usage.input, reply.usage.output), (20, 8));
    assert_eq!(reply.request_id.as_deref(), Some("req-7"));
}

/// Hears a stream that comes in these pieces.
fn hear(pieces: &[&[u8]]) -> (String, Result<Reply, OracleError>) {
    let turns = [person("A flat white, please.")];
    let question = question(&turns, &[]);
    let (mut events, mut hearing, mut heard) =
        (Events::default(), Hearing::default(), String::new());
    let mut all = || {
        for piece in pieces {
            for event in events.take(piece)? {
                hearing.hear(event, &question, &mut |text| heard.push_str(text))?;
            }
        }
        Ok(())
    };
    let reply = all().and_then(|()| hearing.reply(&question));
    (heard, reply)
}

#[test]
fn a_stream_is_the_same_wherever_it_is_cut() {
    let stream = whole_stream();
    for cut in 0..=stream.len() {
        let (heard, reply) = hear(&[&stream[..cut], &stream[cut..]]);
        assert_eq!(heard, "Coming ☕", "cut at {cut}");
        assert_eq!(reply.unwrap().calls, expected_calls(), "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn a_stream_is_the_same_whatever_its_pieces(sizes in proptest::collection::vec(1_usize..97, 1..400)) {
        let stream = whole_stream();
        let (mut rest, mut pieces) = (stream.as_slice(), Vec::new());
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let (heard, reply) = hear(&pieces);
        prop_assert_eq!(heard, "Coming ☕");
        prop_assert_eq!(reply.unwrap().calls, expected_calls());
    }

    #[test]
    fn noise_is_an_error_and_no_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_, reply) = hear(&[&noise]);
        prop_assert!(reply.is_err());
    }
}

#[test]
fn a_stream_that_ends_before_the_answer_does_is_no_answer() {
    let stream = whole_stream();
    let stop_at = stream
        .windows(b"messageStop".len())
        .position(|window| window == b"messageStop")
        .unwrap();
    for end in [0, 1, stop_at / 2, stop_at] {
        assert_eq!(
            hear(&[&stream[..end]]).1.unwrap_err().fault,
            Fault::TimedOut
        );
    }
}

#[test]
fn a_message_that_was_changed_on_its_way_is_not_taken() {
    let mut stream = whole_stream();
    stream[40] ^= 1;
    assert_eq!(hear(&[&stream]).1.unwrap_err().fault, Fault::Malformed);
}

#[tokio::test]
async fn a_failure_in_the_middle_has_its_class() {
    for (kind, fault) in [
        ("throttlingException", Fault::RateLimited(None)),
        ("modelStreamErrorException", Fault::Overloaded),
        ("internalServerException", Fault::Overloaded),
        ("serviceUnavailableException", Fault::Overloaded),
        ("validationException", Fault::Malformed),
        ("somethingNewException", Fault::Overloaded),
    ] {
        let body = [
            event(
                "contentBlockDelta",
                json!({"contentBlockIndex": 0, "delta": {"text": "Com"}}),
            ),
            message("exception", kind, json!({"message": "No."})),
        ]
        .concat();
        let (pieces, reply) = heard(body).await;
        assert_eq!(pieces, ["Com"]);
        assert_eq!(reply.unwrap_err().fault, fault, "{kind}");
    }
}
