use std::sync::Arc;

use eywa_guard::Policy;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use super::*;

fn settings(url: &str) -> HttpScoutSettings {
    let secret = ("x-api-key".to_owned(), "not-a-real-key".into());
    HttpScoutSettings {
        name: "crm".to_owned(),
        spirit: "barista".into(),
        url: UrlTemplate::parse(url, HttpScout::VOCABULARY).unwrap(),
        headers: TemplatedHeaders::default(),
        secrets: SecretHeaders::new([secret]).unwrap(),
        pick: Pick::default(),
        cache: None,
        timeout: Duration::from_secs(5),
    }
}

fn loopback() -> Policy {
    Policy {
        loopback: true,
        ..Policy::default()
    }
}

fn scout(settings: HttpScoutSettings) -> HttpScout {
    HttpScout::new(settings, GuardedClient::new(Arc::new(loopback())))
}

fn picking(settings: HttpScoutSettings, pointers: &[(&str, &str)]) -> HttpScoutSettings {
    let pointers = pointers
        .iter()
        .map(|(label, pointer)| ((*label).to_owned(), (*pointer).to_owned()));
    HttpScoutSettings {
        pick: Pick::new(pointers),
        ..settings
    }
}

/// What is found of such an answer to any request.
async fn found(
    answer: ResponseTemplate,
    change: impl FnOnce(HttpScoutSettings) -> HttpScoutSettings,
) -> Result<Harvest, ScoutError> {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let scout = scout(change(settings(&format!("{}/people", server.uri()))));
    scout
        .harvest(&facts::tests::pulse("hi"), &Turns::default())
        .await
}

