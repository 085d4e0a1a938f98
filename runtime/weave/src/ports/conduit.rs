//! The Conduit: an MCP server the Spirit may call tools on.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::{ports::action::ActionError, tool::Tool};

/// The Conduit cannot say what tools it has.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the Conduit {conduit} cannot be used: {message}")]
pub struct ConduitError {
    /// Its name.
    pub conduit: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A server of tools. It may restart, move, renew its session or change its tools at any time.
#[async_trait]
pub trait Conduit: Send + Sync {
    /// Its name, unique in its Spirit.
    fn name(&self) -> &str;

    /// The tools that the Spirit may use, as last heard. Answers from memory where it can; connects where it must.
    async fn tools(&self) -> Result<Arc<[Tool]>, ConduitError>;

    /// Calls a tool. The caller bounds the time by dropping the future; the adapter bounds what it reads, and opens a
    /// lost session again by itself.
    async fn call(&self, tool: &str, arguments: &Value) -> Result<String, ActionError>;
}
