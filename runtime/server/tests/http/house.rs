//! A runtime with one Spirit, and what stands around it.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Json, Router, routing::post};
use eywa_adapters::{
    bond::InMemoryBond, chronicle::InMemoryChronicle, echoes::InMemoryEchoes, inbox::InMemoryInbox,
    memory::InMemoryMemory, standard_webhooks::SigningKey, vigil::InMemoryVigil,
};
use eywa_crds::{
    compile::{DefaultStores, Defaults, compile_spirit},
    manifest::Manifests,
    runtime_config::SecretFile,
};
use eywa_guard::Policy;
use eywa_runtime::{
    admin, http,
    metrics::Metrics,
    readiness::Stage,
    roster::Roster,
    secrets::HeldSecrets,
    serve::serve,
    wiring::{Shared, Stores, wire},
};
use eywa_weave::{
    Pulse, PulseId, StoreError,
    ports::{
        Inbox,
        inbox::{Acceptance, Delivery, Depth, Due, Speech},
    },
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

pub const SIGNING_KEY: &str = "not-a-real-signing-key";
pub const APP_SECRET: &str = "not-a-real-app-secret";

const MANIFESTS: &str = r#"
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata: {name: barista}
spec:
  persona: {text: You serve coffee.}
  oracle:
    provider: scripted
    script:
      rules:
        - {when: {text: slow}, latency: 600ms, reply: {text: "here at last"}}
        - {when: {text: broken}, fail: {kind: unauthorized}}
        - when: {text: choose}
          reply:
            toolCalls: [{name: offer_choices, arguments: {text: "Which size?", choices: [{title: Small}, {title: Large}]}}]
      default: {text: "at once"}
  offerChoices: true
  voices:
    - {name: wa, whatsapp: {phoneNumberId: "1055", secretRef: {name: wa}, graphUrl: "GRAPH"}}
    - {name: web, http: {secretRef: {name: web, key: signing-key}}}
---
apiVersion: v1
kind: Secret
metadata: {name: wa}
stringData: {access-token: not-a-real-token, app-secret: not-a-real-app-secret, verify-token: not-a-real-verify-token}
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {signing-key: not-a-real-signing-key}
"#;

/// A runtime that runs.
pub struct House {
    pub client: Client,
    pub roster: Roster,
    pub stage: Stage,
    pub vigil: Arc<InMemoryVigil>,
    pub inbox: Arc<Switched>,
    public: SocketAddr,
    admin: SocketAddr,
    sent: Arc<Mutex<Vec<Value>>>,
    _stop: tokio_util::sync::DropGuard,
}

impl House {
    pub async fn open() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (graph, sent) = graph_api().await;
        let (stores, vigil, inbox) = stores();
        let network = Policy {
            loopback: true,
            ..Policy::default()
        };
        let mut manifests = Manifests::default();
        manifests.add(
            Path::new("barista.yaml"),
            &MANIFESTS.replace("GRAPH", &format!("http://{graph}/v24.0")),
        );
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        let defaults = Defaults {
            network: network.clone(),
            stores: DefaultStores::Embedded,
        };
        let around = manifests.surroundings("default", defaults);
        let config = compile_spirit(&manifests.spirits["barista"], &around).unwrap();
        let secrets = manifests.secrets.iter().flat_map(|(name, keys)| {
            keys.iter().map(|(key, value)| {
                (
                    SecretFile {
                        name: name.clone(),
                        key: key.clone(),
                    },
                    value.clone(),
                )
            })
        });
        let secrets = HeldSecrets(secrets.collect());
        let metrics = Metrics::new().unwrap();
        let wired = wire(
            &config,
            &secrets,
            stores,
            &Shared::new(network, metrics.clone()),
        )
        .unwrap();

        let (roster, stage, stop) = (
            Roster::default(),
            Stage::default(),
            CancellationToken::new(),
        );
        let (public, admin) = (listen().await, listen().await);
        let addresses = (public.local_addr().unwrap(), admin.local_addr().unwrap());
        tokio::spawn(serve(
            public,
            http::routes(roster.clone()),
            http::CONNECTIONS,
            stop.clone(),
        ));
        let admin_routes = admin::routes(stage.clone(), roster.clone(), metrics);
        tokio::spawn(serve(admin, admin_routes, admin::CONNECTIONS, stop.clone()));
        wired.serving.tend();
        roster.enlist(wired.serving);
        Self {
            client: Client::builder().no_proxy().build().unwrap(),
            roster,
            stage,
            vigil,
            inbox,
            public: addresses.0,
            admin: addresses.1,
            sent,
            _stop: stop.drop_guard(),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    pub async fn admin(&self, path: &str) -> (u16, String) {
        let response = self
            .client
            .get(format!("http://{}{path}", self.admin))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Delivers a webhook of the Cloud API, signed as Meta does.
    pub async fn whatsapp(&self, body: &str) -> Response {
        let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let request = self
            .client
            .post(self.url("/voices/barista/wa"))
            .header("x-hub-signature-256", signature);
        request.body(body.to_owned()).send().await.unwrap()
    }

    /// Says something on the http voice, as `eywa chat` does.
    pub async fn say(
        &self,
        path: &str,
        id: &str,
        text: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let body = json!({"user": {"id": "ana"}, "session": id, "text": text}).to_string();
        let at = jiff::Timestamp::now().as_second();
        let signature =
            SigningKey::parse(&SIGNING_KEY.into())
                .unwrap()
                .sign(id, at, body.as_bytes());
        let mut request = self
            .client
            .post(self.url(path))
            .header("webhook-id", id)
            .header("webhook-timestamp", at);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// Waits until the Graph API has got so many messages.
    pub async fn sent(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let sent = self.sent.lock().unwrap().clone();
            if sent.len() >= count {
                return sent;
            }
            assert!(Instant::now() < deadline, "the channel got only {sent:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until nothing is in work.
    pub async fn at_rest(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self
            .roster
            .all()
            .iter()
            .any(|serving| serving.weave().in_flight() > 0)
        {
            assert!(Instant::now() < deadline, "Pulses stay in work");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A message of the Cloud API.
pub fn message(wamid: &str, from: &str, text: &str) -> String {
    let now = jiff::Timestamp::now();
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "1555", "phone_number_id": "1055"},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": from}],
        "messages": [{"from": from, "id": wamid, "timestamp": now.as_second().to_string(), "type": "text", "text": {"body": text}}],
    }}]}]})
    .to_string()
}

/// What a problem says.
pub async fn problem(response: Response) -> Value {
    let status = response.status().as_u16();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    for field in ["type", "title", "detail"] {
        assert!(
            problem[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field} is missing: {problem}"
        );
    }
    problem
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

fn stores() -> (Stores, Arc<InMemoryVigil>, Arc<Switched>) {
    let vigil = Arc::new(InMemoryVigil::new());
    let inbox = Arc::new(Switched {
        inbox: InMemoryInbox::new(),
        off: AtomicBool::new(false),
    });
    let stores = Stores {
        bond: Arc::new(InMemoryBond::new()),
        inbox: Arc::clone(&inbox) as _,
        echoes: Arc::new(InMemoryEchoes::new()),
        chronicle: Arc::new(InMemoryChronicle::new()),
        memory: Arc::new(InMemoryMemory::new()),
        rites: Arc::new(eywa_adapters::rite::InMemoryRites::new()),
        attachments: Arc::new(eywa_adapters::attachments::InMemoryAttachments::new()),
        contacts: Arc::new(eywa_adapters::contacts::InMemoryContacts::new()),
        imprint: Arc::new(eywa_adapters::imprint::InMemoryImprint::new()),
        vigil: Arc::clone(&vigil) as _,
    };
    (stores, vigil, inbox)
}

/// An Inbox that can be switched off.
pub struct Switched {
    inbox: InMemoryInbox,
    off: AtomicBool,
}

impl Switched {
    pub fn switch(&self, on: bool) {
        self.off.store(!on, Ordering::Relaxed);
    }

    fn on(&self) -> Result<&InMemoryInbox, StoreError> {
        if self.off.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("switched", "it is switched off"));
        }
        Ok(&self.inbox)
    }
}

#[async_trait]
impl Inbox for Switched {
    async fn accept(
        &self,
        pulses: &[Pulse],
        lease: Duration,
    ) -> Result<Vec<Acceptance>, StoreError> {
        self.on()?.accept(pulses, lease).await
    }

    async fn reclaim(&self, most: usize, lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        self.on()?.reclaim(most, lease).await
    }

    async fn reclaim_one(&self, id: &PulseId, lease: Duration) -> Result<Due, StoreError> {
        self.on()?.reclaim_one(id, lease).await
    }

    async fn claim(&self, ids: &[PulseId], lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        self.on()?.claim(ids, lease).await
    }

    async fn renew(&self, id: &PulseId, attempt: u32, lease: Duration) -> Result<bool, StoreError> {
        self.on()?.renew(id, attempt, lease).await
    }

    async fn mark(&self, id: &PulseId, speech: Speech) -> Result<(), StoreError> {
        self.on()?.mark(id, speech).await
    }

    async fn finish(&self, ids: &[PulseId]) -> Result<(), StoreError> {
        self.on()?.finish(ids).await
    }

    async fn depth(&self) -> Result<Depth, StoreError> {
        self.on()?.depth().await
    }
}
