//! One session with an MCP server: opened, asked for its tools, called.

use std::{collections::HashMap, sync::Arc, time::Duration};

use eywa_guard::GuardedClient;
use eywa_weave::tool::ToolSpec;
use rmcp::{
    ClientHandler, RoleClient,
    model::{
        CallToolRequestParams, CallToolResult, ClientConfig, ContentBlock, Implementation,
        JsonObject, PaginatedRequestParams, ResourceContents,
    },
    service::{NotificationContext, RunningService, ServiceError, serve_client},
    transport::{
        StreamableHttpClientTransport, common::client_side_sse::ExponentialBackoff,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::Value;
use tokio::{sync::Notify, time::timeout};

use super::{
    Endpoint,
    failure::{CallFailure, ConnectError},
    http::Http,
};

/// The most bytes that are read of one answer.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
const LONGEST_ERROR: usize = 8 * 1024;

/// How many tools, on how many pages, are listened to.
const MOST_TOOLS: usize = 512;
const MOST_PAGES: usize = 64;

/// How long the stream of a server's notifications waits at most before it is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An open session. Dropping it closes it.
pub(super) struct Session {
    running: RunningService<RoleClient, Listener>,
    changed: Arc<Notify>,
}

/// What the server says without being asked.
struct Listener {
    changed: Arc<Notify>,
}

impl ClientHandler for Listener {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
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
    /// Opens a session, within `limit`.
    pub(super) async fn open(
        client: &GuardedClient,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let http = client
            .bare_client_for(&endpoint.url)
            .map_err(ConnectError::of_request)?;
        let mut pauses = ExponentialBackoff::default();
        pauses.max_delay = Some(LONGEST_PAUSE);
        let headers: HashMap<_, _> = endpoint
            .headers
            .as_map()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut config = StreamableHttpClientTransportConfig::with_uri(endpoint.url.as_str())
            .custom_headers(headers)
            .max_json_response_size(LONGEST_ANSWER)
            .max_sse_event_size(LONGEST_ANSWER)
            .max_error_response_size(LONGEST_ERROR)
            // A new session may have other tools, so it is opened where they are asked for again.
            .reinit_on_expired_session(false);
        config.retry_config = Arc::new(pauses);
        let changed = Arc::new(Notify::new());
        let listener = Listener {
            changed: changed.clone(),
        };
        let opening = serve_client(
            listener,
            StreamableHttpClientTransport::with_client(Http(http), config),
        );
        match timeout(limit, opening).await {
            Ok(Ok(running)) => Ok(Self { running, changed }),
            Ok(Err(error)) => Err(ConnectError::of_initialize(&error)),
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }

    /// What the server said of itself.
    pub(super) fn about(&self) -> About {
        let info = self.running.peer().peer_info();
        let server = info.as_ref().and_then(|info| info.server_info.as_ref());
        About {
            protocol_version: info
                .as_ref()
                .map(|info| info.protocol_version.to_string())
                .unwrap_or_default(),
            name: server.map(|server| server.name.clone()).unwrap_or_default(),
            version: server
                .map(|server| server.version.clone())
                .unwrap_or_default(),
        }
    }

    /// Notified when the server says that its tools have changed.
    pub(super) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// What tools the server has, within `limit`; the first [`MOST_TOOLS`] of them.
    pub(super) async fn list(&self, limit: Duration) -> Result<Vec<ToolSpec>, ConnectError> {
        match timeout(limit, self.list_pages()).await {
            Ok(Ok(tools)) => Ok(tools),
            Ok(Err(error)) => Err(ConnectError::of_service(&error)),
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }

    async fn list_pages(&self) -> Result<Vec<ToolSpec>, ServiceError> {
        if self
            .running
            .peer()
            .peer_info()
            .is_some_and(|info| info.capabilities.tools.is_none())
        {
            return Ok(Vec::new());
        }
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let page = self
                .running
                .peer()
                .list_tools(Some(PaginatedRequestParams::default().with_cursor(cursor)))
                .await?;
            tools.extend(page.tools.into_iter().map(|tool| {
                ToolSpec {
                    name: tool.name.into_owned(),
                    description: tool
                        .description
                        .or(tool.title.map(Into::into))
                        .unwrap_or_default()
                        .into_owned(),
                    parameters: Value::Object(Arc::unwrap_or_clone(tool.input_schema)),
                }
            }));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
            if tools.len() >= MOST_TOOLS {
                break;
            }
        }
        tools.truncate(MOST_TOOLS);
        tracing::warn!(
            tools = tools.len(),
            "an MCP server has more tools than are listened to"
        );
        Ok(tools)
    }

    /// Calls a tool and says what it gave back.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: JsonObject,
    ) -> Result<String, CallFailure> {
        if self.running.is_closed() || self.running.peer().is_transport_closed() {
            return Err(CallFailure::NotSent("the session was closed".to_owned()));
        }
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self
            .running
            .peer()
            .call_tool(request)
            .await
            .map_err(|error| CallFailure::of_service(&error))?;
        let failed = result.is_error == Some(true);
        let text = text_of(result);
        if failed {
            Err(CallFailure::Answered(text))
        } else {
            Ok(text)
        }
    }
}

/// A result as text. Structured content is JSON, and comes once, though servers are told to send it as text too.
fn text_of(result: CallToolResult) -> String {
    let text = result
        .content
        .into_iter()
        .map(block_of)
        .collect::<Vec<_>>()
        .join("\n");
    match result.structured_content {
        None => text,
        Some(structured) if text.is_empty() => structured.to_string(),
        Some(structured)
            if serde_json::from_str::<Value>(&text).is_ok_and(|said| said == structured) =>
        {
            text
        }
        Some(structured) => format!("{text}\n{structured}"),
    }
}

fn block_of(block: ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text,
        ContentBlock::Image(image) => format!("[image {}]", image.mime_type),
        ContentBlock::Audio(audio) => format!("[audio {}]", audio.mime_type),
        ContentBlock::ResourceLink(link) => format!("[resource {}]", link.uri),
        ContentBlock::Resource(embedded) => match embedded.resource {
            ResourceContents::TextResourceContents { text, .. } => text,
            ResourceContents::BlobResourceContents { uri, .. } => format!("[resource {uri}]"),
            _ => "[resource]".to_owned(),
        },
        _ => "[content of a kind that is not known]".to_owned(),
    }
}
