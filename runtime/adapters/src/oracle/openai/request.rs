//! From a [`Question`] to the body of `POST /chat/completions`.
//!
//! Source: OpenAI, API reference, "Create chat completion".

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eywa_weave::{
    ports::oracle::{Effort, Question, Turn},
    tool::{ToolCall, ToolSpec},
};
use serde::Serialize;
use serde_json::Value;

use crate::oracle::wire::{
    arguments,
    files::{File, Files},
    names::{wire_id, wire_name},
};

#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Message<'a> {
    System {
        content: &'a str,
    },
    User {
        content: Content<'a>,
    },
    Assistant {
        /// `null` when it only calls tools: some servers refuse an empty text.
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'a>>,
    },
    Tool {
        tool_call_id: Cow<'a, str>,
        content: Cow<'a, str>,
    },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: ImageUrl },
    File { file: FileData<'a> },
}

#[derive(Debug, Serialize)]
struct ImageUrl {
    url: String,
}

#[derive(Debug, Serialize)]
struct FileData<'a> {
    filename: &'a str,
    file_data: String,
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    id: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    function: CalledFunction<'a>,
}

#[derive(Debug, Serialize)]
struct CalledFunction<'a> {
    name: Cow<'a, str>,
    arguments: String,
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    description: &'a str,
    parameters: &'a Value,
}

/// Which name the server knows the most tokens of a reply by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MostTokens {
    /// `max_completion_tokens`: OpenAI's own, whose reasoning models refuse the other.
    Completion,
    /// `max_tokens`: the older name, which is the one that every compatible server knows.
    Plain,
}

impl<'a> Body<'a> {
    pub(super) fn of(
        question: &Question<'a>,
        model: &'a str,
        most: MostTokens,
        files: &Files<'a>,
        stream: bool,
    ) -> Self {
        let (max_completion_tokens, max_tokens) = match most {
            MostTokens::Completion => (question.max_tokens, None),
            MostTokens::Plain => (None, question.max_tokens),
        };
        Self {
            model,
            messages: messages(question, files),
            tools: question.tools.iter().map(|tool| offered(tool)).collect(),
            temperature: question.temperature,
            max_tokens,
            max_completion_tokens,
            reasoning_effort: question.effort.map(Effort::as_str),
            stream,
            stream_options: stream.then_some(StreamOptions {
                include_usage: true,
            }),
        }
    }
}

fn messages<'a>(question: &Question<'a>, files: &Files<'a>) -> Vec<Message<'a>> {
    let mut messages = Vec::with_capacity(question.turns.len() + 1);
    if !question.system.is_empty() {
        messages.push(Message::System {
            content: question.system,
        });
    }
    for turn in question.turns {
        match turn {
            Turn::User { text, attachments } => {
                let (text, files) = files.split(text, attachments);
                messages.push(Message::User {
                    content: said(text, &files),
                });
            }
            Turn::Agent { text, calls } => messages.push(Message::Assistant {
                content: (!text.is_empty() || calls.is_empty()).then_some(text),
                tool_calls: calls.iter().map(called).collect(),
            }),
            Turn::Tools(results) => messages.extend(results.iter().map(|result| Message::Tool {
                tool_call_id: wire_id(&result.call),
                // The format has no field for failure, so the text says it.
                content: if result.failed {
                    Cow::Owned(format!("The call failed: {}", result.content))
                } else {
                    Cow::Borrowed(&result.content)
                },
            })),
        }
    }
    messages
}

/// The text alone where there is nothing else: servers that know no images take only that.
fn said<'a>(text: Cow<'a, str>, files: &[File<'a>]) -> Content<'a> {
    if files.is_empty() {
        return Content::Text(text);
    }
    let data_url = |media_type: &str, bytes: &[u8]| {
        format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
    };
    let mut parts = Vec::with_capacity(files.len() + 1);
    if !text.is_empty() {
        parts.push(Part::Text { text });
    }
    parts.extend(files.iter().map(|file| match *file {
        File::Image { media_type, bytes } => Part::ImageUrl {
            image_url: ImageUrl {
                url: data_url(media_type, bytes),
            },
        },
        File::Pdf { name, bytes } => Part::File {
            file: FileData {
                filename: name,
                file_data: data_url("application/pdf", bytes),
            },
        },
    }));
    Content::Parts(parts)
}

fn called(call: &ToolCall) -> Call<'_> {
    Call {
        id: wire_id(&call.id),
        kind: "function",
        function: CalledFunction {
            name: wire_name(&call.name),
            arguments: arguments::object(&call.arguments).to_string(),
        },
    }
}

fn offered(tool: &ToolSpec) -> Tool<'_> {
    Tool {
        kind: "function",
        function: Function {
            name: wire_name(&tool.name),
            description: &tool.description,
            parameters: &tool.parameters,
        },
    }
}
