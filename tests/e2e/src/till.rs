//! A stand-in for a service that an Action calls: it takes requests and keeps them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};

use crate::{
    server::Server,
    wait::{eventually, hold},
};

/// The stand-in. It grants every refund.
pub struct Till {
    server: Server,
    made: Arc<Mutex<Vec<Refund>>>,
}

/// A refund that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Refund {
    /// The call's id, by which it can be told from others.
    pub key: String,
    /// What it was asked with.
    pub arguments: Value,
}

impl Till {
    /// Starts one that has refunded nothing.
    pub async fn start() -> Self {
        let made = Arc::<Mutex<Vec<Refund>>>::default();
        let routes = Router::new()
            .route("/refunds", post(refund))
            .with_state(Arc::clone(&made));
        Self {
            server: Server::start(routes).await,
            made,
        }
    }

    /// Where refunds are asked for, for pods.
    pub fn url(&self) -> String {
        format!("{}/refunds", self.server.url())
    }

    /// Every refund, in order.
    pub fn made(&self) -> Vec<Refund> {
        lock(&self.made).clone()
    }

    /// Waits until there were so many refunds.
    ///
    /// # Panics
    /// When that takes longer than `within`.
    pub async fn wait_for(&self, times: usize, within: Duration) {
        eventually(&format!("{times} refunds are made"), within, || async {
            let made = self.made();
            hold(made.len() >= times, made)
        })
        .await;
    }
}

fn lock(made: &Mutex<Vec<Refund>>) -> MutexGuard<'_, Vec<Refund>> {
    made.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn refund(
    State(made): State<Arc<Mutex<Vec<Refund>>>>,
    headers: HeaderMap,
    Json(arguments): Json<Value>,
) -> Json<Value> {
    let key = headers.get("idempotency-key");
    let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
    let answer = json!({"refunded": arguments["order"]});
    lock(&made).push(Refund {
        key: key.to_owned(),
        arguments,
    });
    Json(answer)
}
