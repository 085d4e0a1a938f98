//! From a [`Question`] to the body of generateContent.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eywa_weave::{
    ports::oracle::{Effort, Question, Turn},
    tool::{ToolCall, ToolResult, ToolSpec},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::oracle::wire::{
    arguments,
    files::{File, Files, Limits},
    names::wire_name,
};

/// What marks a call's seal as a thought signature of Gemini's.
const SEAL: &str = "gemini:";

/// Stands in for a thought signature that there never was: the call is another model's, from before a fallback or a
/// change of model. Gemini 3 refuses a call without any.
///
/// Source: Gemini API, "Thought signatures", on transferring a conversation from another model.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The longest name that a function may have.
const LONGEST_NAME: usize = 64;

/// Stands in for a text that there is none of; an empty part is refused.
const NOTHING_SAID: &str = "(empty message)";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    #[serde(skip_serializing_if = "GenerationConfig::is_empty")]
    generation_config: GenerationConfig,
}

#[derive(Debug, Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(flatten)]
    payload: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Payload<'a> {
    Text(Cow<'a, str>),
    InlineData {
        mime_type: &'a str,
        data: String,
    },
    FunctionCall {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        name: Cow<'a, str>,
        args: Cow<'a, Value>,
    },
    FunctionResponse {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        name: Cow<'a, str>,
        response: Value,
    },
}

impl<'a> From<Payload<'a>> for Part<'a> {
    fn from(payload: Payload<'a>) -> Self {
        Self {
            payload,
            thought_signature: None,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Function<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'a> {
    name: Cow<'a, str>,
    description: &'a str,
    /// JSON Schema as it is, not the subset of OpenAPI's that `parameters` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Value>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Value>,
}

impl GenerationConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<'a> Body<'a> {
    pub(super) fn of(
        question: &Question<'a>,
        model: &str,
        limits: &'a Limits,
        call_ids: bool,
    ) -> Self {
        let wants_signatures = wants_signatures(model);
        let files = Files::of(question.turns, limits);
        let contents = question
            .turns
            .iter()
            .filter_map(|turn| {
                let (role, parts) = match turn {
                    Turn::User { text, attachments } => {
                        let (text, sent) = files.split(text, attachments);
                        ("user", said(text, sent))
                    }
                    Turn::Agent { text, calls } => {
                        ("model", answered(text, calls, call_ids, wants_signatures))
                    }
                    Turn::Tools(results) => (
                        "user",
                        results.iter().map(|it| given_back(it, call_ids)).collect(),
                    ),
                };
                (!parts.is_empty()).then_some(Content {
                    role: Some(role),
                    parts,
                })
            })
            .collect();
        let system = (!question.system.is_empty()).then(|| Content {
            role: None,
            parts: vec![Payload::Text(question.system.into()).into()],
        });
        let functions: Vec<_> = question.tools.iter().map(|tool| offered(tool)).collect();
        Self {
            system_instruction: system,
            contents,
            tools: if functions.is_empty() {
                Vec::new()
            } else {
                vec![Tools {
                    function_declarations: functions,
                }]
            },
            generation_config: GenerationConfig {
                temperature: question.temperature,
                max_output_tokens: question.max_tokens,
                thinking_config: question.effort.map(|effort| thinking(effort, model)),
            },
        }
    }
}

fn said<'a>(text: Cow<'a, str>, files: Vec<File<'a>>) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = files
        .into_iter()
        .map(|file| {
            let (mime_type, bytes) = match file {
                File::Image { media_type, bytes } => (media_type, bytes),
                File::Pdf { bytes, .. } => ("application/pdf", bytes),
            };
            let data = STANDARD.encode(bytes);
            Payload::InlineData { mime_type, data }.into()
        })
        .collect();
    if !text.is_empty() {
        parts.push(Payload::Text(text).into());
    } else if parts.is_empty() {
        parts.push(Payload::Text(NOTHING_SAID.into()).into());
    }
    parts
}

