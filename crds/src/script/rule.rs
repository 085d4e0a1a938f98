//! Compiling a script's rules: their regular expressions and templates.

use std::collections::BTreeMap;

use minijinja::Environment;
use regex::Regex;
use serde_json::Value;

use super::{
    Reply, ScriptRule, ScriptedCall,
    answer::{SeenToolResult, Turn},
};

/// What is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ScriptProblem {
    /// Where in the script, such as `rules[2].when.text`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

#[derive(Debug)]
pub(super) struct CompiledRule {
    text: Option<Regex>,
    tool_result: Option<CompiledMatch>,
    pub(super) rule: ScriptRule,
}

#[derive(Debug)]
struct CompiledMatch {
    name: Option<Regex>,
    matches: Option<Regex>,
    failed: Option<bool>,
}

impl CompiledRule {
    pub(super) fn compile(
        rule: &ScriptRule,
        path: &str,
        environment: &Environment<'static>,
        problems: &mut Vec<ScriptProblem>,
    ) -> Self {
        let mut expression = |pattern: Option<&String>, field: &str, whole: bool| {
            let pattern = pattern?;
            let source = if whole {
                format!("^(?:{pattern})$")
            } else {
                pattern.clone()
            };
            match Regex::new(&source) {
                Ok(regex) => Some(regex),
                Err(error) => {
                    problems.push(ScriptProblem {
                        path: format!("{path}.when.{field}"),
                        reason: format!("{pattern:?} is not a regular expression: {error}"),
                    });
                    None
                }
            }
        };
        let text = expression(rule.when.text.as_ref(), "text", false);
        let tool_result = rule.when.tool_result.as_ref().map(|wanted| CompiledMatch {
            name: expression(wanted.name.as_ref(), "toolResult.name", true),
            matches: expression(wanted.matches.as_ref(), "toolResult.matches", false),
            failed: wanted.failed,
        });
        match &rule.reply {
            Some(reply) => check_reply(reply, &format!("{path}.reply"), environment, problems),
            None if rule.fail.as_ref().is_none_or(|fail| fail.times.is_some()) => {
                problems.push(ScriptProblem {
                    path: path.to_owned(),
                    reason: "a rule needs a reply, unless it always fails".to_owned(),
                });
            }
            None => {}
        }
        Self {
            text,
            tool_result,
            rule: rule.clone(),
        }
    }

    /// What `when.text` found, by number and by name, if the rule holds.
    pub(super) fn holds(&self, turn: &Turn<'_>) -> Option<BTreeMap<String, String>> {
        match (&self.tool_result, &turn.tool_result) {
            (None, None) => {}
            (Some(wanted), Some(result)) if wanted.fits(result) => {}
            _ => return None,
        }
        let Some(regex) = &self.text else {
            return Some(BTreeMap::new());
        };
        let captures = regex.captures(turn.text)?;
        let names = regex.capture_names().enumerate().flat_map(|(index, name)| {
            let found = captures.get(index).map_or("", |found| found.as_str());
            [Some(index.to_string()), name.map(str::to_owned)]
                .into_iter()
                .flatten()
                .map(move |name| (name, found.to_owned()))
        });
        Some(names.collect())
    }
}

impl CompiledMatch {
    fn fits(&self, result: &SeenToolResult<'_>) -> bool {
        self.name
            .as_ref()
            .is_none_or(|name| name.is_match(result.name))
            && self
                .matches
                .as_ref()
                .is_none_or(|matches| matches.is_match(result.content))
            && self.failed.is_none_or(|failed| failed == result.failed)
    }
}

pub(super) fn check_reply(
    reply: &Reply,
    path: &str,
    environment: &Environment<'static>,
    problems: &mut Vec<ScriptProblem>,
) {
    if reply.text.is_none() && reply.tool_calls.is_empty() {
        problems.push(ScriptProblem {
            path: path.to_owned(),
            reason: "a reply needs text, toolCalls, or both".to_owned(),
        });
    }
    if let Some(text) = &reply.text {
        check_template(text, &format!("{path}.text"), environment, problems);
    }
    for (index, ScriptedCall { arguments, .. }) in reply.tool_calls.iter().enumerate() {
        for (name, value) in arguments {
            check_argument(
                value,
                &format!("{path}.toolCalls[{index}].arguments.{name}"),
                environment,
                problems,
            );
        }
    }
}

fn check_argument(
    value: &Value,
    path: &str,
    environment: &Environment<'static>,
    problems: &mut Vec<ScriptProblem>,
) {
    match value {
        Value::String(template) => check_template(template, path, environment, problems),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_argument(item, &format!("{path}[{index}]"), environment, problems);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                check_argument(field, &format!("{path}.{name}"), environment, problems);
            }
        }
        _ => {}
    }
}

fn check_template(
    template: &str,
    path: &str,
    environment: &Environment<'static>,
    problems: &mut Vec<ScriptProblem>,
) {
    if let Err(error) = environment.template_from_named_str("template", template) {
        problems.push(ScriptProblem {
            path: path.to_owned(),
            reason: format!("it is not a template: {error}"),
        });
    }
}
