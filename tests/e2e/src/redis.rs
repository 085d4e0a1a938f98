//! Looking into the Redis of the installation, as an operator at a console would.
//!
//! Key names are those that `eywa_adapters::redis` documents.

use ::redis::{Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _};
use serde_json::Value;

use crate::{cluster, kubectl::Kubectl};

/// The Chronicle's entries about one Pulse, oldest first.
///
/// # Panics
/// When Redis cannot be read.
pub async fn chronicle_of_pulse(namespace: &str, spirit: &str, pulse: &str) -> Vec<Value> {
    let mut find = ::redis::cmd("GET");
    find.arg(format!("eywa:{{{namespace}/{spirit}}}:chronicle-pulse:{pulse}"));
    let Some(session) = ask::<Option<String>>(&find).await else { return Vec::new() };
    let mut entries = chronicle_of_session(namespace, spirit, &session).await;
    entries.retain(|entry| entry["pulse"] == pulse);
    entries
}

/// The Chronicle's entries about one session, oldest first.
///
/// # Panics
/// When Redis cannot be read.
pub async fn chronicle_of_session(namespace: &str, spirit: &str, session: &str) -> Vec<Value> {
    let mut read = ::redis::cmd("LRANGE");
    read.arg(format!("eywa:{{{namespace}/{spirit}}}:chronicle:{session}")).arg(0).arg(-1);
    let entries = ask::<Vec<String>>(&read).await;
    let parse = |entry: &String| serde_json::from_str(entry).unwrap_or_else(|error| panic!("{error}: {entry}"));
    entries.iter().map(parse).collect()
}

async fn ask<T: FromRedisValue>(command: &Cmd) -> T {
    let (url, address) = place().await;
    let asking = async {
        let known = url.as_str().into_connection_info()?;
        let info = known.set_addr(ConnectionAddr::Tcp(address.clone(), 6379));
        let mut connection = Client::open(info)?.get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    };
    asking.await.unwrap_or_else(|error| panic!("Redis at {address} cannot be read: {error}"))
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
