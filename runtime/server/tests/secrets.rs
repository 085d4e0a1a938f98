//! No secret is in anything that comes out of a runtime: the program itself, with everything logged, a real Redis, and
//! stand-ins that repeat what they were sent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says so by panicking"
)]

#[path = "../../adapters/tests/stores/google/identity.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod identity;
#[path = "../../adapters/tests/stores/redis/server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod server;

use std::{
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eywa_adapters::standard_webhooks::SigningKey;
use eywa_crds::{
    compile::{DefaultStores, Defaults, compile_spirit},
    manifest::Manifests,
};
use eywa_guard::Policy;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Client;
use secrecy::ExposeSecret as _;
use serde_json::json;
use server::RedisServer;
use sha2::Sha256;
use tokio::{net::TcpListener, time::Instant};

/// What nobody may see, each of its own.
const SECRETS: [(&str, &str, &str); 9] = [
    ("model", "api-key", "sk-not-a-real-key-of-the-model"),
    ("wa", "access-token", "not-a-real-access-token-of-graph"),
    ("wa", "app-secret", "not-a-real-app-secret-of-graph"),
    ("wa", "verify-token", "not-a-real-verify-token-of-graph"),
    ("web", "signing-key", "not-a-real-signing-key-of-web"),
    ("shop", "bearer", "Bearer not-a-real-token-of-the-shop"),
    ("crm", "bearer", "Bearer not-a-real-token-of-the-crm"),
    ("chat", "signing-key", "not-a-real-signing-key-of-chat"),
    ("redis", "password", "not-a-real-password-of-redis"),
];

const SPIRIT: &str = r#"
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata: {name: barista}
spec:
  persona: {text: You serve coffee.}
  oracle: {provider: openai, model: m, baseUrl: "http://OUTSIDE/v1", apiKey: {secretRef: {name: model, key: api-key}}}
  voices:
    - {name: wa, whatsapp: {phoneNumberId: "1055", secretRef: {name: wa}, graphUrl: "http://OUTSIDE/v24.0"}}
    - {name: web, http: {secretRef: {name: web, key: signing-key}}}
  scouts:
    - name: crm
      http: {url: "http://OUTSIDE/crm", headersFrom: [{name: Authorization, secretRef: {name: crm, key: bearer}}]}
  actions:
    - name: order
      description: Orders.
      parameters: {type: object, properties: {}}
      http: {method: POST, url: "http://OUTSIDE/shop", headersFrom: [{name: Authorization, secretRef: {name: shop, key: bearer}}]}
  vigil: {summon: true, notify: {url: "http://OUTSIDE/chat", secretRef: {name: chat, key: signing-key}}}
  stores:
    redis: {urls: {secretRef: {name: redis, key: url}}}
    google:
      tasks:
        project: cafe-fake
        location: europe-west1
        queue: pulses
        url: "http://OUTSIDE/tasks/barista"
        serviceAccount: pusher@cafe-fake.iam.gserviceaccount.com
        baseUrl: http://OUTSIDE
        keysUrl: http://OUTSIDE/certs
        credentials: {secretRef: {name: google, key: key.json}}
      storage: {bucket: cafe-files, baseUrl: "http://OUTSIDE", credentials: {secretRef: {name: google, key: key.json}}}
"#;

fn secret(name: &str, key: &str) -> &'static str {
    SECRETS
        .iter()
        .find(|secret| (secret.0, secret.1) == (name, key))
        .unwrap()
        .2
}

