//! A stand-in for Cloud Tasks: its REST API for the tasks of one queue, and the pushes.
//!
//! Written from Google's documentation: Cloud Tasks API v2 (`projects.locations.queues.tasks`: create, get, delete; `Task`,
//! `HttpRequest`, `OidcToken`), "Create HTTP target tasks" (the headers of a push), and `RetryConfig` (pauses that double
//! from a tenth of a second). A name is not to be had again after its task has gone. Pushes may come twice.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::identity::{self, Signer};

pub const QUEUE: &str = "projects/cafe-fake/locations/europe-west1/queues/pulses";
pub const ACCOUNT: &str = "pusher@cafe-fake.iam.gserviceaccount.com";

/// The server, which ends with the test.
pub struct CloudTasks {
    pub url: String,
    state: Arc<Mutex<Queue>>,
    signer: Arc<Signer>,
    _stop: DropGuard,
}

#[derive(Default)]
pub struct Queue {
    /// By name.
    pub tasks: BTreeMap<String, Standing>,
    gone: HashSet<String>,
    /// What the next requests fail with.
    pub failures: VecDeque<(u16, &'static str)>,
    /// Every request, as method and path.
    pub requests: Vec<String>,
    /// Every push: the task's short name and what came back, 0 for nothing.
    pub pushes: Vec<(String, u16)>,
    /// Whether everything is pushed twice at the same time.
    pub twice: bool,
    /// Whether the keys of tokens cannot be had.
    pub keyless: bool,
    /// Whether requests wait for ever.
    pub deaf: bool,
}

/// A task in the queue.
#[derive(Clone)]
pub struct Standing {
    pub task: Value,
    due: Timestamp,
    tries: u32,
    pushing: bool,
}

impl CloudTasks {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (state, signer) = (Arc::<Mutex<Queue>>::default(), Arc::new(Signer::new()));
        let keys = signer.keys();
        let routes = Router::new()
            .route("/v2/{*name}", post(create).get(read).delete(delete))
            .layer(middleware::from_fn_with_state(Arc::clone(&state), admit))
            .route("/certs", get(certs))
            .route("/nowhere", post(async || StatusCode::OK))
            .layer(Extension(Arc::new(keys)))
            .with_state(Arc::clone(&state));
        let stop = CancellationToken::new();
        let ended = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            axum::serve(listener, routes)
                .with_graceful_shutdown(ended)
                .await
        });
        let dispatching = dispatch(Arc::clone(&state), Arc::clone(&signer));
        tokio::spawn(stop.clone().run_until_cancelled_owned(dispatching));
        Self {
            url,
            state,
            signer,
            _stop: stop.drop_guard(),
        }
    }

    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap()
    }

    /// A token as the queue's pushes bring it.
    pub fn token(&self, audience: &str) -> String {
        self.signer.token(ACCOUNT, audience)
    }
}

type Shared = State<Arc<Mutex<Queue>>>;

