//! A runtime with a desk.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::Uri};
use eywa_adapters::{
    attachments::InMemoryAttachments, bond::InMemoryBond, chronicle::InMemoryChronicle,
    contacts::InMemoryContacts, echoes::InMemoryEchoes, imprint::InMemoryImprint,
    inbox::InMemoryInbox, memory::InMemoryMemory, rite::InMemoryRites,
    standard_webhooks::SigningKey, vigil::InMemoryVigil,
};
use eywa_crds::{
    compile::{DefaultStores, Defaults, compile_spirit},
    manifest::Manifests,
    runtime_config::{CompiledSpirit, RedisUrls, RuntimeConfig, SecretFile, StoresConfig},
};
use eywa_guard::Policy;
use eywa_runtime::{
    desk::{self, Desk, access::Access},
    http,
    metrics::Metrics,
    roster::Roster,
    secrets::HeldSecrets,
    serve::serve,
    wiring::{Shared, Stores, wire},
};
use eywa_weave::{Echo, EchoBody, SessionKey};
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{kubernetes::Kubernetes, server::RedisServer};

const SIGNING_KEY: &str = "not-a-real-signing-key";

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
        - {when: {text: slow}, latency: 3s, reply: {text: "here at last"}}
        - {when: {text: refund}, reply: {toolCalls: [{name: refund, arguments: {card: "4111", amount: 5}}]}}
      default: {text: "at once"}
  actions:
    - name: refund
      description: Gives money back.
      parameters: {type: object, properties: {card: {type: string}, amount: {type: number}}}
      http: {method: POST, url: "http://SHOP/refund"}
  rites: [{actions: [refund], redact: [/card]}]
  voices: [{name: web, http: {secretRef: {name: web, key: signing-key}, replyUrl: "http://SHOP/replies"}}]
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {signing-key: not-a-real-signing-key}
"#;

/// A runtime with a desk.
pub struct Office {
    pub client: Client,
    pub stores: Stores,
    /// What its shop was sent: replies, and refunds.
    pub shop: Shop,
    desk: SocketAddr,
    public: SocketAddr,
    _stop: tokio_util::sync::DropGuard,
}

impl Office {
    /// One whose people a cluster knows, with stores of its own.
    pub async fn in_a_cluster() -> (Self, Kubernetes) {
        let kubernetes = Kubernetes::start().await;
        let office = Self::open(kubernetes.access(), in_memory()).await;
        (office, kubernetes)
    }

    /// One that shares its stores with others.
    pub async fn on_redis(access: Arc<dyn Access>, redis: &RedisServer) -> Self {
        use secrecy::ExposeSecret as _;
        let (mut config, secrets) = compiled(&Shop::default());
        config.stores = StoresConfig::Redis {
            urls: RedisUrls::Plain(redis.url().expose_secret().to_owned()),
            ca: None,
            mongo: None,
            tasks: None,
            storage: None,
        };
        let stores = Stores::redis(&config, &secrets).unwrap();
        Self::open(access, stores).await
    }

    pub async fn open(access: Arc<dyn Access>, stores: Stores) -> Self {
        Self::furnished(access, stores, |_| {}).await
    }

