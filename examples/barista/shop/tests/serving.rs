//! The shop, over HTTP.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Opens a shop, and gives its address.
async fn open() -> (String, CancellationToken) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(barista_shop::serve(listener, stop.clone()));
    (address, stop)
}

async fn mcp(address: &str, method: &str, params: Value) -> Value {
    let answer = reqwest::Client::new()
        .post(format!("{address}/mcp"))
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-06-18")
        .json(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
        .send()
        .await
        .unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
    answer.json().await.unwrap()
}

#[tokio::test]
async fn an_order_makes_a_regular() {
    let (address, _stop) = open().await;
    let client = reqwest::Client::new();
    let order = client
        .post(format!("{address}/people/ana/orders"))
        .header("idempotency-key", "1")
        .json(&json!({"drink": "flat white"}))
        .send()
        .await
        .unwrap();
    assert_eq!(order.status(), 201);
    let order: Value = order.json().await.unwrap();
    assert_eq!(order["price"], "3.80 €");
    let person: Value = client
        .get(format!("{address}/people/ana"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(person, json!({"orders": 1, "usual": "flat white"}));
    let wrong = client
        .post(format!("{address}/people/ana/orders"))
        .json(&json!({"drink": "soup"}))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 422);
}

#[tokio::test]
async fn its_tools_are_listed_and_called() {
    let (address, _stop) = open().await;
    let listed = mcp(&address, "tools/list", json!({})).await;
    let names: Vec<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("{listed}"))
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["menu_list", "order_status", "refund_order"]);
    let called = mcp(
        &address,
        "tools/call",
        json!({"name": "menu_list", "arguments": {}}),
    )
    .await;
    assert_eq!(
        called["result"]["structuredContent"]["drinks"][1]["name"],
        "flat white"
    );
    let failed = mcp(
        &address,
        "tools/call",
        json!({"name": "order_status", "arguments": {"number": 7}}),
    )
    .await;
    assert_eq!(failed["result"]["isError"], true);
}

#[tokio::test]
async fn it_closes_when_it_is_told() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(barista_shop::serve(listener, stop.clone()));
    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(10), served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
