//! A stand-in of the Kubernetes API: Spirits, Vigils and Rites of the namespace `cafe`, who asks by token, and what RBAC
//! says. A runtime acts on an order after it has been looked at a few times.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

/// How often a Vigil is looked at before the runtime acts on it.
const LOOKS: u32 = 2;

#[derive(Default)]
struct Inner {
    objects: BTreeMap<(String, String), Value>,
    version: u64,
    looks: u32,
    /// Whether a runtime acts on orders.
    runtime: bool,
    /// What somebody else does right before the next edit.
    interloper: Option<(String, Value)>,
}

/// The cluster. It answers until the test ends.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Mutex<Inner>>,
    folder: Arc<tempfile::TempDir>,
}

impl Cluster {
    /// With a Spirit `barista` that has a voice `wa`, and a runtime.
    pub fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            runtime: true,
            ..Inner::default()
        }));
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
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let kubeconfig = |user: Value| {
            json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "here",
                "clusters": [{"name": "here", "cluster": {"server": url}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "cafe"}}],
                "users": [{"name": "me", "user": user}],
            })
        };
        for user in ["ana", "bob", "mia"] {
            let file = folder.path().join(user);
            std::fs::write(file, kubeconfig(json!({"token": user})).to_string()).unwrap();
        }
        let cluster = Self { inner, folder };
        cluster.put(
            "spirits",
            "barista",
            json!({
                "spec": {
                    "persona": {"text": "You serve coffee."},
                    "oracle": {"provider": "scripted", "script": {"default": {"text": "Hi."}}},
                    "voices": [{"name": "wa", "http": {"secretRef": {"name": "wa", "key": "k"}}}],
                },
            }),
        );
        cluster
    }

    /// The kubeconfig of `ana`, who may do all; of `bob`, who may look; of `mia`, who may do all.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.path().join(user)
    }

    /// No runtime pod acts on orders from now on.
    pub fn without_runtime(&self) -> &Self {
        self.inner.lock().unwrap().runtime = false;
        self
    }

    /// An object is this.
    pub fn put(&self, kind: &str, name: &str, object: Value) {
        self.inner.lock().unwrap().put(kind, name, object);
    }

    /// Somebody edits a Vigil right before the next edit reaches the API server.
    pub fn interlope(&self, vigil: &str, object: Value) {
        self.inner.lock().unwrap().interloper = Some((vigil.to_owned(), object));
    }

    pub fn get(&self, kind: &str, name: &str) -> Value {
        let inner = self.inner.lock().unwrap();
        inner.objects[&(kind.to_owned(), name.to_owned())].clone()
    }

    /// The names of the objects of a kind.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let inner = self.inner.lock().unwrap();
        let of_kind = inner.objects.keys().filter(|(of, _)| of == kind);
        of_kind.map(|(_, name)| name.clone()).collect()
    }
}

impl Inner {
    fn put(&mut self, kind: &str, name: &str, mut object: Value) {
        self.version += 1;
        object["apiVersion"] = "eywa.dev/v1alpha1".into();
        object["kind"] = match kind {
            "spirits" => "Spirit",
            "vigils" => "Vigil",
            _ => "Rite",
        }
        .into();
        let key = (kind.to_owned(), name.to_owned());
        let before = self.objects.get(&key);
        let generation = before.map_or(0, |before| {
            let generation = before["metadata"]["generation"]
                .as_i64()
                .unwrap_or_default();
            if before["spec"] == object["spec"] {
                generation - 1
            } else {
                generation
            }
        });
        object["metadata"] = json!({
            "name": name, "namespace": "cafe", "resourceVersion": self.version.to_string(),
            "generation": generation + 1, "creationTimestamp": "2026-01-01T10:00:00Z",
        });
        if object["status"].is_null() {
            object["status"] = before.map_or(json!({}), |before| before["status"].clone());
        }
        self.objects.insert(key, object);
        self.looks = 0;
    }

