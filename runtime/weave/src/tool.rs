//! Tools: what the Oracle may call, a call of one, and its result.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the Oracle is told of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Unique among the tools of one Spirit.
    pub name: String,
    /// What it does, and when to use it.
    pub description: String,
    /// A JSON Schema of the arguments, an object.
    pub parameters: Value,
}

/// A tool with its schema compiled, so that arguments are checked without compiling it at each call.
#[derive(Clone, Debug)]
pub struct Tool {
    spec: Arc<ToolSpec>,
    validator: Arc<jsonschema::Validator>,
}

/// A tool's parameters are not a JSON Schema.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the parameters of the tool {tool} are not a JSON Schema: {reason}")]
pub struct InvalidSchema {
    /// The tool's name.
    pub tool: String,
    /// What the schema compiler said.
    pub reason: String,
}

impl Tool {
    /// Compiles the tool's schema.
    ///
    /// # Errors
    /// When the parameters are not a JSON Schema. References to other documents are not followed.
    pub fn new(spec: ToolSpec) -> Result<Self, InvalidSchema> {
        match jsonschema::validator_for(&spec.parameters) {
            Ok(validator) => Ok(Self {
                spec: Arc::new(spec),
                validator: Arc::new(validator),
            }),
            Err(reason) => Err(InvalidSchema {
                tool: spec.name,
                reason: reason.to_string(),
            }),
        }
    }

    /// What the Oracle is told.
    #[must_use]
    pub fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    /// What is wrong with `arguments`, in words for the Oracle, or nothing.
    ///
    /// # Errors
    /// Every violation with its place, at most five of them.
    pub fn check(&self, arguments: &Value) -> Result<(), String> {
        let wrong: Vec<String> = self
            .validator
            .iter_errors(arguments)
            .take(5)
            .map(|error| match error.instance_path().as_str() {
                "" => error.to_string(),
                path => format!("{path}: {error}"),
            })
            .collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    }
}

/// The Oracle wants a tool called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call, by which the result finds it. Unique within a conversation.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, by the tool's schema if the Oracle kept to it.
    pub arguments: Value,
    /// What the provider gave along with the call and wants to see again with it, such as Gemini's thought signature.
    /// Only its own adapter understands it; another provider's leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// What a call gave back, to the Oracle. An error is a result too: the Oracle may try another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call's id.
    pub call: String,
    /// The tool's name.
    pub name: String,
    /// What the Oracle is to read. Data, never instruction.
    pub content: String,
    /// The tool failed, and `content` says how.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}
