use std::time::Duration;

use eywa_weave::ports::oracle::Fault;

use super::*;

fn error(code: u16, status: &str, message: &str, details: Value) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_json(json!({
        "error": {"code": code, "message": message, "status": status, "details": details}
    }))
}

async fn refused(answer: ResponseTemplate) -> OracleError {
    ask(&oracle(&stand_in(answer).await), None)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn each_failure_has_the_class_that_the_weave_acts_on() {
    let invalid_key = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]);
    let retry = json!([
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaMetric": "requests"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    ]);
    for (answer, fault) in [
        (error(400, "INVALID_ARGUMENT", "Unknown name \"x\"", json!([])), Fault::Malformed),
        (
            error(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", json!([])),
            Fault::TooLong,
        ),
        (error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", invalid_key), Fault::Unauthorized),
        (error(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", json!([])), Fault::Unauthorized),
        (error(401, "UNAUTHENTICATED", "No", json!([])), Fault::Unauthorized),
        (error(403, "PERMISSION_DENIED", "No", json!([])), Fault::Unauthorized),
        (error(404, "NOT_FOUND", "models/gemini-9 is not found", json!([])), Fault::Unauthorized),
        (error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", retry), Fault::RateLimited(Some(Duration::from_millis(34_500)))),
        (
            error(429, "RESOURCE_EXHAUSTED", "Slow down", json!([])).insert_header("retry-after", "7"),
            Fault::RateLimited(Some(Duration::from_secs(7))),
        ),
        (error(429, "RESOURCE_EXHAUSTED", "Slow down", json!("odd")), Fault::RateLimited(None)),
        (error(500, "INTERNAL", "An internal error", json!([])), Fault::Overloaded),
        (error(503, "UNAVAILABLE", "The model is overloaded.", json!([])), Fault::Overloaded),
        (error(504, "DEADLINE_EXCEEDED", "Late", json!([])), Fault::TimedOut),
        (ResponseTemplate::new(502).set_body_string("<html>"), Fault::Overloaded),
        // A stream's failure may be a list.
        (
            ResponseTemplate::new(400).set_body_json(json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."}}])),
            Fault::TooLong,
        ),
    ] {
        let error = refused(answer).await;
        assert_eq!(error.fault, fault, "{error}");
        assert_eq!(error.provider, "gcp.gemini");
    }
}

#[tokio::test]
async fn neither_key_nor_conversation_is_in_the_message() {
    for answer in [
        error(
            400,
            "INVALID_ARGUMENT",
            "Bad text: 'A flat white, please.'",
            json!([]),
        ),
        error(
            403,
            "PERMISSION_DENIED",
            &format!("Key {KEY} is blocked"),
            json!([]),
        ),
    ] {
        let message = refused(answer).await.to_string();
        assert!(
            !message.contains("flat white") && !message.contains(KEY),
            "{message}"
        );
    }
    let shown = format!("{:?}", oracle_at(Gemini::BASE_URL, "gemini-2.5-flash"));
    assert!(!shown.contains(KEY));
}

#[tokio::test]
async fn a_server_that_is_not_there_may_be_tried_again_and_one_that_is_not_allowed_may_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = ask(&oracle_at(&format!("http://{address}"), "m"), None)
        .await
        .unwrap_err();
    assert_eq!(error.fault, Fault::TimedOut);
    let error = ask(&oracle_at("http://169.254.169.254", "m"), None)
        .await
        .unwrap_err();
    assert_eq!(error.fault, Fault::Malformed);
}
