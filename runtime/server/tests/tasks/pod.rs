//! Pods of one Spirit, and what outlives them.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, routing::post};
use eywa_adapters::{
    attachments::InMemoryAttachments, bond::InMemoryBond, chronicle::InMemoryChronicle,
    contacts::InMemoryContacts, echoes::InMemoryEchoes, imprint::InMemoryImprint,
    inbox::InMemoryInbox, memory::InMemoryMemory, rite::InMemoryRites, vigil::InMemoryVigil,
};
use eywa_crds::{
    compile::{DefaultStores, Defaults, compile_spirit},
    manifest::Manifests,
    runtime_config::{RuntimeConfig, SecretFile},
};
use eywa_guard::Policy;
use eywa_runtime::{
    http,
    metrics::Metrics,
    roster::Roster,
    secrets::HeldSecrets,
    serve::serve,
    wiring::{Shared, Stores, wire},
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    cloud_tasks::{ACCOUNT, CloudTasks},
    identity,
};

const MANIFESTS: &str = r#"
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata: {name: barista}
spec:
  persona: {text: You serve coffee.}
  oracle: {provider: scripted, timeout: 90s, script: {rules: [{latency: LATENCY, reply: {text: here you are}}]}}
  bond: {ttl: 3s}
  voices: [{name: wa, whatsapp: {phoneNumberId: "1055", secretRef: {name: wa}, graphUrl: "http://GRAPH/v24.0"}}]
  stores:
    redis: {urls: {secretRef: {name: redis, key: url}}}
    google:
      tasks:
        project: cafe-fake
        location: europe-west1
        queue: pulses
        url: "http://PODS/tasks/barista"
        serviceAccount: ACCOUNT
        baseUrl: TASKS
        keysUrl: TASKS/certs
        credentials: {secretRef: {name: google, key: key.json}}
---
apiVersion: v1
kind: Secret
metadata: {name: redis}
stringData: {url: "redis://127.0.0.1:1/0"}
---
apiVersion: v1
kind: Secret
metadata: {name: wa}
stringData: {access-token: not-a-real-token, app-secret: not-a-real-app-secret, verify-token: not-a-real-verify-token}
"#;

/// What outlives the pods: the stores, Google, the channel, and the address that all pods answer at, one after another.
pub struct Ward {
    pub tasks: CloudTasks,
    pub inbox: Arc<InMemoryInbox>,
    pub client: Client,
    stores: Stores,
    address: SocketAddr,
    graph: SocketAddr,
    sent: Arc<Mutex<Vec<Value>>>,
}

/// A pod, which ends with the test.
pub struct Pod {
    runtime: Option<tokio::runtime::Runtime>,
    roster: Roster,
    metrics: Metrics,
}

