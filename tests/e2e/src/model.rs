//! A stand-in for a model behind OpenAI's interface, which a test can hold in the middle of an answer.
//!
//! Source: OpenAI, API reference, "Create chat completion".

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use crate::{
    hold::{Held, Hold, hold},
    server::Server,
    wait::eventually,
};

/// The stand-in. To a message that nothing is said about, it answers at once with [`Model::echo`] of it.
pub struct Model {
    server: Server,
    state: Arc<Mutex<Mind>>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// From which pod.
    pub from: IpAddr,
    /// What the person said last: the last line, since what was said while nobody answered may stand before it.
    pub text: String,
    /// The whole conversation, as it was sent.
    pub messages: Vec<Value>,
}

impl Asked {
    /// Whether this was said before what the person said last, by whomever.
    pub fn remembers(&self, text: &str) -> bool {
        let contents = self
            .messages
            .iter()
            .filter_map(|message| message["content"].as_str());
        let whole = contents.collect::<Vec<_>>().join("\n");
        whole
            .strip_suffix(&self.text)
            .is_some_and(|before| before.contains(text))
    }
}

struct Mind {
    key: String,
    asked: Vec<Asked>,
    held: HashMap<String, Hold>,
}

impl Model {
    /// Starts one that knows this key.
    pub async fn start(key: &str) -> Self {
        let state = Arc::new(Mutex::new(Mind {
            key: key.to_owned(),
            asked: Vec::new(),
            held: HashMap::new(),
        }));
        let routes = Router::new()
            .route("/v1/chat/completions", post(answer))
            .with_state(state.clone());
        Self {
            server: Server::start(routes).await,
            state,
        }
    }

    /// The base URL, for pods.
    pub fn url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    /// From now on, knows this key alone.
    pub fn take_key(&self, key: &str) {
        lock(&self.state).key = key.to_owned();
    }

    /// What it answers to a message.
    pub fn echo(text: &str) -> String {
        format!("You said: {text}")
    }

    /// Does not answer this message until it is let go, or [`Held`] is dropped.
    #[must_use]
    pub fn hold(&self, text: &str) -> Held {
        let (held, hold) = hold();
        lock(&self.state).held.insert(text.to_owned(), hold);
        held
    }

    /// Every request about this message, in order.
    pub fn asked_about(&self, text: &str) -> Vec<Asked> {
        lock(&self.state)
            .asked
            .iter()
            .filter(|asked| asked.text == text)
            .cloned()
            .collect()
    }

    /// Waits until it was asked about this message `times` times, and returns the last of them.
    ///
    /// # Panics
    /// When that takes longer than `within`.
    pub async fn wait_for(&self, text: &str, times: usize, within: Duration) -> Asked {
        eventually(
            &format!("the model is asked {times} times about {text:?}"),
            within,
            || async {
                let asked = self.asked_about(text);
                match asked.last() {
                    Some(last) if asked.len() >= times => Ok(last.clone()),
                    _ => Err(format!("{} times", asked.len())),
                }
            },
        )
        .await
    }
}

fn lock(state: &Mutex<Mind>) -> MutexGuard<'_, Mind> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of a message: all of it, or the part beside its pictures.
fn words(content: &Value) -> Option<&str> {
    let parts = content.as_array().into_iter().flatten();
    content
        .as_str()
        .or_else(|| parts.filter_map(|part| part["text"].as_str()).next_back())
}

async fn answer(
    State(state): State<Arc<Mutex<Mind>>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Response {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let text = messages
        .last()
        .and_then(|last| words(&last["content"])?.lines().last())
        .unwrap_or_default()
        .to_owned();
    let held = {
        let mut mind = lock(&state);
        let wanted = format!("Bearer {}", mind.key);
        if headers
            .get(header::AUTHORIZATION)
            .is_none_or(|given| given.as_bytes() != wanted.as_bytes())
        {
            let error = json!({"error": {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}});
            return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
        }
        mind.asked.push(Asked {
            from: peer.ip(),
            text: text.clone(),
            messages,
        });
        mind.held.get(&text).cloned()
    };
    if let Some(held) = held {
        held.over().await;
    }
    Json(json!({
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": request["model"],
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": Model::echo(&text)},
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }))
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(model: &Model, key: &str, text: &str) -> (u16, Value) {
        let url = format!("{}/v1/chat/completions", model.server.local_url());
        let question = json!({"model": "m", "messages": [
            {"role": "system", "content": "be kind"}, {"role": "user", "content": text},
        ]});
        let answer = reqwest::Client::new()
            .post(url)
            .bearer_auth(key)
            .json(&question)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    #[tokio::test]
    async fn a_message_is_answered_and_kept() {
        let model = Model::start("key").await;
        let (status, answer) = ask(&model, "key", "hi").await;
        assert_eq!(
            (status, answer["choices"][0]["message"]["content"].as_str()),
            (200, Some("You said: hi"))
        );
        let asked = model.wait_for("hi", 1, Duration::from_secs(1)).await;
        assert!(asked.remembers("be kind") && !asked.remembers("hi"));
        assert_eq!(ask(&model, "other", "hi").await.0, 401);
    }

    #[tokio::test]
    async fn a_held_message_is_answered_once_it_is_let_go() {
        let model = Arc::new(Model::start("key").await);
        let held = model.hold("slow");
        let asking = tokio::spawn({
            let model = model.clone();
            async move { ask(&model, "key", "slow").await.0 }
        });
        model.wait_for("slow", 1, Duration::from_secs(5)).await;
        assert_eq!(ask(&model, "key", "quick").await.0, 200);
        assert!(!asking.is_finished());
        held.release();
        assert_eq!(asking.await.unwrap(), 200);
    }
}
