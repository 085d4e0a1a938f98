//! Looking into the Redis of the installation, as an operator at a console would.
//!
//! Key names are those that `eywa_adapters::redis` documents.

use ::redis::{Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{cluster, kubectl::Kubectl};

/// The Chronicle's entries about one Pulse, oldest first.
///
/// # Panics
/// When Redis cannot be read.
pub async fn chronicle_of_pulse(namespace: &str, spirit: &str, pulse: &str) -> Vec<Value> {
    let mut find = ::redis::cmd("GET");
    find.arg(format!(
        "eywa:{{{namespace}/{spirit}}}:chronicle-pulse:{pulse}"
    ));
    let Some(session) = ask::<Option<String>>(&find).await else {
        return Vec::new();
    };
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
    read.arg(format!("eywa:{{{namespace}/{spirit}}}:chronicle:{session}"))
        .arg(0)
        .arg(-1);
    let entries = ask::<Vec<String>>(&read).await;
    let parse = |entry: &String| {
        serde_json::from_str(entry).unwrap_or_else(|error| panic!("{error}: {entry}"))
    };
    entries.iter().map(parse).collect()
}

/// Whether a Weave holds the session's Bond.
///
/// # Panics
/// When Redis cannot be read.
pub async fn is_held(namespace: &str, spirit: &str, session: &str) -> bool {
    let mut look = ::redis::cmd("EXISTS");
    look.arg(format!("eywa:{{{namespace}/{spirit}}}:bond:{session}"));
    ask(&look).await
}

async fn ask<T: FromRedisValue>(command: &Cmd) -> T {
    let (url, address) = place().await;
    let asking = async {
        let known = url.as_str().into_connection_info()?;
        let info = known.set_addr(ConnectionAddr::Tcp(address.clone(), 6379));
        let mut connection = Client::open(info)?
            .get_multiplexed_async_connection()
            .await?;
        command.query_async(&mut connection).await
    };
    asking
        .await
        .unwrap_or_else(|error| panic!("Redis at {address} cannot be read: {error}"))
}

/// The URL that the chart's Secret holds, and the address of its Service. Both stay for as long as the installation does.
async fn place() -> &'static (String, String) {
    static PLACE: OnceCell<(String, String)> = OnceCell::const_new();
    let look = async || {
        let kubectl = Kubectl::of(cluster::NAMESPACE);
        let service = [
            "get",
            "service",
            cluster::REDIS,
            "-o",
            "jsonpath={.spec.clusterIP}",
        ];
        let secret = [
            "get",
            "secret",
            cluster::REDIS,
            "-o",
            "go-template={{.data.url | base64decode}}",
        ];
        tokio::join!(kubectl.run(&secret), kubectl.run(&service))
    };
    PLACE.get_or_init(look).await
}
