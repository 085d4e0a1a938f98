//! From the answer of `POST /chat/completions` to a [`Reply`].
//!
//! Source: OpenAI, API reference, "The chat completion object". Compatible servers leave out or null what they do not
//! know, so hardly anything is required here.

use eywa_weave::{
    ports::oracle::{OracleError, Question, Reply, Stop, Usage},
    tool::ToolCall,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::WIRE;
use crate::oracle::wire::{arguments, names::own_name};

#[derive(Debug, Deserialize)]
pub(super) struct Completion {
    #[serde(default, deserialize_with = "null_as_default")]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    tool_calls: Vec<Call>,
}

#[derive(Debug, Deserialize)]
struct Call {
    #[serde(default, deserialize_with = "null_as_default")]
    id: String,
    function: CalledFunction,
}

#[derive(Debug, Deserialize)]
struct CalledFunction {
    name: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<PromptTokens>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct PromptTokens {
    #[serde(default, deserialize_with = "null_as_default")]
    cached_tokens: u64,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input: tokens.prompt_tokens,
            output: tokens.completion_tokens,
            cached: tokens
                .prompt_tokens_details
                .unwrap_or_default()
                .cached_tokens,
            cache_write: 0,
        }
    }
}

/// Reads a whole answer.
pub(super) fn read(body: &[u8], question: &Question<'_>) -> Result<Reply, OracleError> {
    let completion: Completion =
        serde_json::from_slice(body).map_err(|error| WIRE.unreadable("its answer", &error))?;
    let usage = completion.usage.unwrap_or_default();
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(WIRE.unintelligible("its answer holds no choice"));
    };
    let Message {
        content,
        refusal,
        tool_calls,
    } = choice.message;
    let calls = tool_calls
        .into_iter()
        .map(|Call { id, function }| Made {
            id,
            name: function.name,
            arguments: Arguments::Whole(function.arguments),
        })
        .collect();
    Ok(Parts {
        text: content.unwrap_or_default(),
        refusal,
        calls,
        finish: choice.finish_reason,
        usage,
    }
    .reply(question))
}

/// An answer, once it is whole.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) text: String,
    pub(super) refusal: Option<String>,
    pub(super) calls: Vec<Made>,
    pub(super) finish: Option<String>,
    pub(super) usage: Tokens,
}

/// A call that the model made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Arguments,
}

#[derive(Debug)]
pub(super) enum Arguments {
    /// Came in one piece: JSON in a string, or, from some compatible servers, the object itself.
    Whole(Value),
    /// Came in pieces of JSON text.
    Text(String),
}

impl Arguments {
    fn into_value(self) -> Value {
        match self {
            Self::Whole(Value::String(text)) | Self::Text(text) => arguments::read(text),
            Self::Whole(Value::Null) => arguments::read(String::new()),
            Self::Whole(value) => value,
        }
    }
}

impl Parts {
    pub(super) fn reply(self, question: &Question<'_>) -> Reply {
        let refused = self.refusal.filter(|words| !words.is_empty());
        let calls: Vec<ToolCall> = self
            .calls
            .into_iter()
            .map(|made| made.call(question))
            .collect();
        let stop = match self.finish.as_deref() {
            _ if refused.is_some() => Stop::Policy,
            Some("content_filter") => Stop::Policy,
            Some("length") => Stop::Length,
            // Some compatible servers say `stop` when they call tools.
            _ if !calls.is_empty() => Stop::Tools,
            _ => Stop::End,
        };
        let text = if self.text.is_empty() {
            refused.unwrap_or_default()
        } else {
            self.text
        };
        Reply {
            text,
            calls,
            stop,
            usage: self.usage.into(),
            request_id: None,
        }
    }
}

impl Made {
    fn call(self, question: &Question<'_>) -> ToolCall {
        let id = if self.id.is_empty() {
            arguments::new_id()
        } else {
            self.id
        };
        ToolCall {
            id,
            name: own_name(self.name, question.tools),
            arguments: self.arguments.into_value(),
            sealed: None,
        }
    }
}

/// Reads `null` as if the field were absent.
pub(super) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
