//! From the answer of generateContent, whole or in chunks, to a [`Reply`]. A chunk has the form of a whole answer.

use eywa_weave::{
    ports::oracle::{Fault, OracleError, Question, Reply, Stop, Usage},
    tool::ToolCall,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{
    errors,
    request::{function_name, seal},
};
use crate::oracle::wire::{Told, Wire, arguments};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    #[serde(deserialize_with = "null_as_default")]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    response_id: Option<String>,
    /// A failure after the answer had begun.
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Candidate {
    #[serde(deserialize_with = "null_as_default")]
    content: Content,
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    #[serde(deserialize_with = "null_as_default")]
    parts: Vec<Part>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    text: Option<String>,
    /// A summary of the model's thoughts, which is not for the person.
    thought: Option<bool>,
    function_call: Option<FunctionCall>,
    thought_signature: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FunctionCall {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PromptFeedback {
    block_reason: Option<String>,
}

/// All counts are of the answer so far.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UsageMetadata {
    /// Those from a cache included.
    prompt_token_count: u64,
    tool_use_prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
}

impl From<UsageMetadata> for Usage {
    fn from(counts: UsageMetadata) -> Self {
        Self {
            input: counts.prompt_token_count + counts.tool_use_prompt_token_count,
            output: counts.candidates_token_count + counts.thoughts_token_count,
            cached: counts.cached_content_token_count,
            ..Self::default()
        }
    }
}

/// An answer that is being heard.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    text: String,
    calls: Vec<ToolCall>,
    finish: Option<String>,
    blocked: Option<String>,
    usage: Usage,
    id: Option<String>,
}

impl Hearing {
    /// Takes in a chunk, or the whole.
    pub(super) fn hear(
        &mut self,
        wire: Wire,
        data: &[u8],
        question: &Question<'_>,
        on_text: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), OracleError> {
        let answer: Answer =
            serde_json::from_slice(data).map_err(|error| wire.unreadable("its answer", &error))?;
        if let Some(error) = answer.error {
            let told = errors::of_error(&error);
            return Err(wire.said("it failed while it was answering", told, question));
        }
        if let Some(counts) = answer.usage_metadata {
            self.usage = counts.into();
        }
        self.id = answer.response_id.or(self.id.take());
        self.blocked = answer
            .prompt_feedback
            .and_then(|feedback| feedback.block_reason)
            .or(self.blocked.take());
        let Some(candidate) = answer.candidates.into_iter().next() else {
            return Ok(());
        };
        self.finish = candidate.finish_reason.or(self.finish.take());
        for part in candidate.content.parts {
            if let Some(call) = part.function_call {
                self.calls
                    .push(made(call, part.thought_signature.as_deref(), question));
            } else if let Some(text) = part.text
                && part.thought != Some(true)
                && !text.is_empty()
            {
                on_text(&text);
                self.text.push_str(&text);
            }
        }
        Ok(())
    }

    /// The reply, if all of it was heard.
    pub(super) fn reply(self, wire: Wire, question: &Question<'_>) -> Result<Reply, OracleError> {
        if let Some(reason) = self.blocked {
            let told = Told {
                fault: Some(Fault::Refused),
                labels: vec![("blockReason", reason)],
                ..Told::default()
            };
            return Err(wire.said("it refuses this conversation", told, question));
        }
        let Some(finish) = self.finish else {
            return Err(wire.broke_off());
        };
        let nothing = self.text.is_empty() && self.calls.is_empty();
        let stop = match finish.as_str() {
            "MAX_TOKENS" => Stop::Length,
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
            | "IMAGE_SAFETY" | "MODEL_ARMOR" => Stop::Policy,
            // The model itself went wrong; the same question again may go well.
            "MALFORMED_FUNCTION_CALL"
            | "MALFORMED_RESPONSE"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS" => {
                return Err(failed(wire, Fault::Overloaded, finish, question));
            }
            "MISSING_THOUGHT_SIGNATURE" => {
                return Err(failed(wire, Fault::Malformed, finish, question));
            }
            "STOP" if self.calls.is_empty() => Stop::End,
            "STOP" => Stop::Tools,
            _ if nothing => return Err(failed(wire, Fault::Overloaded, finish, question)),
            _ if self.calls.is_empty() => Stop::End,
            _ => Stop::Tools,
        };
        // Calls of an answer that was cut off are not to be made.
        let calls = if stop == Stop::Tools {
            self.calls
        } else {
            Vec::new()
        };
        Ok(Reply {
            text: self.text,
            calls,
            stop,
            usage: self.usage,
            request_id: self.id,
        })
    }
}

fn failed(wire: Wire, fault: Fault, finish: String, question: &Question<'_>) -> OracleError {
    let told = Told {
        fault: Some(fault),
        labels: vec![("finishReason", finish)],
        ..Told::default()
    };
    wire.said("it gave no answer", told, question)
}

fn made(call: FunctionCall, signature: Option<&str>, question: &Question<'_>) -> ToolCall {
    let name = question
        .tools
        .iter()
        .find(|tool| function_name(&tool.name) == call.name)
        .map_or(call.name, |tool| tool.name.clone());
    ToolCall {
        // Series before the third give no ids.
        id: call
            .id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(arguments::new_id),
        name,
        arguments: call.args.unwrap_or_else(|| Value::Object(Map::new())),
        sealed: signature.map(seal),
    }
}

/// Reads `null` as if the field were absent.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
