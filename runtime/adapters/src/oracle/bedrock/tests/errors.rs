use std::time::Duration;

use super::*;

fn error(status: u16, kind: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .insert_header(
            "x-amzn-errortype",
            format!("{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"),
        )
        .set_body_json(json!({ "message": message }))
}

async fn refused(answer: ResponseTemplate) -> OracleError {
    ask(&oracle(&stand_in(answer).await), None)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn each_failure_has_the_class_that_the_weave_acts_on() {
    for (answer, fault) in [
        (error(429, "ThrottlingException", "Too many requests, please wait before trying again."), Fault::RateLimited(None)),
        (
            error(429, "ThrottlingException", "Too many tokens").insert_header("retry-after", "3"),
            Fault::RateLimited(Some(Duration::from_secs(3))),
        ),
        (error(408, "ModelTimeoutException", "The model took too long."), Fault::TimedOut),
        (error(400, "ValidationException", "The value of temperature is out of range."), Fault::Malformed),
        (error(400, "ValidationException", "Input is too long for requested model."), Fault::TooLong),
        (error(400, "ValidationException", "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum"), Fault::TooLong),
        (error(400, "ValidationException", "The provided model identifier is invalid."), Fault::Unauthorized),
        (error(403, "AccessDeniedException", "You don't have access to the model with the specified model ID."), Fault::Unauthorized),
        (error(403, "ExpiredTokenException", "The security token included in the request is expired"), Fault::Unauthorized),
        (error(403, "UnrecognizedClientException", "The security token included in the request is invalid."), Fault::Unauthorized),
        (error(404, "ResourceNotFoundException", "Could not resolve the foundation model"), Fault::Unauthorized),
        (error(424, "ModelErrorException", "The model failed."), Fault::Overloaded),
        (error(429, "ModelNotReadyException", "The model is not ready."), Fault::Overloaded),
        (error(500, "InternalServerException", "Oops"), Fault::Overloaded),
        (error(503, "ServiceUnavailableException", "Later"), Fault::Overloaded),
        (ResponseTemplate::new(502).set_body_string("<html>"), Fault::Overloaded),
        (
            ResponseTemplate::new(400).set_body_json(json!({"__type": "com.amazon.coral.service#ThrottlingException", "Message": "Rate exceeded"})),
            Fault::RateLimited(None),
        ),
    ] {
        let error = refused(answer).await;
        assert_eq!(error.fault, fault, "{error}");
        assert_eq!(error.provider, "aws.bedrock");
        assert!(error.message.contains("req-7"), "{error}");
    }
}

#[tokio::test]
async fn neither_credentials_nor_conversation_are_in_the_message() {
    for answer in [
        error(
            400,
            "ValidationException",
            "Bad content: 'A flat white, please.'",
        ),
        error(403, "UnrecognizedClientException", "AKIDFAKE is not known"),
    ] {
        let message = refused(answer).await.to_string();
        assert!(
            !message.contains("flat white") && !message.contains("AKIDFAKE"),
            "{message}"
        );
    }
    let server = stand_in(ResponseTemplate::new(200)).await;
    let shown = format!("{:?} {:?}", oracle(&server), oracle(&server).site);
    assert!(
        !shown.contains("AKIDFAKE") && !shown.contains("not-a-real-secret"),
        "{shown}"
    );
}
