//! What changes while a Conduit is used: tools, headers, minds.

use std::sync::Mutex;

use super::*;

#[tokio::test]
async fn a_server_that_says_without_end_that_its_tools_changed_is_asked_now_and_then() {
    let server = Server::start(&["menu_list"]);
    let conduit = conduit(&server);
    assert_eq!(tools(&conduit).await, ["menu_list"]);
    until("the client listens", async || {
        !server.behaviour.initialized.lock().unwrap().is_empty()
    })
    .await;
    let peer = server.behaviour.initialized.lock().unwrap()[0].clone();
    let before = *server.behaviour.listings.lock().unwrap();
    let began = Instant::now();
    let mut said = 0_u32;
    while began.elapsed() < Duration::from_secs(4) {
        let _ = peer.notify_tool_list_changed().await;
        said += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let listings = *server.behaviour.listings.lock().unwrap() - before;
    assert!(
        said > 100 && (1..=4).contains(&listings),
        "{said} times said, {listings} times asked"
    );
    // And it is heard still.
    server.set_tools(&["menu_list", "stock"]);
    let _ = peer.notify_tool_list_changed().await;
    until("the new tool is offered", async || {
        tools(&conduit).await == ["menu_list", "stock"]
    })
    .await;
}

#[tokio::test]
async fn a_tool_that_the_server_does_not_know_any_more_has_the_tools_listed_anew() {
    let server = Server::start(&["menu_list", "gone"]);
    let conduit = conduit(&server);
    assert_eq!(tools(&conduit).await, ["menu_list", "gone"]);
    // Nobody says that they change.
    server.set_tools(&["menu_list", "stock"]);
    assert!(call(&conduit, "gone").await.is_err());
    until("the tools are listed anew", async || {
        tools(&conduit).await == ["menu_list", "stock"]
    })
    .await;
}

#[tokio::test]
async fn a_call_that_may_be_made_twice_by_the_servers_own_word_is_made_again() {
    let mut server = Server::start(&["look"]);
    let conduit = conduit(&server);
    let calling = tokio::spawn({
        let conduit = conduit.clone();
        async move { call(&conduit, "look").await }
    });
    until("the call arrives", async || server.calls().len() == 1).await;
    server.kill();
    server.start_again();
    assert_eq!(calling.await.unwrap().unwrap(), "a cup");
    assert_eq!(server.calls(), ["look", "look"]);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_cancelled_at_the_server() {
    let server = Server::start(&["slow", "menu_list"]);
    let conduit = conduit(&server);
    let calling = tokio::spawn({
        let conduit = conduit.clone();
        async move { call(&conduit, "slow").await }
    });
    until("the call arrives", async || server.calls().len() == 1).await;
    calling.abort();
    until("the server hears of it", async || {
        *server.behaviour.cancelled.lock().unwrap() == 1
    })
    .await;
    assert!(call(&conduit, "menu_list").await.is_ok());
    assert_eq!(server.behaviour.initialized.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled_at_the_server_too() {
    let server = Server::start(&["slow", "menu_list"]);
    let conduit = conduit_within(&server.url(), Duration::from_secs(1));
    assert!(call(&conduit, "slow").await.is_err());
    until("the server hears of it", async || {
        *server.behaviour.cancelled.lock().unwrap() == 1
    })
    .await;
    assert!(call(&conduit, "menu_list").await.is_ok());
    assert_eq!(
        server.behaviour.initialized.lock().unwrap().len(),
        1,
        "a slow tool costs no session"
    );
}

/// A server behind a token, and a Conduit that reads its token from where `held` is.
fn behind_a_door(held: &Arc<Mutex<&'static str>>) -> (Server, McpConduit) {
    let server = Server::start_with(Behaviour {
        tools: vec!["menu_list".to_owned()].into(),
        token: Some("Bearer fake-token-1111").into(),
        ..Behaviour::default()
    });
    let held = held.clone();
    let reading = Endpoint::reading(Url::parse(&server.url()).unwrap(), move || {
        Ok(bearer(*held.lock().unwrap()))
    });
    let conduit = McpConduit::new(client(), "shop-tools", reading, |_| true, LIMIT);
    (server, conduit)
}

#[tokio::test]
async fn a_renewed_token_is_used_without_a_restart() {
    let held = Arc::new(Mutex::new("Bearer fake-token-1111"));
    let (server, conduit) = behind_a_door(&held);
    assert!(call(&conduit, "menu_list").await.is_ok());
    *server.behaviour.token.lock().unwrap() = Some("Bearer fake-token-2222");
    *held.lock().unwrap() = "Bearer fake-token-2222";
    assert_eq!(
        call(&conduit, "menu_list").await.unwrap(),
        "flat white\ntea"
    );
    assert_eq!(server.calls(), ["menu_list", "menu_list"]);
}

#[tokio::test]
async fn a_token_that_is_renewed_late_lets_calls_in_when_it_is() {
    let held = Arc::new(Mutex::new("Bearer fake-token-1111"));
    let (server, conduit) = behind_a_door(&held);
    assert!(call(&conduit, "menu_list").await.is_ok());
    *server.behaviour.token.lock().unwrap() = Some("Bearer fake-token-2222");
    let before = server.requests();
    for _ in 0..5 {
        let error = call(&conduit, "menu_list").await.unwrap_err();
        assert!(
            error.contains("nothing was done") && error.contains("HTTP 401"),
            "{error}"
        );
        assert!(!error.contains("fake-token"), "{error}");
    }
    let asked = server.requests() - before;
    assert!(asked < 15, "{asked} requests for 5 refused calls");
    *held.lock().unwrap() = "Bearer fake-token-2222";
    until("the new token is used", async || {
        call(&conduit, "menu_list").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_server_that_came_back_is_used_by_the_next_call() {
    let mut server = Server::start(&["menu_list"]);
    let conduit = conduit(&server);
    assert!(call(&conduit, "menu_list").await.is_ok());
    server.kill();
    // Attempt after attempt ends at once, until the pause is longer than any call waits.
    let door = tokio::net::TcpListener::from_std(shop::listen(server.address)).unwrap();
    for _ in 0..5 {
        drop(door.accept().await.unwrap());
    }
    drop(door);
    server.start_again();
    assert_eq!(
        call(&conduit, "menu_list").await.unwrap(),
        "flat white\ntea"
    );
}
