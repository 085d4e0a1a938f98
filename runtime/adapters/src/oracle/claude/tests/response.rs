use eywa_weave::{
    ports::oracle::{Fault, Stop, Usage},
    tool::ToolResult,
};

use super::*;

async fn answered(body: Value) -> Result<Reply, OracleError> {
    let server = stand_in(
        ResponseTemplate::new(200)
            .insert_header("request-id", "req_7")
            .set_body_json(body),
    )
    .await;
    ask(&oracle(&server), None).await
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[tokio::test]
async fn an_answer_comes_with_its_usage_and_the_requests_id() {
    let reply = answered(message(
        json!([text("Com"), text("ing!"), {"type": "server_tool_use", "id": "x"}]),
        "end_turn",
    ))
    .await
    .unwrap();
    let expected = Reply {
        text: "Coming!".into(),
        calls: Vec::new(),
        stop: Stop::End,
        usage: Usage {
            input: 120,
            output: 8,
            cached: 64,
            cache_write: 36,
        },
        request_id: Some("req_7".into()),
    };
    assert_eq!(reply, expected);
}

#[tokio::test]
async fn parallel_calls_keep_their_order_and_ids() {
    let content = json!([
        text("One moment."),
        {"type": "tool_use", "id": "toolu_a", "name": "place_order", "input": {"drink": "latte"}},
        {"type": "tool_use", "id": "toolu_b", "name": "place_order", "input": {"drink": "tea"}},
    ]);
    let reply = answered(message(content, "tool_use")).await.unwrap();
    assert_eq!(
        (reply.stop, reply.text.as_str()),
        (Stop::Tools, "One moment.")
    );
    assert_eq!(
        reply.calls,
        [
            call("toolu_a", "place_order", json!({"drink": "latte"})),
            call("toolu_b", "place_order", json!({"drink": "tea"}))
        ]
    );
}

#[tokio::test]
async fn what_was_thought_before_a_call_goes_back_with_it() {
    let thoughts = json!([
        {"type": "thinking", "thinking": "They want coffee.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
    ]);
    let mut content = thoughts.as_array().unwrap().clone();
    content.push(json!({"type": "tool_use", "id": "toolu_a", "name": "menu", "input": {}}));
    let reply = answered(message(Value::Array(content), "tool_use"))
        .await
        .unwrap();
    assert_eq!(reply.text, "", "thoughts are not said");

    let turns = [
        person("Coffee."),
        Turn::Agent {
            text: "Let me see.".into(),
            calls: reply.calls,
        },
    ];
    let server = stand_in(
        ResponseTemplate::new(200).set_body_json(message(json!([text("Hi.")]), "end_turn")),
    )
    .await;
    let again = oracle(&server).caching(false);
    again.ask(question(&turns, &[]), None).await.unwrap();
    let body = asked(&server).await;
    let sent = body["messages"][1]["content"].as_array().unwrap();
    assert_eq!(Value::from(&sent[..2]), thoughts);
    assert_eq!(
        (&sent[2]["type"], &sent[3]["type"]),
        (&json!("text"), &json!("tool_use"))
    );

    // Not with the next Pulse's question: by then the system prompt or the tools may be others, which it is bound to.
    let result = ToolResult {
        call: "toolu_a".into(),
        name: "menu".into(),
        content: "Coffee.".into(),
        failed: false,
    };
    let [asked, called] = turns;
    let turns = [asked, called, Turn::Tools(vec![result]), person("And tea?")];
    let body = request::body(&question(&turns, &[]));
    assert_eq!(body["messages"][1]["content"][0]["type"], "text", "{body}");
}

#[tokio::test]
async fn a_tool_is_called_by_the_name_it_has_here() {
    let wire = crate::oracle::wire::names::wire_name("shop.refund").into_owned();
    let content = json!([{"type": "tool_use", "id": "t", "name": wire, "input": null}]);
    let server =
        stand_in(ResponseTemplate::new(200).set_body_json(message(content, "tool_use"))).await;
    let reply = oracle(&server)
        .ask(question(&[person("Hi.")], &[tool("shop.refund")]), None)
        .await
        .unwrap();
    assert_eq!(reply.calls[0].name, "shop.refund");
    assert_eq!(reply.calls[0].arguments, json!({}));
    assert_eq!(asked(&server).await["tools"][0]["name"], wire);
}

#[tokio::test]
async fn the_reason_for_stopping_is_kept() {
    for (reason, stop) in [
        ("end_turn", Stop::End),
        ("stop_sequence", Stop::End),
        ("pause_turn", Stop::End),
        ("max_tokens", Stop::Length),
        ("model_context_window_exceeded", Stop::Length),
    ] {
        let reply = answered(message(json!([text("Well")]), reason)).await;
        assert_eq!(reply.unwrap().stop, stop, "{reason}");
    }
}

#[tokio::test]
async fn a_refusal_is_policy_and_what_was_said_before_it_is_dropped() {
    let content =
        json!([text("First you"), {"type": "tool_use", "id": "t", "name": "menu", "input": {}}]);
    let reply = answered(message(content, "refusal")).await.unwrap();
    assert_eq!((reply.stop, reply.text.as_str()), (Stop::Policy, ""));
    assert!(reply.calls.is_empty());
}

#[tokio::test]
async fn what_is_no_message_is_malformed() {
    for body in [json!({}), json!([1]), json!({"content": 7})] {
        assert_eq!(
            answered(body.clone()).await.unwrap_err().fault,
            Fault::Malformed,
            "{body}"
        );
    }
}
