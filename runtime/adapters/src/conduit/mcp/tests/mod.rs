mod changes;
mod hostile;
mod shop;

use std::time::Instant;

use secrecy::SecretString;
use serde_json::json;
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use self::shop::{Behaviour, Server};
use super::{result::LONGEST_RESULT, *};
use crate::{headers::SecretHeaders, rehearsal::client};

const LIMIT: Duration = Duration::from_secs(5);
/// Long enough for whatever is waited for to happen, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(Url::parse(url).unwrap(), SecretHeaders::default())
}

fn bearer(token: &str) -> SecretHeaders {
    SecretHeaders::new([("Authorization".to_owned(), SecretString::from(token))]).unwrap()
}

fn conduit_within(url: &str, limit: Duration) -> McpConduit {
    McpConduit::new(
        client(),
        "shop-tools",
        endpoint(url),
        |tool| tool != "drop_tables",
        limit,
    )
}

fn conduit(server: &Server) -> McpConduit {
    conduit_within(&server.url(), LIMIT)
}

async fn tools(conduit: &McpConduit) -> Vec<String> {
    conduit
        .tools()
        .await
        .unwrap()
        .iter()
        .map(|tool| tool.spec().name.clone())
        .collect()
}

async fn call(conduit: &McpConduit, tool: &str) -> Result<String, String> {
    conduit
        .call(tool, &json!({"drink": "tea"}))
        .await
        .map_err(|error| error.to_string())
}

/// Waits until `is` holds, looking again and again.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn every_page_of_tools_is_listed_and_the_filter_holds() {
    let server = Server::start(&["menu_list", "drop_tables", "refund", "stock", "slow"]);
    let conduit = conduit(&server);
    assert_eq!(
        tools(&conduit).await,
        ["menu_list", "refund", "stock", "slow"]
    );
    let listed = conduit.tools().await.unwrap();
    assert_eq!(listed[0].spec().description, "What menu_list does.");
    assert!(listed[0].check(&json!({"drink": 7})).is_err());
    assert_eq!(
        call(&conduit, "drop_tables").await.unwrap_err(),
        "shop-tools has no tool \"drop_tables\""
    );
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_call_gives_what_the_tool_said() {
    let server = Server::start(&["menu_list", "stock", "refund"]);
    let conduit = conduit(&server);
    assert_eq!(
        call(&conduit, "menu_list").await.unwrap(),
        "flat white\ntea"
    );
    assert_eq!(call(&conduit, "stock").await.unwrap(), r#"{"milk":3}"#);
    assert_eq!(
        call(&conduit, "refund").await.unwrap_err(),
        "only a manager may refund"
    );
    assert_eq!(
        call(&conduit, "nothing").await.unwrap_err(),
        "there is no tool nothing"
    );
    assert_eq!(
        server.behaviour.calls.lock().unwrap()[0],
        ("menu_list".to_owned(), json!({"drink": "tea"}))
    );
}

#[tokio::test]
async fn a_result_beyond_the_limit_is_cut_off_and_says_so() {
    let text = call(&conduit(&Server::start(&["huge"])), "huge")
        .await
        .unwrap();
    assert!(text.len() < LONGEST_RESULT + 100 && text.ends_with("é\n[the rest was cut off]"));
}

#[tokio::test]
async fn a_server_that_restarted_between_calls_is_followed() {
    let mut server = Server::start(&["menu_list"]);
    let conduit = conduit(&server);
    assert_eq!(
        call(&conduit, "menu_list").await.unwrap(),
        "flat white\ntea"
    );
    server.set_tools(&["menu_list", "stock"]);
    let before = server.requests();
    server.start_again();
    until("the client has seen its connections break", async || {
        server.requests() > before
    })
    .await;
    assert_eq!(
        call(&conduit, "menu_list").await.unwrap(),
        "flat white\ntea"
    );
    assert_eq!(
        server.calls(),
        ["menu_list", "menu_list"],
        "each call takes effect once"
    );
    assert_eq!(
        tools(&conduit).await,
        ["menu_list", "stock"],
        "a new session has its tools listed anew"
    );
}

#[tokio::test]
async fn a_session_that_is_refused_with_a_400_is_opened_again_too() {
    let server = MockServer::start().await;
    let sessions = std::sync::atomic::AtomicUsize::new(0);
    Mock::given(method("POST"))
        .respond_with(move |request: &wiremock::Request| {
            let message: Value = request.body_json().unwrap();
            let session = request.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
            let answer = |result: Value| ResponseTemplate::new(200).set_body_json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
            match (message["method"].as_str().unwrap(), session.as_deref()) {
                ("initialize", _) => {
                    let id = sessions.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    answer(json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}))
                        .insert_header("mcp-session-id", format!("session-{id}"))
                }
                ("tools/list", _) => answer(json!({"tools": [{"name": "menu_list", "inputSchema": {"type": "object"}}]})),
                // As the TypeScript SDK's examples answer for a session that they do not know.
                ("tools/call", Some("session-0")) => ResponseTemplate::new(400).set_body_json(
                    json!({"jsonrpc": "2.0", "error": {"code": -32000, "message": "Bad Request: No valid session ID provided"}, "id": null}),
                ),
                ("tools/call", _) => answer(json!({"content": [{"type": "text", "text": "tea"}]})),
                _ => ResponseTemplate::new(202),
            }
        })
        .mount(&server)
        .await;
    assert_eq!(
        call(&conduit_within(&server.uri(), LIMIT), "menu_list")
            .await
            .unwrap(),
        "tea"
    );
}