/// An error as Google's newer interfaces write it.
fn error(status: u16, name: &str) -> Response {
    let body =
        json!({"error": {"code": status, "message": format!("{name}: hush-hush"), "status": name}});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

async fn admit(State(state): Shared, request: Request, next: Next) -> Response {
    let (failure, deaf) = {
        let mut queue = state.lock().unwrap();
        let line = format!("{} {}", request.method(), request.uri().path());
        queue.requests.push(line);
        (queue.failures.pop_front(), queue.deaf)
    };
    if deaf {
        std::future::pending::<()>().await;
    }
    if let Some((status, name)) = failure {
        return error(status, name);
    }
    let header = request.headers().get("authorization");
    if !identity::is_caller(header.and_then(|header| header.to_str().ok())) {
        return error(401, "UNAUTHENTICATED");
    }
    next.run(request).await
}

/// The keys, as `https://www.googleapis.com/oauth2/v3/certs` answers.
async fn certs(State(state): Shared, Extension(keys): Extension<Arc<Value>>) -> Response {
    if state.lock().unwrap().keyless {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    ([("cache-control", "public, max-age=20000")], Json(keys)).into_response()
}

/// Whether a task is one that Cloud Tasks takes.
fn valid(task: &Value) -> Option<Timestamp> {
    let id = task["name"]
        .as_str()?
        .strip_prefix(&format!("{QUEUE}/tasks/"))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let deadline: u64 = task["dispatchDeadline"]
        .as_str()?
        .strip_suffix('s')?
        .parse()
        .ok()?;
    let request = &task["httpRequest"];
    let url = request["url"].as_str()?;
    let token = &request["oidcToken"];
    let fine = id.len() <= 500
        && id.chars().all(plain)
        && (15..=1800).contains(&deadline)
        && url.starts_with("http")
        && request["httpMethod"] == "POST"
        && STANDARD.decode(request["body"].as_str()?).is_ok()
        && token["serviceAccountEmail"].as_str()?.contains('@')
        && token["audience"].as_str().is_some();
    fine.then(|| task["scheduleTime"].as_str()?.parse().ok())
        .flatten()
}

async fn create(
    State(state): Shared,
    Path(name): Path<String>,
    Json(asked): Json<Value>,
) -> Response {
    if name != format!("{QUEUE}/tasks") {
        return error(404, "NOT_FOUND");
    }
    let task = asked["task"].clone();
    let Some(due) = valid(&task) else {
        return error(400, "INVALID_ARGUMENT");
    };
    let name = task["name"].as_str().unwrap().to_owned();
    let mut queue = state.lock().unwrap();
    if queue.gone.contains(&name) || queue.tasks.contains_key(&name) {
        return error(409, "ALREADY_EXISTS");
    }
    let mut seen = task.clone();
    let standing = Standing {
        task,
        due,
        tries: 0,
        pushing: false,
    };
    queue.tasks.insert(name, standing);
    // The basic view has no body.
    seen["httpRequest"].as_object_mut().unwrap().remove("body");
    Json(seen).into_response()
}

async fn read(State(state): Shared, Path(name): Path<String>) -> Response {
    match state.lock().unwrap().tasks.get(&name) {
        Some(standing) => Json(standing.task.clone()).into_response(),
        None => error(404, "NOT_FOUND"),
    }
}

async fn delete(State(state): Shared, Path(name): Path<String>) -> Response {
    let mut queue = state.lock().unwrap();
    if queue.tasks.remove(&name).is_none() {
        return error(404, "NOT_FOUND");
    }
    queue.gone.insert(name);
    Json(json!({})).into_response()
}

/// Pushes what is due, for ever.
async fn dispatch(state: Arc<Mutex<Queue>>, signer: Arc<Signer>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = Timestamp::now();
        let mut queue = state.lock().unwrap();
        let times = if queue.twice { 2 } else { 1 };
        for (name, standing) in &mut queue.tasks {
            if standing.pushing || standing.due > now {
                continue;
            }
            standing.pushing = true;
            standing.tries += 1;
            for _ in 0..times {
                let pushing = push(
                    Arc::clone(&state),
                    request(&client, &signer, name, standing),
                    name.clone(),
                );
                tokio::spawn(pushing);
            }
        }
    }
}

fn request(
    client: &reqwest::Client,
    signer: &Signer,
    name: &str,
    standing: &Standing,
) -> reqwest::RequestBuilder {
    let asked = &standing.task["httpRequest"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let token = &asked["oidcToken"];
    let token = signer.token(
        &text(&token["serviceAccountEmail"]),
        &text(&token["audience"]),
    );
    let mut request = client
        .post(text(&asked["url"]))
        .bearer_auth(token)
        .header("user-agent", "Google-Cloud-Tasks")
        .header("x-cloudtasks-queuename", QUEUE.rsplit('/').next().unwrap())
        .header("x-cloudtasks-taskname", name.rsplit('/').next().unwrap())
        .header("x-cloudtasks-taskretrycount", standing.tries - 1)
        .header("x-cloudtasks-taskexecutioncount", standing.tries - 1)
        .header("x-cloudtasks-tasketa", standing.due.as_second())
        .timeout(Duration::from_secs(30));
    for (name, value) in asked["headers"].as_object().unwrap() {
        request = request.header(name, text(value));
    }
    request.body(STANDARD.decode(text(&asked["body"])).unwrap())
}

async fn push(state: Arc<Mutex<Queue>>, request: reqwest::RequestBuilder, name: String) {
    let status = match request.send().await {
        Ok(response) => response.status().as_u16(),
        Err(_) => 0,
    };
    let mut queue = state.lock().unwrap();
    let short = name.rsplit('/').next().unwrap().to_owned();
    queue.pushes.push((short, status));
    let Some(standing) = queue.tasks.get_mut(&name) else {
        return;
    };
    standing.pushing = false;
    let pause = Duration::from_millis(100) * 2_u32.pow(standing.tries.min(6) - 1);
    standing.due = Timestamp::now() + pause;
    if (200..300).contains(&status) {
        queue.tasks.remove(&name);
        queue.gone.insert(name);
    }
}
