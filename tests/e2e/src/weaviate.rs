//! A real Weaviate on this machine, which pods reach.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{server::host, wait::eventually};

/// How long it may take to start, beside much else.
const STARTED_WITHIN: Duration = Duration::from_secs(90);

/// A Weaviate with nothing in it. Ends when dropped.
pub struct Weaviate {
    port: u16,
    _server: Child,
    _data: TempDir,
}

impl Weaviate {
    /// Starts one, and waits until it serves.
    ///
    /// # Panics
    /// When `weaviate-server` is not on the PATH or does not start.
    pub async fn start() -> Self {
        let data = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let [gossip, transfer, port, grpc, raft, rpc] = free_ports();
        let server = Command::new("weaviate-server")
            .args(["--scheme", "http", "--host", "0.0.0.0", "--port"])
            .arg(port.to_string())
            .env("PERSISTENCE_DATA_PATH", data.path())
            .env("AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED", "true")
            .env("DEFAULT_VECTORIZER_MODULE", "none")
            .env("DISABLE_TELEMETRY", "true")
            .env("CLUSTER_HOSTNAME", "node1")
            .env("CLUSTER_IN_LOCALHOST", "true")
            // It would take an address of the machine's, which may be one of IPv6 that it cannot write.
            .env("CLUSTER_ADVERTISE_ADDR", "127.0.0.1")
            .env("CLUSTER_GOSSIP_BIND_PORT", gossip.to_string())
            .env("CLUSTER_DATA_BIND_PORT", transfer.to_string())
            .env("RAFT_PORT", raft.to_string())
            .env("RAFT_INTERNAL_RPC_PORT", rpc.to_string())
            .env("RAFT_BOOTSTRAP_EXPECT", "1")
            .env("GRPC_PORT", grpc.to_string())
            .env("LOG_LEVEL", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("weaviate-server does not start: {error}"));
        let ready = format!("http://127.0.0.1:{port}/v1/.well-known/ready");
        eventually("Weaviate serves", STARTED_WITHIN, || async {
            let answer = reqwest::get(&ready)
                .await
                .map_err(|error| error.to_string())?;
            answer
                .error_for_status()
                .map(drop)
                .map_err(|error| error.to_string())
        })
        .await;
        Self {
            port,
            _server: server,
            _data: data,
        }
    }

    /// Its URL, with no slash at the end, for pods.
    pub fn url(&self) -> String {
        format!("http://{}:{}", host(), self.port)
    }
}

/// Six in a row: Weaviate looks for its own peers at the port after the first.
fn free_ports() -> [u16; 6] {
    let free = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok();
    for _ in 0..100 {
        let first = free(0).and_then(|held| Some((held.local_addr().ok()?.port(), held)));
        let Some((from, _held)) = first else { continue };
        let row: [Option<u16>; 6] =
            std::array::from_fn(|next| from.checked_add(u16::try_from(next).ok()?));
        if let [Some(_), rest @ ..] = row
            && rest.iter().all(|port| port.and_then(free).is_some())
        {
            return row.map(Option::unwrap_or_default);
        }
    }
    panic!("there are no six free ports in a row");
}