/// What the runtime has shown to others that it made itself: tokens of its Google account.
static SHOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The model calls a tool, then answers; asked about `broken` it refuses, and repeats the key as some providers do. Every
/// other service refuses too, and repeats what it was sent.
async fn outside(request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization").cloned();
    let authorization = authorization.map_or(String::new(), |value| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    });
    if let Some(token) = authorization.strip_prefix("Bearer eyJ") {
        SHOWN.lock().unwrap().push(token.to_owned());
    }
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
    let body = String::from_utf8_lossy(&body.unwrap()).into_owned();
    if path != "/v1/chat/completions" {
        let repeated = json!({"error": {"code": 100, "message": format!("no: {authorization}")}});
        return (StatusCode::BAD_REQUEST, repeated.to_string()).into_response();
    }
    if body.contains("broken") {
        let message = format!("Incorrect API key provided: {authorization}");
        return (
            StatusCode::UNAUTHORIZED,
            json!({"error": {"message": message}}).to_string(),
        )
            .into_response();
    }
    let message = if body.contains("\"tool\"") {
        json!({"role": "assistant", "content": "done"})
    } else {
        let call = json!({"id": "1", "type": "function", "function": {"name": "order", "arguments": "{}"}});
        json!({"role": "assistant", "content": null, "tool_calls": [call]})
    };
    let answer = json!({"id": "x", "object": "chat.completion", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    ([("content-type", "application/json")], answer.to_string()).into_response()
}

/// A runtime's process, which ends with the test.
struct Runtime(Child);

impl Drop for Runtime {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn start(folder: &Path, outside: SocketAddr, redis: &RedisServer, ports: [u16; 3]) -> Runtime {
    let mut manifests = Manifests::default();
    let mut text = SPIRIT.replace("OUTSIDE", &outside.to_string());
    let url = format!(
        "redis://:{}@127.0.0.1:{}",
        secret("redis", "password"),
        redis.port()
    );
    let google = identity::key();
    let google = [("google", "key.json", google.expose_secret())];
    let secrets = SECRETS.into_iter().chain([("redis", "url", &*url)]);
    for (name, key, value) in secrets.chain(google) {
        let file = folder.join("secrets").join(name);
        std::fs::create_dir_all(&file).unwrap();
        std::fs::write(file.join(key), value).unwrap();
    }
    for name in [
        "model", "wa", "web", "shop", "crm", "chat", "redis", "google",
    ] {
        let keys: Vec<_> = std::fs::read_dir(folder.join("secrets").join(name))
            .unwrap()
            .collect();
        let keys = keys.into_iter().map(|key| {
            let key = key.unwrap().file_name().into_string().unwrap();
            let value =
                std::fs::read_to_string(folder.join("secrets").join(name).join(&key)).unwrap();
            (key, json!(value))
        });
        let keys: serde_json::Map<_, _> = keys.collect();
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys});
        text = format!("{text}---\n{object}\n");
    }
    manifests.add(Path::new("barista.yaml"), &text);
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let defaults = Defaults {
        network: Policy {
            loopback: true,
            ..Policy::default()
        },
        stores: DefaultStores::None,
    };
    let around = manifests.surroundings("default", defaults);
    let config = compile_spirit(&manifests.spirits["barista"], &around).unwrap();
    let config = config.to_json().unwrap();
    for (name, key, value) in SECRETS {
        assert!(
            !config.contains(value),
            "{name}/{key} is in the configuration"
        );
    }
    std::fs::write(folder.join("config.json"), config).unwrap();
    let log = File::create(folder.join("log")).unwrap();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let child = Command::new(env!("CARGO_BIN_EXE_eywa-runtime"))
        .arg("--config")
        .arg(folder.join("config.json"))
        .arg("--secrets")
        .arg(folder.join("secrets"))
        .args([
            "--http",
            &at(ports[0]),
            "--admin",
            &at(ports[1]),
            "--desk",
            &at(ports[2]),
        ])
        .env("RUST_LOG", "trace")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("KUBECONFIG", folder.join("none"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Runtime(child)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_what_a_runtime_logs_answers_measures_or_stores() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start();
    redis.say(&["CONFIG", "SET", "requirepass", secret("redis", "password")]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(outside)).await });
    let ports = [
        server::free_port(),
        server::free_port(),
        server::free_port(),
    ];
    let _runtime = start(folder.path(), address, &redis, ports);
    let client = Client::builder().no_proxy().build().unwrap();
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    until("the runtime to be ready", async || {
        let ready = client
            .get(format!("http://127.0.0.1:{}/readyz", ports[1]))
            .send()
            .await;
        ready.is_ok_and(|ready| ready.status().is_success())
    })
    .await;

    let heard = Arc::new(Mutex::new(String::new()));
    let hear = async |response: reqwest::Response| {
        let said = format!("{:?} {:?}\n", response.status(), response.headers());
        let body = response.text().await.unwrap();
        heard.lock().unwrap().push_str(&(said + &body));
    };
    let key = SigningKey::parse(&secret("web", "signing-key").into()).unwrap();
    for (id, text) in [("a", "an order"), ("b", "broken")] {
        let body = json!({"user": {"id": "ana"}, "text": text}).to_string();
        let now = jiff::Timestamp::now().as_second();
        let response = client
            .post(format!(
                "http://127.0.0.1:{}/spirits/barista/pulses?detail=true",
                ports[0]
            ))
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", key.sign(id, now, body.as_bytes()))
            .body(body);
        hear(response.send().await.unwrap()).await;
    }
    // One that is signed with another key, and one for the other voice, whose channel refuses the reply.
    let forged = client
        .post(format!(
            "http://127.0.0.1:{}/spirits/barista/pulses",
            ports[0]
        ))
        .header("webhook-id", "c")
        .header("webhook-timestamp", "1")
        .header("webhook-signature", "v1,bm90IGEgc2lnbmF0dXJl");
    hear(forged.body("{}").send().await.unwrap()).await;
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
    "messaging_product": "whatsapp", "metadata": {"display_phone_number": "1", "phone_number_id": "1055"},
    "messages": [
        {"from": "5511", "id": "wamid.1", "timestamp": "1", "type": "text", "text": {"body": "hello"}},
        // A file, which is looked for in the bucket first.
        {"from": "5512", "id": "wamid.2", "timestamp": "1", "type": "image", "image": {"id": "m1", "mime_type": "image/jpeg", "sha256": "x"}},
    ]}}]}]});
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret("wa", "app-secret").as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let webhook = client
        .post(format!("http://127.0.0.1:{}/voices/barista/wa", ports[0]))
        .header("x-hub-signature-256", signature);
    hear(webhook.body(body).send().await.unwrap()).await;
    let verify = client.get(format!(
        "http://127.0.0.1:{}/voices/barista/wa?hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong",
        ports[0]
    ));
    hear(verify.send().await.unwrap()).await;
    let metrics = format!("http://127.0.0.1:{}/metrics", ports[1]);
    // A push whose token is not Google's, as far as can be known: its keys cannot be had.
    let pushed =
        identity::Signer::new().token("pusher@cafe-fake.iam.gserviceaccount.com", "barista");
    let push = client.post(format!("http://127.0.0.1:{}/tasks/barista", ports[0]));
    hear(push.bearer_auth(&pushed).body("{}").send().await.unwrap()).await;
    until("all four to have ended", async || {
        let text = client
            .get(&metrics)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let ended: f64 = text
            .lines()
            .filter(|line| line.starts_with("eywa_pulses_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        ended >= 4.0
    })
    .await;
    hear(client.get(&metrics).send().await.unwrap()).await;
    let stored = redis_text(&redis);

    let (heard, log) = (heard.lock().unwrap().clone(), log());
    // What is looked through is what it should be.
    assert!(
        log.contains("\"level\":\"TRACE\""),
        "not everything was logged"
    );
    assert!(stored.contains("an order"), "nothing was stored: {stored}");
    assert!(heard.contains("eywa_pulses_total"), "{heard}");
    for (name, key, value) in SECRETS {
        // Where only the last of it is a secret, that is looked for.
        let value = value.trim_start_matches("Bearer ");
        for (place, text) in [("an answer", &heard), ("the log", &log), ("Redis", &stored)] {
            if let Some(at) = text.find(value) {
                let around = text[..at].rfind('\n').map_or(0, |start| start + 1);
                panic!("{name}/{key} is in {place}: {}", &text[around..at]);
            }
        }
    }
    let shown = SHOWN.lock().unwrap().clone();
    assert!(shown.len() >= 2, "Google was not called");
    let key: serde_json::Value = serde_json::from_str(identity::key().expose_secret()).unwrap();
    // The first line of it is the same for all keys.
    let key = key["private_key"].as_str().unwrap()[200..260].to_owned();
    for token in shown.iter().chain([&pushed, &key]) {
        for (place, text) in [("an answer", &heard), ("the log", &log), ("Redis", &stored)] {
            let signature = token.rsplit('.').next().unwrap();
            assert!(
                !text.contains(signature),
                "a token or key of Google's is in {place}"
            );
        }
    }
}

/// All that is in Redis.
fn redis_text(redis: &RedisServer) -> String {
    let login = ["-a", secret("redis", "password")];
    let keys = redis.say(&[&login[..], &["KEYS", "*"]].concat());
    let dumped = keys.lines().map(|key| {
        let read = match redis.say(&[&login[..], &["TYPE", key]].concat()).trim() {
            "string" => vec!["GET", key],
            "list" => vec!["LRANGE", key, "0", "-1"],
            "hash" => vec!["HGETALL", key],
            _ => vec!["ZRANGE", key, "0", "-1"],
        };
        format!("{key} {}", redis.say(&[&login[..], &read].concat()))
    });
    dumped.collect()
}
