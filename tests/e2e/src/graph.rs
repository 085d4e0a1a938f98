//! A stand-in for WhatsApp's side of Meta's Graph API: takes messages as it does, and keeps them.
//!
//! Source: Meta, WhatsApp Business Platform, Cloud API reference, "Messages" and "Error codes".

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    hold::{Held, Hold, hold},
    server::Server,
    wait::eventually,
};

/// The most characters of a text message.
const LONGEST_TEXT: usize = 4096;
/// The most messages that are kept.
const KEPT: usize = 100_000;

/// The stand-in. Stops when dropped.
pub struct Graph {
    server: Server,
    state: Arc<Mutex<Mailbox>>,
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// From which pod.
    pub from: IpAddr,
    /// To whom.
    pub to: String,
    /// What it says.
    pub text: String,
}

struct Mailbox {
    access_token: String,
    sent: Vec<Sent>,
    troubles: HashMap<String, Trouble>,
    held: HashMap<String, (Hold, usize)>,
}

/// What goes wrong with messages to one person.
#[derive(Clone, Debug)]
struct Trouble {
    code: i64,
    times: u32,
}

impl Graph {
    /// Starts one that knows this access token.
    pub async fn start(access_token: &str) -> Self {
        let mailbox = Mailbox {
            access_token: access_token.to_owned(),
            sent: Vec::new(),
            troubles: HashMap::new(),
            held: HashMap::new(),
        };
        let state = Arc::new(Mutex::new(mailbox));
        let routes = Router::new()
            .route("/v24.0/{number}/messages", post(take))
            .with_state(state.clone());
        Self {
            server: Server::start(routes).await,
            state,
        }
    }

    /// The Graph API's URL with its version, for pods.
    pub fn url(&self) -> String {
        format!("{}/v24.0", self.server.url())
    }

    /// The next `times` messages to this person are refused with this code of Meta's.
    pub fn refuse(&self, to: &str, code: i64, times: u32) {
        lock(&self.state)
            .troubles
            .insert(to.to_owned(), Trouble { code, times });
    }

    /// Takes no message to this person until it lets go, or [`Held`] is dropped.
    #[must_use]
    pub fn hold(&self, to: &str) -> Held {
        let (held, hold) = hold();
        lock(&self.state).held.insert(to.to_owned(), (hold, 0));
        held
    }

    /// Waits until a message to this person is being held.
    ///
    /// # Panics
    /// When that takes longer than `within`.
    pub async fn wait_until_held(&self, to: &str, within: Duration) {
        eventually(
            &format!("a message to {to} is on its way"),
            within,
            || async {
                let waiting = lock(&self.state)
                    .held
                    .get(to)
                    .map_or(0, |(_, waiting)| *waiting);
                if waiting > 0 { Ok(()) } else { Err("none is") }
            },
        )
        .await;
    }

    /// Every message that was taken for this person, in order.
    pub fn sent_to(&self, to: &str) -> Vec<Sent> {
        lock(&self.state)
            .sent
            .iter()
            .filter(|sent| sent.to == to)
            .cloned()
            .collect()
    }

    /// The texts of every message that was taken for this person, in order.
    pub fn texts_to(&self, to: &str) -> Vec<String> {
        self.sent_to(to).into_iter().map(|sent| sent.text).collect()
    }

    /// Waits until this person was sent `count` messages, and returns them all.
    ///
    /// # Panics
    /// When that takes longer than `within`, or there are more.
    pub async fn wait_for(&self, to: &str, count: usize, within: Duration) -> Vec<Sent> {
        let sent = eventually(&format!("{count} messages to {to}"), within, || async {
            let sent = self.sent_to(to);
            if sent.len() >= count {
                Ok(sent)
            } else {
                Err(format!("{sent:?}"))
            }
        })
        .await;
        assert_eq!(sent.len(), count, "messages to {to}: {sent:?}");
        sent
    }
}

