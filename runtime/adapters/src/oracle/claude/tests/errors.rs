use std::time::Duration;

use eywa_weave::ports::oracle::Fault;

use super::*;

fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
}

async fn refused(answer: ResponseTemplate) -> OracleError {
    ask(&oracle(&stand_in(answer).await), None)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn each_failure_has_the_class_that_the_weave_acts_on() {
    let invalid = |message| error("invalid_request_error", message);
    for (status, body, fault) in [
        (
            400,
            invalid("max_tokens: must be positive"),
            Fault::Malformed,
        ),
        (
            400,
            invalid("prompt is too long: 208310 tokens > 200000 maximum"),
            Fault::TooLong,
        ),
        (
            400,
            invalid("This model's maximum context length is 4096 tokens."),
            Fault::TooLong,
        ),
        (
            400,
            invalid("input length and `max_tokens` exceed context limit: 199000 + 4096 > 200000"),
            Fault::TooLong,
        ),
        (
            400,
            invalid("Your credit balance is too low to access the Anthropic API."),
            Fault::Unauthorized,
        ),
        (
            400,
            invalid("Output blocked by content filtering policy"),
            Fault::Refused,
        ),
        (
            401,
            error("authentication_error", "invalid x-api-key"),
            Fault::Unauthorized,
        ),
        (402, error("billing_error", "Pay."), Fault::Unauthorized),
        (403, error("permission_error", "No."), Fault::Unauthorized),
        (
            404,
            error("not_found_error", "model: claude-9"),
            Fault::Unauthorized,
        ),
        (404, json!("not found"), Fault::Malformed),
        (409, error("conflict_error", "Again."), Fault::Overloaded),
        (
            413,
            error("request_too_large", "Request exceeds the maximum size"),
            Fault::TooLong,
        ),
        (413, json!("<html>"), Fault::TooLong),
        (
            429,
            error("rate_limit_error", "Too many tokens."),
            Fault::RateLimited(None),
        ),
        (
            500,
            error("api_error", "Internal server error"),
            Fault::Overloaded,
        ),
        (504, error("timeout_error", "Too slow."), Fault::TimedOut),
        (
            529,
            error("overloaded_error", "Overloaded"),
            Fault::Overloaded,
        ),
        // Not of the documentation: what a proxy in between says.
        (502, json!("bad gateway"), Fault::Overloaded),
        (307, json!({}), Fault::Malformed),
    ] {
        let error = refused(ResponseTemplate::new(status).set_body_json(&body)).await;
        assert_eq!(error.fault, fault, "{status} {body}");
        assert_eq!(error.provider, "anthropic");
    }
}

#[tokio::test]
async fn the_hint_when_to_come_back_is_read() {
    let answer = ResponseTemplate::new(429)
        .insert_header("retry-after", "20")
        .set_body_json(error("rate_limit_error", "Slow down."));
    assert_eq!(
        refused(answer).await.fault,
        Fault::RateLimited(Some(Duration::from_secs(20)))
    );
}

#[tokio::test]
async fn the_request_id_is_in_the_message_for_the_providers_support_desk() {
    let answer = ResponseTemplate::new(529)
        .insert_header("request-id", "req_9")
        .set_body_json(error("overloaded_error", "Overloaded"));
    assert_eq!(
        refused(answer).await.to_string(),
        "anthropic: HTTP 529, type overloaded_error: Overloaded (request req_9)"
    );
}

#[tokio::test]
async fn neither_key_nor_conversation_is_in_the_message() {
    let key = error("authentication_error", &format!("invalid x-api-key {KEY}"));
    let quote = error(
        "invalid_request_error",
        "messages.0: 'A flat white, please.' is wrong",
    );
    for (status, body) in [(401, key), (400, quote)] {
        let message = refused(ResponseTemplate::new(status).set_body_json(body))
            .await
            .message;
        assert!(
            !message.contains("sk-ant") && !message.contains("flat white"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_key_that_no_header_can_hold_is_refused_without_being_shown() {
    let oracle = Anthropic::new(
        client(),
        &Url::parse(Anthropic::BASE_URL).unwrap(),
        "m",
        Some(SecretString::from("sk-ant\nnot-real")),
    );
    let error = ask(&oracle, None).await.unwrap_err();
    assert_eq!(error.fault, Fault::Unauthorized);
    assert!(!error.message.contains("sk-ant"), "{error}");
    assert!(!format!("{:?}", oracle_at(Anthropic::BASE_URL)).contains(KEY));
}
