//! The `Conduit` kind: an MCP server whose tools Spirits may call.

use k8s_openapi::{
    api::core::v1::EnvVar,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::Duration, reference::HeaderFrom, schema::undescribed};

/// An MCP server whose tools Spirits may call, over Streamable HTTP.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "eywa.dev",
    version = "v1alpha1",
    kind = "Conduit",
    namespaced,
    status = "ConduitStatus",
    derive = "PartialEq",
    doc = "An MCP server whose tools Spirits may call, over Streamable HTTP.",
    shortname = "cd",
    category = "eywa",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Tools", type_ = "integer", json_path = ".status.toolCount"),
    printcolumn(name = "Server", type_ = "string", json_path = ".status.server.name", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$')")
        .message("a Conduit's name is a DNS label of at most 50 characters: its children are named after it"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.url) != has(self.server)").message("exactly one of url and server is needed"))]
pub struct ConduitSpec {
    /// The server's MCP endpoint. A host without a dot is a Service of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub url: Option<String>,
    /// A server that is run for this Conduit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ConduitServer>,
    /// Headers whose values are kept in Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers_from: Vec<HeaderFrom>,
    /// Which of its tools Spirits may be offered.
    #[serde(default)]
    pub tools: ToolFilter,
    /// How long one call may take.
    #[serde(default = "ConduitSpec::default_timeout")]
    #[x_kube(validation = crate::duration::positive())]
    pub timeout: Duration,
}

impl ConduitSpec {
    fn default_timeout() -> Duration {
        Duration::from_secs(10)
    }
}

/// An MCP server that is run for a Conduit: in a cluster as a Deployment and Service, by `eywa up` as a child process.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConduitServer {
    /// Its image, `name:tag`. Not used by `eywa up`.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// The program and its first arguments. Without it, the image's own; `eywa up` needs it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// Arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Environment variables. `PORT` is set to the port it must listen on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), schema_with = "undescribed::<Vec<EnvVar>>")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// The port it listens on. `eywa up` picks a free one.
    #[serde(default = "ConduitServer::default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// The path of its MCP endpoint.
    #[serde(default = "ConduitServer::default_path")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/[^\s]*$"))]
    pub path: String,
}

impl ConduitServer {
    fn default_port() -> u16 {
        8000
    }

    fn default_path() -> String {
        "/mcp".to_owned()
    }
}

/// Names of tools, where `*` stands for anything. A tool is let through when `allow` matches it and `deny` does not.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolFilter {
    /// The tools that are let through.
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    pub allow: Vec<String>,
    /// The tools that are not, whatever `allow` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    pub deny: Vec<String>,
}

impl Default for ToolFilter {
    fn default() -> Self {
        Self {
            allow: vec!["*".to_owned()],
            deny: Vec::new(),
        }
    }
}

impl ToolFilter {
    /// Whether a tool of this name is let through.
    #[must_use]
    pub fn lets_through(&self, tool: &str) -> bool {
        let any = |globs: &[String]| globs.iter().any(|glob| glob_matches(glob, tool));
        any(&self.allow) && !any(&self.deny)
    }
}

/// Whether `name` matches `glob`, in which `*` stands for any run of characters, an empty one too.
#[must_use]
pub fn glob_matches(glob: &str, name: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// What the operator found out about a Conduit.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConduitStatus {
    /// The generation of the spec this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the server is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The version of MCP that was agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// What the server calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerInfo>,
    /// The tools it offers and the Conduit lets through, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub tools: Vec<ToolInfo>,
    /// How many tools that are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_count: Option<i32>,
    /// When the server was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_probe_time: Option<Time>,
    /// `Accepted`, `Connected` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What an MCP server calls itself.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A tool an MCP server offers.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolInfo {
    /// Its name.
    pub name: String,
    /// The beginning of its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Hash of the schema of its arguments: a tool that changed shows here.
    pub schema_hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (glob, name, matches) in [
            ("*", "", true),
            ("*", "menu_list", true),
            ("menu_*", "menu_list", true),
            ("menu_*", "menu_", true),
            ("menu_*", "a_menu_list", false),
            ("refund", "refund", true),
            ("refund", "refunds", false),
            ("*_list", "menu_list", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a*a", "a", false),
            ("a**a", "aa", true),
        ] {
            assert_eq!(glob_matches(glob, name), matches, "{glob} {name}");
        }
    }

    #[test]
    fn deny_has_the_last_word() {
        let filter = ToolFilter {
            allow: vec!["*".to_owned()],
            deny: vec!["drop_*".to_owned()],
        };
        assert!(filter.lets_through("menu_list"));
        assert!(!filter.lets_through("drop_tables"));
    }
}
