use std::sync::Arc;

use eywa_guard::Policy;
use eywa_weave::tool::ToolSpec;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::*;

const RESULT_LIMIT: usize = 64 * 1024;

fn settings(method: Method, url: &str) -> HttpActionSettings {
    let tool = ToolSpec {
        name: "place_order".to_owned(),
        description: "Orders".to_owned(),
        parameters: json!({"type": "object"}),
    };
    let secret = ("authorization".to_owned(), "Bearer not-a-real-token".into());
    HttpActionSettings {
        tool: Tool::new(tool).unwrap(),
        spirit: "barista".into(),
        method,
        url: UrlTemplate::parse(url, HttpAction::VOCABULARY).unwrap(),
        query: None,
        body: None,
        headers: TemplatedHeaders::default(),
        secrets: SecretHeaders::new([secret]).unwrap(),
        pick: Pick::default(),
        max_response: RESULT_LIMIT,
        idempotency_key: Some(HeaderName::from_static("idempotency-key")),
        retries: 0,
        timeout: Duration::from_secs(5),
    }
}

fn action_of(settings: HttpActionSettings) -> HttpAction {
    let policy = Policy {
        loopback: true,
        ..Policy::default()
    };
    HttpAction::new(settings, GuardedClient::new(Arc::new(policy)))
}

fn action(method: Method, url: &str) -> HttpAction {
    action_of(settings(method, url))
}

fn template(source: Value) -> Option<JsonTemplate> {
    let source = source.as_object().unwrap();
    Some(JsonTemplate::parse(source, HttpAction::VOCABULARY).unwrap())
}

async fn answers(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

async fn call(action: &HttpAction, arguments: Value) -> Result<String, String> {
    let pulse = facts::tests::pulse("two flat whites");
    let called = action
        .call(Call {
            pulse: &pulse,
            id: "call-1",
            arguments: &arguments,
        })
        .await;
    called
        .map(|done| done.said)
        .map_err(|error| error.to_string())
}

async fn seen(server: &MockServer) -> Request {
    server.received_requests().await.unwrap().remove(0)
}

#[tokio::test]
async fn the_arguments_are_the_body_of_a_post() {
    let server =
        answers(ResponseTemplate::new(201).set_body_raw("{ \"order\" : 7 }", "application/json"))
            .await;
    let action = action(
        Method::POST,
        &format!("{}/orders/{{{{ arguments.table }}}}", server.uri()),
    );
    assert_eq!(
        call(&action, json!({"table": "a/b", "cups": 2}))
            .await
            .unwrap(),
        r#"{"order":7}"#
    );
    let seen = seen(&server).await;
    assert_eq!(
        (seen.method.as_str(), seen.url.path(), seen.url.query()),
        ("POST", "/orders/a%2Fb", None)
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&seen.body).unwrap(),
        json!({"table": "a/b", "cups": 2})
    );
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["authorization"], "Bearer not-a-real-token");
}

#[tokio::test]
async fn the_arguments_are_the_query_of_a_get() {
    let server = answers(ResponseTemplate::new(200).set_body_string("oat, soy")).await;
    let action = action(Method::GET, &format!("{}/menu?lang=en", server.uri()));
    let arguments = json!({"q": "milk & more", "most": 3, "tags": ["a", "b"], "none": null, "deep": {"x": true}});
    assert_eq!(call(&action, arguments).await.unwrap(), "oat, soy");
    let seen = seen(&server).await;
    assert!(seen.body.is_empty());
    let mut query: Vec<String> = seen
        .url
        .query_pairs()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    query.sort();
    assert_eq!(
        query,
        [
            "deep={\"x\":true}",
            "lang=en",
            "most=3",
            "q=milk & more",
            "tags=a",
            "tags=b"
        ]
    );
}

#[test]
fn a_call_made_again_carries_the_same_key_and_another_does_not() {
    let key = idempotency_key;
    assert_eq!(key("call-1"), key("call-1"));
    assert_ne!(key("call-1"), key("call-2"));
    assert_eq!(key("any\ncharacters").len(), 32);
}

#[tokio::test]
async fn an_answer_without_a_body_is_a_success_in_words() {
    let server = answers(ResponseTemplate::new(204)).await;
    assert!(
        call(&action(Method::DELETE, &server.uri()), json!({}))
            .await
            .unwrap()
            .contains("done")
    );
}

#[tokio::test]
async fn a_long_answer_is_cut_off_and_says_so() {
    let server =
        answers(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; RESULT_LIMIT + 1])).await;
    let text = call(&action(Method::GET, &server.uri()), json!({}))
        .await
        .unwrap();
    assert!(text.len() < RESULT_LIMIT + 100 && text.contains("cut off"));
}

