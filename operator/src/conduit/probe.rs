//! Asking a Conduit's server what it is and what it can do.

use async_trait::async_trait;
use eywa_crds::runtime_config::CompiledConduit;
use eywa_guard::Policy;
use secrecy::SecretString;
use serde_json::Value;
use std::sync::Arc;

/// What a server said of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// The version of MCP that was agreed on.
    pub protocol_version: String,
    /// What it calls itself.
    pub server: String,
    /// Its version, where it says.
    pub server_version: Option<String>,
    /// All its tools that can be used, in its order.
    pub tools: Vec<FoundTool>,
    /// Tools that cannot be used, and why.
    pub left_out: Vec<(String, String)>,
}

/// Why there are no findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason of `Connected`, one word of a fixed set.
    pub reason: &'static str,
    /// What is wrong and what to do, for the Conduit's status: without any secret, and the same as long as the same is
    /// wrong.
    pub message: String,
}

/// A tool that a server offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundTool {
    /// Its name.
    pub name: String,
    /// What it says it does; may be empty.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub schema: Value,
}

/// Connects to servers.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Opens a session, lists all tools, and closes it, within the Conduit's timeout.
    ///
    /// # Errors
    /// What is wrong and what to do.
    async fn probe(
        &self,
        conduit: &CompiledConduit,
        headers: Vec<(String, SecretString)>,
        network: Arc<Policy>,
    ) -> Result<Findings, Failure>;
}
