//! One session with an MCP server: opened, asked for its tools, called.

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use eywa_guard::GuardedClient;
use rmcp::{
    ClientHandler, RoleClient,
    model::{
        CallToolRequestParams, ClientConfig, ClientRequest, ErrorCode, Implementation, JsonObject,
        ListToolsRequest, PaginatedRequestParams, ServerResult,
    },
    service::{NotificationContext, RunningService, ServiceError, serve_client},
    transport::{
        StreamableHttpClientTransport, common::client_side_sse::ExponentialBackoff,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::{sync::watch, time::timeout};

use super::{
    Endpoint,
    failure::{CallFailure, ConnectError},
    hints::Hints,
    http::Http,
    listing::{Listing, MOST_TOOLS},
    result::text_of,
};
use crate::headers::SecretHeaders;

/// The most bytes that are read of one answer, or of one event of a stream; decompressed.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
const LONGEST_ERROR: usize = 8 * 1024;

/// The longest name and version of a server that are told, in characters.
const LONGEST_NAME: usize = 128;

/// How long a call that is under way has to end when its session is known to be lost: what ends it knows better what
/// became of it.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// On how many pages tools are listened to.
const MOST_PAGES: usize = 64;

/// How long the stream of a server's notifications waits at most before it is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An open session. Dropping it closes it.
pub(super) struct Session {
    running: RunningService<RoleClient, Listener>,
    headers: SecretHeaders,
    hints: Arc<Hints>,
    /// Whether the server is known to have forgotten the session. What is being called then has no answer to wait for.
    gone: watch::Sender<bool>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Whoever follows it has nothing more to follow.
        self.hints.doubt();
    }
}

/// What the server says without being asked.
struct Listener {
    hints: Arc<Hints>,
}

impl ClientHandler for Listener {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.hints.change();
    }

    fn get_info(&self) -> ClientConfig {
        let mut about = ClientConfig::default();
        about.client_info = Implementation::new("eywa", env!("CARGO_PKG_VERSION"));
        about
    }
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) protocol_version: String,
    pub(super) name: String,
    pub(super) version: String,
}

impl Session {
    /// Opens a session, within `limit`. What it fails with holds no header of the endpoint.
    pub(super) async fn open(
        client: &GuardedClient,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let headers = endpoint.headers().map_err(ConnectError::NoHeaders)?;
        let http = client
            .bare_client_for(endpoint.url())
            .map_err(ConnectError::of_request)?;
        let hints = Arc::new(Hints::default());
        let listener = Listener {
            hints: hints.clone(),
        };
        let transport = StreamableHttpClientTransport::with_client(
            Http::new(http, hints.clone()),
            settings(endpoint, &headers),
        );
        match timeout(limit, serve_client(listener, transport)).await {
            Ok(Ok(running)) => Ok(Self {
                running,
                headers,
                hints,
                gone: watch::Sender::new(false),
            }),
            Ok(Err(error)) => {
                let error = ConnectError::of_initialize(&error);
                Err(error.redacted(|text| headers.redact(text)))
            }
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }

    /// What it was opened with.
    pub(super) fn headers(&self) -> &SecretHeaders {
        &self.headers
    }

    /// What is to be looked into, for whoever follows the session without holding it.
    pub(super) fn hints(&self) -> Arc<Hints> {
        self.hints.clone()
    }

    /// The server has forgotten the session. Calls that are under way end.
    pub(super) fn give_up(&self) {
        self.gone.send_replace(true);
    }

    /// What the server said of itself, the beginning of it.
    pub(super) fn about(&self) -> About {
        let brief = |text: &str| text.chars().take(LONGEST_NAME).collect();
        let info = self.running.peer().peer_info();
        let server = info.as_ref().and_then(|info| info.server_info.as_ref());
        About {
            protocol_version: info
                .as_ref()
                .map(|info| brief(info.protocol_version.as_str()))
                .unwrap_or_default(),
            name: server.map(|server| brief(&server.name)).unwrap_or_default(),
            version: server
                .map(|server| brief(&server.version))
                .unwrap_or_default(),
        }
    }

    /// The server's tools, on however many pages it has them, within `limit`.
    pub(super) async fn list(&self, limit: Duration) -> Result<Listing, ConnectError> {
        match timeout(limit, self.list_pages()).await {
            Ok(Ok(listing)) => Ok(listing),
            Ok(Err(error)) => {
                let error = ConnectError::of_service(&error);
                Err(error.redacted(|text| self.headers.redact(text)))
            }
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }

    async fn list_pages(&self) -> Result<Listing, ServiceError> {
        let mut listing = Listing::default();
        let peer = self.running.peer();
        if peer
            .peer_info()
            .is_some_and(|info| info.capabilities.tools.is_none())
        {
            return Ok(listing);
        }
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor.clone());
            let request = ListToolsRequest {
                params: Some(page),
                ..ListToolsRequest::default()
            };
            // Not by `list_tools`, which may answer from memory when the server does not.
            let answer = peer
                .send_request(ClientRequest::ListToolsRequest(request))
                .await?;
            let ServerResult::ListToolsResult(page) = answer else {
                return Err(ServiceError::UnexpectedResponse);
            };
            for tool in page.tools {
                listing.add(tool);
            }
            match page.next_cursor {
                None => return Ok(listing),
                // A cursor that leads to itself leads nowhere.
                next if next == cursor => break,
                _ if listing.is_full() => break,
                next => cursor = next,
            }
        }
        listing.leave_out(
            "…",
            format!(
                "there is more than {MOST_TOOLS} tools or {MOST_PAGES} pages, or no end to them"
            ),
        );
        Ok(listing)
    }

