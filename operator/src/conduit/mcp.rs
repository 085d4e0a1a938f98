//! Probing by MCP over Streamable HTTP, through the guarded client that runtimes use too.

use super::probe::{Failure, Findings, FoundTool, Probe};
use async_trait::async_trait;
use eywa_adapters::{
    conduit::mcp::{self, ConnectError, Endpoint},
    headers::SecretHeaders,
};
use eywa_crds::runtime_config::{CompiledConduit, SecretFile};
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
    ) -> Result<Findings, Failure> {
        let failure = |reason, message| Failure { reason, message };
        let url = Url::parse(&conduit.url).map_err(|error| {
            let message = format!("{:?} is not a URL: {error}", conduit.url);
            failure("UrlInvalid", message)
        })?;
        let headers = SecretHeaders::new(headers)
            .map_err(|error| failure("HeaderInvalid", error.to_string()))?;
        let endpoint = Endpoint::new(url, headers);
        let limit = conduit.timeout.as_std().min(LIMIT);
        let found = mcp::probe(&self.client(network), &endpoint, limit)
            .await
            .map_err(|error| said_of(conduit, &error))?;
        Ok(Findings {
            protocol_version: found.protocol_version,
            server: found.server_name,
            server_version: Some(found.server_version).filter(|version| !version.is_empty()),
            tools: found
                .tools
                .into_iter()
                .map(|tool| FoundTool {
                    name: tool.name.clone(),
                    description: tool.description.clone(),
                    schema: tool.parameters.clone(),
                })
                .collect(),
            left_out: (found.left_out.into_iter())
                .map(|left| (left.name, left.reason))
                .collect(),
        })
    }
}

/// What the status says of a server that cannot be asked.
fn said_of(conduit: &CompiledConduit, error: &ConnectError) -> Failure {
    let failure = |reason, message: String| Failure { reason, message };
    let again = "it is asked again, within seconds at first and then every minute";
    match error {
        ConnectError::AddressNotAllowed(refusal) => {
            failure("AddressNotAllowed", refusal.to_string())
        }
        ConnectError::Unauthorized(said) => failure("Unauthorized", credentials(conduit, said)),
        ConnectError::NoHeaders(said) => failure("HeaderInvalid", said.clone()),
        ConnectError::Unreachable(_) => failure("Unreachable", format!("{error}; {again}")),
        ConnectError::TimedOut(_) => failure("TimedOut", format!("{error}; {again}")),
        ConnectError::NotMcp(_) => failure("NotMcp", error.to_string()),
    }
}

/// Which Secrets to look at when a server refuses what is made of them.
fn credentials(conduit: &CompiledConduit, said: &str) -> String {
    let from: Vec<String> = conduit
        .headers
        .iter()
        .map(|header| {
            let (name, SecretFile { name: secret, key }) = (&header.name, &header.value);
            format!("key {key:?} of Secret {secret:?} for the header {name}")
        })
        .collect();
    if from.is_empty() {
        format!("the server asks for credentials ({said}), and the Conduit has no headersFrom")
    } else {
        format!(
            "the server refuses the credentials ({said}): look at {}",
            from.join(" and ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eywa_crds::{
        Conduit,
        compile::{Surroundings, compile_conduit},
        conduit::ConduitSpec,
    };
    use serde_json::{Value, json};
    use std::collections::{BTreeMap, BTreeSet};

    fn compiled(spec: Value) -> CompiledConduit {
        let spec: ConduitSpec = serde_json::from_value(spec).unwrap();
        let around = Surroundings {
            namespace: "cafe".to_owned(),
            secrets: BTreeMap::from([("shop".to_owned(), BTreeSet::from(["bearer".to_owned()]))]),
            ..Surroundings::default()
        };
        compile_conduit(&Conduit::new("tools", spec), &around).unwrap()
    }

    #[test]
    fn a_refusal_names_the_secret_and_the_key() {
        let url = "http://shop.cafe.svc:8000/mcp";
        let header =
            json!([{"name": "Authorization", "secretRef": {"name": "shop", "key": "bearer"}}]);
        let refused = ConnectError::Unauthorized("HTTP 401, WWW-Authenticate: Bearer".to_owned());
        let said = said_of(
            &compiled(json!({"url": url, "headersFrom": header})),
            &refused,
        );
        assert_eq!(said.reason, "Unauthorized");
        assert_eq!(
            said.message,
            "the server refuses the credentials (HTTP 401, WWW-Authenticate: Bearer): \
             look at key \"bearer\" of Secret \"shop\" for the header Authorization"
        );
        let said = said_of(&compiled(json!({"url": url})), &refused);
        assert!(
            said.message.ends_with("and the Conduit has no headersFrom"),
            "{}",
            said.message
        );
    }
}
