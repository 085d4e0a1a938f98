//! The script of a scripted Oracle: rules instead of a model.
//!
//! A script answers deterministically, so that a demo or a test needs no key and says the same thing twice.
//!
//! ```yaml
//! rules:
//! - when: {text: "(?i)flat white"}                 # the person's message, a regular expression
//!   reply:
//!     toolCalls: [{name: place_order, arguments: {drink: "{{ match[0] }}", size: regular}}]
//! - when: {toolResult: {name: place_order, matches: '"ready_in"'}}
//!   reply: {text: "Done! {{ toolResult.drink }}, ready in {{ toolResult.ready_in }} minutes."}
//! - when: {text: "(?i)slow"}
//!   latency: 3s                                    # think for this long first
//!   fail: {kind: overloaded, times: 2}             # fail twice, then answer
//!   reply: {text: "Sorry for the wait."}
//! default: {text: "I can take an order, or show you the menu."}
//! ```
//!
//! # Which rule answers
//!
//! The rules are tried in order and the first that holds answers; when none does, `default` does. A rule holds when
//! every condition it names holds:
//!
//! - `text`: the regular expression is found in the person's latest message;
//! - `toolResult`: the latest tool result came after that message, is of a tool whose name matches `name`, and its
//!   content matches `matches`.
//!
//! A rule that names no `toolResult` holds only while no tool was called for the message yet: otherwise the rule that
//! calls a tool would call it again with the result in hand, for ever. A rule without conditions always holds, under the
//! same proviso. When a tool has answered and no rule is made for its result, the result itself is said.
//!
//! # What templates know
//!
//! `text` is the person's message; `match` what `when.text` found in it, group by group (`match[0]` is all of it), and
//! `named` its named groups; `toolResult` the latest result, as an object where it is JSON, else as text; `toolName` the
//! tool it came from, and `toolFailed` whether that call failed; `scouts` what each Scout found, by the Scout's name;
//! `persona` the system prompt. What is not there is empty, so that `{% if scouts.crm %}` asks for it. An argument that is a single `{{ expression }}` keeps the expression's type, so
//! `"{{ match[1] | int }}"` is a number.

mod answer;
mod rule;

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    answer::{Answer, CompiledScript, SeenToolResult, Turn},
    rule::ScriptProblem,
};
use crate::duration::Duration;

/// The rules of a scripted Oracle, and what it says when none holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Script {
    /// Tried in order; the first that holds answers.
    pub rules: Vec<ScriptRule>,
    /// What is said when no rule holds. Without it, a sentence that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Reply>,
}

impl Script {
    /// Reads a script written as YAML, as a ConfigMap holds it.
    ///
    /// # Errors
    /// What is wrong with the text, and where in it.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }
}

/// One rule: when it holds, and what happens then.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.reply) || has(self.fail)").message("a rule needs a reply, a failure, or both"))]
pub struct ScriptRule {
    /// When the rule holds. Without it, always.
    #[serde(default, skip_serializing_if = "When::is_always")]
    pub when: When,
    /// What the Oracle answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// How long the Oracle takes to answer, or to fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Duration>,
    /// How the Oracle fails instead of answering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<Failure>,
}

/// When a rule holds: when everything it names does.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct When {
    /// A regular expression, looked for in the person's latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub text: Option<String>,
    /// What a tool must have answered since that message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_result: Option<ToolResultMatch>,
}

impl When {
    fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

/// What a tool must have answered.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolResultMatch {
    /// A regular expression the whole of the tool's name must match. Without it, any tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name: Option<String>,
    /// A regular expression, looked for in the result. Without it, any result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub matches: Option<String>,
    /// Whether the call must have failed. Without it, both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<bool>,
}

/// What a scripted Oracle answers: text, tool calls, or both.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.text) || has(self.toolCalls)").message("a reply needs text, toolCalls, or both"))]
pub struct Reply {
    /// A minijinja template of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub text: Option<String>,
    /// The tools it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tool_calls: Vec<ScriptedCall>,
}

/// A tool call a scripted Oracle asks for.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptedCall {
    /// Name of the tool.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Its arguments. Every text in them, however deep, is a minijinja template.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub arguments: Map<String, Value>,
}

/// How a scripted Oracle fails.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// What kind of failure the Weave sees.
    pub kind: FailureKind,
    /// How many times the rule fails before it answers. Without it, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub times: Option<u32>,
    /// How long the provider asks to wait before a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

/// The kinds of failure an Oracle knows.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// Too many requests or tokens; retrying later helps.
    RateLimited,
    /// The provider is out of capacity; retrying later helps.
    Overloaded,
    /// No answer in time; retrying may help.
    Timeout,
    /// The request is malformed; retrying does not help.
    BadRequest,
    /// The key is refused; retrying does not help.
    Unauthorized,
    /// The conversation is too long for the model.
    ContextTooLong,
    /// The model declined to answer.
    Refused,
}

/// What Scouts found, by the Scout's name: an object where it is JSON, else text.
pub type ScoutFindings = BTreeMap<String, Value>;
