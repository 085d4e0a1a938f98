//! MCP servers over Streamable HTTP.
//!
//! Source: Model Context Protocol, revision 2025-11-25, "Transports", "Lifecycle" and "Tools". The session is opened by
//! `initialize`, which every revision before 2026-07-28 knows, and servers of that one still answer.
//!
//! What a Spirit may count on:
//!
//! - One session a Conduit. Whoever comes while it is being opened waits for the same attempt.
//! - A session that the server has forgotten, as after a restart, is opened again, and the call is made once more if it
//!   certainly took no effect, or if the server says of the tool that it may be called twice (`readOnlyHint`,
//!   `idempotentHint`). Otherwise the Oracle is told that it is not known, and decides.
//! - A server that is down costs no Pulse any time after the first: it is tried again in the background, with growing
//!   pauses, and calls fail at once meanwhile. If it was known at once that it is down, a call has it tried again and
//!   waits for that, two seconds at most.
//! - Tools are answered from memory, and listed anew when the server says that they changed, when it does not know one of
//!   them, with each new session, and about every minute. A server that says so without end is asked less and less often.
//! - Headers are read for each session, and once more when the server refuses them: a renewed Secret is used without a
//!   restart.
//! - Of what a server says no more is read than has its use: see the limits in `listing`, `result` and `session`.

mod endpoint;
mod failure;
mod hints;
mod http;
mod link;
mod listing;
mod result;
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

pub use self::{endpoint::Endpoint, failure::ConnectError, listing::LeftOut};
use self::{
    failure::CallFailure,
    link::Link,
    result::cut,
    session::{About, Session},
};

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

    /// Calls within one session, and within a second where the first certainly did not take the call, or the tool may
    /// be called twice.
    async fn call_once_or_again(
        &self,
        tool: &str,
        arguments: &JsonObject,
        calling: &mut Option<Arc<Session>>,
    ) -> Result<String, CallFailure> {
        let mut again = true;
        loop {
            let session = match self.link.session(true).await {
                Ok(session) => calling.insert(session).clone(),
                Err(error) => return Err(CallFailure::NotSent(error.to_string())),
            };
            let failure = match session.call(tool, arguments.clone()).await {
                Ok(text) => return Ok(text),
                Err(failure) => failure,
            };
            let may_repeat = match &failure {
                CallFailure::Answered(_) => return Err(failure),
                CallFailure::NotSent(_) => {
                    self.link.lose(&session);
                    true
                }
                CallFailure::Refused(cause) => {
                    tracing::warn!(conduit = self.link.name(), %cause, "a Conduit's server lets nobody in");
                    let renewed = self.link.has_other_headers(&session);
                    if renewed {
                        self.link.lose(&session);
                    }
                    renewed
                }
                CallFailure::Unknown(_) => {
                    let may_repeat = self.link.may_repeat(tool);
                    if again && may_repeat {
                        self.link.lose(&session);
                    } else {
                        session.hints().doubt();
                    }
                    may_repeat
                }
            };
            if !again || !may_repeat {
                return Err(failure);
            }
            again = false;
        }
    }

    fn say(&self, failure: CallFailure) -> ActionError {
        let name = self.link.name();
        let text = match failure {
            CallFailure::Answered(said) => said,
            CallFailure::NotSent(cause) | CallFailure::Refused(cause) => {
                format!("{name} cannot be used now, and nothing was done: {cause}")
            }
            CallFailure::Unknown(cause) => {
                format!("{name} failed, and it is not known whether the call took effect: {cause}")
            }
        };
        ActionError(cut(text))
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
        match self.link.session(false).await {
            Ok(_) => self
                .link
                .remembered()
                .ok_or_else(|| failed("its tools are not known yet".to_owned())),
            Err(error) => Err(failed(error.to_string())),
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
                        // The tool may only be slow; a server that answers nobody is found out by asking it something else.
                        session.hints().doubt();
                        CallFailure::Unknown(cause)
                    }
                    None => CallFailure::NotSent(cause),
                }))
            }
        }
    }
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
    /// All its tools that can be used, before any filter.
    pub tools: Vec<Arc<ToolSpec>>,
    /// Tools that cannot be used, the first of them.
    pub left_out: Vec<LeftOut>,
}

/// Opens a session with an MCP server, asks what there is, and closes it, all within `limit`.
///
/// # Errors
/// Why there was no session, in the classes that somebody acts on. The texts hold no header of the endpoint.
pub async fn probe(
    client: &GuardedClient,
    endpoint: &Endpoint,
    limit: Duration,
) -> Result<Probe, ConnectError> {
    let probing = async {
        let session = Session::open(client, endpoint, limit).await?;
        let listing = session.list(limit).await?;
        let About {
            protocol_version,
            name,
            version,
        } = session.about();
        Ok(Probe {
            protocol_version,
            server_name: name,
            server_version: version,
            tools: (listing.tools.iter())
                .map(|tool| Arc::clone(tool.spec()))
                .collect(),
            left_out: listing.left_out,
        })
    };
    timeout(limit, probing)
        .await
        .unwrap_or(Err(ConnectError::TimedOut(limit)))
}