async fn harvest(answer: ResponseTemplate) -> Result<Harvest, ScoutError> {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/people/5511999990000"))
        .and(header("x-api-key", "not-a-real-key"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let url = format!("{}/people/{{{{ user.id }}}}", server.uri());
    let scout = scout(settings(&url));
    scout
        .harvest(&facts::tests::pulse("hi"), &Turns::default())
        .await
}

#[tokio::test]
async fn what_the_server_says_is_what_was_found() {
    let found = harvest(ResponseTemplate::new(200).set_body_string("  likes oat milk\n"))
        .await
        .unwrap();
    assert_eq!(found.text, "likes oat milk");
}

#[tokio::test]
async fn json_is_made_compact() {
    let json = "{\n  \"milk\" : \"oat\",\n  \"visits\": 7\n}";
    for media_type in [
        "application/json; charset=utf-8",
        "application/problem+json",
    ] {
        let found = harvest(ResponseTemplate::new(200).set_body_raw(json, media_type))
            .await
            .unwrap();
        assert_eq!(found.text, r#"{"milk":"oat","visits":7}"#);
    }
    let broken = harvest(ResponseTemplate::new(200).set_body_raw("{ not json", "application/json"))
        .await
        .unwrap();
    assert_eq!(broken.text, "{ not json");
}

#[tokio::test]
async fn an_empty_answer_is_nothing_found() {
    assert_eq!(
        harvest(ResponseTemplate::new(204)).await.unwrap(),
        Harvest::default()
    );
}

#[tokio::test]
async fn a_status_that_is_no_success_is_an_error_that_names_scout_and_status() {
    let error = harvest(ResponseTemplate::new(503).set_body_string("private"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("crm") && error.contains("503") && !error.contains("private"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_over_the_limit_is_an_error() {
    assert!(
        harvest(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; RESPONSE_LIMIT]))
            .await
            .is_ok()
    );
    assert!(
        harvest(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; RESPONSE_LIMIT + 1]))
            .await
            .is_err()
    );
    assert!(
        harvest(ResponseTemplate::new(200).set_body_bytes(vec![0xff, 0xfe]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_value_cannot_change_where_the_request_goes() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let url = format!(
        "{}/people/{{{{ user.id }}}}/notes?q={{{{ text }}}}",
        server.uri()
    );
    let scout = scout(settings(&url));
    let mut pulse = facts::tests::pulse("a&admin=1#x");
    pulse.user.id = "../../admin?x=@evil.example/".into();
    scout.harvest(&pulse, &Turns::default()).await.unwrap();
    let seen = server.received_requests().await.unwrap();
    assert_eq!(
        seen[0].url.path(),
        "/people/..%2F..%2Fadmin%3Fx%3D%40evil.example%2F/notes"
    );
    assert_eq!(seen[0].url.query(), Some("q=a%26admin%3D1%23x"));
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_asked() {
    let scout = scout(settings("http://169.254.169.254/{{ user.id }}"));
    let error = scout
        .harvest(&facts::tests::pulse("hi"), &Turns::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("169.254.169.254") && error.contains("never reached"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_picked_is_shown_line_by_line_without_the_rest_and_without_secrets() {
    let body = r#"{"id": 1, "milk": "oat", "seen": "not-a-real-key", "orders": [{"drink": "flat white"}]}"#;
    let pointers = [
        ("last drink", "/orders/0/drink"),
        ("milk", "/milk"),
        ("seen", "/seen"),
        ("sugar", "/sugar"),
    ];
    // Whatever it calls itself: a server that forgets to say that it is JSON is no reason to find nothing.
    let answer = ResponseTemplate::new(200).set_body_raw(body, "text/plain");
    let found = found(answer, |settings| picking(settings, &pointers))
        .await
        .unwrap();
    assert_eq!(
        found.text,
        "last drink: flat white\nmilk: oat\nseen: [redacted]"
    );
}

#[tokio::test]
async fn nothing_can_be_picked_of_what_is_not_json_and_that_is_an_error() {
    let pointers = [("milk", "/milk")];
    let html = ResponseTemplate::new(200).set_body_raw("<p>private</p>", "text/html");
    let error = found(html, |settings| picking(settings, &pointers))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("crm") && error.contains("not JSON") && !error.contains("private"),
        "{error}"
    );
    let empty = found(ResponseTemplate::new(204), |settings| {
        picking(settings, &pointers)
    });
    assert_eq!(empty.await.unwrap(), Harvest::default());
}

#[tokio::test]
async fn a_part_may_be_picked_of_more_than_is_shown_whole_up_to_a_limit() {
    let of = |length: usize| {
        let body = format!(r#"{{"milk": "oat", "x": "{}"}}"#, "x".repeat(length));
        ResponseTemplate::new(200).set_body_raw(body, "application/json")
    };
    let pointers = [("milk", "/milk")];
    let large = found(of(RESPONSE_LIMIT), |settings| picking(settings, &pointers)).await;
    assert_eq!(large.unwrap().text, "milk: oat");
    let larger = found(of(PICKED_RESPONSE_LIMIT), |settings| {
        picking(settings, &pointers)
    });
    assert!(larger.await.is_err());
}

#[tokio::test]
async fn headers_are_filled_in_and_one_with_a_line_break_is_not_sent() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string("found"))
        .mount(&server)
        .await;
    let headers = [("x-asks", "{{ user.name }}: {{ text }}")];
    let scout = scout(HttpScoutSettings {
        headers: TemplatedHeaders::parse(headers, HttpScout::VOCABULARY).unwrap(),
        ..settings(&server.uri())
    });
    let turns = Turns::default();
    let found = scout.harvest(&facts::tests::pulse("milk?"), &turns).await;
    assert_eq!(found.unwrap().text, "found");
    let evil = facts::tests::pulse("milk?\r\nx-admin: yes");
    let error = scout.harvest(&evil, &turns).await.unwrap_err().to_string();
    assert!(error.contains("x-asks"), "{error}");
    let seen = server.received_requests().await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].headers["x-asks"], "Ana: milk?");
    assert_eq!(seen[0].headers["x-api-key"], "not-a-real-key");
}

#[tokio::test]
async fn what_is_cached_is_asked_for_once_for_each_url_and_each_header() {
    let server = MockServer::start().await;
    Mock::given(path("/wa%2F1"))
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(|asked: &wiremock::Request| {
            ResponseTemplate::new(200).set_body_string(format!(
                "{} {}",
                asked.url.path(),
                asked.headers["x-asks"].to_str().unwrap()
            ))
        })
        .mount(&server)
        .await;
    let headers = [("x-asks", "{{ text }}")];
    let scout = scout(HttpScoutSettings {
        headers: TemplatedHeaders::parse(headers, HttpScout::VOCABULARY).unwrap(),
        cache: Some(Duration::from_secs(600)),
        ..settings(&format!("{}/{{{{ session.id }}}}", server.uri()))
    });
    let harvest = async |user: &str, text: &str| {
        let mut pulse = facts::tests::pulse(text);
        pulse.session.user = user.into();
        let found = scout.harvest(&pulse, &Turns::default()).await;
        found.map(|found| found.text)
    };
    assert!(harvest("1", "a").await.is_err(), "an error is not kept");
    for _ in 0..3 {
        assert_eq!(harvest("1", "a").await.unwrap(), "/wa%2F1 a");
        assert_eq!(harvest("2", "a").await.unwrap(), "/wa%2F2 a");
        assert_eq!(harvest("2", "b").await.unwrap(), "/wa%2F2 b");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 4);
}
