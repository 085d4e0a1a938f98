//! A real MCP server on this machine, which can be killed, restarted, slowed and changed.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use rmcp::{
    RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        InitializeResult, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
        ServerConfig, Tool, ToolAnnotations,
    },
    service::{NotificationContext, Peer, RequestContext},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What outlives a restart of the server.
#[derive(Default)]
pub(super) struct Behaviour {
    pub(super) tools: Mutex<Vec<String>>,
    /// The calls that took effect.
    pub(super) calls: Mutex<Vec<(String, Value)>>,
    pub(super) initialized: Mutex<Vec<Peer<RoleServer>>>,
    /// How many requests came, whatever became of them.
    pub(super) requests: Mutex<usize>,
    /// The bearer token that is wanted, if one is.
    pub(super) token: Mutex<Option<&'static str>>,
    /// How often the tools were listed, each page counted.
    pub(super) listings: Mutex<usize>,
    /// The calls whose caller said that nobody waits for them any more.
    pub(super) cancelled: Mutex<usize>,
}

#[derive(Clone)]
struct Shop(Arc<Behaviour>);

impl ServerHandler for Shop {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        let mut info = InitializeResult::new(capabilities);
        info.server_info = Implementation::new("shop", "1.2.3");
        info
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.0.initialized.lock().unwrap().push(context.peer);
    }

    /// Two tools a page.
    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, rmcp::ErrorData> {
        *self.0.listings.lock().unwrap() += 1;
        let from: usize = request
            .and_then(|request| request.cursor)
            .map_or(0, |cursor| cursor.parse().unwrap());
        let names = self.0.tools.lock().unwrap().clone();
        let schema = json!({"type": "object", "properties": {"drink": {"type": "string"}}});
        let Value::Object(schema) = schema else {
            unreachable!()
        };
        let page = names.iter().skip(from).take(2);
        let described = page.map(|name| {
            Tool::new(name.clone(), format!("What {name} does."), schema.clone())
                .with_annotations(ToolAnnotations::new().read_only(name == "look"))
        });
        let mut result = ListToolsResult::with_all_items(described.collect());
        result.next_cursor = (from + 2 < names.len()).then(|| (from + 2).to_string());
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, rmcp::ErrorData> {
        let arguments: JsonObject = request.arguments.unwrap_or_default();
        self.0
            .calls
            .lock()
            .unwrap()
            .push((request.name.to_string(), Value::Object(arguments)));
        let text = |text: &str| vec![ContentBlock::text(text)];
        let result = match request.name.as_ref() {
            "menu_list" => CallToolResult::success([text("flat white"), text("tea")].concat()),
            "stock" => CallToolResult::structured(json!({"milk": 3})),
            "refund" => CallToolResult::error(text("only a manager may refund")),
            "slow" => {
                context.ct.cancelled().await;
                *self.0.cancelled.lock().unwrap() += 1;
                CallToolResult::success(Vec::new())
            }
            // Hangs the first time.
            "look" if self.0.calls.lock().unwrap().len() == 1 => std::future::pending().await,
            "look" => CallToolResult::success(text("a cup")),
            "huge" => CallToolResult::success(text(&"é".repeat(100_000))),
            other => {
                return Err(rmcp::ErrorData::invalid_params(
                    format!("there is no tool {other}"),
                    None,
                ));
            }
        };
        Ok(result.into())
    }
}

/// The server's process, so to say: it has a runtime of its own, and everything it holds is gone with it.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) behaviour: Arc<Behaviour>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    pub(super) fn start(tools: &[&str]) -> Self {
        Self::start_with(Behaviour {
            tools: names(tools),
            ..Behaviour::default()
        })
    }

    pub(super) fn start_with(behaviour: Behaviour) -> Self {
        let mut server = Self {
            address: ([127, 0, 0, 1], 0).into(),
            behaviour: Arc::new(behaviour),
            runtime: None,
        };
        server.start_again();
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(super) fn set_tools(&self, tools: &[&str]) {
        *self.behaviour.tools.lock().unwrap() = names(tools).into_inner().unwrap();
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.behaviour
            .calls
            .lock()
            .unwrap()
            .iter()
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub(super) fn requests(&self) -> usize {
        *self.behaviour.requests.lock().unwrap()
    }

    /// Kills the process: its connections break and its sessions are forgotten.
    pub(super) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Starts it again at the same address.
    pub(super) fn start_again(&mut self) {
        self.kill();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = listen(self.address);
        self.address = listener.local_addr().unwrap();
        let behaviour = self.behaviour.clone();
        let shop = Shop(behaviour.clone());
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let service = StreamableHttpService::new(
                move || Ok(shop.clone()),
                Arc::new(LocalSessionManager::default()),
                StreamableHttpServerConfig::default(),
            );
            let door = middleware::from_fn(move |request: Request, next: Next| {
                enter(behaviour.clone(), request, next)
            });
            axum::serve(
                listener,
                Router::new().nest_service("/mcp", service).layer(door),
            )
            .await
            .unwrap();
        });
        self.runtime = Some(runtime);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The port of a server that was just killed is free again in a moment.
pub(super) fn listen(address: SocketAddr) -> std::net::TcpListener {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true).unwrap();
                return listener;
            }
            Err(error) => assert!(std::time::Instant::now() < deadline, "{address}: {error}"),
        }
        std::thread::yield_now();
    }
}

async fn enter(behaviour: Arc<Behaviour>, request: Request, next: Next) -> Response {
    *behaviour.requests.lock().unwrap() += 1;
    let token = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let wanted = *behaviour.token.lock().unwrap();
    match wanted {
        Some(wanted) if token != Some(wanted) => {
            (StatusCode::UNAUTHORIZED, "who are you?").into_response()
        }
        _ => next.run(request).await,
    }
}

fn names(tools: &[&str]) -> Mutex<Vec<String>> {
    Mutex::new(tools.iter().map(|tool| (*tool).to_owned()).collect())
}
