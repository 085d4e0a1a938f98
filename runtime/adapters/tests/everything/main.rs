//! Conduits against the reference server of the Model Context Protocol, `@modelcontextprotocol/server-everything`, which
//! is written in another language, on another SDK.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, and does not see that all of this is one"
)]

mod server;

use std::{sync::Arc, time::Duration};

use eywa_adapters::{
    conduit::{
        McpConduit,
        mcp::{Endpoint, probe},
    },
    headers::SecretHeaders,
};
use eywa_guard::{GuardedClient, Policy};
use eywa_weave::ports::Conduit;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::server::Server;

const LIMIT: Duration = Duration::from_secs(10);
/// Long enough for whatever is waited for to happen, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

fn client() -> GuardedClient {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    GuardedClient::new(Arc::new(Policy {
        loopback: true,
        ..Policy::default()
    }))
}

fn conduit(server: &Server, limit: Duration) -> McpConduit {
    let endpoint = Endpoint::new(server.url(), SecretHeaders::default());
    let offers = |tool: &str| tool != "get-env";
    McpConduit::new(client(), "everything", endpoint, offers, limit)
}

async fn call(conduit: &McpConduit, tool: &str, arguments: Value) -> Result<String, String> {
    conduit
        .call(tool, &arguments)
        .await
        .map_err(|error| error.to_string())
}

async fn tools(conduit: &McpConduit) -> Vec<String> {
    let tools = conduit.tools().await.unwrap();
    tools.iter().map(|tool| tool.spec().name.clone()).collect()
}