    /// Calls a tool and says what it gave back. Dropping the future tells the server that nobody waits for it any more.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: JsonObject,
    ) -> Result<String, CallFailure> {
        let mut gone = self.gone.subscribe();
        if *gone.borrow_and_update()
            || self.running.is_closed()
            || self.running.peer().is_transport_closed()
        {
            return Err(CallFailure::NotSent("the session was closed".to_owned()));
        }
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let mut calling = pin!(self.running.peer().call_tool(request));
        let answer = tokio::select! {
            answer = &mut calling => answer,
            // The sender is in `self`, so that this ends only when there is something to say.
            _ = gone.changed() => match timeout(LAST_WORDS, calling).await {
                Ok(answer) => answer,
                Err(_) => {
                    let cause = "the server has lost the session".to_owned();
                    return Err(CallFailure::Unknown(cause));
                }
            }
        };
        let redact = |text| self.headers.redact(text);
        let result = answer.map_err(|error| {
            if is_unknown_tool(&error) {
                self.hints.change();
            }
            CallFailure::of_service(&error).redacted(redact)
        })?;
        let failed = result.is_error == Some(true);
        let text = redact(text_of(result));
        if !failed {
            return Ok(text);
        }
        if says_unknown(&text) {
            self.hints.change();
        }
        Err(CallFailure::Answered(text))
    }
}

fn settings(endpoint: &Endpoint, headers: &SecretHeaders) -> StreamableHttpClientTransportConfig {
    let mut pauses = ExponentialBackoff::default();
    pauses.max_delay = Some(LONGEST_PAUSE);
    let headers: HashMap<_, _> = headers
        .as_map()
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut config = StreamableHttpClientTransportConfig::with_uri(endpoint.url().as_str())
        .custom_headers(headers)
        .max_json_response_size(LONGEST_ANSWER)
        .max_sse_event_size(LONGEST_ANSWER)
        .max_error_response_size(LONGEST_ERROR)
        // A new session may have other tools, so it is opened where they are asked for again.
        .reinit_on_expired_session(false);
    config.retry_config = Arc::new(pauses);
    config
}

/// Whether a server may mean that it has no such tool. The protocol wants a JSON-RPC error of invalid parameters, which
/// is also what wrong arguments are.
fn is_unknown_tool(error: &ServiceError) -> bool {
    matches!(error, ServiceError::McpError(error)
        if matches!(error.code, ErrorCode::INVALID_PARAMS | ErrorCode::METHOD_NOT_FOUND))
}

/// Whether a tool's error may mean that there is no such tool: the SDKs for TypeScript and Python say it as a result. It
/// only makes the tools be listed again.
fn says_unknown(text: &str) -> bool {
    let said: String = text.chars().take(500).collect::<String>().to_lowercase();
    said.contains("tool")
        && ["not found", "unknown", "disabled"]
            .iter()
            .any(|word| said.contains(word))
}
