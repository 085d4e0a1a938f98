//! From a message of Claude's to a [`Reply`].

use eywa_weave::{
    ports::oracle::{OracleError, Question, Reply, Stop, Usage},
    tool::ToolCall,
};
use serde::Deserialize;
use serde_json::Value;

use crate::oracle::wire::{Wire, arguments, names::own_name};

/// What a model thought before it called tools is sealed with the first call, under this mark: only Claude may see it
/// again, and it must, for as long as the calls are being answered.
const SEAL: &str = "claude:";

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    content: Vec<Value>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    pub(super) usage: Tokens,
}

/// Tokens as Claude counts them: `input_tokens` are those that no cache had to do with. In a stream the counts come in
/// pieces, and a later one is the whole so far.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Tokens {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
}

impl Tokens {
    /// Takes in what a later count says.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_read_input_tokens = later
            .cache_read_input_tokens
            .or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = later
            .cache_creation_input_tokens
            .or(self.cache_creation_input_tokens);
    }
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let cached = tokens.cache_read_input_tokens.unwrap_or_default();
        let cache_write = tokens.cache_creation_input_tokens.unwrap_or_default();
        Self {
            input: tokens.input_tokens.unwrap_or_default() + cached + cache_write,
            output: tokens.output_tokens.unwrap_or_default(),
            cached,
            cache_write,
        }
    }
}

/// Reads a whole answer.
pub(super) fn read(wire: Wire, body: &[u8], question: &Question<'_>) -> Result<Reply, OracleError> {
    let message: Message =
        serde_json::from_slice(body).map_err(|error| wire.unreadable("its answer", &error))?;
    let mut parts = Parts {
        id: message.id,
        stop: message.stop_reason,
        usage: message.usage,
        ..Parts::default()
    };
    for block in message.content {
        parts.blocks.push(Block::begin(block));
    }
    if parts.blocks.is_empty() && parts.stop.is_none() {
        return Err(wire.unintelligible("its answer is no message"));
    }
    Ok(parts.reply(question))
}

/// An answer, once it is whole.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) id: Option<String>,
    pub(super) blocks: Vec<Block>,
    pub(super) stop: Option<String>,
    pub(super) usage: Tokens,
}

/// A block of the content.
#[derive(Debug)]
pub(super) enum Block {
    Text(String),
    Call {
        id: String,
        name: String,
        /// As it came at once.
        input: Value,
        /// As it came in pieces of JSON text.
        pieces: String,
    },
    Thought(Value),
    /// Of a kind that was not asked for.
    Other,
}

impl Block {
    /// A block as it is when it begins, or is whole.
    pub(super) fn begin(mut block: Value) -> Self {
        let kind = block
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let mut text = |name: &str| match block.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        match kind.as_str() {
            "text" => Self::Text(text("text")),
            "tool_use" => Self::Call {
                id: text("id"),
                name: text("name"),
                input: block.get_mut("input").map(Value::take).unwrap_or_default(),
                pieces: String::new(),
            },
            "thinking" | "redacted_thinking" => Self::Thought(block),
            _ => Self::Other,
        }
    }
}

impl Parts {
    pub(super) fn reply(self, question: &Question<'_>) -> Reply {
        let (mut text, mut calls, mut thoughts) = (String::new(), Vec::new(), Vec::new());
        for block in self.blocks {
            match block {
                Block::Text(more) => text.push_str(&more),
                Block::Call {
                    id,
                    name,
                    input,
                    pieces,
                } => calls.push(ToolCall {
                    id: if id.is_empty() {
                        arguments::new_id()
                    } else {
                        id
                    },
                    name: own_name(name, question.tools),
                    arguments: match (pieces.is_empty(), input) {
                        (true, Value::Null) => arguments::read(String::new()),
                        (true, input) => input,
                        (false, _) => arguments::read(pieces),
                    },
                    sealed: None,
                }),
                Block::Thought(thought) => thoughts.push(thought),
                Block::Other => {}
            }
        }
        if let (Some(first), false) = (calls.first_mut(), thoughts.is_empty()) {
            first.sealed = Some(format!("{SEAL}{}", Value::Array(thoughts)));
        }
        let stop = match self.stop.as_deref() {
            Some("refusal") => {
                // What was said before the refusal is no answer, and a call in it is not to be made.
                text.clear();
                calls.clear();
                Stop::Policy
            }
            // A call that was cut off has arguments which no schema lets through; the model is told so.
            _ if !calls.is_empty() => Stop::Tools,
            Some("max_tokens" | "model_context_window_exceeded") => Stop::Length,
            // `pause_turn` comes with tools that the provider runs itself, of which none is offered.
            _ => Stop::End,
        };
        Reply {
            text,
            calls,
            stop,
            usage: self.usage.into(),
            request_id: self.id,
        }
    }
}

/// What Claude thought before it made this call, as it has to see it again.
pub(super) fn thoughts(call: &ToolCall) -> Vec<Value> {
    call.sealed
        .as_deref()
        .and_then(|sealed| serde_json::from_str(sealed.strip_prefix(SEAL)?).ok())
        .unwrap_or_default()
}
