//! From the events of a streamed message to a [`Reply`].
//!
//! Source: Anthropic, "Streaming messages". Events of unknown kinds are to be passed over.

use eywa_weave::ports::oracle::{OnText, OracleError, Question, Reply};
use serde::Deserialize;
use serde_json::Value;

use super::{
    answer::{Block, Message, Parts, Tokens},
    errors,
};
use crate::oracle::wire::Wire;

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        index: usize,
        content_block: Value,
    },
    ContentBlockDelta {
        index: usize,
        delta: Delta,
    },
    MessageDelta {
        #[serde(default)]
        delta: End,
        #[serde(default)]
        usage: Tokens,
    },
    MessageStop,
    Error {
        #[serde(default)]
        error: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(other)]
    Other,
}

#[derive(Debug, Default, Deserialize)]
struct End {
    #[serde(default)]
    stop_reason: Option<String>,
}

/// A message that is being heard.
#[derive(Debug)]
pub(super) struct Hearing {
    wire: Wire,
    parts: Parts,
    /// The index that the deltas of each block carry.
    indices: Vec<usize>,
    done: bool,
}

impl Hearing {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            parts: Parts::default(),
            indices: Vec::new(),
            done: false,
        }
    }

    /// Takes in the data of one event. `true` when it was the last.
    pub(super) fn hear(
        &mut self,
        data: &str,
        question: &Question<'_>,
        on_text: &mut OnText<'_>,
    ) -> Result<bool, OracleError> {
        let event = serde_json::from_str(data)
            .map_err(|error| self.wire.unreadable("an event of its answer", &error))?;
        match event {
            Event::MessageStart { message } => {
                self.parts.id = message.id;
                self.parts.usage = message.usage;
            }
            Event::ContentBlockStart {
                index,
                content_block,
            } => {
                let block = Block::begin(content_block);
                if let Block::Text(text) = &block
                    && !text.is_empty()
                {
                    on_text(text);
                }
                self.indices.push(index);
                self.parts.blocks.push(block);
            }
            Event::ContentBlockDelta { index, delta } => self.add(index, delta, on_text),
            Event::MessageDelta { delta, usage } => {
                self.parts.usage.update(usage);
                self.parts.stop = delta.stop_reason.or(self.parts.stop.take());
            }
            Event::MessageStop => {
                self.done = true;
                return Ok(true);
            }
            Event::Error { error } => {
                let told = errors::told(&error);
                return Err(self
                    .wire
                    .said("it failed while it was answering", told, question));
            }
            Event::Other => {}
        }
        Ok(false)
    }

    fn add(&mut self, index: usize, delta: Delta, on_text: &mut OnText<'_>) {
        let Some(at) = self.indices.iter().rposition(|known| *known == index) else {
            return;
        };
        match (&mut self.parts.blocks[at], delta) {
            (Block::Text(text), Delta::Text { text: more }) => {
                on_text(&more);
                text.push_str(&more);
            }
            (Block::Call { pieces, .. }, Delta::Input { partial_json }) => {
                pieces.push_str(&partial_json);
            }
            (Block::Thought(thought), Delta::Thinking { thinking }) => {
                extend(thought, "thinking", &thinking);
            }
            (Block::Thought(thought), Delta::Signature { signature }) => {
                extend(thought, "signature", &signature);
            }
            _ => {}
        }
    }

    /// The reply, if all of it was heard.
    pub(super) fn reply(self, question: &Question<'_>) -> Result<Reply, OracleError> {
        if !self.done && self.parts.stop.is_none() {
            return Err(self.wire.broke_off());
        }
        Ok(self.parts.reply(question))
    }
}

/// Adds to a text of an object.
fn extend(object: &mut Value, name: &str, more: &str) {
    match &mut object[name] {
        Value::String(text) => text.push_str(more),
        missing => *missing = Value::from(more),
    }
}
