//! Probing by MCP over Streamable HTTP, through the guarded client that runtimes use too.

use super::probe::{Findings, FoundTool, Probe};
use async_trait::async_trait;
use eywa_adapters::{
    conduit::mcp::{self, Endpoint},
    headers::SecretHeaders,
};
use eywa_crds::runtime_config::CompiledConduit;
use eywa_guard::{GuardedClient, Policy};
use secrecy::SecretString;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use url::Url;

/// A probe takes no longer than this, however long a tool's call may take: a reconcile is waiting.
const LIMIT: Duration = Duration::from_secs(20);

/// Probes real servers.
#[derive(Default)]
pub struct McpProbe {
    /// One client a namespace: each has its own Services that it may reach.
    clients: Mutex<HashMap<Option<String>, GuardedClient>>,
}

impl McpProbe {
    fn client(&self, network: Arc<Policy>) -> GuardedClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(network.namespace.clone())
            .or_insert_with(|| GuardedClient::new(network))
            .clone()
    }
}

#[async_trait]
impl Probe for McpProbe {
    async fn probe(
        &self,
        conduit: &CompiledConduit,
        headers: Vec<(String, SecretString)>,
        network: Arc<Policy>,
    ) -> Result<Findings, String> {
        let url = Url::parse(&conduit.url)
            .map_err(|error| format!("{:?} is not a URL: {error}", conduit.url))?;
        let headers = SecretHeaders::new(headers).map_err(|error| error.to_string())?;
        let endpoint = Endpoint { url, headers };
        let limit = conduit.timeout.as_std().min(LIMIT);
        let found = mcp::probe(&self.client(network), &endpoint, limit)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Findings {
            protocol_version: found.protocol_version,
            server: found.server_name,
            server_version: Some(found.server_version).filter(|version| !version.is_empty()),
            tools: found
                .tools
                .into_iter()
                .map(|tool| FoundTool {
                    name: tool.name,
                    description: tool.description,
                    schema: tool.parameters,
                })
                .collect(),
        })
    }
}
