//! Looking into the Redis of the installation, as an operator at a console would.
//!
//! Key names are those that `eywa_adapters::redis` documents.

use ::redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use serde_json::Value;

use crate::{cluster, kubectl::Kubectl};

/// The Chronicle's entries about one Pulse, oldest first.
///
/// # Panics
/// When Redis cannot be read.
pub async fn chronicle_of_pulse(namespace: &str, spirit: &str, pulse: &str) -> Vec<Value> {
    list(&format!(
        "eywa:{{{namespace}/{spirit}}}:chronicle-pulse:{pulse}"
    ))
    .await
}

/// The Chronicle's entries about one session, oldest first.
///
/// # Panics
/// When Redis cannot be read.
pub async fn chronicle_of_session(namespace: &str, spirit: &str, session: &str) -> Vec<Value> {
    list(&format!(
        "eywa:{{{namespace}/{spirit}}}:chronicle:{session}"
    ))
    .await
}

async fn list(key: &str) -> Vec<Value> {
    let (url, address) = place().await;
    let read = async {
        let known = url.as_str().into_connection_info()?;
        let to = ConnectionAddr::Tcp(address.clone(), 6379);
        let info: ConnectionInfo = known.set_addr(to);
        let mut connection = Client::open(info)?
            .get_multiplexed_async_connection()
            .await?;
        ::redis::cmd("LRANGE")
            .arg(key)
            .arg(0)
            .arg(-1)
            .query_async::<Vec<String>>(&mut connection)
            .await
    };
    let entries = read
        .await
        .unwrap_or_else(|error| panic!("Redis at {address} cannot be read: {error}"));
    let parse = |entry: &String| {
        serde_json::from_str(entry).unwrap_or_else(|error| panic!("{key}: {error}: {entry}"))
    };
    entries.iter().map(parse).collect()
}

/// The URL that the chart's Secret holds, and the address of its Service.
async fn place() -> (String, String) {
    let kubectl = Kubectl::of(cluster::NAMESPACE);
    let service = [
        "get",
        "service",
        cluster::REDIS,
        "-o",
        "jsonpath={.spec.clusterIP}",
    ];
    let template = "go-template={{.data.url | base64decode}}";
    let secret = ["get", "secret", cluster::REDIS, "-o", template];
    tokio::join!(kubectl.run(&secret), kubectl.run(&service))
}
