//! The desk: where people watch conversations, take them over, answer, give them back, and decide on Rites.
//!
//! A page, and the API that it and the `eywa` command use. It serves the Spirits of this process's [`Roster`], out of
//! their stores: whichever pod runs a Weave, every pod's desk shows it. Who may do what is for an [`Access`] to say; by
//! whom something was done is always the name that it gives, never one that a request claims.
//!
//! | file | what |
//! |---|---|
//! | `access` | who somebody is and what they may: a cluster's word, or that of one's own machine |
//! | `conversation`, `listing`, `transcript` | what is shown |
//! | `handover` | taking over, answering, giving back |
//! | `rites`, `pulses`, `attachments` | decisions; what was done with a Pulse; files of a message |
//! | `imprint` | what is remembered of a person, forgotten and corrected |
//! | `feed`, `events` | what happens, as it happens |
//! | `page`, `shield` | the page's files; the headers of every response, and what bounds every request |
//!
//! docs/desk.md says it all for those who call it.

pub mod access;
mod attachments;
mod conversation;
mod events;
mod feed;
mod handover;
mod imprint;
mod listing;
mod page;
mod pulses;
mod rites;
mod shield;
mod transcript;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    middleware,
    routing::{get, post},
};
use eywa_weave::{SessionKey, StoreError};
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::warn;

use self::{
    access::{Access, Denied, Mode, Person, Right},
    feed::Feeds,
};
use crate::{
    http::{Problem, body},
    roster::Roster,
    serving::Serving,
};

/// Connections of browsers and commands at a time; more wait to be accepted.
pub const CONNECTIONS: usize = 1024;
/// Streams of events at a time; one more is told to come back.
const MOST_STREAMS: usize = 512;
/// The most bytes of a request's body: a reply is text.
const LARGEST_BODY: usize = 64 * 1024;

/// The desk of one process. Clones are the same desk.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    roster: Roster,
    access: Arc<dyn Access>,
    namespace: String,
    feeds: Feeds,
    streams: Arc<Semaphore>,
}

impl Desk {
    /// A desk for the Spirits of this roster, which are in `namespace`.
    pub fn new(roster: Roster, access: Arc<dyn Access>, namespace: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            feeds: Feeds::new(roster.clone()),
            roster,
            access,
            namespace: namespace.into(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
        }))
    }

    /// Whose token this is, if they may do it.
    async fn admit(&self, headers: &HeaderMap, right: Right) -> Result<Person, Problem> {
        let person = self.recognise(headers).await?;
        if self.0.access.may(&person, right).await? {
            Ok(person)
        } else {
            let permission = self.0.access.permission(right);
            Err(not_permitted(&person.name, permission))
        }
    }

    async fn recognise(&self, headers: &HeaderMap) -> Result<Person, Problem> {
        let token = bearer(headers).ok_or_else(|| no_token(self.0.access.mode()))?;
        match self.0.access.person(token).await {
            Err(Denied::Unknown) => Err(bad_token(self.0.access.mode())),
            other => Ok(other?),
        }
    }

    fn serving(&self, spirit: &str) -> Result<Arc<Serving>, Problem> {
        self.0.roster.get(spirit).ok_or_else(|| {
            not_found(format!(
                "No Spirit {spirit:?} is served here: /api/me says which are."
            ))
        })
    }

    /// The Spirits that are asked for: one, or all.
    fn servings(&self, spirit: Option<&str>) -> Result<Vec<Arc<Serving>>, Problem> {
        match spirit.filter(|spirit| !spirit.is_empty()) {
            Some(spirit) => Ok(vec![self.serving(spirit)?]),
            None => Ok(self.0.roster.all()),
        }
    }
}

/// The page alone, with the headers that it is served with: for whoever serves it in front of another desk's API.
pub fn page() -> Router {
    page::routes().layer(middleware::from_fn(shield::headers))
}

/// Everything on the desk's port.
pub fn routes(desk: Desk) -> Router {
    let conversation = "/api/conversations/{spirit}/{session}";
    let below = |path: &str| format!("{conversation}/{path}");
    let api = Router::new()
        .route("/api/login", post(login))
        .route("/api/me", get(me))
        .route("/api/conversations", get(listing::list))
        .route(conversation, get(transcript::show))
        .route(&below("echoes"), get(transcript::older))
        .route(&below("takeover"), post(handover::take_over))
        .route(&below("release"), post(handover::give_back))
        .route(&below("reply"), post(handover::reply))
        .route(&below("typing"), post(handover::typing))
        .route(&below("attachments/{echo}/{index}"), get(attachments::get))
        .route(&below("imprint"), get(imprint::show))
        .route(&below("imprint/forget"), post(imprint::forget))
        .route(&below("imprint/correct"), post(imprint::correct))
        .route("/api/spirits/{spirit}/takeover", post(handover::silence))
        .route("/api/spirits/{spirit}/release", post(handover::lift))
        .route("/api/rites", get(rites::list))
        .route("/api/rites/{spirit}/{id}/decision", post(rites::decide))
        .route("/api/pulses/{spirit}/{pulse}", get(pulses::show))
        .layer(middleware::from_fn(shield::in_time))
        // Streams last for as long as somebody looks.
        .route("/api/events", get(events::stream))
        .with_state(desk.clone());
    Router::new()
        .merge(api)
        .merge(page::routes())
        .fallback(async || not_found("There is nothing at this address.".to_owned()))
        .method_not_allowed_fallback(async || wrong_method())
        .layer(middleware::from_fn_with_state(desk, shield::known_host))
        .layer(middleware::from_fn(shield::headers))
}