#[tokio::test]
async fn a_refusal_goes_to_the_oracle_with_what_the_server_said_but_without_secrets() {
    let said = "no oat milk left (you sent Bearer not-a-real-token)";
    let server = answers(ResponseTemplate::new(409).set_body_string(said)).await;
    let error = call(&action(Method::POST, &server.uri()), json!({}))
        .await
        .unwrap_err();
    assert!(
        error.contains("409") && error.contains("no oat milk left"),
        "{error}"
    );
    assert!(!error.contains("not-a-real-token"), "{error}");
}

#[tokio::test]
async fn a_failure_says_whether_it_may_have_taken_effect() {
    let late = answers(ResponseTemplate::new(200).set_delay(Duration::from_secs(60))).await;
    let mut action_that_waits = action(Method::POST, &late.uri());
    action_that_waits.settings.timeout = Duration::from_millis(100);
    let error = call(&action_that_waits, json!({})).await.unwrap_err();
    assert!(
        error.contains("not known whether it took effect"),
        "{error}"
    );
    let error = call(&action(Method::POST, "http://10.0.0.1/"), json!({}))
        .await
        .unwrap_err();
    assert!(
        error.contains("10.0.0.1") && error.contains("nothing was done"),
        "{error}"
    );
}

#[tokio::test]
async fn arguments_that_the_url_needs_and_are_not_there_are_an_error() {
    let error = call(
        &action(Method::GET, "http://127.0.0.1/{{ arguments.id }}"),
        json!({}),
    )
    .await
    .unwrap_err();
    assert!(error.contains("cannot be made"), "{error}");
}

#[tokio::test]
async fn a_body_and_a_query_that_are_written_take_the_arguments_place() {
    let server = answers(ResponseTemplate::new(200).set_body_string("ok")).await;
    let action = action_of(HttpActionSettings {
        query: template(json!({
            "lang": "en", "tag": "{{ arguments.tags }}", "gone": "{{ arguments.none }}", "who": "{{ user.name }} & co",
        })),
        body: template(json!({
            "order": {"cups": "{{ arguments.cups }}", "note": "For {{ arguments.who }}", "gift": "{{ arguments.gift }}"},
            "channel": "{{ voice }}",
        })),
        ..settings(Method::POST, &format!("{}/orders?v=1", server.uri()))
    });
    let evil = r#"Ana", "cups": 99, "x": ""#;
    let arguments = json!({"cups": 2, "who": evil, "tags": ["a", "b&c=d"], "extra": "not sent"});
    assert_eq!(call(&action, arguments).await.unwrap(), "ok");
    let seen = seen(&server).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&seen.body).unwrap(),
        json!({"order": {"cups": 2, "note": format!("For {evil}")}, "channel": "wa"})
    );
    let query: Vec<String> = seen
        .url
        .query_pairs()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        query,
        ["v=1", "lang=en", "tag=a", "tag=b&c=d", "who=Ana & co"]
    );
}

#[tokio::test]
async fn a_query_that_is_written_takes_the_arguments_place_in_a_get_too() {
    let server = answers(ResponseTemplate::new(200).set_body_string("ok")).await;
    let action = action_of(HttpActionSettings {
        query: template(json!({"q": "{{ arguments.q }}"})),
        ..settings(Method::GET, &server.uri())
    });
    call(&action, json!({"q": "milk", "page": 3}))
        .await
        .unwrap();
    let seen = seen(&server).await;
    assert_eq!(
        (seen.url.query(), seen.body.is_empty()),
        (Some("q=milk"), true)
    );
}

#[tokio::test]
async fn a_header_is_filled_in_and_one_with_a_line_break_is_not_sent() {
    let server = answers(ResponseTemplate::new(200).set_body_string("ok")).await;
    let headers = [("x-table", "{{ arguments.table }}")];
    let action = action_of(HttpActionSettings {
        headers: TemplatedHeaders::parse(headers, HttpAction::VOCABULARY).unwrap(),
        ..settings(Method::POST, &server.uri())
    });
    let evil = json!({"table": "7\r\nauthorization: Bearer mine"});
    let error = call(&action, evil).await.unwrap_err();
    assert!(
        error.contains("cannot be made") && error.contains("x-table") && !error.contains("mine"),
        "{error}"
    );
    call(&action, json!({"table": 7})).await.unwrap();
    let all = server.received_requests().await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].headers["x-table"], "7");
    assert_eq!(all[0].headers["authorization"], "Bearer not-a-real-token");
}

#[tokio::test]
async fn the_key_goes_in_the_header_that_is_named_or_in_none() {
    for (name, headers) in [
        (Some(HeaderName::from_static("x-request-id")), [false, true]),
        (None, [false, false]),
    ] {
        let server = answers(ResponseTemplate::new(204)).await;
        let action = action_of(HttpActionSettings {
            idempotency_key: name,
            ..settings(Method::POST, &server.uri())
        });
        call(&action, json!({})).await.unwrap();
        let seen = seen(&server).await;
        let sent = ["idempotency-key", "x-request-id"].map(|name| seen.headers.contains_key(name));
        assert_eq!(sent, headers);
    }
}

