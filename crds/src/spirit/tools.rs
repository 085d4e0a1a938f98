//! What a Spirit may find out and do: Scouts, Actions, and the Conduits it uses.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    duration::Duration,
    reference::{ConfigMapKeyRef, HeaderFrom},
};

/// A step that fetches context before the Oracle is asked. When it fails or is late, the answer goes on without it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.http), has(self.configMapRef), has(self.text)].exists_one(given, given)").message("exactly one of http, configMapRef and text is needed"))]
#[x_kube(validation = Rule::new("!(self.name in ['imprint', 'lore'])").message("imprint and lore are the names of what spec.imprint and spec.lore look up; name it otherwise"))]
pub struct Scout {
    /// Name of the Scout, unique in the Spirit. What it found is shown to the Oracle under this name. Not `imprint` or `lore`.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// A GET request whose response is the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpScout>,
    /// The ConfigMap that holds the context: a template that knows what a persona's does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKeyRef>,
    /// The context itself: a template that knows what a persona's does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32768))]
    pub text: Option<String>,
    /// How long it may take.
    #[serde(default = "Scout::default_timeout")]
    #[x_kube(validation = crate::duration::positive())]
    pub timeout: Duration,
    /// A CEL expression over `voice`, `text`, `user`, `session` and `now`; the Scout is left out unless it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub when: Option<String>,
}

impl Scout {
    fn default_timeout() -> Duration {
        Duration::from_secs(2)
    }
}

/// The request a Scout makes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.cache) || (duration(self.cache) > duration('0s') && duration(self.cache) <= duration('24h'))").message("cache must be longer than 0 and at most 24h"))]
pub struct HttpScout {
    /// The URL: a minijinja template that knows `user.id`, `user.name`, `session.id`, `voice` and `text`. Values are
    /// percent-encoded, and the host must be written out. A host without a dot is a Service of the same namespace.
    #[schemars(
        length(min = 1, max = 2048),
        regex(pattern = r"^https?://[^\s{}]+(/.*)?$")
    )]
    pub url: String,
    /// Headers whose values are templates that know what the URL's does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<Header>,
    /// Headers whose values are kept in Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers_from: Vec<HeaderFrom>,
    /// What is taken of a JSON response: by label, a JSON pointer (RFC 6901), such as `{milk: /preferences/milk}`. The
    /// Oracle is shown a line `label: value` for each that leads to something. Without it, the whole response is shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::pointers")]
    pub pick: BTreeMap<String, String>,
    /// How long a response is good for every request with the same URL and headers; each pod has its own. Without it,
    /// every message asks anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Duration>,
}

/// A header whose value is a template. A value with a line break is refused, not sent.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Name of the header.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    )]
    pub name: String,
    /// Its value. For a secret use headersFrom.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// A tool the Oracle may call: an HTTP request.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Name of the tool, unique among the Spirit's tools.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[a-zA-Z_][a-zA-Z0-9_-]*$")
    )]
    pub name: String,
    /// What it does, and when to use it. The Oracle reads this.
    #[schemars(length(min = 1, max = 4096))]
    pub description: String,
    /// A JSON Schema of its arguments. Arguments are checked against it before a call.
    #[serde(default = "Action::default_parameters")]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub parameters: Map<String, Value>,
    /// The request that is made.
    pub http: HttpAction,
    /// How long it may take.
    #[serde(default = "Action::default_timeout")]
    #[x_kube(validation = crate::duration::positive())]
    pub timeout: Duration,
}

impl Action {
    fn default_timeout() -> Duration {
        Duration::from_secs(10)
    }

    /// The schema of a tool that takes no arguments.
    fn default_parameters() -> Map<String, Value> {
        Map::from_iter([
            ("type".to_owned(), json!("object")),
            ("properties".to_owned(), json!({})),
        ])
    }
}

/// The request an Action makes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.body) || self.method in ['POST', 'PUT', 'PATCH']").message("a body is for POST, PUT and PATCH; write query instead"))]
pub struct HttpAction {
    /// The method. Without body and query, the arguments are the JSON body of POST, PUT and PATCH, and the query of GET and
    /// DELETE.
    #[serde(default)]
    pub method: HttpMethod,
    /// The URL: a minijinja template that knows `arguments`, `user.id`, `user.name`, `session.id` and `voice`. Values
    /// are percent-encoded, and the host must be written out. A host without a dot is a Service of the same namespace.
    #[schemars(
        length(min = 1, max = 2048),
        regex(pattern = r"^https?://[^\s{}]+(/.*)?$")
    )]
    pub url: String,
    /// The query, by name, in the place of the arguments: templates that know what the URL's does. One that is a single
    /// `{{ arguments.x }}` is left out where there is no such argument, and is written once for each item of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::templates")]
    pub query: Option<BTreeMap<String, String>>,
    /// The JSON body, in the place of the arguments. Texts in it are templates that know what the URL's does; one that is a
    /// single `{{ arguments.x }}` keeps the argument's type, and is left out where there is no such argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub body: Option<Map<String, Value>>,
    /// Headers whose values are templates that know what the URL's does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<Header>,
    /// Headers whose values are kept in Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers_from: Vec<HeaderFrom>,
    /// What is taken of a JSON response, as a Scout's. Without it, the Oracle reads the whole response.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::pointers")]
    pub pick: BTreeMap<String, String>,
    /// The most bytes of a response that are read, decompressed. What is longer is cut off, and the Oracle is told so.
    #[serde(default = "HttpAction::default_max_response")]
    #[schemars(range(min = 1024, max = 1048576))]
    pub max_response: u32,
    /// The header that carries the key by which a receiver can tell that a call is made again. Empty for none.
    #[serde(default = "HttpAction::default_idempotency_key")]
    #[schemars(length(max = 64), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$"))]
    pub idempotency_key: String,
    /// How often the request is made again, with the same idempotency key, where it did not get through or was answered
    /// with 408, 429, 502, 503 or 504. Set it only where the receiver can take a request twice.
    #[serde(default)]
    #[schemars(range(max = 5))]
    pub retries: u32,
}

impl HttpAction {
    fn default_max_response() -> u32 {
        64 * 1024
    }

    fn default_idempotency_key() -> String {
        "Idempotency-Key".to_owned()
    }
}

/// The method of an Action's request.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// GET
    Get,
    /// POST
    #[default]
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl HttpMethod {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A Conduit the Spirit uses, and which of its tools.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConduitUse {
    /// Name of the Conduit, in the same namespace.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Names of the tools offered to the Oracle, where `*` stands for anything. What the Conduit itself refuses stays
    /// refused.
    #[serde(default = "ConduitUse::all_tools")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    pub tools: Vec<String>,
}

impl ConduitUse {
    fn all_tools() -> Vec<String> {
        vec!["*".to_owned()]
    }
}
