use std::sync::{Arc, Mutex, atomic::Ordering::SeqCst};

use eywa_runtime::desk::access::LocalAccess;
use reqwest::Method;
use serde_json::json;

use crate::{
    kubernetes::{ATTENDANT, STRANGER, VIEWER},
    office::{Office, in_memory, problem},
};

/// Everything that needs a token, with the method it is called by.
const CALLS: [(Method, &str); 17] = [
    (Method::GET, "/api/me"),
    (Method::GET, "/api/conversations"),
    (Method::GET, "/api/conversations/barista/web%2Fana"),
    (Method::GET, "/api/conversations/barista/web%2Fana/echoes"),
    (
        Method::POST,
        "/api/conversations/barista/web%2Fana/takeover",
    ),
    (Method::POST, "/api/conversations/barista/web%2Fana/release"),
    (Method::POST, "/api/conversations/barista/web%2Fana/reply"),
    (Method::POST, "/api/conversations/barista/web%2Fana/typing"),
    (
        Method::GET,
        "/api/conversations/barista/web%2Fana/attachments/1/0",
    ),
    (Method::GET, "/api/conversations/barista/web%2Fana/imprint"),
    (
        Method::POST,
        "/api/conversations/barista/web%2Fana/imprint/forget",
    ),
    (
        Method::POST,
        "/api/conversations/barista/web%2Fana/imprint/correct",
    ),
    (Method::POST, "/api/spirits/barista/takeover"),
    (Method::GET, "/api/rites"),
    (Method::POST, "/api/rites/barista/0123456789ab/decision"),
    (Method::GET, "/api/pulses/barista/web%2F1"),
    (Method::GET, "/api/events"),
];

#[tokio::test]
async fn nobody_is_let_in_without_a_token_that_the_cluster_knows() {
    let (office, _) = Office::in_a_cluster().await;
    for (method, path) in CALLS {
        let without = office.client.request(method.clone(), office.url(path));
        let without = without.send().await.unwrap();
        assert_eq!(without.status(), 401, "{path}");
        let said = problem(without).await;
        assert!(
            said["detail"]
                .as_str()
                .unwrap()
                .contains("kubectl create token")
        );
        let made_up = office
            .request(method, path, "made-up")
            .send()
            .await
            .unwrap();
        assert_eq!(made_up.status(), 401, "{path}");
        problem(made_up).await;
    }
}

#[tokio::test]
async fn a_stranger_may_do_nothing_and_a_viewer_may_read() {
    let (office, _) = Office::in_a_cluster().await;
    office.heard("web/ana", "1", "Ana", "hello").await;
    for (method, path) in CALLS {
        let words = json!({"id": "1", "text": "hi", "decision": "Approved"});
        let call = |token| {
            let request = office.request(method.clone(), path, token);
            request.body(words.to_string()).send()
        };
        let stranger = call(STRANGER).await.unwrap();
        if path == "/api/me" {
            let me: serde_json::Value = stranger.json().await.unwrap();
            assert_eq!(
                me["may"],
                json!({"read": false, "takeOver": false, "decide": false})
            );
            assert_eq!(me["spirits"], json!([]));
            continue;
        }
        assert_eq!(stranger.status(), 403, "{path}");
        let refused = problem(stranger).await;
        assert!(
            refused["permission"]
                .as_str()
                .unwrap()
                .ends_with("in namespace cafe")
        );
        let viewer = call(VIEWER).await.unwrap();
        let writes = method == Method::POST;
        assert_eq!(
            viewer.status() == 403,
            writes,
            "{path}: {}",
            viewer.status()
        );
    }
}

#[tokio::test]
async fn who_may_not_is_told_the_permission_that_is_missing() {
    let (office, _) = Office::in_a_cluster().await;
    let refused = office
        .post(
            "/api/conversations/barista/web%2Fana/takeover",
            VIEWER,
            json!({}),
        )
        .await;
    let refused = problem(refused).await;
    assert_eq!(
        refused["permission"],
        "update vigils.eywa.dev in namespace cafe"
    );
    let refused = office
        .post(
            "/api/rites/barista/1/decision",
            VIEWER,
            json!({"decision": "Denied"}),
        )
        .await;
    let refused = problem(refused).await;
    assert_eq!(
        refused["permission"],
        "update rites.eywa.dev in namespace cafe"
    );
    let me = office.read("/api/me", VIEWER).await;
    assert_eq!(me["user"], "vera@cafe.example");
    assert_eq!(
        (&me["mode"], &me["namespace"]),
        (&json!("cluster"), &json!("cafe"))
    );
    assert_eq!(
        me["may"],
        json!({"read": true, "takeOver": false, "decide": false})
    );
    assert_eq!(me["spirits"], json!(["barista"]));
}

