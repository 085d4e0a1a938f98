//! Lore in Weaviate, on Weaviate's own server.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use eywa_adapters::lore::WeaviateLore;
use eywa_weave::ports::lore::{Lore, LoreError};
use serde_json::json;

use super::{
    client, nearest, number, one,
    server::{Server, answers, argument, free_ports, tool},
    unavailable,
};
use crate::suites::{self, lore::DIMENSIONS};

const KEY: &str = "fake-weaviate-key";

/// A Weaviate on the loopback.
struct Weaviate {
    server: Server,
    port: u16,
}

impl Weaviate {
    fn start() -> Self {
        let program = tool("weaviate-server-v1.35.2").join("weaviate-server");
        for _ in 0..3 {
            // Its own peers are looked for at the port after the first.
            let [gossip, data, raft, rpc, grpc, port] = free_ports();
            let folder = tempfile::tempdir().unwrap();
            let environment = [
                (
                    "PERSISTENCE_DATA_PATH",
                    argument(&folder.path().join("data")),
                ),
                (
                    "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED",
                    "false".to_owned(),
                ),
                ("AUTHENTICATION_APIKEY_ENABLED", "true".to_owned()),
                ("AUTHENTICATION_APIKEY_ALLOWED_KEYS", KEY.to_owned()),
                ("AUTHENTICATION_APIKEY_USERS", "eywa".to_owned()),
                ("CLUSTER_HOSTNAME", "node".to_owned()),
                ("CLUSTER_IN_LOCALHOST", "true".to_owned()),
                ("CLUSTER_ADVERTISE_ADDR", "127.0.0.1".to_owned()),
                ("CLUSTER_GOSSIP_BIND_PORT", gossip.to_string()),
                ("CLUSTER_DATA_BIND_PORT", data.to_string()),
                ("RAFT_PORT", raft.to_string()),
                ("RAFT_INTERNAL_RPC_PORT", rpc.to_string()),
                ("RAFT_BOOTSTRAP_EXPECT", "1".to_owned()),
                ("GRPC_PORT", grpc.to_string()),
                ("DEFAULT_VECTORIZER_MODULE", "none".to_owned()),
                ("DISABLE_TELEMETRY", "true".to_owned()),
                ("GO_PROFILING_DISABLE", "true".to_owned()),
                ("LOG_LEVEL", "error".to_owned()),
            ];
            let command = [
                argument(&program),
                "--scheme=http".to_owned(),
                "--host=127.0.0.1".to_owned(),
                format!("--port={port}"),
            ];
            let server = Server::new(folder, "TERM", command.into(), environment.into());
            let mut weaviate = Self { server, port };
            if weaviate.start_again() {
                return weaviate;
            }
        }
        panic!("Weaviate does not start");
    }

    fn start_again(&mut self) -> bool {
        let port = self.port;
        self.server
            .start(|| answers(port, "/v1/.well-known/ready", "200"))
    }

    fn lore(&self, class: &str, key: Option<&str>) -> WeaviateLore {
        let url = format!("http://127.0.0.1:{}", self.port).parse().unwrap();
        WeaviateLore::new(client(), url, class, key.map(Into::into)).unwrap()
    }

    /// A class that no other test has.
    fn class(&self) -> Arc<WeaviateLore> {
        Arc::new(self.lore(&format!("menu_{}", number()), Some(KEY)))
    }

    /// Makes a class as somebody else would.
    async fn make(&self, class: serde_json::Value) {
        let url = format!("http://127.0.0.1:{}/v1/schema", self.port);
        let made = client()
            .request(http::Method::POST, url.parse().unwrap())
            .bearer(KEY)
            .json(&class)
            .send()
            .await
            .unwrap();
        assert!(made.status().is_success(), "{}", made.status());
    }
}

/// One server for the whole process; each test has a class of its own in it.
static SERVER: LazyLock<Weaviate> = LazyLock::new(Weaviate::start);

async fn open() -> Arc<WeaviateLore> {
    SERVER.class()
}

suites::lore_suite!(open);
suites::lore_making_suite!(open);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_is_there_after_a_restart_and_unavailable_while_it_is_down() {
    let mut server = Weaviate::start();
    let lore = server.class();
    lore.prepare(DIMENSIONS).await.unwrap();
    lore.put("", &one("a")).await.unwrap();
    server.server.stop();
    unavailable(nearest(&*lore, &[1.0, 0.0], 1).await);
    unavailable(lore.put("", &one("b")).await);
    unavailable(lore.ids("", "menu", None).await);
    unavailable(lore.check(DIMENSIONS).await);
    assert!(server.start_again(), "{}", server.server.log());
    let found = suites::until("an answer", async || {
        nearest(&*lore, &[1.0, 0.0], 9).await.ok()
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].passage, one("a")[0].0);
    lore.put("", &one("b")).await.unwrap();
    assert_eq!(nearest(&*lore, &[1.0, 0.0], 9).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_accepted_is_told_without_the_key() {
    for key in [None, Some("fake-wrong-key")] {
        let lore = SERVER.lore("menu", key);
        let refused = lore.check(DIMENSIONS).await.unwrap_err();
        assert!(matches!(refused, LoreError::Refused { .. }), "{refused:?}");
        let told = format!("{refused} {refused:?} {lore:?}");
        assert!(!told.contains("fake-wrong-key"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_of_another_kind_is_unfit() {
    let class = format!("Dotted_{}", number());
    SERVER
        .make(json!({ "class": class, "vectorizer": "none", "vectorIndexConfig": { "distance": "dot" } }))
        .await;
    let unfit = SERVER.lore(&class, Some(KEY)).prepare(2).await.unwrap_err();
    assert!(matches!(unfit, LoreError::Unfit { .. }), "{unfit:?}");
    assert!(unfit.to_string().contains("dot"), "{unfit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_length_of_vectors_of_a_class_of_ones_own_is_seen_in_its_first() {
    let class = format!("Own_{}", number());
    SERVER
        .make(json!({ "class": class, "vectorizer": "none", "vectorIndexConfig": { "distance": "cosine" } }))
        .await;
    let lore = SERVER.lore(&class, Some(KEY));
    lore.check(3).await.unwrap();
    lore.check(DIMENSIONS).await.unwrap();
    lore.put("", &one("a")).await.unwrap();
    let unfit = lore.check(3).await.unwrap_err().to_string();
    assert!(unfit.contains("2 dimensions"), "{unfit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_that_is_missing_is_not_made_by_a_passage() {
    let lore = SERVER.class();
    lore.prepare(DIMENSIONS).await.unwrap();
    lore.put("", &one("a")).await.unwrap();
    let class = format!("{lore:?}");
    let class = class.split('"').rfind(|it| it.starts_with("Menu")).unwrap();
    let url = format!("http://127.0.0.1:{}/v1/schema/{class}", SERVER.port);
    let gone = client()
        .request(http::Method::DELETE, url.parse().unwrap())
        .bearer(KEY)
        .timeout(Duration::from_secs(20))
        .send()
        .await
        .unwrap();
    assert!(gone.status().is_success());
    for missing in [
        lore.put("", &one("a")).await,
        nearest(&*lore, &[1.0, 0.0], 1).await.map(drop),
        lore.check(DIMENSIONS).await,
    ] {
        let missing = missing.unwrap_err();
        assert!(matches!(missing, LoreError::Missing { .. }), "{missing:?}");
    }
}
