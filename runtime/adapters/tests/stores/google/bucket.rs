//! A stand-in for Cloud Storage's JSON API, for one bucket.
//!
//! Written from Google's documentation: Cloud Storage, JSON API v1, "Objects: insert" (multipart uploads), "Objects: get"
//! (`alt=media`, `ifGenerationMatch`), "Objects: list" (prefix, pages), "Objects: delete", and "HTTP status and error codes for
//! JSON" (the JSON of errors).

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::identity;

pub const BUCKET: &str = "cafe-files";

/// The server, which ends with the test's runtime.
#[derive(Clone)]
pub struct Bucket {
    pub url: String,
    state: Arc<Mutex<Contents>>,
}

#[derive(Default)]
pub struct Contents {
    pub objects: BTreeMap<String, Object>,
    /// What the next requests fail with, and what they are told to wait, in seconds.
    pub failures: VecDeque<(u16, &'static str, Option<u32>)>,
    /// How many there are on a page of a list, if fewer than are asked for.
    pub page: Option<usize>,
    /// Whether every object is written anew as soon as it was listed.
    pub rewritten_once_listed: bool,
    /// The requests, as method and path.
    pub requests: Vec<String>,
    written: i64,
}

#[derive(Clone)]
pub struct Object {
    pub about: Value,
    pub bytes: Bytes,
}

impl Bucket {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::default();
        let routes = Router::new()
            .route("/upload/storage/v1/b/{bucket}/o", post(insert))
            .route("/storage/v1/b/{bucket}/o", get(list))
            .route(
                "/storage/v1/b/{bucket}/o/{object}",
                get(read).delete(delete),
            )
            .layer(middleware::from_fn_with_state(Arc::clone(&state), admit))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, state }
    }

    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.state.lock().unwrap()
    }
}

type Shared = State<Arc<Mutex<Contents>>>;
type Asked = Query<HashMap<String, String>>;

