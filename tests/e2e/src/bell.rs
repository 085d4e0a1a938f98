//! A stand-in for a service that people are called by: it takes notifications and keeps them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::{
    server::Server,
    wait::{eventually, hold},
};

/// What notifications are signed with.
pub const SIGNING_KEY: &str = "fake-signing-key-of-the-bell";

/// The stand-in. It is away at the first try of each notification, and takes the second.
pub struct Bell {
    server: Server,
    rung: Arc<Mutex<Vec<Rung>>>,
}

/// A notification that came.
#[derive(Clone, Debug)]
pub struct Rung {
    /// Its id: the same when it is sent again.
    pub id: String,
    /// Whether its signature is right.
    pub signed: bool,
    /// What it says.
    pub body: Value,
}

impl Bell {
    /// Starts one that nobody has rung.
    pub async fn start() -> Self {
        let rung = Arc::<Mutex<Vec<Rung>>>::default();
        let routes = Router::new()
            .route("/hooks", post(ring))
            .with_state(Arc::clone(&rung));
        Self {
            server: Server::start(routes).await,
            rung,
        }
    }

    /// Where notifications go, for pods.
    pub fn url(&self) -> String {
        format!("{}/hooks", self.server.url())
    }

    /// Every notification of this type, in order, once.
    pub fn rung(&self, kind: &str) -> Vec<Rung> {
        let mut rung = lock(&self.rung).clone();
        rung.retain(|one| one.body["type"] == kind);
        rung.dedup_by(|one, before| one.id == before.id);
        rung
    }

    /// Waits for one of this type.
    ///
    /// # Panics
    /// When that takes longer than `within`.
    pub async fn wait_for(&self, kind: &str, within: Duration) -> Rung {
        eventually(&format!("{kind} is told"), within, || async {
            let rung = self.rung(kind);
            let first = rung.first().cloned();
            hold(first.is_some(), rung).map(|()| first)
        })
        .await
        .unwrap_or_else(|| panic!("it was there"))
    }
}

fn lock(rung: &Mutex<Vec<Rung>>) -> MutexGuard<'_, Vec<Rung>> {
    rung.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ring(
    State(rung): State<Arc<Mutex<Vec<Rung>>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let mut rung = lock(&rung);
    let again = rung.iter().any(|one| one.id == id);
    rung.push(Rung {
        signed: header("webhook-signature") == signature(&id, &at, &body),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        id,
    });
    if again {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// By the Standard Webhooks specification.
fn signature(id: &str, at: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SIGNING_KEY.as_bytes());
    let mut mac = mac.unwrap_or_else(|error| panic!("a key of any length is one: {error}"));
    for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}
