//! What a desk asks of an API server, and an API server that answers it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use axum::{Json, Router, extract::State, response::IntoResponse, routing::post};
use eywa_runtime::{desk::access::ClusterAccess, serve::serve};
use http::StatusCode;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Nobody's; the desk knows it by the stand-in's word.
pub const VIEWER: &str = "not-a-real-token-of-vera";
/// The same, of somebody who may take over and decide.
pub const ATTENDANT: &str = "not-a-real-token-of-ana";
/// The same, of somebody who may nothing.
pub const STRANGER: &str = "not-a-real-token-of-sid";

/// A stand-in for the API server of a cluster.
#[derive(Clone)]
pub struct Kubernetes {
    pub tokens_reviewed: Arc<AtomicUsize>,
    pub access_reviewed: Arc<AtomicUsize>,
    away: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Kubernetes {
    pub async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kubernetes = Self {
            tokens_reviewed: Arc::default(),
            access_reviewed: Arc::default(),
            away: Arc::default(),
            address: listener.local_addr().unwrap(),
        };
        let routes = Router::new()
            .route(
                "/apis/authentication.k8s.io/v1/tokenreviews",
                post(review_token),
            )
            .route(
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                post(review_access),
            )
            .with_state(kubernetes.clone());
        tokio::spawn(serve(listener, routes, 64, CancellationToken::new()));
        kubernetes
    }

    pub fn access(&self) -> Arc<ClusterAccess> {
        let mut config = Config::new(format!("http://{}", self.address).parse().unwrap());
        config.proxy_url = None;
        let client = Client::try_from(config).unwrap();
        Arc::new(ClusterAccess::new(client, "cafe"))
    }

    /// It answers no more.
    pub fn go_away(&self) {
        self.away.store(true, SeqCst);
    }
}

async fn review_token(
    State(kubernetes): State<Kubernetes>,
    Json(review): Json<Value>,
) -> impl IntoResponse {
    kubernetes.tokens_reviewed.fetch_add(1, SeqCst);
    if kubernetes.away.load(SeqCst) {
        return away();
    }
    let name = match review["spec"]["token"].as_str().unwrap() {
        VIEWER => Some("vera@cafe.example"),
        ATTENDANT => Some("ana@cafe.example"),
        STRANGER => Some("sid@cafe.example"),
        _ => None,
    };
    let status = match name {
        Some(name) => {
            json!({"authenticated": true, "user": {"username": name, "uid": "1", "groups": ["system:authenticated"]}})
        }
        None => json!({"authenticated": false, "error": "invalid bearer token"}),
    };
    answered(review, status)
}

async fn review_access(
    State(kubernetes): State<Kubernetes>,
    Json(review): Json<Value>,
) -> impl IntoResponse {
    kubernetes.access_reviewed.fetch_add(1, SeqCst);
    if kubernetes.away.load(SeqCst) {
        return away();
    }
    let asked = &review["spec"]["resourceAttributes"];
    assert_eq!(
        (asked["group"].as_str(), asked["namespace"].as_str()),
        (Some("eywa.dev"), Some("cafe"))
    );
    let of = |field: &str| asked[field].as_str().unwrap().to_owned();
    let allowed = match review["spec"]["user"].as_str().unwrap() {
        "ana@cafe.example" => true,
        "vera@cafe.example" => (of("verb"), of("resource")) == ("get".into(), "vigils".into()),
        _ => false,
    };
    answered(review, json!({"allowed": allowed}))
}

fn answered(mut review: Value, status: Value) -> (StatusCode, Json<Value>) {
    review["status"] = status;
    (StatusCode::CREATED, Json(review))
}

fn away() -> (StatusCode, Json<Value>) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "InternalError", "message": "etcd is away", "code": 500});
    (StatusCode::INTERNAL_SERVER_ERROR, Json(status))
}
