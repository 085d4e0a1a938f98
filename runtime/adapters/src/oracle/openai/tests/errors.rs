use std::time::Duration;

use eywa_weave::ports::oracle::Fault;

use super::*;

fn error(message: &str, kind: &str, param: Value, code: Value) -> Value {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

async fn refused(answer: ResponseTemplate) -> OracleError {
    ask(&oracle(&stand_in(answer).await), None)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn each_failure_has_the_class_that_the_weave_acts_on() {
    let null = || Value::Null;
    for (status, body, fault) in [
        (
            400,
            error(
                "Unsupported value: 'temperature'",
                "invalid_request_error",
                json!("temperature"),
                json!("unsupported_value"),
            ),
            Fault::Malformed,
        ),
        (
            400,
            error(
                "This model's maximum context length is 128000 tokens.",
                "invalid_request_error",
                json!("messages"),
                json!("context_length_exceeded"),
            ),
            Fault::TooLong,
        ),
        // vLLM says it without a code, and without the wrapper.
        (
            400,
            json!({"object": "error", "message": "This model's maximum context length is 4096 tokens", "type": "BadRequestError", "code": 400}),
            Fault::TooLong,
        ),
        (
            400,
            error(
                "The response was filtered",
                "invalid_request_error",
                null(),
                json!("content_filter"),
            ),
            Fault::Refused,
        ),
        (
            401,
            error(
                "Incorrect API key provided: sk-not*******key.",
                "invalid_request_error",
                null(),
                json!("invalid_api_key"),
            ),
            Fault::Unauthorized,
        ),
        (
            403,
            error(
                "Country, region, or territory not supported",
                "request_forbidden",
                null(),
                null(),
            ),
            Fault::Unauthorized,
        ),
        (
            404,
            error(
                "The model `gpt-9` does not exist or you do not have access to it.",
                "invalid_request_error",
                null(),
                json!("model_not_found"),
            ),
            Fault::Unauthorized,
        ),
        (404, json!("not found"), Fault::Malformed),
        (413, json!({}), Fault::TooLong),
        (
            429,
            error(
                "Rate limit reached for requests",
                "requests",
                null(),
                json!("rate_limit_exceeded"),
            ),
            Fault::RateLimited(None),
        ),
        (
            429,
            error(
                "You exceeded your current quota",
                "insufficient_quota",
                null(),
                json!("insufficient_quota"),
            ),
            Fault::Unauthorized,
        ),
        (
            429,
            error(
                "Request too large for gpt-5-mini on tokens per min (TPM): Limit 30000, Requested 40000.",
                "tokens",
                null(),
                json!("rate_limit_exceeded"),
            ),
            Fault::TooLong,
        ),
        (
            500,
            error(
                "The server had an error while processing your request",
                "server_error",
                null(),
                null(),
            ),
            Fault::Overloaded,
        ),
        (
            503,
            json!("<html>The engine is currently overloaded</html>"),
            Fault::Overloaded,
        ),
        (504, json!({}), Fault::TimedOut),
        (302, json!({}), Fault::Malformed),
    ] {
        let error = refused(ResponseTemplate::new(status).set_body_json(&body)).await;
        assert_eq!(error.fault, fault, "{status} {body}");
        assert_eq!(error.provider, "openai");
    }
}

#[tokio::test]
async fn the_hint_when_to_come_back_is_read_in_all_its_forms() {
    for (name, value, hint) in [
        ("retry-after-ms", "1250", Some(Duration::from_millis(1250))),
        ("retry-after", "20", Some(Duration::from_secs(20))),
        ("retry-after", "0.5", Some(Duration::from_millis(500))),
        (
            "retry-after",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            Some(Duration::ZERO),
        ),
        ("retry-after", "soon", None),
        ("retry-after", "-3", None),
        ("retry-after", "1e300", None),
    ] {
        let error = refused(
            ResponseTemplate::new(429)
                .insert_header(name, value)
                .set_body_json(json!({})),
        )
        .await;
        assert_eq!(error.fault, Fault::RateLimited(hint), "{name}: {value}");
    }
}

#[tokio::test]
async fn the_request_id_is_in_the_message_for_the_providers_support_desk() {
    let error = refused(
        ResponseTemplate::new(500)
            .insert_header("x-request-id", "req_9")
            .set_body_json(json!({})),
    )
    .await;
    assert_eq!(error.to_string(), "openai: HTTP 500 (request req_9)");
}

#[tokio::test]
async fn neither_key_nor_conversation_is_in_the_message() {
    let key = error(
        "Incorrect API key provided: sk-not*******key.",
        "invalid_request_error",
        Value::Null,
        json!("invalid_api_key"),
    );
    let quote = error(
        "Invalid content: 'A flat white, please.'",
        "invalid_request_error",
        json!("messages[1].content"),
        Value::Null,
    );
    for (status, body) in [(401, key), (400, quote)] {
        let message = refused(ResponseTemplate::new(status).set_body_json(body))
            .await
            .message;
        assert!(
            !message.contains("sk-") && !message.contains("flat white"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_may_be_tried_again_and_one_that_is_not_allowed_may_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = ask(&oracle_at(&format!("http://{address}/v1")), None)
        .await
        .unwrap_err();
    assert_eq!(error.fault, Fault::TimedOut);

    let error = ask(&oracle_at("http://169.254.169.254/v1"), None)
        .await
        .unwrap_err();
    assert_eq!(error.fault, Fault::Malformed);
    assert!(error.message.contains("not allowed"), "{}", error.message);
}

#[test]
fn the_key_is_not_in_debug_output() {
    assert!(!format!("{:?}", oracle_at(OpenAi::BASE_URL)).contains(KEY));
}
