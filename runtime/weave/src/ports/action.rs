//! The Action: one callable tool.

use async_trait::async_trait;
use serde_json::Value;

use crate::{pulse::Pulse, tool::Tool};

/// For whom an Action is called.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The Pulse that led to it.
    pub pulse: &'a Pulse,
    /// The call's id: the same when a call is made again after a crash, so that a receiver can tell.
    pub id: &'a str,
    /// The arguments; they keep to the tool's schema.
    pub arguments: &'a Value,
}

/// An Action failed. The message goes to the Oracle as the result, so it holds no key.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ActionError(pub String);

/// Something the Spirit can do.
#[async_trait]
pub trait Action: Send + Sync {
    /// What the Oracle is told of it.
    fn tool(&self) -> &Tool;

    /// Does it, and says in text what came of it. The caller bounds the time by dropping the future; the adapter bounds
    /// what it reads, and retries only what is declared safe to repeat.
    async fn call(&self, call: Call<'_>) -> Result<String, ActionError>;
}