fn lock(state: &Mutex<Mailbox>) -> MutexGuard<'_, Mailbox> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(
    State(state): State<Arc<Mutex<Mailbox>>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(number): Path<String>,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> Response {
    let to = message["to"]
        .as_str()
        .or_else(|| message["recipient"].as_str());
    let Some(to) = to.map(str::to_owned) else {
        return refusal(
            StatusCode::BAD_REQUEST,
            100,
            "(#100) The parameter to is required.",
        );
    };
    let held = lock(&state).held.get_mut(&to).map(|(hold, waiting)| {
        *waiting += 1;
        hold.clone()
    });
    if let Some(held) = held {
        held.over().await;
    }
    let mut mailbox = lock(&state);
    if let Some(objection) = mailbox.objection(&to, &number, &headers, &message) {
        return objection;
    }
    let id = format!("wamid.out.{}", mailbox.sent.len());
    let text = message["text"]["body"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    mailbox.sent.push(Sent {
        at: Instant::now(),
        from: peer.ip(),
        to: to.clone(),
        text,
    });
    Json(json!({
        "messaging_product": "whatsapp",
        "contacts": [{"input": to, "wa_id": to}],
        "messages": [{"id": id}],
    }))
    .into_response()
}

impl Mailbox {
    /// What Meta says against this message; nothing when it takes it.
    fn objection(
        &mut self,
        to: &str,
        number: &str,
        headers: &HeaderMap,
        message: &Value,
    ) -> Option<Response> {
        let wanted = format!("Bearer {}", self.access_token);
        if headers
            .get(header::AUTHORIZATION)
            .is_none_or(|given| given.as_bytes() != wanted.as_bytes())
        {
            return Some(refusal(
                StatusCode::UNAUTHORIZED,
                190,
                "Error validating access token",
            ));
        }
        let text = message["text"]["body"].as_str().unwrap_or_default();
        let sound = message["messaging_product"] == "whatsapp"
            && message["type"] == "text"
            && !text.is_empty()
            && text.chars().count() <= LONGEST_TEXT
            && number.bytes().all(|digit| digit.is_ascii_digit());
        if !sound {
            return Some(refusal(
                StatusCode::BAD_REQUEST,
                100,
                "(#100) Invalid parameter",
            ));
        }
        if let Some(trouble) = self
            .troubles
            .get_mut(to)
            .filter(|trouble| trouble.times > 0)
        {
            trouble.times -= 1;
            let code = trouble.code;
            return Some(refusal(
                StatusCode::BAD_REQUEST,
                code,
                &format!("(#{code}) as the test asked for"),
            ));
        }
        (self.sent.len() >= KEPT).then(|| {
            refusal(
                StatusCode::TOO_MANY_REQUESTS,
                130_429,
                "(#130429) Rate limit hit",
            )
        })
    }
}

fn refusal(status: StatusCode, code: i64, message: &str) -> Response {
    let error = json!({"error": {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": message},
        "fbtrace_id": "A-test",
    }});
    (status, Json(error)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn say(graph: &Graph, token: &str, message: &Value) -> (u16, Value) {
        let url = format!("{}/v24.0/1055/messages", graph.server.local_url());
        let answer = reqwest::Client::new()
            .post(url)
            .bearer_auth(token)
            .json(message)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    fn hello(to: &str) -> Value {
        json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "text", "text": {"body": "hi"}})
    }

    #[tokio::test]
    async fn a_message_is_taken_and_kept() {
        let graph = Graph::start("token").await;
        let (status, answer) = say(&graph, "token", &hello("55")).await;
        assert_eq!(status, 200);
        assert_eq!(answer["contacts"][0]["wa_id"], "55");
        assert_eq!(graph.texts_to("55"), ["hi"]);
        assert!(graph.texts_to("56").is_empty());
    }

    #[tokio::test]
    async fn what_meta_refuses_is_refused_with_its_codes() {
        let graph = Graph::start("token").await;
        assert_eq!(
            say(&graph, "other", &hello("55")).await.1["error"]["code"],
            190
        );
        assert_eq!(
            say(&graph, "token", &json!({"type": "text"})).await.1["error"]["code"],
            100
        );
        let mut long = hello("55");
        long["text"]["body"] = "x".repeat(4097).into();
        assert_eq!(say(&graph, "token", &long).await.1["error"]["code"], 100);
        graph.refuse("55", 131_056, 1);
        assert_eq!(
            say(&graph, "token", &hello("55")).await.1["error"]["code"],
            131_056
        );
        assert_eq!(say(&graph, "token", &hello("55")).await.0, 200);
        assert_eq!(graph.texts_to("55").len(), 1);
    }
}