fn answered<'a>(
    text: &'a str,
    calls: &'a [ToolCall],
    call_ids: bool,
    wants_signatures: bool,
) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    if !text.is_empty() {
        parts.push(Payload::Text(text.into()).into());
    }
    for (index, call) in calls.iter().enumerate() {
        let signature = call.sealed.as_deref().and_then(|it| it.strip_prefix(SEAL));
        // Of calls that were made together, the first alone is signed.
        let missing = signature.is_none() && index == 0 && wants_signatures;
        parts.push(Part {
            payload: Payload::FunctionCall {
                id: call_ids.then_some(&call.id),
                name: function_name(&call.name),
                args: arguments::object(&call.arguments),
            },
            thought_signature: if missing { Some(UNSIGNED) } else { signature },
        });
    }
    parts
}

fn given_back(result: &ToolResult, call_ids: bool) -> Part<'_> {
    let key = if result.failed { "error" } else { "output" };
    Payload::FunctionResponse {
        id: call_ids.then_some(&result.call),
        name: function_name(&result.name),
        response: json!({ key: result.content }),
    }
    .into()
}

fn offered(tool: &ToolSpec) -> Function<'_> {
    // A function without parameters leaves the schema out.
    let has_parameters = tool
        .parameters
        .get("properties")
        .and_then(Value::as_object)
        .is_none_or(|properties| !properties.is_empty());
    Function {
        name: function_name(&tool.name),
        description: &tool.description,
        parameters_json_schema: has_parameters.then_some(&tool.parameters),
    }
}

/// A tool's name as the format allows it: a letter or `_` comes first.
pub(super) fn function_name(name: &str) -> Cow<'_, str> {
    let wire = wire_name(name);
    if wire.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        return wire;
    }
    // What is cut off of a name of full length is at its beginning: a hash that keeps it unique is at the end.
    let room = LONGEST_NAME - 1;
    Cow::Owned(format!("_{}", &wire[wire.len().saturating_sub(room)..]))
}

/// A thought signature as a call keeps it.
pub(super) fn seal(signature: &str) -> String {
    format!("{SEAL}{signature}")
}

/// Whether the model refuses calls without a thought signature: Gemini 3 and what comes after it.
fn wants_signatures(model: &str) -> bool {
    series(model) >= Some(3)
}

/// The 3 of `gemini-3-pro-preview`.
fn series(model: &str) -> Option<u32> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let digits = name.strip_prefix("gemini-")?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Gemini 3 is told a level; the series before it a number of tokens, which Google equates to these levels.
///
/// Source: Gemini API, "Thinking" and "OpenAI compatibility".
fn thinking(effort: Effort, model: &str) -> Value {
    if series(model).is_some_and(|series| series < 3) {
        let budget = match effort {
            Effort::Low => 1024,
            Effort::Medium => 8192,
            Effort::High => 24_576,
        };
        return json!({ "thinkingBudget": budget });
    }
    json!({ "thinkingLevel": effort.as_str().to_ascii_uppercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_a_letter_and_stay_apart() {
        assert_eq!(function_name("place_order"), "place_order");
        assert_eq!(function_name("2nd"), "_2nd");
        assert_eq!(function_name("-x"), "_-x");
        let long = |first: char| format!("{first}{}", "é".repeat(80));
        let (one, two) = (long('1'), long('2'));
        let (one, two) = (function_name(&one), function_name(&two));
        assert!(one.len() <= LONGEST_NAME && one.starts_with('_') && one != two);
    }

    #[test]
    fn the_series_is_read_out_of_the_models_name() {
        for (model, series_of) in [
            ("gemini-3-pro-preview", Some(3)),
            ("gemini-3.1-flash", Some(3)),
            ("gemini-2.5-flash", Some(2)),
            ("tunedModels/mine", None),
            ("gemini-flash-latest", None),
        ] {
            assert_eq!(series(model), series_of, "{model}");
        }
    }
}