    /// One whose Spirit is not quite as it is written.
    pub async fn furnished(
        access: Arc<dyn Access>,
        stores: Stores,
        change: impl FnMut(&mut CompiledSpirit),
    ) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let shop = Shop::open().await;
        let (mut config, secrets) = compiled(&shop);
        config.spirits.values_mut().for_each(change);
        let shared = Shared::new(network(), Metrics::new().unwrap());
        let wired = wire(&config, &secrets, stores.clone(), &shared).unwrap();
        let (roster, stop) = (Roster::default(), CancellationToken::new());
        wired.serving.tend();
        roster.enlist(wired.serving);
        let (public, desk) = (listen().await, listen().await);
        let addresses = (public.local_addr().unwrap(), desk.local_addr().unwrap());
        let webhooks = http::routes(roster.clone());
        tokio::spawn(serve(public, webhooks, http::CONNECTIONS, stop.clone()));
        let routes = desk::routes(Desk::new(roster, access, "cafe"));
        tokio::spawn(serve(desk, routes, desk::CONNECTIONS, stop.clone()));
        Self {
            client: Client::builder().no_proxy().build().unwrap(),
            stores,
            shop,
            public: addresses.0,
            desk: addresses.1,
            _stop: stop.drop_guard(),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.desk)
    }

    pub fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.client
            .request(method, self.url(path))
            .bearer_auth(token)
    }

    pub async fn get(&self, path: &str, token: &str) -> Response {
        self.request(Method::GET, path, token).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Response {
        self.request(Method::POST, path, token)
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    /// What a request that succeeds gives.
    pub async fn read(&self, path: &str, token: &str) -> Value {
        let response = self.get(path, token).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// Somebody says something on the http voice; gives what they are answered.
    pub async fn say(&self, session: &str, id: &str, text: &str) -> Value {
        let user = json!({"id": session, "name": format!("{session} of the cafe")});
        let body = json!({"user": user, "session": session, "text": text}).to_string();
        let at = Timestamp::now().as_second();
        let key = SigningKey::parse(&SIGNING_KEY.into()).unwrap();
        let signature = key.sign(id, at, body.as_bytes());
        let url = format!("http://{}/spirits/barista/pulses", self.public);
        let response = self
            .client
            .post(url)
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.unwrap()
    }

    /// Puts a message into a conversation, as if it had been said.
    pub async fn heard(&self, session: &str, id: &str, name: &str, text: &str) {
        let body = EchoBody::User {
            name: Some(name.to_owned()),
            text: text.to_owned(),
            attachments: vec![],
            findings: vec![],
        };
        let echo = Echo {
            id: id.to_owned(),
            at: Timestamp::now(),
            pulse: None,
            body,
        };
        let session: SessionKey = session.parse().unwrap();
        self.stores
            .echoes
            .append(&session, None, &[echo])
            .await
            .unwrap();
    }
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
        let text = problem[field].as_str();
        assert!(text.is_some_and(|text| !text.is_empty()), "{problem}");
    }
    problem
}

/// Asks until there is an answer.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn in_memory() -> Stores {
    Stores {
        bond: Arc::new(InMemoryBond::new()),
        inbox: Arc::new(InMemoryInbox::new()),
        echoes: Arc::new(InMemoryEchoes::new()),
        chronicle: Arc::new(InMemoryChronicle::new()),
        memory: Arc::new(InMemoryMemory::new()),
        rites: Arc::new(InMemoryRites::new()),
        attachments: Arc::new(InMemoryAttachments::new()),
        contacts: Arc::new(InMemoryContacts::new()),
        imprint: Arc::new(InMemoryImprint::new()),
        vigil: Arc::new(InMemoryVigil::new()),
    }
}

fn network() -> Policy {
    Policy {
        loopback: true,
        ..Policy::default()
    }
}

/// What stands behind the Spirit: where its replies go, and where its Action calls.
#[derive(Clone)]
pub struct Shop {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            address: ([127, 0, 0, 1], 1).into(),
            sent: Arc::default(),
        }
    }
}

impl Shop {
    async fn open() -> Self {
        let listener = listen().await;
        let shop = Self {
            address: listener.local_addr().unwrap(),
            ..Self::default()
        };
        let take = async |State(shop): State<Self>, uri: Uri, Json(body): Json<Value>| {
            let path = uri.path().trim_matches('/').to_owned();
            shop.sent.lock().unwrap().push((path, body));
            Json(json!({"done": true}))
        };
        let routes = Router::new().fallback(take).with_state(shop.clone());
        tokio::spawn(serve(listener, routes, 64, CancellationToken::new()));
        shop
    }

    /// What was sent to one of its paths.
    pub fn sent(&self, to: &str) -> Vec<Value> {
        let sent = self.sent.lock().unwrap();
        let to_it = sent.iter().filter(|(path, _)| path == to);
        to_it.map(|(_, body)| body.clone()).collect()
    }
}

fn compiled(shop: &Shop) -> (RuntimeConfig, HeldSecrets) {
    let mut manifests = Manifests::default();
    let yaml = MANIFESTS.replace("SHOP", &shop.address.to_string());
    manifests.add(Path::new("barista.yaml"), &yaml);
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let defaults = Defaults {
        network: network(),
        stores: DefaultStores::Embedded,
    };
    let around = manifests.surroundings("cafe", defaults);
    let config = compile_spirit(&manifests.spirits["barista"], &around).unwrap();
    let secrets = manifests.secrets.iter().flat_map(|(name, keys)| {
        keys.iter().map(|(key, value)| {
            let (name, key) = (name.clone(), key.clone());
            (SecretFile { name, key }, value.clone())
        })
    });
    (config, HeldSecrets(secrets.collect()))
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}
