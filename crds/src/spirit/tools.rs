//! What a Spirit may find out and do: Scouts, Actions, and the Conduits it uses.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{duration::Duration, reference::HeaderFrom};

/// A step that fetches context before the Oracle is asked. When it fails or is late, the answer goes on without it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scout {
    /// Name of the Scout, unique in the Spirit. What it found is shown to the Oracle under this name.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// A GET request whose response is the context.
    pub http: HttpScout,
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
pub struct HttpScout {
    /// The URL: a minijinja template that knows `user.id`, `user.name`, `session.id`, `voice` and `text`. Values are
    /// percent-encoded, and the host must be written out. A host without a dot is a Service of the same namespace.
    #[schemars(
        length(min = 1, max = 2048),
        regex(pattern = r"^https?://[^\s{}]+(/.*)?$")
    )]
    pub url: String,
    /// Headers whose values are kept in Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers_from: Vec<HeaderFrom>,
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
pub struct HttpAction {
    /// The method. The arguments are the JSON body of POST, PUT and PATCH, and the query of GET and DELETE.
    #[serde(default)]
    pub method: HttpMethod,
    /// The URL: a minijinja template that knows `arguments`, `user.id`, `user.name`, `session.id` and `voice`. Values
    /// are percent-encoded, and the host must be written out. A host without a dot is a Service of the same namespace.
    #[schemars(
        length(min = 1, max = 2048),
        regex(pattern = r"^https?://[^\s{}]+(/.*)?$")
    )]
    pub url: String,
    /// Headers whose values are kept in Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers_from: Vec<HeaderFrom>,
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
