//! A stand-in of a desk's API.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// The token that it knows.
pub const TOKEN: &str = "not-a-secret";

/// How long a test waits for what must come.
const WITHIN: Duration = Duration::from_secs(20);

/// A request that it got.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// As it was sent: a session's slash is encoded.
    pub path: String,
    pub query: String,
    pub last_event_id: Option<String>,
    pub body: Value,
}

/// What it answers to whom. The first that fits answers, once if there is another one after it.
struct Rule {
    method: &'static str,
    path: String,
    answers: VecDeque<(u16, Value)>,
}

#[derive(Default)]
struct Inner {
    rules: Vec<Rule>,
    asked: Vec<Asked>,
    streams: Vec<mpsc::UnboundedSender<String>>,
}

/// The desk. It answers until the test ends.
#[derive(Clone)]
pub struct Desk {
    url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Desk {
    pub fn start() -> Self {
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(inner.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, routes).await.unwrap();
            });
        });
        Self { url, inner }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers this from now on; where a path is answered already, after that.
    pub fn answers(&self, method: &'static str, path: &str, status: u16, body: Value) -> &Self {
        let mut inner = self.inner.lock().unwrap();
        let known = inner
            .rules
            .iter_mut()
            .find(|rule| rule.method == method && rule.path == path);
        match known {
            Some(rule) => rule.answers.push_back((status, body)),
            None => inner.rules.push(Rule {
                method,
                path: path.to_owned(),
                answers: VecDeque::from([(status, body)]),
            }),
        }
        drop(inner);
        self
    }

    /// What it was asked by this method, in order.
    pub fn asked(&self, method: &str) -> Vec<Asked> {
        let asked = self.inner.lock().unwrap().asked.clone();
        asked
            .into_iter()
            .filter(|one| one.method == method)
            .collect()
    }

    /// Waits until there is the nth connection for events.
    pub fn wait_for_stream(&self, nth: usize) {
        let deadline = Instant::now() + WITHIN;
        while self.inner.lock().unwrap().streams.len() < nth {
            assert!(Instant::now() < deadline, "nobody asked for events");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends an event to everybody who listens.
    pub fn tell(&self, id: &str, name: &str, data: &Value) {
        let event = format!("id: {id}\nevent: {name}\ndata: {data}\n\n");
        for stream in &self.inner.lock().unwrap().streams {
            let _ = stream.send(event.clone());
        }
    }

    /// Ends the connections for events.
    pub fn hang_up(&self) {
        for stream in &mut self.inner.lock().unwrap().streams {
            *stream = mpsc::unbounded_channel().0;
        }
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
    let text = |name: &str| {
        let value = parts.headers.get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        last_event_id: text("last-event-id"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    if text("authorization").as_deref() != Some(&format!("Bearer {TOKEN}")) {
        return problem(
            401,
            json!({"title": "Unauthorized", "detail": "this token is not known"}),
        );
    }
    let mut inner = inner.lock().unwrap();
    inner.asked.push(asked.clone());
    if asked.path == "/api/events" {
        let (stream, mut events) = mpsc::unbounded_channel();
        inner.streams.push(stream);
        let body = Body::from_stream(futures::stream::poll_fn(move |context| {
            events
                .poll_recv(context)
                .map(|event| event.map(Ok::<String, Infallible>))
        }));
        return ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
    }
    let rule = inner
        .rules
        .iter_mut()
        .find(|rule| rule.method == asked.method && rule.path == asked.path);
    let Some(rule) = rule else {
        return problem(
            404,
            json!({"title": "Not Found", "detail": "there is no such thing"}),
        );
    };
    let (status, body) = if rule.answers.len() > 1 {
        rule.answers.pop_front().unwrap()
    } else {
        rule.answers[0].clone()
    };
    problem(status, body)
}

fn problem(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}
