//! MCP servers over Streamable HTTP.
//!
//! Source: Model Context Protocol, revision 2025-11-25, "Transports", "Lifecycle" and "Tools". The session is opened by
//! `initialize`, which every revision before 2026-07-28 knows, and servers of that one still answer.
//!
//! What a Spirit may count on:
//!
//! - One session a Conduit. Whoever comes while it is being opened waits for the same attempt.
//! - A session that the server has forgotten, as after a restart, is opened again, and the call is made once more if it
//!   certainly took no effect. If that is not known the Oracle is told so, and decides.
//! - A server that is down costs no Pulse any time after the first: it is tried again in the background, with growing
//!   pauses, and calls fail at once meanwhile.
//! - Tools are answered from memory, and listed anew when the server says that they changed, with each new session, and
//!   about every minute.

mod failure;
mod http;
mod link;
mod session;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::{
    ports::{
        action::ActionError,
        conduit::{Conduit, ConduitError},
    },
    tool::{Tool, ToolSpec},
};
use rmcp::model::JsonObject;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

pub use self::failure::ConnectError;
use self::{
    failure::CallFailure,
    link::Link,
    session::{About, Session},
};
use crate::headers::SecretHeaders;

/// The longest result that an Oracle is given, in bytes; what is beyond is cut off.
const LONGEST_RESULT: usize = 64 * 1024;

/// Where an MCP server is, and what it wants to see with every request.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The URL of the server's MCP endpoint.
    pub url: Url,
    /// Headers of every request.
    pub headers: SecretHeaders,
}

/// A Conduit to an MCP server. It connects when it is first needed; clones share the connection, which closes with the
/// last of them.
#[derive(Clone)]
pub struct McpConduit {
    link: Arc<Link>,
}

impl McpConduit {
    /// A Conduit that is called `name` and lets the tools through that `offers` says. One call, and one attempt to
    /// connect, may take `limit`.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        name: impl Into<String>,
        endpoint: Endpoint,
        offers: impl Fn(&str) -> bool + Send + Sync + 'static,
        limit: Duration,
    ) -> Self {
        Self {
            link: Link::new(name.into(), client, endpoint, Box::new(offers), limit),
        }
    }

    /// Calls within one session, and within a second where the first certainly did not take the call.
    async fn call_once_or_again(
        &self,
        tool: &str,
        arguments: &JsonObject,
        calling: &mut Option<Arc<Session>>,
    ) -> Result<String, CallFailure> {
        let mut again = true;
        loop {
            let session = match self.link.session().await {
                Ok(session) => calling.insert(session).clone(),
                Err(error) => return Err(CallFailure::NotSent(error.to_string())),
            };
            match session.call(tool, arguments.clone()).await {
                Err(CallFailure::NotSent(_)) if again => again = false,
                Err(CallFailure::NotSent(cause)) => {
                    self.link.lose(&session);
                    return Err(CallFailure::NotSent(cause));
                }
                Err(CallFailure::Unknown(cause)) => {
                    self.link.lose(&session);
                    return Err(CallFailure::Unknown(cause));
                }
                answered => return answered,
            }
            self.link.lose(&session);
        }
    }

    fn say(&self, failure: CallFailure) -> ActionError {
        let name = self.link.name();
        let text = match failure {
            CallFailure::Answered(said) => said,
            CallFailure::NotSent(cause) => {
                format!("{name} cannot be used now, and nothing was done: {cause}")
            }
            CallFailure::Unknown(cause) => {
                format!("{name} failed, and it is not known whether the call took effect: {cause}")
            }
        };
        ActionError(cut(self.link.endpoint().headers.redact(text)))
    }
}

#[async_trait]
impl Conduit for McpConduit {
    fn name(&self) -> &str {
        self.link.name()
    }

    async fn tools(&self) -> Result<Arc<[Tool]>, ConduitError> {
        if let Some(tools) = self.link.remembered() {
            return Ok(tools);
        }
        let failed = |message| ConduitError {
            conduit: self.link.name().to_owned(),
            message,
        };
        match self.link.session().await {
            Ok(_) => self
                .link
                .remembered()
                .ok_or_else(|| failed("its tools are not known yet".to_owned())),
            Err(error) => Err(failed(
                self.link.endpoint().headers.redact(error.to_string()),
            )),
        }
    }

    async fn call(&self, tool: &str, arguments: &Value) -> Result<String, ActionError> {
        if !self.link.offers(tool) {
            return Err(ActionError(format!(
                "{} has no tool {tool:?}",
                self.link.name()
            )));
        }
        let Value::Object(arguments) = arguments else {
            return Err(ActionError(format!(
                "the arguments of {tool} must be an object"
            )));
        };
        let mut calling = None;
        match timeout(
            self.link.limit(),
            self.call_once_or_again(tool, arguments, &mut calling),
        )
        .await
        {
            Ok(Ok(text)) => Ok(cut(text)),
            Ok(Err(failure)) => Err(self.say(failure)),
            Err(_) => {
                let cause = format!("no answer within {:?}", self.link.limit());
                Err(self.say(match calling {
                    Some(session) => {
                        // A server that answers nobody is found out by opening another session.
                        self.link.lose(&session);
                        CallFailure::Unknown(cause)
                    }
                    None => CallFailure::NotSent(cause),
                }))
            }
        }
    }
}

/// The beginning of a text, and a word about the rest.
fn cut(mut text: String) -> String {
    if text.len() > LONGEST_RESULT {
        text.truncate(text.floor_char_boundary(LONGEST_RESULT));
        text.push_str("\n[the rest was cut off]");
    }
    text
}

/// What an MCP server says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The revision of the protocol that was agreed on, such as `2025-11-25`.
    pub protocol_version: String,
    /// What the server calls itself.
    pub server_name: String,
    /// Its version.
    pub server_version: String,
    /// All its tools, before any filter.
    pub tools: Vec<ToolSpec>,
}

/// Opens a session with an MCP server, asks what there is, and closes it, all within `limit`.
///
/// # Errors
/// Why there was no session, in the classes that somebody acts on.
pub async fn probe(
    client: &GuardedClient,
    endpoint: &Endpoint,
    limit: Duration,
) -> Result<Probe, ConnectError> {
    let probing = async {
        let session = Session::open(client, endpoint, limit).await?;
        let tools = session.list(limit).await?;
        let About {
            protocol_version,
            name,
            version,
        } = session.about();
        Ok(Probe {
            protocol_version,
            server_name: name,
            server_version: version,
            tools,
        })
    };
    let redact = |text| endpoint.headers.redact(text);
    timeout(limit, probing)
        .await
        .unwrap_or(Err(ConnectError::TimedOut(limit)))
        .map_err(|error| match error {
            ConnectError::Unauthorized(text) => ConnectError::Unauthorized(redact(text)),
            ConnectError::Unreachable(text) => ConnectError::Unreachable(redact(text)),
            ConnectError::NotMcp(text) => ConnectError::NotMcp(redact(text)),
            other => other,
        })
}
