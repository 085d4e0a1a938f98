//! From the answer of Converse, or the events of ConverseStream, to a [`Reply`].

use std::collections::BTreeMap;

use eywa_weave::{
    ports::oracle::{Fault, OracleError, Question, Reply, Stop, Usage},
    tool::ToolCall,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{WIRE, errors, events::Event};
use crate::oracle::wire::{Told, arguments, names::own_name};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    output: Output,
    stop_reason: String,
    #[serde(default)]
    usage: TokenUsage,
}

#[derive(Debug, Deserialize)]
struct Output {
    message: Message,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Block>,
}

/// A block of an answer. Others, such as the model's reasoning, are not for the person.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Block {
    text: Option<String>,
    tool_use: Option<ToolUse>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse {
    tool_use_id: String,
    name: String,
    #[serde(default)]
    input: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    content_block_index: u32,
    #[serde(default)]
    start: Start,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Start {
    tool_use: Option<ToolUse>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    content_block_index: u32,
    #[serde(default)]
    delta: Delta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Delta {
    text: Option<String>,
    tool_use: Option<InputPiece>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputPiece {
    input: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop {
    stop_reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    usage: TokenUsage,
}

/// `inputTokens` are those that were neither read from the cache nor written to it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TokenUsage {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: u64,
    cache_write_input_tokens: u64,
}

impl From<TokenUsage> for Usage {
    fn from(tokens: TokenUsage) -> Self {
        Self {
            input: tokens.input_tokens
                + tokens.cache_read_input_tokens
                + tokens.cache_write_input_tokens,
            output: tokens.output_tokens,
            cached: tokens.cache_read_input_tokens,
            cache_write: tokens.cache_write_input_tokens,
        }
    }
}

/// An answer that is being heard.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    text: String,
    /// The calls so far, by the index of their block.
    calls: BTreeMap<u32, Made>,
    stop: Option<String>,
    usage: TokenUsage,
}

#[derive(Debug)]
struct Made {
    id: String,
    name: String,
    arguments: Value,
    /// JSON text that came in pieces.
    pieces: String,
}

impl From<ToolUse> for Made {
    fn from(call: ToolUse) -> Self {
        Self {
            id: call.tool_use_id,
            name: call.name,
            arguments: call.input.unwrap_or_else(|| Value::Object(Map::new())),
            pieces: String::new(),
        }
    }
}

impl Hearing {
    /// Takes in a whole answer.
    pub(super) fn whole(&mut self, body: &[u8]) -> Result<(), OracleError> {
        let answer: Answer = json(body, "its answer")?;
        for (index, block) in (0..).zip(answer.output.message.content) {
            if let Some(text) = block.text {
                self.text.push_str(&text);
            }
            if let Some(call) = block.tool_use {
                self.calls.insert(index, call.into());
            }
        }
        self.stop = Some(answer.stop_reason);
        self.usage = answer.usage;
        Ok(())
    }

    /// Takes in one event.
    pub(super) fn hear(
        &mut self,
        event: Event,
        question: &Question<'_>,
        on_text: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), OracleError> {
        let (kind, payload) = match event {
            Event::Part { kind, payload } => (kind, payload),
            Event::Exception { kind, payload } => {
                let told = errors::of_exception(&kind, &payload);
                return Err(WIRE.said("it failed while it was answering", told, question));
            }
        };
        match kind.as_str() {
            "contentBlockStart" => {
                let begun: BlockStart = json(&payload, "an event")?;
                if let Some(call) = begun.start.tool_use {
                    self.calls.insert(begun.content_block_index, call.into());
                }
            }
            "contentBlockDelta" => {
                let BlockDelta {
                    content_block_index,
                    delta,
                } = json(&payload, "an event")?;
                if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
                    on_text(&text);
                    self.text.push_str(&text);
                }
                if let Some(piece) = delta.tool_use
                    && let Some(call) = self.calls.get_mut(&content_block_index)
                {
                    call.pieces.push_str(&piece.input);
                }
            }
            "messageStop" => {
                let stop: MessageStop = json(&payload, "an event")?;
                self.stop = Some(stop.stop_reason);
            }
            "metadata" => self.usage = json::<Metadata>(&payload, "an event")?.usage,
            // Beginnings and ends that say nothing new, and what there may be one day.
            _ => {}
        }
        Ok(())
    }

    /// The reply, if all of it was heard.
    pub(super) fn reply(self, question: &Question<'_>) -> Result<Reply, OracleError> {
        let Some(reason) = self.stop else {
            return Err(WIRE.broke_off());
        };
        let stop = match reason.as_str() {
            "max_tokens" | "model_context_window_exceeded" => Stop::Length,
            "guardrail_intervened" | "content_filtered" => Stop::Policy,
            // The model itself went wrong; the same question again may go well.
            "malformed_model_output" | "malformed_tool_use" => {
                let told = Told {
                    fault: Some(Fault::Overloaded),
                    labels: vec![("stopReason", reason)],
                    ..Told::default()
                };
                return Err(WIRE.said("it gave no answer", told, question));
            }
            _ if self.calls.is_empty() => Stop::End,
            _ => Stop::Tools,
        };
        let made = self.calls.into_values();
        // Calls of an answer that was cut off are not to be made.
        let calls = made
            .filter(|_| stop == Stop::Tools)
            .map(|made| made.call(question))
            .collect();
        Ok(Reply {
            text: self.text,
            calls,
            stop,
            usage: self.usage.into(),
            request_id: None,
        })
    }
}

impl Made {
    fn call(self, question: &Question<'_>) -> ToolCall {
        ToolCall {
            id: if self.id.is_empty() {
                arguments::new_id()
            } else {
                self.id
            },
            name: own_name(self.name, question.tools),
            arguments: if self.pieces.is_empty() {
                self.arguments
            } else {
                arguments::read(self.pieces)
            },
            sealed: None,
        }
    }
}

fn json<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, OracleError> {
    serde_json::from_slice(body).map_err(|error| WIRE.unreadable(what, &error))
}
