//! A stand-in for an MCP server: it can forget its sessions, change its tools and lock its door.
//!
//! Source: Model Context Protocol, revision 2025-06-18, "Transports" (Streamable HTTP) and "Tools". It opens no stream of
//! its own, as servers may.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use crate::server::Server;

const SESSION: &str = "mcp-session-id";

/// The stand-in. Every tool says its own name.
pub struct Workshop {
    server: Server,
    state: Arc<Mutex<Shop>>,
}

#[derive(Default)]
struct Shop {
    tools: Vec<String>,
    sessions: HashSet<String>,
    opened: usize,
    token: Option<String>,
    calls: Vec<String>,
}

impl Workshop {
    /// Starts one with these tools.
    pub async fn start(tools: &[&str]) -> Self {
        let state = Arc::<Mutex<Shop>>::default();
        let routes = Router::new()
            .route("/mcp", post(answer))
            .with_state(Arc::clone(&state));
        let workshop = Self {
            server: Server::start(routes).await,
            state,
        };
        workshop.offer(tools);
        workshop
    }

    /// Its endpoint, for pods.
    pub fn url(&self) -> String {
        format!("{}/mcp", self.server.url())
    }

    /// From now on, has these tools.
    pub fn offer(&self, tools: &[&str]) {
        lock(&self.state).tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
    }

    /// Knows no session of before any more, as after a restart.
    pub fn restart(&self) {
        lock(&self.state).sessions.clear();
    }

    /// From now on lets those in who show this `Authorization`, or all.
    pub fn ask_for(&self, authorization: Option<&str>) {
        lock(&self.state).token = authorization.map(str::to_owned);
    }

    /// The tools that were called, in order.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.state).calls.clone()
    }
}

fn lock(state: &Mutex<Shop>) -> MutexGuard<'_, Shop> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(state): State<Arc<Mutex<Shop>>>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Response {
    let mut shop = lock(&state);
    let shown = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if shop
        .token
        .as_deref()
        .is_some_and(|wanted| shown("authorization") != Some(wanted))
    {
        let challenge = [(header::WWW_AUTHENTICATE, r#"Bearer realm="workshop""#)];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let said =
        |result: Value| Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    if request["method"] == "initialize" {
        shop.opened += 1;
        let session = format!("session-{}", shop.opened);
        shop.sessions.insert(session.clone());
        let about = said(json!({
            "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "workshop", "version": "1.0"},
        }));
        return ([(SESSION, session)], about).into_response();
    }
    if shown(SESSION).is_none_or(|session| !shop.sessions.contains(session)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match request["method"].as_str() {
        Some("tools/list") => {
            let tools: Vec<Value> = (shop.tools.iter())
                .map(|name| json!({"name": name, "description": "Says its name.", "inputSchema": {"type": "object"}}))
                .collect();
            said(json!({"tools": tools})).into_response()
        }
        Some("tools/call") => {
            let name = request["params"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let text = format!("this is {name}");
            shop.calls.push(name);
            said(json!({"content": [{"type": "text", "text": text}]})).into_response()
        }
        _ => StatusCode::ACCEPTED.into_response(),
    }
}