#[tokio::test]
async fn a_call_that_may_have_taken_effect_is_not_made_again() {
    let mut server = Server::start(&["slow"]);
    let conduit = conduit_within(&server.url(), Duration::from_secs(3));
    let calling = tokio::spawn({
        let conduit = conduit.clone();
        async move { call(&conduit, "slow").await }
    });
    until("the call arrives", async || server.calls().len() == 1).await;
    server.kill();
    server.start_again();
    let error = calling.await.unwrap().unwrap_err();
    assert!(
        error.contains("not known whether the call took effect"),
        "{error}"
    );
    assert_eq!(server.calls(), ["slow"]);
}

#[tokio::test]
async fn a_slow_tool_ends_with_the_limit_and_its_session_serves_on() {
    let server = Server::start(&["slow", "menu_list"]);
    let conduit = conduit_within(&server.url(), Duration::from_secs(2));
    assert_eq!(tools(&conduit).await.len(), 2);
    let error = call(&conduit, "slow").await.unwrap_err();
    assert!(
        error.contains("not known whether the call took effect: no answer within 2s"),
        "{error}"
    );
    until("the next call is answered", async || {
        call(&conduit, "menu_list").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_down_is_said_so_at_once_and_used_again_when_it_is_back() {
    let mut server = Server::start(&["menu_list"]);
    let conduit = conduit(&server);
    assert_eq!(tools(&conduit).await, ["menu_list"]);
    server.kill();
    until("a call finds the server down", async || {
        call(&conduit, "menu_list").await.is_err()
    })
    .await;
    let error = call(&conduit, "menu_list").await.unwrap_err();
    assert!(
        error.starts_with("shop-tools cannot be used now, and nothing was done"),
        "{error}"
    );
    assert_eq!(
        tools(&conduit).await,
        ["menu_list"],
        "the tools are remembered"
    );
    server.start_again();
    until("the server is used again", async || {
        call(&conduit, "menu_list").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_answers_costs_its_timeout_once() {
    // The kernel takes the connection; nobody reads.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let conduit = conduit_within(
        &format!("http://{}/mcp", listener.local_addr().unwrap()),
        Duration::from_secs(1),
    );
    let error = conduit.tools().await.unwrap_err().to_string();
    assert!(
        error.contains("shop-tools") && error.contains("within 1s"),
        "{error}"
    );
    let began = Instant::now();
    for _ in 0..50 {
        assert!(call(&conduit, "menu_list").await.is_err());
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "it was waited for again: {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn many_callers_at_once_share_one_session() {
    let server = Server::start(&["menu_list"]);
    let conduit = conduit(&server);
    let calls = futures::future::join_all((0..20).map(|_| call(&conduit, "menu_list"))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    until("the session is known to be open", async || {
        !server.behaviour.initialized.lock().unwrap().is_empty()
    })
    .await;
    assert_eq!(server.behaviour.initialized.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn tools_that_change_are_listed_anew() {
    let server = Server::start(&["menu_list"]);
    let conduit = conduit(&server);
    assert_eq!(tools(&conduit).await, ["menu_list"]);
    server.set_tools(&["menu_list", "stock"]);
    until("the change is heard", async || {
        // Told again and again: the first words are lost when the stream that carries them is not open yet.
        let peers = server.behaviour.initialized.lock().unwrap().clone();
        for peer in peers {
            let _ = peer.notify_tool_list_changed().await;
        }
        tools(&conduit).await == ["menu_list", "stock"]
    })
    .await;
}

#[tokio::test]
async fn the_headers_open_the_door() {
    let behaviour = || Behaviour {
        token: Some("Bearer fake-token-1234").into(),
        ..Behaviour::default()
    };
    let server = Server::start_with(behaviour());
    let with = |token: &str| Endpoint::new(Url::parse(&server.url()).unwrap(), bearer(token));
    assert!(
        probe(&client(), &with("Bearer fake-token-1234"), LIMIT)
            .await
            .is_ok()
    );
    let error = probe(&client(), &with("Bearer fake-token-0000"), LIMIT)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Unauthorized(_)), "{error:?}");
    assert!(
        !format!("{error} {error:?}").contains("fake-token"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_probe_says_who_answers_and_with_what() {
    let server = Server::start(&["menu_list", "drop_tables", "stock"]);
    let found = probe(&client(), &endpoint(&server.url()), LIMIT)
        .await
        .unwrap();
    assert_eq!(
        (found.server_name.as_str(), found.server_version.as_str()),
        ("shop", "1.2.3")
    );
    assert_eq!(found.protocol_version, "2025-11-25");
    let names: Vec<_> = found.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["menu_list", "drop_tables", "stock"]);
}

#[tokio::test]
async fn a_probe_that_fails_says_of_which_kind_it_is() {
    let shop = Server::start(&[]);
    let web = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_raw("<html>", "text/html"))
        .mount(&web)
        .await;
    let busy = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503))
        .mount(&busy)
        .await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();

    let probed = async |url: &str| {
        probe(&client(), &endpoint(url), Duration::from_secs(2))
            .await
            .unwrap_err()
    };
    let error = probed("http://169.254.169.254/mcp").await;
    assert!(
        matches!(error, ConnectError::AddressNotAllowed(_)),
        "{error:?}"
    );
    let error = probed(&format!("http://{gone}/mcp")).await;
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
    let error = probed(&busy.uri()).await;
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
    let error = probed(&web.uri()).await;
    assert!(matches!(error, ConnectError::NotMcp(_)), "{error:?}");
    let error = probed(&format!("http://{}/elsewhere", shop.address)).await;
    assert!(matches!(error, ConnectError::NotMcp(_)), "{error:?}");
    let error = probed(&format!("http://{}/mcp", silent.local_addr().unwrap())).await;
    assert!(matches!(error, ConnectError::TimedOut(_)), "{error:?}");
}

#[tokio::test]
async fn a_conduit_that_is_dropped_is_not_connected_again() {
    let mut server = Server::start(&["menu_list"]);
    let conduit = conduit(&server);
    assert_eq!(tools(&conduit).await, ["menu_list"]);
    server.kill();
    until("a call finds the server down", async || {
        call(&conduit, "menu_list").await.is_err()
    })
    .await;
    let link = Arc::downgrade(&conduit.link);
    drop(conduit);
    until("nothing holds the link", async || link.upgrade().is_none()).await;
}
