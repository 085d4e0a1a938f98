//! Stand-ins for the model and the Graph API, in this process, where their cost is not counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};

/// How long the model takes.
const MODEL: Duration = Duration::from_millis(50);
/// The most Pulses that are in work at a time.
pub(crate) const IN_WORK: usize = 512;

/// The stand-ins, and how many replies have come.
pub(crate) struct Standins {
    url: String,
    pub(crate) state: Arc<Replies>,
}

/// The replies that came.
pub(crate) struct Replies {
    count: AtomicUsize,
    /// Room for Pulses in work: taken when one is sent, given back when its reply comes.
    pub(crate) room: Semaphore,
}

impl Standins {
    pub(crate) async fn start() -> Result<Self> {
        let state = Arc::new(Replies {
            count: AtomicUsize::new(0),
            room: Semaphore::new(IN_WORK),
        });
        let routes = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/graph/1055/messages", post(message))
            .with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, state })
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn answered(&self) -> usize {
        self.state.count.load(Ordering::Acquire)
    }
}

/// OpenAI's Chat Completions, as its API reference has the response.
async fn complete() -> Json<Value> {
    tokio::time::sleep(MODEL).await;
    Json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "stand-in",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Coming up."}}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 4, "total_tokens": 44},
    }))
}

/// The Cloud API's messages, as Meta's reference has the response.
async fn message(State(replies): State<Arc<Replies>>, Json(message): Json<Value>) -> Json<Value> {
    // That a message was read is no message.
    if message.get("status").is_some() {
        return Json(json!({"success": true}));
    }
    replies.count.fetch_add(1, Ordering::AcqRel);
    replies.room.add_permits(1);
    Json(json!({"messaging_product": "whatsapp", "messages": [{"id": "wamid.reply"}]}))
}
