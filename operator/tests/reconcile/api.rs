//! A small API server in memory: objects by path, server-side apply as a merge, optimistic locking of updates, and a
//! record of every write.

use eywa_operator::{context::Context, events::Events, metrics::Metrics, settings::Settings};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    writes: Vec<String>,
    events: Vec<Value>,
    refusals: BTreeMap<String, u16>,
    version: u64,
    down: bool,
}

impl Api {
    pub fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                if api.0.lock().unwrap().down {
                    return Err(std::io::Error::other("connection refused"));
                }
                let (parts, body) = request.into_parts();
                let body = body
                    .collect()
                    .await
                    .map_err(std::io::Error::other)?
                    .to_bytes();
                let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                Ok(api.answer(&parts.method, &parts.uri, &parts.headers, body))
            }
        });
        Client::new(service, "default")
    }

    pub fn context(&self, arguments: &[&str]) -> Context {
        use clap::Parser;
        let settings =
            Settings::try_parse_from(std::iter::once(&"eywa-operator").chain(arguments)).unwrap();
        Context {
            client: self.client(),
            events: Events::new(self.client(), "test"),
            metrics: Metrics::new().unwrap(),
            settings: Arc::new(settings),
        }
    }

    /// Puts an object there, as a user would.
    pub fn put(&self, path: &str, mut object: Value) {
        let mut state = self.0.lock().unwrap();
        let name = path.rsplit('/').next().unwrap();
        let namespace = path
            .split('/')
            .skip_while(|part| *part != "namespaces")
            .nth(1)
            .unwrap();
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = namespace.into();
        object["metadata"]["uid"] = format!("uid-of-{path}").into();
        object["metadata"]["generation"] = 1.into();
        state.version += 1;
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        state.objects.insert(path.to_owned(), object);
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    /// The object as the watch of a controller would hand it over.
    pub fn read<K: serde::de::DeserializeOwned>(&self, path: &str) -> Arc<K> {
        Arc::new(serde_json::from_value(self.get(path).unwrap()).unwrap())
    }

    /// Changes an object behind the operator's back.
    pub fn edit(&self, path: &str, change: Value) {
        let mut state = self.0.lock().unwrap();
        let object = state.objects.get_mut(path).unwrap();
        merge(object, &change);
    }

    pub fn remove(&self, path: &str) {
        self.0.lock().unwrap().objects.remove(path).unwrap();
    }

    /// Every path that exists, but for those that were put.
    pub fn made(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let is_made = |object: &&Value| {
            !object["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .starts_with("uid-of")
        };
        state
            .objects
            .iter()
            .filter(|(_, object)| is_made(object))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// The writes since the last call, Events left out.
    pub fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().writes)
    }

    /// The reasons of the Events since the last call.
    pub fn events(&self) -> Vec<String> {
        let events = std::mem::take(&mut self.0.lock().unwrap().events);
        events
            .iter()
            .map(|event| event["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    /// From now on, writes of this path are refused with this code.
    pub fn refuse(&self, path: &str, code: u16) {
        self.0
            .lock()
            .unwrap()
            .refusals
            .insert(path.to_owned(), code);
    }

    /// Takes the server away, or brings it back.
    pub fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    /// What the Deployment controller would say once all pods are ready.
    pub fn pods_become_ready(&self, deployment: &str) {
        let replicas = self.get(deployment).unwrap()["spec"]["replicas"]
            .as_i64()
            .unwrap_or(1);
        self.edit(
            deployment,
            json!({"status": {
                "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
                "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}],
            }}),
        );
    }

    fn answer(
        &self,
        method: &Method,
        uri: &http::Uri,
        headers: &http::HeaderMap,
        body: Value,
    ) -> Response<Body> {
        let path = uri.path();
        let mut state = self.0.lock().unwrap();
        if *method == Method::GET {
            let accepts = headers
                .get("accept")
                .and_then(|accept| accept.to_str().ok())
                .unwrap_or_default();
            // `/api` and `/apis/GROUP`, a version, `namespaces`, one of them, a kind: and no name.
            let list = if path.starts_with("/apis/") { 6 } else { 5 };
            if path.split('/').skip(1).count() == list {
                return success(&list_of(&state.objects, uri));
            }
            return match state.objects.get(path) {
                None => failure(404, "NotFound"),
                Some(object) if accepts.contains("PartialObjectMetadata") => success(&json!({
                    "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
                })),
                Some(object) => success(object),
            };
        }
        if path.ends_with("/events") {
            state.events.push(body.clone());
            return success(&body);
        }
        state.writes.push(format!(
            "{method} {}",
            path.split("/namespaces/").nth(1).unwrap()
        ));
        if let Some(code) = state.refusals.get(path) {
            return failure(*code, "Invalid");
        }
        state.version += 1;
        let version = state.version;
        match *method {
            Method::PATCH => {
                let (path, status) = path
                    .strip_suffix("/status")
                    .map_or((path, false), |path| (path, true));
                if status && !state.objects.contains_key(path) {
                    return failure(404, "NotFound");
                }
                let object = state
                    .objects
                    .entry(path.to_owned())
                    .or_insert_with(|| json!({"metadata": {"uid": format!("made-{version}")}}));
                let before = object.clone();
                merge(object, &body);
                if *object != before {
                    object["metadata"]["resourceVersion"] = version.to_string().into();
                    if before["spec"] != object["spec"] {
                        let generation = before["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                        object["metadata"]["generation"] = generation.into();
                    }
                }
                success(&object.clone())
            }
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if state.objects.contains_key(&path) {
                    return failure(409, "AlreadyExists");
                }
                let mut object = body;
                object["metadata"]["resourceVersion"] = version.to_string().into();
                state.objects.insert(path, object.clone());
                success(&object)
            }
            Method::PUT => {
                let Some(object) = state.objects.get_mut(path) else {
                    return failure(404, "NotFound");
                };
                if object["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
                    return failure(409, "Conflict");
                }
                *object = body;
                object["metadata"]["resourceVersion"] = version.to_string().into();
                success(&object.clone())
            }
            Method::DELETE => match state.objects.remove(path) {
                Some(object) => success(&object),
                None => failure(404, "NotFound"),
            },
            _ => failure(405, "MethodNotAllowed"),
        }
    }
}

/// The objects of a kind in a namespace that have all the labels asked for.
fn list_of(objects: &BTreeMap<String, Value>, uri: &http::Uri) -> Value {
    let selector = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find(|(key, _)| key == "labelSelector")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let prefix = format!("{}/", uri.path());
    let items: Vec<&Value> = objects
        .iter()
        .filter(|(path, _)| path.starts_with(&prefix))
        .map(|(_, object)| object)
        .filter(|object| {
            selector
                .split(',')
                .filter(|pair| !pair.is_empty())
                .all(|pair| {
                    let (key, value) = pair.split_once('=').unwrap();
                    object["metadata"]["labels"][key] == value
                })
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
}

fn merge(target: &mut Value, change: &Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    target.remove(key);
                } else {
                    merge(target.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (target, change) => *target = change.clone(),
    }
}

fn success(object: &Value) -> Response<Body> {
    Response::new(Body::from(object.to_string().into_bytes()))
}

fn failure(code: u16, reason: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": format!("{reason} by the test"),
    });
    let mut response = success(&status);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// The condition of an object, as `status reason: message`.
pub fn condition(object: &Value, type_: &str) -> String {
    let conditions = object["status"]["conditions"]
        .as_array()
        .unwrap_or_else(|| panic!("no conditions in {object}"));
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == type_);
    let found = found.unwrap_or_else(|| panic!("no condition {type_} in {conditions:?}"));
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}