#[tokio::test]
async fn a_response_is_read_up_to_its_limit_and_picked_from_only_when_it_is_whole() {
    let body = format!(r#"{{"total": 7.5, "items": "{}"}}"#, "x".repeat(2000));
    let answer = || ResponseTemplate::new(200).set_body_string(body.clone());
    let of = async |max_response, pointers: &[(&str, &str)], answer| {
        let server = answers(answer).await;
        let pointers = pointers
            .iter()
            .map(|(label, pointer)| ((*label).to_owned(), (*pointer).to_owned()));
        let action = action_of(HttpActionSettings {
            max_response,
            pick: Pick::new(pointers),
            ..settings(Method::GET, &server.uri())
        });
        call(&action, json!({})).await.unwrap()
    };
    let cut = of(1024, &[], answer()).await;
    assert!(cut.len() < 1100 && cut.contains("cut off"), "{cut}");
    let total = [("total", "/total"), ("none", "/none")];
    assert_eq!(of(4096, &total, answer()).await, "total: 7.5");
    let too_long = of(1024, &total, answer()).await;
    assert!(too_long.contains("longer than 1024 bytes"), "{too_long}");
    let nothing = of(4096, &[("none", "/none")], answer()).await;
    assert!(nothing.contains("It is done"), "{nothing}");
    let html = ResponseTemplate::new(200).set_body_string("<p>private</p>");
    let not_json = of(4096, &total, html).await;
    assert!(
        not_json.contains("is not JSON") && !not_json.contains("private"),
        "{not_json}"
    );
}

/// A server that answers with these, one after another, and then that it is done.
async fn answers_in_turn(first: &[ResponseTemplate]) -> MockServer {
    let server = MockServer::start().await;
    for answer in first {
        Mock::given(any())
            .respond_with(answer.clone())
            .up_to_n_times(1)
            .mount(&server)
            .await;
    }
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_string("done at last"))
        .mount(&server)
        .await;
    server
}

async fn with_retries(
    retries: u32,
    timeout: Duration,
    server: &MockServer,
) -> Result<String, String> {
    let action = action_of(HttpActionSettings {
        retries,
        timeout,
        ..settings(Method::POST, &server.uri())
    });
    call(&action, json!({"cups": 2})).await
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn it_is_made_once_unless_it_may_be_repeated() {
    let server = answers_in_turn(&[ResponseTemplate::new(503)]).await;
    let error = with_retries(0, LONG, &server).await.unwrap_err();
    assert!(error.contains("503"), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_as_the_same_call() {
    let server = answers_in_turn(&[408, 429, 502, 503, 504].map(ResponseTemplate::new)).await;
    assert_eq!(
        with_retries(5, LONG, &server).await.unwrap(),
        "done at last"
    );
    let seen = server.received_requests().await.unwrap();
    assert_eq!(seen.len(), 6);
    for again in &seen {
        assert_eq!(
            (&again.headers["idempotency-key"], &again.body),
            (&seen[0].headers["idempotency-key"], &seen[0].body)
        );
    }
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    for status in [400, 401, 404, 409, 422, 500, 501] {
        let server = answers_in_turn(&[ResponseTemplate::new(status)]).await;
        let error = with_retries(5, LONG, &server).await.unwrap_err();
        assert!(error.contains(&status.to_string()), "{error}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn it_is_not_tried_more_often_than_was_said() {
    let server = answers_in_turn(&[503, 503, 503].map(ResponseTemplate::new)).await;
    let error = with_retries(2, LONG, &server).await.unwrap_err();
    assert!(error.contains("503"), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_server_s_hint_is_waited_out_and_one_that_is_too_long_is_not() {
    let later = |after: &str| ResponseTemplate::new(429).insert_header("retry-after", after);
    let server = answers_in_turn(&[later("1")]).await;
    let began = std::time::Instant::now();
    assert!(with_retries(1, LONG, &server).await.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(1));
    for (after, timeout) in [("3600", Duration::MAX / 4), ("4", Duration::from_secs(2))] {
        let server = answers_in_turn(&[later(after)]).await;
        let began = std::time::Instant::now();
        let error = with_retries(5, timeout.min(LONG), &server)
            .await
            .unwrap_err();
        assert!(
            error.contains("429") && began.elapsed() < Duration::from_secs(2),
            "{error}"
        );
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_tried_again_and_is_not_known_to_have_done_nothing() {
    // A server that takes a request and hangs up.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hangs_up = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await;
        }
        // From here on nobody listens.
    });
    let action = action_of(HttpActionSettings {
        retries: 2,
        ..settings(Method::POST, &format!("http://{address}/"))
    });
    let error = call(&action, json!({})).await.unwrap_err();
    assert!(
        error.contains("not known whether it took effect"),
        "{error}"
    );
    hangs_up.await.unwrap();
}