#[derive(Deserialize)]
struct Login {
    code: String,
}

#[derive(Serialize)]
struct Token {
    token: String,
}

async fn login(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Json<Token>, Problem> {
    let login: Login = read(&headers, body).await?;
    match desk.0.access.login(&login.code) {
        Some(token) => Ok(Json(Token { token })),
        None => Err(bad_code(desk.0.access.mode())),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    user: String,
    namespace: String,
    mode: Mode,
    spirits: Vec<String>,
    may: May,
    silenced: Vec<handover::Silence>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct May {
    read: bool,
    take_over: bool,
    decide: bool,
}

async fn me(State(desk): State<Desk>, headers: HeaderMap) -> Result<Json<Me>, Problem> {
    let person = desk.recognise(&headers).await?;
    let access = &desk.0.access;
    let (read, take_over, decide) = tokio::try_join!(
        access.may(&person, Right::Read),
        access.may(&person, Right::TakeOver),
        access.may(&person, Right::Decide),
    )?;
    let servings = if read {
        desk.0.roster.all()
    } else {
        Vec::new()
    };
    Ok(Json(Me {
        silenced: handover::silenced(&servings).await?,
        spirits: servings
            .iter()
            .map(|serving| serving.name().to_string())
            .collect(),
        user: person.name,
        namespace: desk.0.namespace.clone(),
        mode: access.mode(),
        may: May {
            read,
            take_over,
            decide,
        },
    }))
}

/// A request's body, within the desk's limit; an empty one is an empty object.
async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<T, Problem> {
    let body = body::read(headers, body, LARGEST_BODY).await?;
    let bytes = if body.bytes.is_empty() {
        b"{}"
    } else {
        &body.bytes[..]
    };
    serde_json::from_slice(bytes).map_err(|error| {
        unreadable(format!(
            "The body is not the JSON that is expected: {error}"
        ))
    })
}

fn session(text: &str) -> Result<SessionKey, Problem> {
    text.parse()
        .map_err(|error: eywa_weave::names::NotASession| unreadable(error.to_string()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unreadable(detail: String) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "unreadable-request",
        "The request cannot be read",
        detail,
    )
}

fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong-method",
        "The method is not used here",
        "What is read is read by GET, and what is done is done by POST.",
    )
}

fn not_found(detail: String) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "There is no such thing here",
        detail,
    )
}

fn no_token(mode: Mode) -> Problem {
    let detail = match mode {
        Mode::Cluster => {
            "Send a Kubernetes token as `Authorization: Bearer …`; `kubectl create token NAME` makes one."
        }
        Mode::Local => "Open the link that `eywa up` printed.",
    };
    unauthorized("Who you are is not known", detail)
}

fn bad_token(mode: Mode) -> Problem {
    let detail = match mode {
        Mode::Cluster => "The cluster does not know this token, or it has expired: make another.",
        Mode::Local => "This session has ended: open the link that `eywa up` printed last.",
    };
    unauthorized("The token is not valid", detail)
}

fn bad_code(mode: Mode) -> Problem {
    let detail = match mode {
        Mode::Cluster => "In a cluster there are no codes: send a Kubernetes token.",
        Mode::Local => "A code works once. `eywa up` has printed a link with another.",
    };
    unauthorized("The code is not valid", detail)
}

fn unauthorized(title: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "not-recognised", title, detail)
}

fn not_permitted(name: &str, permission: String) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "not-permitted",
        "You may not do this",
        format!(
            "{name} lacks the permission to {permission}: the ClusterRoles eywa-viewer and eywa-attendant grant it."
        ),
    )
    .with("permission", Value::String(permission))
}

fn conflict(title: &'static str, detail: String, by: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "conflict", title, detail)
        .with("by", Value::String(by.to_owned()))
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown => bad_token(Mode::Cluster),
            Denied::Unavailable(reason) => Self::unavailable(
                "authority-unavailable",
                "Who you are cannot be checked",
                reason,
            ),
        }
    }
}

/// A store failed. What it said is for the log: it may hold addresses.
fn store_failed(error: &StoreError) -> Problem {
    warn!(%error, "the desk cannot read or write a store");
    Problem::unavailable(
        "store-unavailable",
        "The conversations cannot be reached",
        "The store that keeps them does not answer: try again in a moment.",
    )
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        store_failed(&error)
    }
}
