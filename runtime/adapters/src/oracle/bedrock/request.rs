//! From a [`Question`] to the body of Converse.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eywa_weave::{
    ports::oracle::{Question, Turn},
    tool::{ToolCall, ToolResult, ToolSpec},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::oracle::wire::{
    arguments,
    files::{File, Files, Limits},
    names::wire_name,
};

/// Stands in for a text that there is none of; an empty block is refused.
const NOTHING_SAID: &str = "(empty message)";

/// Goes with a document, which is refused alone.
const A_DOCUMENT: &str = "(a document)";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "InferenceConfig::is_empty")]
    inference_config: InferenceConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Block<'a> {
    Text(Cow<'a, str>),
    Image {
        format: &'static str,
        source: Source,
    },
    Document {
        format: &'static str,
        name: String,
        source: Source,
    },
    ToolUse {
        tool_use_id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Cow<'a, Value>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: [ResultBlock<'a>; 1],
        status: &'static str,
    },
    CachePoint {
        #[serde(rename = "type")]
        kind: &'static str,
    },
}

/// Up to here, the provider may keep what it has read.
const CACHE_POINT: Block<'static> = Block::CachePoint { kind: "default" };

#[derive(Debug, Serialize)]
struct Source {
    bytes: String,
}

#[derive(Debug, Serialize)]
struct ResultBlock<'a> {
    text: &'a str,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

impl InferenceConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Serialize)]
struct ToolConfig<'a> {
    tools: Vec<Tool<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Tool<'a> {
    ToolSpec {
        name: Cow<'a, str>,
        description: Cow<'a, str>,
        input_schema: Value,
    },
    CachePoint {
        #[serde(rename = "type")]
        kind: &'static str,
    },
}

impl<'a> Body<'a> {
    pub(super) fn of(
        question: &Question<'a>,
        model: &str,
        limits: &'a Limits,
        cache: bool,
    ) -> Self {
        let caching = if cache {
            Caching::of(model)
        } else {
            Caching::NONE
        };
        let files = Files::of(question.turns, limits);
        let mut documents = 0;
        let mut messages: Vec<Message<'a>> = Vec::with_capacity(question.turns.len());
        for turn in question.turns {
            let (role, content) = match turn {
                Turn::User { text, attachments } => {
                    let (text, sent) = files.split(text, attachments);
                    ("user", said(text, sent, &mut documents))
                }
                Turn::Agent { text, calls } => ("assistant", answered(text, calls)),
                Turn::Tools(results) => ("user", results.iter().map(given_back).collect()),
            };
            match messages.last_mut() {
                // Sides must alternate, and results are the user's side.
                Some(last) if last.role == role => last.content.extend(content),
                _ if content.is_empty() => {}
                _ => messages.push(Message { role, content }),
            }
        }
        if caching.messages
            && let Some(last) = messages.last_mut()
            && (caching.anywhere || matches!(last.content.last(), Some(Block::Text(_))))
        {
            last.content.push(CACHE_POINT);
        }
        let mut system = Vec::new();
        if !question.system.is_empty() {
            system.push(Block::Text(question.system.into()));
            if caching.messages {
                system.push(CACHE_POINT);
            }
        }
        Self {
            messages,
            system,
            inference_config: InferenceConfig {
                max_tokens: question.max_tokens,
                temperature: question.temperature,
            },
            tool_config: tools(question, caching),
        }
    }
}

fn said<'a>(text: Cow<'a, str>, files: Vec<File<'a>>, documents: &mut usize) -> Vec<Block<'a>> {
    let mut needs_text = files.is_empty();
    let mut content: Vec<Block<'a>> = Vec::with_capacity(files.len() + 1);
    for file in files {
        content.push(match file {
            File::Image { media_type, bytes } => Block::Image {
                format: media_type.strip_prefix("image/").unwrap_or(media_type),
                source: source(bytes),
            },
            File::Pdf { bytes, .. } => {
                needs_text = true;
                *documents += 1;
                Block::Document {
                    format: "pdf",
                    // Not the file's own name: the model reads it, and whoever sent the file chose it.
                    name: format!("document-{documents}"),
                    source: source(bytes),
                }
            }
        });
    }
    if !text.trim().is_empty() {
        content.push(Block::Text(text));
    } else if needs_text {
        let words = if content.is_empty() {
            NOTHING_SAID
        } else {
            A_DOCUMENT
        };
        content.push(Block::Text(words.into()));
    }
    content
}