/// An error as Cloud Storage writes it.
fn error(status: u16, reason: &str) -> Response {
    let message = format!("{reason}: hush-hush");
    let body = json!({"error": {
        "code": status, "message": message, "errors": [{"domain": "global", "reason": reason, "message": message}],
    }});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

async fn admit(State(state): Shared, request: Request, next: Next) -> Response {
    let failure = {
        let mut contents = state.lock().unwrap();
        let line = format!("{} {}", request.method(), request.uri().path());
        contents.requests.push(line);
        contents.failures.pop_front()
    };
    if let Some((status, reason, wait)) = failure {
        let mut response = error(status, reason);
        if let Some(wait) = wait {
            response.headers_mut().insert("retry-after", wait.into());
        }
        return response;
    }
    let header = request.headers().get("authorization");
    if !identity::is_caller(header.and_then(|header| header.to_str().ok())) {
        return error(401, "authError");
    }
    if !request.uri().path().contains(&format!("/b/{BUCKET}/o")) {
        return error(404, "notFound");
    }
    next.run(request).await
}

/// The two parts of `multipart/related`: what is known of the object, and the object.
fn parts(headers: &HeaderMap, body: &Bytes) -> Option<(Value, String, Bytes)> {
    let boundary = headers["content-type"]
        .to_str()
        .ok()?
        .strip_prefix("multipart/related; boundary=")?;
    let (start, between, end) = (
        format!("--{boundary}\r\n"),
        format!("\r\n--{boundary}\r\n"),
        format!("\r\n--{boundary}--\r\n"),
    );
    let inner = body.strip_prefix(start.as_bytes())?;
    let inner = inner.strip_suffix(end.as_bytes())?;
    let find =
        |within: &[u8], wanted: &[u8]| within.windows(wanted.len()).position(|at| at == wanted);
    let at = find(inner, between.as_bytes())?;
    let (about, file) = (&inner[..at], &inner[at + between.len()..]);
    let split = |part: &[u8]| {
        let at = find(part, b"\r\n\r\n")?;
        Some((
            String::from_utf8(part[..at].to_vec()).ok()?,
            part[at + 4..].to_vec(),
        ))
    };
    let ((about_head, about), (file_head, file)) = (split(about)?, split(file)?);
    assert!(about_head.contains("application/json"), "{about_head}");
    let kind = file_head.lines().next()?.strip_prefix("Content-Type: ")?;
    Some((
        serde_json::from_slice(&about).ok()?,
        kind.to_owned(),
        file.into(),
    ))
}

async fn insert(
    State(state): Shared,
    Query(asked): Asked,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if asked.get("uploadType").map(String::as_str) != Some("multipart") {
        return error(400, "wrongUploadType");
    }
    let Some((mut about, kind, bytes)) = parts(&headers, &body) else {
        return error(400, "badContent");
    };
    if about["contentType"] != kind.as_str() || about["name"].as_str().is_none() {
        return error(400, "invalid");
    }
    let mut contents = state.lock().unwrap();
    contents.written += 1;
    // Times as Cloud Storage has them, in ms, and never the same.
    let created = jiff::Timestamp::from_millisecond(1_800_000_000_000 + contents.written).unwrap();
    about["kind"] = "storage#object".into();
    about["bucket"] = BUCKET.into();
    about["generation"] = (1_700_000_000_000_000 + contents.written)
        .to_string()
        .into();
    about["size"] = bytes.len().to_string().into();
    about["timeCreated"] = created.to_string().into();
    let name = about["name"].as_str().unwrap().to_owned();
    let answer = Json(about.clone());
    contents.objects.insert(name, Object { about, bytes });
    answer.into_response()
}

async fn read(
    State(state): Shared,
    Path((_, name)): Path<(String, String)>,
    Query(asked): Asked,
) -> Response {
    let contents = state.lock().unwrap();
    let object = match found(&contents, &name, &asked) {
        Ok(object) => object,
        Err((status, reason)) => return error(status, reason),
    };
    if asked.get("alt").map(String::as_str) == Some("media") {
        let kind = object.about["contentType"].as_str().unwrap().to_owned();
        ([("content-type", kind)], object.bytes.clone()).into_response()
    } else {
        Json(object.about.clone()).into_response()
    }
}

async fn delete(
    State(state): Shared,
    Path((_, name)): Path<(String, String)>,
    Query(asked): Asked,
) -> Response {
    let mut contents = state.lock().unwrap();
    if let Err((status, reason)) = found(&contents, &name, &asked) {
        return error(status, reason);
    }
    contents.objects.remove(&name);
    StatusCode::NO_CONTENT.into_response()
}

fn found<'a>(
    contents: &'a Contents,
    name: &str,
    asked: &HashMap<String, String>,
) -> Result<&'a Object, (u16, &'static str)> {
    let object = contents.objects.get(name).ok_or((404, "notFound"))?;
    match asked.get("ifGenerationMatch") {
        Some(generation) if object.about["generation"] != generation.as_str() => {
            Err((412, "conditionNotMet"))
        }
        _ => Ok(object),
    }
}

async fn list(State(state): Shared, Query(asked): Asked) -> Response {
    let mut contents = state.lock().unwrap();
    let prefix = asked.get("prefix").cloned().unwrap_or_default();
    let most: usize = asked["maxResults"].parse().unwrap();
    let most = contents.page.unwrap_or(most).min(1000);
    let from = asked.get("pageToken").cloned().unwrap_or_default();
    let mut matching = contents
        .objects
        .range(from..)
        .filter(|(name, _)| name.starts_with(&prefix));
    let items: Vec<Value> = matching
        .by_ref()
        .take(most)
        .map(|(_, object)| object.about.clone())
        .collect();
    let mut page = json!({"kind": "storage#objects"});
    // An empty list has no items at all.
    if !items.is_empty() {
        page["items"] = items.into();
    }
    if let Some((next, _)) = matching.next() {
        page["nextPageToken"] = next.as_str().into();
    }
    if contents.rewritten_once_listed {
        for object in contents.objects.values_mut() {
            object.about["generation"] = "1800000000000000".into();
        }
    }
    Json(page).into_response()
}
