//! From a [`Question`] to the body of a Messages request.
//!
//! What can be cached is marked in three places, of the four that are allowed: the end of the tools, of the system prompt
//! and of the conversation. The first two stay the same from Pulse to Pulse, the last from one round of Actions to the next.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eywa_weave::{
    ports::oracle::{Question, Turn},
    tool::{ToolCall, ToolResult, ToolSpec},
};
use serde::Serialize;
use serde_json::Value;

use super::{Spec, answer::thoughts};
use crate::oracle::wire::{
    arguments,
    files::{File, Files},
    names::wire_name,
};

/// Tokens of a reply when the Spirit does not say: the API wants a number.
const MAX_TOKENS: u32 = 4096;

/// What stands for a message of nothing, which the API refuses.
const EMPTY: &str = "[an empty message]";

#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anthropic_version: Option<&'static str>,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Debug, Serialize)]
struct OutputConfig {
    effort: &'static str,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Debug, Serialize)]
struct Block<'a> {
    #[serde(flatten)]
    kind: Kind<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: Source,
    },
    Document {
        source: Source,
        title: &'a str,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Cow<'a, Value>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    /// As it came.
    #[serde(untagged)]
    Thought(Value),
}

#[derive(Debug, Serialize)]
struct Source {
    #[serde(rename = "type")]
    kind: &'static str,
    media_type: &'static str,
    data: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct CacheControl {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Kept for five minutes from its last use.
const CACHED: CacheControl = CacheControl { kind: "ephemeral" };

#[derive(Debug, Serialize)]
struct Tool<'a> {
    name: Cow<'a, str>,
    description: &'a str,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

impl<'a> Body<'a> {
    pub(super) fn of(question: &Question<'a>, spec: Spec<'a>, stream: bool) -> Self {
        let mut body = Self {
            model: spec.model,
            anthropic_version: spec.version,
            max_tokens: question.max_tokens.unwrap_or(MAX_TOKENS),
            system: Vec::new(),
            messages: messages(question, &Files::of(question.turns, spec.limits)),
            tools: question.tools.iter().map(|tool| offered(tool)).collect(),
            temperature: question.temperature,
            output_config: question.effort.map(|effort| OutputConfig {
                effort: effort.as_str(),
            }),
            stream,
        };
        if !question.system.trim().is_empty() {
            body.system.push(text(question.system));
        }
        if spec.cache {
            body.mark();
        }
        body
    }

    fn mark(&mut self) {
        if let Some(tool) = self.tools.last_mut() {
            tool.cache_control = Some(CACHED);
        }
        let last = self
            .messages
            .last_mut()
            .and_then(|last| last.content.last_mut());
        for block in self.system.last_mut().into_iter().chain(last) {
            block.cache_control = Some(CACHED);
        }
    }
}

fn messages<'a>(question: &Question<'a>, files: &Files<'a>) -> Vec<Message<'a>> {
    // What was thought is bound to all that stood before it: system, tools and turns, which are others from one Pulse to the
    // next. Thoughts of earlier Pulses would be refused for that ("Thinking blocks are tied to the model and the
    // conversation"), and may be left out.
    let is_user = |turn: &Turn| matches!(turn, Turn::User { .. });
    let now = question.turns.iter().rposition(is_user).unwrap_or_default();
    let messages = question
        .turns
        .iter()
        .enumerate()
        .map(|(at, turn)| match turn {
            Turn::User { text, attachments } => {
                let (words, files) = files.split(text, attachments);
                Message {
                    role: "user",
                    content: said(words, &files),
                }
            }
            Turn::Agent { text, calls } => Message {
                role: "assistant",
                content: answered(text, calls, at > now),
            },
            Turn::Tools(results) => Message {
                role: "user",
                content: results.iter().map(given_back).collect(),
            },
        });
    // A turn of nothing is left out; two of one side in a row are one to the API.
    messages
        .filter(|message| !message.content.is_empty())
        .collect()
}

/// Files first: the documentation says that they are understood best so.
fn said<'a>(words: Cow<'a, str>, files: &[File<'a>]) -> Vec<Block<'a>> {
    let mut content: Vec<Block<'a>> = files.iter().map(file).collect();
    if !words.trim().is_empty() {
        content.push(text(words));
    } else if content.is_empty() {
        content.push(text(EMPTY));
    }
    content
}

fn answered<'a>(words: &'a str, calls: &'a [ToolCall], thought_now: bool) -> Vec<Block<'a>> {
    let mut content: Vec<Block<'a>> = calls
        .iter()
        .filter(|_| thought_now)
        .flat_map(thoughts)
        .map(|thought| block(Kind::Thought(thought)))
        .collect();
    if !words.trim().is_empty() {
        content.push(text(words));
    }
    content.extend(calls.iter().map(|call| {
        block(Kind::ToolUse {
            // Another provider's id may have characters that this one refuses.
            id: wire_name(&call.id),
            name: wire_name(&call.name),
            input: arguments::object(&call.arguments),
        })
    }));
    content
}

fn given_back(result: &ToolResult) -> Block<'_> {
    block(Kind::ToolResult {
        tool_use_id: wire_name(&result.call),
        content: &result.content,
        is_error: result.failed,
    })
}

fn file<'a>(file: &File<'a>) -> Block<'a> {
    let source = |media_type, bytes: &[u8]| Source {
        kind: "base64",
        media_type,
        data: STANDARD.encode(bytes),
    };
    block(match *file {
        File::Image { media_type, bytes } => Kind::Image {
            source: source(media_type, bytes),
        },
        File::Pdf { name, bytes } => Kind::Document {
            source: source("application/pdf", bytes),
            title: name,
        },
    })
}

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Block<'a> {
    block(Kind::Text { text: text.into() })
}

fn block(kind: Kind<'_>) -> Block<'_> {
    Block {
        kind,
        cache_control: None,
    }
}

fn offered(tool: &ToolSpec) -> Tool<'_> {
    Tool {
        name: wire_name(&tool.name),
        description: &tool.description,
        input_schema: &tool.parameters,
        cache_control: None,
    }
}