fn source(bytes: &[u8]) -> Source {
    Source {
        bytes: STANDARD.encode(bytes),
    }
}

fn answered<'a>(text: &'a str, calls: &'a [ToolCall]) -> Vec<Block<'a>> {
    let mut content = Vec::with_capacity(calls.len() + 1);
    if !text.trim().is_empty() {
        content.push(Block::Text(text.into()));
    }
    content.extend(calls.iter().map(|call| Block::ToolUse {
        tool_use_id: wire_name(&call.id),
        name: wire_name(&call.name),
        input: arguments::object(&call.arguments),
    }));
    content
}

fn given_back(result: &ToolResult) -> Block<'_> {
    let text = if result.content.trim().is_empty() {
        "(nothing)"
    } else {
        &result.content
    };
    Block::ToolResult {
        tool_use_id: wire_name(&result.call),
        content: [ResultBlock { text }],
        status: if result.failed { "error" } else { "success" },
    }
}

/// The tools on offer. A conversation that holds calls is refused without any, so tools that are gone are then named.
fn tools<'a>(question: &Question<'a>, caching: Caching) -> Option<ToolConfig<'a>> {
    let mut tools: Vec<Tool<'a>> = question.tools.iter().map(|tool| offered(tool)).collect();
    if tools.is_empty() {
        let mut gone: Vec<&str> = question
            .turns
            .iter()
            .filter_map(|turn| match turn {
                Turn::Agent { calls, .. } => Some(calls),
                _ => None,
            })
            .flatten()
            .map(|call| call.name.as_str())
            .collect();
        gone.sort_unstable();
        gone.dedup();
        tools.extend(gone.into_iter().map(|name| Tool::ToolSpec {
            name: wire_name(name),
            description: "Not available any more; do not call it.".into(),
            input_schema: json!({"json": {"type": "object"}}),
        }));
    } else if caching.tools {
        tools.push(Tool::CachePoint { kind: "default" });
    }
    (!tools.is_empty()).then_some(ToolConfig { tools })
}

fn offered(tool: &ToolSpec) -> Tool<'_> {
    Tool::ToolSpec {
        name: wire_name(&tool.name),
        description: if tool.description.is_empty() {
            wire_name(&tool.name)
        } else {
            Cow::Borrowed(&tool.description)
        },
        input_schema: json!({ "json": tool.parameters }),
    }
}

/// Where a model takes cache points; any other refuses the whole request over one.
///
/// Source: Amazon Bedrock User Guide, "Prompt caching for faster model inference", supported models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caching {
    messages: bool,
    /// Behind what is no text, too. Nova refuses that: "extraneous key [cachePoint] is not permitted".
    anywhere: bool,
    tools: bool,
}

impl Caching {
    const NONE: Self = Self {
        messages: false,
        anywhere: false,
        tools: false,
    };

    fn of(model: &str) -> Self {
        let claude = model
            .split_once("anthropic.claude-")
            .map(|(_, name)| name)
            .is_some_and(|name| {
                ![
                    "v2",
                    "instant",
                    "3-haiku",
                    "3-sonnet",
                    "3-opus",
                    "3-5-sonnet-20240620",
                ]
                .iter()
                .any(|old| name.starts_with(old))
            });
        Self {
            messages: claude || model.contains("amazon.nova-"),
            anywhere: claude,
            tools: claude,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_that_take_cache_points_are_given_any() {
        for (model, messages, tools) in [
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", true, true),
            ("eu.anthropic.claude-3-7-sonnet-20250219-v1:0", true, true),
            (
                "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku-4-5-v1:0",
                true,
                true,
            ),
            ("anthropic.claude-3-haiku-20240307-v1:0", false, false),
            ("us.amazon.nova-pro-v1:0", true, false),
            ("meta.llama3-1-70b-instruct-v1:0", false, false),
            (
                "arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc",
                false,
                false,
            ),
        ] {
            let caching = Caching::of(model);
            assert_eq!(
                (caching.messages, caching.tools),
                (messages, tools),
                "{model}"
            );
        }
    }
}