impl Ward {
    pub async fn open() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let inbox = Arc::new(InMemoryInbox::new());
        let stores = Stores {
            bond: Arc::new(InMemoryBond::new()),
            inbox: Arc::clone(&inbox) as _,
            echoes: Arc::new(InMemoryEchoes::new()),
            chronicle: Arc::new(InMemoryChronicle::new()),
            memory: Arc::new(InMemoryMemory::new()),
            rites: Arc::new(InMemoryRites::new()),
            attachments: Arc::new(InMemoryAttachments::new()),
            contacts: Arc::new(InMemoryContacts::new()),
            imprint: Arc::new(InMemoryImprint::new()),
            vigil: Arc::new(InMemoryVigil::new()),
        };
        let (graph, sent) = graph_api().await;
        // Free a moment ago, and the pods' from now on.
        let address = listen().await.local_addr().unwrap();
        Self {
            tasks: CloudTasks::start().await,
            inbox,
            client: Client::builder().no_proxy().build().unwrap(),
            stores,
            address,
            graph,
            sent,
        }
    }

    /// A pod whose model takes so long. It looks after nothing by itself: what it does, it was asked for.
    pub fn pod(&self, latency: &str) -> Pod {
        let (config, secrets) = self.compiled(latency);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (roster, metrics) = (Roster::default(), Metrics::new().unwrap());
        let shared = Shared::new(network(), metrics.clone());
        let wired = wire(&config, &secrets, self.stores.clone(), &shared).unwrap();
        roster.enlist(wired.serving);
        let (routes, address) = (http::routes(roster.clone()), self.address);
        let (listening, listens) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            // The one before may not have let go of it yet.
            let listener = loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            };
            listening.send(()).unwrap();
            serve(
                listener,
                routes,
                http::CONNECTIONS,
                CancellationToken::new(),
            )
            .await;
        });
        listens.recv_timeout(Duration::from_secs(10)).unwrap();
        Pod {
            runtime: Some(runtime),
            roster,
            metrics,
        }
    }

    fn compiled(&self, latency: &str) -> (RuntimeConfig, HeldSecrets) {
        let text = MANIFESTS
            .replace("LATENCY", latency)
            .replace("GRAPH", &self.graph.to_string())
            .replace("PODS", &self.address.to_string())
            .replace("ACCOUNT", ACCOUNT)
            .replace("TASKS", &self.tasks.url);
        let key = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "google"},
            "stringData": {"key.json": identity::key().expose_secret()}});
        let mut manifests = Manifests::default();
        manifests.add(Path::new("barista.yaml"), &format!("{text}---\n{key}\n"));
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        let defaults = Defaults {
            network: network(),
            stores: DefaultStores::None,
        };
        let around = manifests.surroundings("default", defaults);
        let config = compile_spirit(&manifests.spirits["barista"], &around).unwrap();
        let secrets = manifests.secrets.iter().flat_map(|(name, keys)| {
            keys.iter().map(|(key, value)| {
                let file = SecretFile {
                    name: name.clone(),
                    key: key.clone(),
                };
                (file, value.clone())
            })
        });
        (config, HeldSecrets(secrets.collect()))
    }

    /// Delivers a message, signed as Meta does; the status that came back.
    pub async fn says(&self, wamid: &str, text: &str) -> u16 {
        // After 24 hours nobody is answered.
        let now = jiff::Timestamp::now().as_second().to_string();
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "1555", "phone_number_id": "1055"},
            "messages": [{"from": "5511999990000", "id": wamid, "timestamp": now, "type": "text", "text": {"body": text}}],
        }}]}]})
        .to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"not-a-real-app-secret").unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let url = format!("http://{}/voices/barista/wa", self.address);
        let request = self
            .client
            .post(url)
            .header("x-hub-signature-256", signature);
        request.body(body).send().await.unwrap().status().as_u16()
    }

    /// A push, yet without a token.
    pub fn push(&self, body: &Value) -> RequestBuilder {
        self.client.post(self.url()).body(body.to_string())
    }

    /// Where pushes go; their audience too.
    pub fn url(&self) -> String {
        format!("http://{}/tasks/barista", self.address)
    }

    /// What was said to people.
    pub fn sent(&self) -> Vec<Value> {
        self.sent.lock().unwrap().clone()
    }
}

impl Pod {
    /// Dies in the middle of whatever it does.
    pub fn die(mut self) {
        self.end();
    }

    pub fn in_flight(&self) -> usize {
        let serving = self.roster.get("barista").unwrap();
        serving.weave().in_flight()
    }

    pub fn metrics(&self) -> String {
        self.metrics.render().unwrap()
    }

    /// Takes nothing more.
    pub async fn drain(&self) {
        self.roster.retire(Duration::from_secs(5)).await;
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.end();
    }
}

fn network() -> Policy {
    Policy {
        loopback: true,
        ..Policy::default()
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn graph_api() -> (SocketAddr, Arc<Mutex<Vec<Value>>>) {
    let sent: Arc<Mutex<Vec<Value>>> = Arc::default();
    let taken = Arc::clone(&sent);
    let take = move |Json(message): Json<Value>| {
        // That a message was read is no message.
        if message.get("status").is_none() {
            taken.lock().unwrap().push(message);
        }
        async { Json(json!({"messaging_product": "whatsapp", "messages": [{"id": "wamid.out"}]})) }
    };
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/v24.0/1055/messages", post(take));
    tokio::spawn(serve(listener, routes, 64, CancellationToken::new()));
    (address, sent)
}

/// Waits for something to hold.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
