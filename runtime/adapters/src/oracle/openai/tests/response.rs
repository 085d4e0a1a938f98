use eywa_weave::ports::oracle::{Fault, Stop, Usage};

use super::*;

async fn answered(body: Value) -> Result<Reply, OracleError> {
    let server = stand_in(
        ResponseTemplate::new(200)
            .insert_header("x-request-id", "req_7")
            .set_body_json(body),
    )
    .await;
    ask(&oracle(&server), None).await
}

#[tokio::test]
async fn an_answer_comes_with_its_usage_and_the_requests_id() {
    let reply = answered(completion(
        json!({"role": "assistant", "content": "Coming!", "refusal": null}),
        "stop",
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
            cache_write: 0,
        },
        request_id: Some("req_7".into()),
    };
    assert_eq!(reply, expected);
}

#[tokio::test]
async fn parallel_calls_keep_their_order_and_ids() {
    let message = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "place_order", "arguments": "{\"drink\":\"latte\"}"}},
        {"id": "call_b", "type": "function", "function": {"name": "place_order", "arguments": "{\"drink\":\"tea\"}"}},
    ]});
    let reply = answered(completion(message, "tool_calls")).await.unwrap();
    assert_eq!(reply.stop, Stop::Tools);
    assert_eq!(
        reply.calls,
        [
            call("call_a", "place_order", json!({"drink": "latte"})),
            call("call_b", "place_order", json!({"drink": "tea"}))
        ]
    );
}

#[tokio::test]
async fn arguments_that_are_no_json_are_kept_for_the_schema_to_refuse() {
    for (arguments, value) in [
        (json!("{\"drink\": \"lat"), json!("{\"drink\": \"lat")),
        (json!(""), json!({})),
        (json!(null), json!({})),
        (json!({"drink": "tea"}), json!({"drink": "tea"})),
    ] {
        let message = json!({"tool_calls": [{"id": "c", "function": {"name": "place_order", "arguments": arguments}}]});
        assert_eq!(
            answered(completion(message, "tool_calls"))
                .await
                .unwrap()
                .calls[0]
                .arguments,
            value
        );
    }
}

#[tokio::test]
async fn a_call_without_an_id_gets_one() {
    let message = json!({"tool_calls": [
        {"function": {"name": "place_order", "arguments": "{}"}},
        {"id": "", "function": {"name": "place_order", "arguments": "{}"}},
    ]});
    let calls = answered(completion(message, "stop")).await.unwrap().calls;
    assert!(calls.iter().all(|call| !call.id.is_empty()));
    assert_ne!(calls[0].id, calls[1].id);
}

#[tokio::test]
async fn a_tool_is_called_by_the_name_it_has_here() {
    let wire = crate::oracle::wire::names::wire_name("shop.refund").into_owned();
    let message =
        json!({"tool_calls": [{"id": "c", "function": {"name": wire, "arguments": "{}"}}]});
    let server =
        stand_in(ResponseTemplate::new(200).set_body_json(completion(message, "tool_calls"))).await;
    let reply = oracle(&server)
        .ask(question(&[person("Hi.")], &[tool("shop.refund")]), None)
        .await
        .unwrap();
    assert_eq!(reply.calls[0].name, "shop.refund");
    assert_eq!(asked(&server).await["tools"][0]["function"]["name"], wire);
}

#[tokio::test]
async fn the_reason_for_stopping_is_kept() {
    for (finish, stop) in [
        ("stop", Stop::End),
        ("length", Stop::Length),
        ("content_filter", Stop::Policy),
    ] {
        assert_eq!(
            answered(completion(json!({"content": "Well"}), finish))
                .await
                .unwrap()
                .stop,
            stop,
            "{finish}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_policy_and_its_words_are_the_text() {
    let reply = answered(completion(
        json!({"content": null, "refusal": "I cannot help with that."}),
        "stop",
    ))
    .await
    .unwrap();
    assert_eq!(
        (reply.stop, reply.text.as_str()),
        (Stop::Policy, "I cannot help with that.")
    );
}

#[tokio::test]
async fn what_is_no_chat_completion_is_malformed() {
    for body in [
        json!({"choices": []}),
        json!({"choices": null}),
        json!([1]),
        json!({"choices": [{"message": {"content": 7}}]}),
    ] {
        assert_eq!(
            answered(body.clone()).await.unwrap_err().fault,
            Fault::Malformed,
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_read() {
    let server = stand_in(ResponseTemplate::new(200).set_body_raw(
        vec![b' '; crate::oracle::wire::LONGEST_ANSWER + 1],
        "application/json",
    ))
    .await;
    let error = ask(&oracle(&server), None).await.unwrap_err();
    assert_eq!(error.fault, Fault::Malformed);
    assert!(
        error.message.contains("more than 8388608 bytes"),
        "{}",
        error.message
    );
}