    /// The runtime acts, once the order was looked at often enough.
    fn act(&mut self, kind: &str, name: &str) {
        self.looks += 1;
        if !self.runtime || self.looks < LOOKS {
            return;
        }
        let Some(object) = self.objects.get_mut(&(kind.to_owned(), name.to_owned())) else {
            return;
        };
        let generation = object["metadata"]["generation"].clone();
        if kind == "rites" {
            let decision = object["spec"]["decision"].clone();
            if decision != json!("") && !decision.is_null() {
                object["status"]["phase"] = decision;
            }
        } else if kind == "vigils" && object["status"]["observedGeneration"] != generation {
            let by = object["spec"]["by"].clone();
            object["status"] = if object["spec"]["takeover"] == json!(true) {
                json!({"phase": "Active", "by": by, "since": "2026-01-01T10:00:05Z"})
            } else {
                json!({"phase": "Released", "releasedBy": by})
            };
            object["status"]["observedGeneration"] = generation;
        }
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let header = parts.headers.get("authorization");
    let user = header
        .and_then(|header| header.to_str().ok()?.strip_prefix("Bearer "))
        .unwrap_or_default()
        .to_owned();
    if !["ana", "bob", "mia"].contains(&&*user) {
        return failure(401, "Unauthorized", "Unauthorized");
    }
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    if path.last() == Some(&"selfsubjectreviews") {
        body["status"] = json!({"userInfo": {"username": format!("{user}@cafe.example")}});
        return said(201, &body);
    }
    let [_, _, _, _, "cafe", kind, name @ ..] = path.as_slice() else {
        return failure(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
    };
    let method = parts.method.as_str();
    if user == "bob" && method != "GET" {
        let verb = if method == "POST" { "create" } else { "patch" };
        let message = format!(
            "{kind}.eywa.dev is forbidden: User \"bob@cafe.example\" cannot {verb} resource \"{kind}\" in API group \"eywa.dev\" in the namespace \"cafe\""
        );
        return failure(403, "Forbidden", &message);
    }
    let mut inner = inner.lock().unwrap();
    if method != "GET"
        && let Some((vigil, object)) = inner.interloper.take()
    {
        inner.put("vigils", &vigil, object);
    }
    match (method, name) {
        ("GET", []) => {
            let spirit = parts
                .uri
                .query()
                .unwrap_or_default()
                .split('&')
                .find_map(|pair| {
                    pair.strip_prefix("fieldSelector=spec.spiritRef.name%3D")
                        .map(ToOwned::to_owned)
                });
            let of_kind = inner.objects.iter().filter(|((of, _), object)| {
                of == kind
                    && spirit
                        .as_deref()
                        .is_none_or(|spirit| object["spec"]["spiritRef"]["name"] == spirit)
            });
            let items: Vec<&Value> = of_kind.map(|(_, object)| object).collect();
            said(
                200,
                &json!({"apiVersion": "eywa.dev/v1alpha1", "kind": "List", "metadata": {}, "items": items}),
            )
        }
        ("GET", [name]) => {
            inner.act(kind, name);
            match inner.objects.get(&((*kind).to_owned(), (*name).to_owned())) {
                Some(object) => said(200, object),
                None => failure(
                    404,
                    "NotFound",
                    &format!("{kind}.eywa.dev {name:?} not found"),
                ),
            }
        }
        ("POST", []) => {
            let name = body["metadata"]["name"].as_str().unwrap().to_owned();
            if inner
                .objects
                .contains_key(&((*kind).to_owned(), name.clone()))
            {
                return failure(409, "AlreadyExists", "it exists");
            }
            inner.put(kind, &name, body);
            said(201, &inner.objects[&((*kind).to_owned(), name)])
        }
        ("PATCH", [name]) => {
            let key = ((*kind).to_owned(), (*name).to_owned());
            let Some(mut object) = inner.objects.get(&key).cloned() else {
                return failure(404, "NotFound", "not found");
            };
            if body["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                return failure(409, "Conflict", "the object has been modified");
            }
            for (field, value) in body["spec"].as_object().unwrap() {
                if value.is_null() {
                    object["spec"].as_object_mut().unwrap().remove(field);
                } else {
                    object["spec"][field] = value.clone();
                }
            }
            inner.put(kind, name, object);
            said(200, &inner.objects[&key])
        }
        _ => failure(405, "MethodNotAllowed", "no"),
    }
}

fn said(status: u16, body: &Value) -> Response {
    let head = [("content-type", "application/json")];
    (
        StatusCode::from_u16(status).unwrap(),
        head,
        body.to_string(),
    )
        .into_response()
}

fn failure(code: u16, reason: &str, message: &str) -> Response {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    said(code, &status)
}
