//! From a [`Question`] to the body of `POST /chat/completions`.
//!
//! Source: OpenAI, API reference, "Create chat completion".

use std::borrow::Cow;

use eywa_weave::{
    ports::oracle::{Question, Turn},
    pulse::Attachment,
    tool::{ToolCall, ToolSpec},
};
use serde::Serialize;
use serde_json::{Value, json};

/// The longest name that a function may have.
const LONGEST_NAME: usize = 64;

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
        content: Cow<'a, str>,
    },
    Assistant {
        /// `null` when it only calls tools: some servers refuse an empty text.
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: Cow<'a, str>,
    },
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    id: &'a str,
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
        stream: bool,
    ) -> Self {
        let (max_completion_tokens, max_tokens) = match most {
            MostTokens::Completion => (question.max_tokens, None),
            MostTokens::Plain => (None, question.max_tokens),
        };
        Self {
            model,
            messages: messages(question),
            tools: question.tools.iter().map(|tool| offered(tool)).collect(),
            temperature: question.temperature,
            max_tokens,
            max_completion_tokens,
            stream,
            stream_options: stream.then_some(StreamOptions {
                include_usage: true,
            }),
        }
    }
}

fn messages<'a>(question: &Question<'a>) -> Vec<Message<'a>> {
    let mut messages = Vec::with_capacity(question.turns.len() + 1);
    if !question.system.is_empty() {
        messages.push(Message::System {
            content: question.system,
        });
    }
    for turn in question.turns {
        match turn {
            Turn::User { text, attachments } => messages.push(Message::User {
                content: with_attachments(text, attachments),
            }),
            Turn::Agent { text, calls } => messages.push(Message::Assistant {
                content: (!text.is_empty() || calls.is_empty()).then_some(text),
                tool_calls: calls.iter().map(called).collect(),
            }),
            Turn::Tools(results) => messages.extend(results.iter().map(|result| Message::Tool {
                tool_call_id: &result.call,
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

/// The text, and a line for each attachment: what it is, not what is in it.
fn with_attachments<'a>(text: &'a str, attachments: &[Attachment]) -> Cow<'a, str> {
    if attachments.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut whole = text.to_owned();
    for Attachment {
        media_type,
        file_name,
        ..
    } in attachments
    {
        if !whole.is_empty() {
            whole.push('\n');
        }
        whole.push_str("[attachment ");
        whole.push_str(media_type);
        if let Some(name) = file_name {
            // Quoted as JSON, so that a name cannot end the bracket and go on as something else.
            whole.push(' ');
            whole.push_str(&Value::from(name.as_str()).to_string());
        }
        whole.push(']');
    }
    Cow::Owned(whole)
}

fn called(call: &ToolCall) -> Call<'_> {
    let arguments = match &call.arguments {
        object @ Value::Object(_) => object.to_string(),
        // Servers parse the arguments of earlier calls, and some refuse what is no object, for as long as it is in the
        // history. What the model wrote stays visible to it.
        other => json!({ "unreadable": other }).to_string(),
    };
    Call {
        id: &call.id,
        kind: "function",
        function: CalledFunction {
            name: wire_name(&call.name),
            arguments,
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

/// The name of a tool as the format allows it: letters, digits, `_` and `-`, at most 64. MCP allows more. A name that
/// has to change gets a hash of the whole, so that it stays the same from request to request, and unique.
pub(super) fn wire_name(name: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits) {
        return Cow::Borrowed(name);
    }
    let suffix = format!("_{:08x}", fnv1a(name.as_bytes()));
    let mut wire: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .take(LONGEST_NAME - suffix.len())
        .collect();
    wire.push_str(&suffix);
    Cow::Owned(wire)
}

/// FNV-1a, 32 bits: the standard library promises nothing about its own hash from one version to the next.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