#[tokio::test]
async fn the_name_is_the_cluster_s_word_and_not_the_caller_s() {
    let (office, _) = Office::in_a_cluster().await;
    office.heard("web/ana", "1", "Ana", "hello").await;
    let claimed = json!({"by": "the-owner@cafe.example", "reason": "mine"});
    let taken = office
        .post(
            "/api/conversations/barista/web%2Fana/takeover",
            ATTENDANT,
            claimed,
        )
        .await;
    assert_eq!(taken.status(), 200);
    let taken: serde_json::Value = taken.json().await.unwrap();
    assert_eq!(taken["by"], "ana@cafe.example");
}

#[tokio::test]
async fn an_api_server_that_is_away_lets_nobody_in_and_says_so() {
    let (office, kubernetes) = Office::in_a_cluster().await;
    office.read("/api/conversations", VIEWER).await;
    kubernetes.go_away();
    // What was known a moment ago holds; nothing that was not is let through.
    office.read("/api/conversations", VIEWER).await;
    for (path, token) in [("/api/conversations", ATTENDANT), ("/api/me", STRANGER)] {
        let refused = office.get(path, token).await;
        assert_eq!(refused.status(), 503);
        let refused = problem(refused).await;
        assert!(
            refused["detail"]
                .as_str()
                .unwrap()
                .contains("Kubernetes API")
        );
    }
}

#[tokio::test]
async fn the_api_server_is_asked_once_for_many_requests() {
    let (office, kubernetes) = Office::in_a_cluster().await;
    for _ in 0..20 {
        office.read("/api/conversations", VIEWER).await;
        assert_eq!(office.get("/api/rites", "made-up").await.status(), 401);
    }
    assert_eq!(
        kubernetes.tokens_reviewed.load(SeqCst),
        2,
        "one for each token"
    );
    assert_eq!(kubernetes.access_reviewed.load(SeqCst), 1);
}

#[tokio::test]
async fn on_one_s_own_machine_a_link_opens_the_desk_once() {
    let codes: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&codes);
    let access = LocalAccess::new("ana", move |code| {
        told.lock().unwrap().push(code.to_owned());
    });
    access.invite();
    let office = Office::open(Arc::new(access), in_memory()).await;
    let code = codes.lock().unwrap()[0].clone();
    let login = async |code: &str| {
        let request = office.client.post(office.url("/api/login"));
        let body = json!({"code": code}).to_string();
        request.body(body).send().await.unwrap()
    };
    let token: serde_json::Value = login(&code).await.json().await.unwrap();
    let token = token["token"].as_str().unwrap();
    let me = office.read("/api/me", token).await;
    assert_eq!((&me["user"], &me["mode"]), (&json!("ana"), &json!("local")));
    assert_eq!(
        me["may"],
        json!({"read": true, "takeOver": true, "decide": true})
    );
    for bad in [code.as_str(), "guess", ""] {
        let again = login(bad).await;
        assert_eq!(again.status(), 401);
        problem(again).await;
    }
    assert_eq!(codes.lock().unwrap().len(), 2, "the next link is printed");

    // A page of another site, whose name was made to point here.
    let rebound = office.client.get(office.url("/api/me")).bearer_auth(token);
    let rebound = rebound
        .header("host", "evil.example:8081")
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), 421);
    problem(rebound).await;
}

#[tokio::test]
async fn every_response_keeps_others_out() {
    let (office, _) = Office::in_a_cluster().await;
    for path in [
        "/",
        "/assets/desk.js",
        "/api/me",
        "/api/conversations",
        "/nowhere",
    ] {
        let request = office.request(Method::GET, path, VIEWER);
        let response = request
            .header("origin", "https://evil.example")
            .send()
            .await
            .unwrap();
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert!(headers.contains_key("cache-control"), "{path}");
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_browser_fetches_the_page_s_files_once() {
    let (office, _) = Office::in_a_cluster().await;
    let first = office.client.get(office.url("/")).send().await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["content-type"], "text/html; charset=utf-8");
    let tag = first.headers()["etag"].clone();
    let again = office
        .client
        .get(office.url("/"))
        .header("if-none-match", tag);
    assert_eq!(again.send().await.unwrap().status(), 304);
}

#[tokio::test]
async fn what_is_too_large_or_no_json_is_refused() {
    let (office, _) = Office::in_a_cluster().await;
    let path = "/api/conversations/barista/web%2Fana/reply";
    let long = "x".repeat(70_000);
    let refused = office
        .post(path, ATTENDANT, json!({"id": "1", "text": long}))
        .await;
    assert_eq!(refused.status(), 413);
    problem(refused).await;
    for body in ["{", r#"{"text": "no id"}"#, "[]"] {
        let request = office.request(Method::POST, path, ATTENDANT);
        let refused = request.body(body).send().await.unwrap();
        assert_eq!(refused.status(), 400, "{body}");
        problem(refused).await;
    }
    for path in [
        "/api/conversations/nobody/web%2Fana",
        "/nowhere",
        "/api/pulses/barista/web%2F1",
    ] {
        let missing = office.get(path, ATTENDANT).await;
        assert_eq!(missing.status(), 404, "{path}");
        problem(missing).await;
    }
}