async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Which session the server sees, by a tool that names it.
async fn session(conduit: &McpConduit) -> String {
    let said = call(conduit, "toggle-simulated-logging", json!({}))
        .await
        .unwrap();
    let (_, rest) = said.split_once("for session ").unwrap();
    rest.split(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_who_it_is_and_every_tool_can_be_used() {
    let server = Server::start().await;
    let endpoint = Endpoint::new(server.url(), SecretHeaders::default());
    let found = probe(&client(), &endpoint, LIMIT).await.unwrap();
    assert_eq!(found.protocol_version, "2025-11-25");
    assert_eq!(
        (found.server_name.as_str(), found.server_version.as_str()),
        ("mcp-servers/everything", "2.0.0")
    );
    assert_eq!(found.left_out, []);
    let sum = found
        .tools
        .iter()
        .find(|tool| tool.name == "get-sum")
        .unwrap();
    assert_eq!(sum.description, "Returns the sum of two numbers");
    assert_eq!(sum.parameters["required"], json!(["a", "b"]));
    assert!(found.tools.iter().any(|tool| tool.name == "get-env"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_called_and_whatever_they_give_is_said_in_words() {
    let server = Server::start().await;
    let conduit = conduit(&server, LIMIT);
    assert!(!tools(&conduit).await.contains(&"get-env".to_owned()));
    assert_eq!(
        call(&conduit, "echo", json!({"message": "café"})).await,
        Ok("Echo: café".to_owned())
    );
    assert_eq!(
        call(&conduit, "get-sum", json!({"a": 2, "b": 40})).await,
        Ok("The sum of 2 and 40 is 42.".to_owned())
    );
    // Structured, and the same as text: said once.
    let weather = call(
        &conduit,
        "get-structured-content",
        json!({"location": "Chicago"}),
    )
    .await
    .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&weather).unwrap(),
        json!({"temperature": 36, "conditions": "Light rain / drizzle", "humidity": 82})
    );
    let image = call(&conduit, "get-tiny-image", json!({})).await.unwrap();
    let lines: Vec<&str> = image.lines().collect();
    assert_eq!(lines[0], "Here's the image you requested:");
    assert!(
        lines[1].starts_with("[image image/png, ") && lines[1].ends_with(" bytes, not shown]"),
        "{image}"
    );
    assert!(image.len() < 200, "the image's bytes were shown: {image}");
    let links = call(&conduit, "get-resource-links", json!({"count": 1}))
        .await
        .unwrap();
    assert!(links.contains("[resource demo://resource/"), "{links}");
    let blob = json!({"resourceType": "Blob", "resourceId": 1});
    let blob = call(&conduit, "get-resource-reference", blob)
        .await
        .unwrap();
    assert!(
        blob.contains("[resource text/plain, ") && blob.contains("not shown]"),
        "{blob}"
    );
    let text = json!({"resourceType": "Text", "resourceId": 1});
    let text = call(&conduit, "get-resource-reference", text)
        .await
        .unwrap();
    assert!(text.contains("This is a plaintext resource"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_told_in_its_own_words() {
    let server = Server::start().await;
    let conduit = conduit(&server, LIMIT);
    let error = call(&conduit, "get-sum", json!({"a": "two"}))
        .await
        .unwrap_err();
    assert!(
        error.contains("Invalid arguments for tool get-sum"),
        "{error}"
    );
    let error = call(&conduit, "no-such-tool", json!({})).await.unwrap_err();
    assert!(error.contains("no-such-tool not found"), "{error}");
    let error = call(&conduit, "get-env", json!({})).await.unwrap_err();
    assert_eq!(error, "everything has no tool \"get-env\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_operation_ends_within_the_limit_or_with_it_and_the_session_serves_on() {
    let server = Server::start().await;
    let conduit = conduit(&server, Duration::from_secs(4));
    let before = session(&conduit).await;
    // It tells of its progress at each step, in the same stream.
    let long = |seconds: u32| json!({"duration": seconds, "steps": 4});
    assert_eq!(
        call(&conduit, "trigger-long-running-operation", long(1)).await,
        Ok("Long running operation completed. Duration: 1 seconds, Steps: 4.".to_owned())
    );
    let error = call(&conduit, "trigger-long-running-operation", long(600))
        .await
        .unwrap_err();
    assert!(error.contains("no answer within 4s"), "{error}");
    assert_eq!(
        session(&conduit).await,
        before,
        "a slow tool costs no session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_and_started_again_is_followed() {
    let mut server = Server::start().await;
    let conduit = conduit(&server, LIMIT);
    let before = session(&conduit).await;
    let offered = tools(&conduit).await;
    server.kill();
    until("a call finds the server down", async || {
        call(&conduit, "echo", json!({"message": "?"}))
            .await
            .is_err()
    })
    .await;
    let error = call(&conduit, "echo", json!({"message": "?"}))
        .await
        .unwrap_err();
    assert!(error.contains("nothing was done"), "{error}");
    assert_eq!(tools(&conduit).await, offered, "the tools are remembered");
    server.start_again().await;
    until("the server is used again", async || {
        call(&conduit, "echo", json!({"message": "?"}))
            .await
            .is_ok()
    })
    .await;
    assert_ne!(session(&conduit).await, before);
}

/// The server refuses a session that it does not know with a 400, and not with the 404 that the protocol wants.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_has_forgotten_costs_no_call() {
    let mut server = Server::start().await;
    let conduit = conduit(&server, LIMIT);
    for _ in 0..3 {
        let before = session(&conduit).await;
        server.start_again().await;
        assert_ne!(session(&conduit).await, before);
    }
}

/// It takes some of its tools in only once a client has said that it is initialized, and says that the list has changed.
#[tokio::test(flavor = "multi_thread")]
async fn tools_that_come_after_the_handshake_are_offered_too() {
    let server = Server::start().await;
    let conduit = conduit(&server, LIMIT);
    until("the late tool is offered", async || {
        tools(&conduit)
            .await
            .contains(&"simulate-research-query".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_late_is_used_once_it_is_there() {
    let mut server = Server::start().await;
    server.kill();
    let conduit = conduit(&server, LIMIT);
    let error = conduit.tools().await.unwrap_err().to_string();
    assert!(error.contains("cannot be reached"), "{error}");
    server.start_again().await;
    until("the tools are there", async || {
        conduit.tools().await.is_ok()
    })
    .await;
}
