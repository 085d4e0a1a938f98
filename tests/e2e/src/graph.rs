//! A stand-in for WhatsApp's side of Meta's Graph API: takes messages as it does, and keeps them.
//!
//! Source: Meta, WhatsApp Business Platform, Cloud API reference, "Messages", "Media", "Typing indicators" and "Error
//! codes".

mod objection;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use self::objection::refusal;

use crate::{
    hold::{Held, Hold, hold},
    server::Server,
    wait::eventually,
};

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
    /// What it says: its text, or the name of its template.
    pub text: String,
    /// The whole message.
    pub message: Value,
}

struct Mailbox {
    access_token: String,
    url: String,
    sent: Vec<Sent>,
    read: Vec<String>,
    files: HashMap<String, (String, Vec<u8>)>,
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
            url: String::new(),
            sent: Vec::new(),
            read: Vec::new(),
            files: HashMap::new(),
            troubles: HashMap::new(),
            held: HashMap::new(),
        };
        let state = Arc::new(Mutex::new(mailbox));
        let routes = Router::new()
            .route("/v24.0/{number}/messages", post(take))
            .route("/v24.0/{file}", get(about_file))
            .route("/files/{file}", get(file))
            .with_state(state.clone());
        let server = Server::start(routes).await;
        lock(&state).url = server.url();
        Self { server, state }
    }

    /// From now on, knows this access token alone.
    pub fn take_token(&self, access_token: &str) {
        lock(&self.state).access_token = access_token.to_owned();
    }

    /// Has a file, by the id that a webhook names.
    pub fn keep_file(&self, id: &str, media_type: &str, bytes: &[u8]) {
        let file = (media_type.to_owned(), bytes.to_vec());
        lock(&self.state).files.insert(id.to_owned(), file);
    }

    /// The messages that were marked read, with somebody typing; one is there as often as that was asked for.
    pub fn read(&self) -> Vec<String> {
        lock(&self.state).read.clone()
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
    if message["status"] == "read" {
        return mark_read(&state, &headers, &message);
    }
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
    let said = [
        &message["text"]["body"],
        &message["interactive"]["body"]["text"],
        &message["template"]["name"],
    ];
    let text = said.iter().find_map(|text| text.as_str());
    let text = text.unwrap_or_default().to_owned();
    mailbox.sent.push(Sent {
        at: Instant::now(),
        from: peer.ip(),
        to: to.clone(),
        text,
        message,
    });
    Json(json!({
        "messaging_product": "whatsapp",
        "contacts": [{"input": to, "wa_id": to}],
        "messages": [{"id": id}],
    }))
    .into_response()
}

fn mark_read(state: &Mutex<Mailbox>, headers: &HeaderMap, message: &Value) -> Response {
    let mut mailbox = lock(state);
    if let Some(refused) = mailbox.unauthorized(headers) {
        return refused;
    }
    match message["message_id"].as_str() {
        Some(id) if message["typing_indicator"]["type"] == "text" => {
            mailbox.read.push(id.to_owned());
            Json(json!({"success": true})).into_response()
        }
        _ => refusal(StatusCode::BAD_REQUEST, 100, "(#100) Invalid parameter"),
    }
}

/// Where a file is, and what it is.
async fn about_file(
    State(state): State<Arc<Mutex<Mailbox>>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mailbox = lock(&state);
    if let Some(refused) = mailbox.unauthorized(&headers) {
        return refused;
    }
    match mailbox.files.get(&id) {
        Some((media_type, bytes)) => Json(json!({
            "messaging_product": "whatsapp",
            "id": id,
            "url": format!("{}/files/{id}", mailbox.url),
            "mime_type": media_type,
            "sha256": hex::encode(Sha256::digest(bytes)),
            "file_size": bytes.len(),
        }))
        .into_response(),
        None => refusal(
            StatusCode::BAD_REQUEST,
            100,
            "(#100) Unsupported get request. The object does not exist",
        ),
    }
}

async fn file(
    State(state): State<Arc<Mutex<Mailbox>>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mailbox = lock(&state);
    if let Some(refused) = mailbox.unauthorized(&headers) {
        return refused;
    }
    match mailbox.files.get(&id) {
        Some((_, bytes)) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
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

    #[tokio::test]
    async fn a_file_is_given_to_who_has_the_token() {
        let graph = Graph::start("token").await;
        graph.keep_file("m1", "image/jpeg", b"hello");
        let get = async |path: &str, token: &str| {
            let url = format!("{}{path}", graph.server.local_url());
            let request = reqwest::Client::new().get(url).bearer_auth(token);
            request.send().await.unwrap()
        };
        let about: Value = get("/v24.0/m1", "token").await.json().await.unwrap();
        assert!(
            about["url"].as_str().unwrap().ends_with("/files/m1"),
            "{about}"
        );
        let bytes = get("/files/m1", "token").await.bytes().await.unwrap();
        assert_eq!(&bytes[..], b"hello");
        for path in ["/v24.0/m1", "/files/m1"] {
            assert_eq!(get(path, "other").await.status(), 401, "{path}");
        }
        assert_eq!(get("/v24.0/m2", "token").await.status(), 400);
    }
}
