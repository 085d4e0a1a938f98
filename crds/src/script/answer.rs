//! Running a script: which rule answers a turn, and with what.

use std::{collections::BTreeMap, time::Duration};

use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde_json::{Map, Value, json};

use super::{
    Failure, Reply, ScoutFindings, Script,
    rule::{CompiledRule, ScriptProblem, check_reply},
};

/// How much work one template may do.
const FUEL: u64 = 100_000;

/// What is said when no rule holds and the script has no `default`.
const NOTHING_FITS: &str = "My script has no answer to that.";

/// What a script is asked to answer.
#[derive(Clone, Debug, Default)]
pub struct Turn<'a> {
    /// The person's latest message.
    pub text: &'a str,
    /// The latest tool result, if one came after that message.
    pub tool_result: Option<SeenToolResult<'a>>,
    /// The system prompt.
    pub persona: &'a str,
    /// What Scouts found.
    pub scouts: Option<&'a ScoutFindings>,
}

/// A tool's result, as the script sees it.
#[derive(Clone, Copy, Debug)]
pub struct SeenToolResult<'a> {
    /// Name of the tool.
    pub name: &'a str,
    /// What it answered.
    pub content: &'a str,
    /// Whether the call failed.
    pub failed: bool,
}

/// What the script does with a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The rule that held, by its place in the script; none when nothing fit.
    pub rule: Option<usize>,
    /// How long to take.
    pub latency: Duration,
    /// How to fail instead of answering, as often as it says.
    pub fail: Option<Failure>,
    /// What to say; empty for nothing.
    pub text: String,
    /// The tools to call, with their arguments.
    pub tool_calls: Vec<(String, Map<String, Value>)>,
}

/// A script whose expressions and templates are compiled.
#[derive(Debug)]
pub struct CompiledScript {
    rules: Vec<CompiledRule>,
    default: Reply,
    environment: Environment<'static>,
}

impl CompiledScript {
    /// Compiles a script.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(script: &Script) -> Result<Self, Vec<ScriptProblem>> {
        let mut problems = Vec::new();
        let environment = environment();
        let rules = script
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| {
                CompiledRule::compile(
                    rule,
                    &format!("rules[{index}]"),
                    &environment,
                    &mut problems,
                )
            })
            .collect();
        if let Some(default) = &script.default {
            check_reply(default, "default", &environment, &mut problems);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let default = script.default.clone().unwrap_or_else(|| Reply {
            text: Some(NOTHING_FITS.to_owned()),
            tool_calls: Vec::new(),
        });
        Ok(Self {
            rules,
            default,
            environment,
        })
    }

    /// What the script does with a turn. The same turn always gets the same answer; counting `fail.times` by
    /// [`Answer::rule`] is the caller's.
    ///
    /// # Errors
    /// When a template cannot be filled in, in words.
    pub fn answer(&self, turn: &Turn<'_>) -> Result<Answer, String> {
        let held = self.rules.iter().enumerate().find_map(|(index, rule)| {
            rule.holds(turn)
                .map(|captures| (index, &rule.rule, captures))
        });
        let Some((index, rule, captures)) = held else {
            return self.answer_without_a_rule(turn);
        };
        let (text, tool_calls) = match &rule.reply {
            Some(reply) => self.reply(reply, turn, &captures)?,
            None => (String::new(), Vec::new()),
        };
        Ok(Answer {
            rule: Some(index),
            latency: rule.latency.map(Duration::from).unwrap_or_default(),
            fail: rule.fail.clone(),
            text,
            tool_calls,
        })
    }

    fn answer_without_a_rule(&self, turn: &Turn<'_>) -> Result<Answer, String> {
        let (text, tool_calls) = match &turn.tool_result {
            // Falling back to `default` here could call the tool again, without end.
            Some(result) => (result.content.to_owned(), Vec::new()),
            None => self.reply(&self.default, turn, &BTreeMap::new())?,
        };
        Ok(Answer {
            rule: None,
            latency: Duration::ZERO,
            fail: None,
            text,
            tool_calls,
        })
    }

    fn reply(
        &self,
        reply: &Reply,
        turn: &Turn<'_>,
        captures: &BTreeMap<String, String>,
    ) -> Result<(String, Vec<ToolCall>), String> {
        let facts = facts(turn, captures);
        let text = match &reply.text {
            Some(template) => self.render(template, &facts)?,
            None => String::new(),
        };
        let calls = reply
            .tool_calls
            .iter()
            .map(|call| {
                let mut arguments = Map::new();
                for (name, value) in &call.arguments {
                    arguments.insert(name.clone(), self.fill(value, &facts)?);
                }
                Ok((call.name.clone(), arguments))
            })
            .collect::<Result<_, String>>()?;
        Ok((text, calls))
    }

    fn render(&self, template: &str, facts: &Value) -> Result<String, String> {
        self.environment
            .render_str(template, Serde(facts))
            .map_err(|error| error.to_string())
    }

    /// Fills in every text of an argument; a text that is one expression keeps the expression's type.
    fn fill(&self, value: &Value, facts: &Value) -> Result<Value, String> {
        match value {
            Value::String(template) => match single_expression(template) {
                Some(expression) => {
                    let value = self
                        .environment
                        .compile_expression(expression)
                        .and_then(|expression| expression.eval(Serde(facts)))
                        .map_err(|error| error.to_string())?;
                    serde_json::to_value(&value).map_err(|error| error.to_string())
                }
                None => self.render(template, facts).map(Value::String),
            },
            Value::Array(items) => items.iter().map(|item| self.fill(item, facts)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, field)| Ok((name.clone(), self.fill(field, facts)?)))
                .collect::<Result<Map<_, _>, String>>()
                .map(Value::Object),
            other => Ok(other.clone()),
        }
    }
}

/// A tool to call, with its arguments.
type ToolCall = (String, Map<String, Value>);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment
}

/// The expression of a text that is `{{ expression }}` and nothing else.
fn single_expression(template: &str) -> Option<&str> {
    let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

fn facts(turn: &Turn<'_>, captures: &BTreeMap<String, String>) -> Value {
    let numbered: Vec<&String> = (0..)
        .map_while(|index: usize| captures.get(&index.to_string()))
        .collect();
    let named: Map<String, Value> = captures
        .iter()
        .filter(|(name, _)| !name.starts_with(|first: char| first.is_ascii_digit()))
        .map(|(name, found)| (name.clone(), json!(found)))
        .collect();
    let mut facts = json!({
        "text": turn.text,
        "match": numbered,
        "named": named,
        "persona": turn.persona,
        "scouts": turn.scouts.cloned().unwrap_or_default(),
    });
    if let Some(result) = &turn.tool_result {
        facts["toolResult"] =
            serde_json::from_str(result.content).unwrap_or_else(|_| json!(result.content));
        facts["toolFailed"] = json!(result.failed);
        facts["toolName"] = json!(result.name);
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(yaml: &str) -> CompiledScript {
        CompiledScript::compile(&Script::from_yaml(yaml).unwrap()).unwrap()
    }

    fn turn(text: &str) -> Turn<'_> {
        Turn {
            text,
            ..Turn::default()
        }
    }

    fn with_result<'a>(text: &'a str, name: &'a str, content: &'a str) -> Turn<'a> {
        Turn {
            tool_result: Some(SeenToolResult {
                name,
                content,
                failed: false,
            }),
            ..turn(text)
        }
    }

    #[test]
    fn the_first_rule_that_holds_answers() {
        let script = script(
            "rules:\n- {when: {text: b}, reply: {text: one}}\n- {when: {text: a}, reply: {text: two}}\n- {reply: {text: three}}\n",
        );
        assert_eq!(script.answer(&turn("ab")).unwrap().text, "one");
        assert_eq!(script.answer(&turn("a")).unwrap().text, "two");
        assert_eq!(script.answer(&turn("c")).unwrap().rule, Some(2));
    }

    #[test]
    fn a_rule_that_calls_a_tool_does_not_call_it_again_with_the_result_in_hand() {
        let script =
            script("rules:\n- {when: {text: menu}, reply: {toolCalls: [{name: menu_list}]}}\n");
        assert_eq!(
            script.answer(&turn("menu")).unwrap().tool_calls[0].0,
            "menu_list"
        );
        let told = script
            .answer(&with_result("menu", "menu_list", "tea"))
            .unwrap();
        assert_eq!((told.text.as_str(), told.rule), ("tea", None));
    }

    #[test]
    fn a_tool_result_is_matched_by_the_whole_name_and_any_part_of_its_content() {
        let script = script(
            "rules:\n- when: {toolResult: {name: 'menu_.*', matches: tea}}\n  reply: {text: 'found {{ toolName }}'}\n",
        );
        assert_eq!(
            script
                .answer(&with_result("", "menu_list", "[\"tea\"]"))
                .unwrap()
                .text,
            "found menu_list"
        );
        assert_eq!(
            script
                .answer(&with_result("", "a_menu_list", "[\"tea\"]"))
                .unwrap()
                .rule,
            None
        );
        assert_eq!(
            script
                .answer(&with_result("", "menu_list", "[]"))
                .unwrap()
                .rule,
            None
        );
        assert_eq!(script.answer(&turn("")).unwrap().text, NOTHING_FITS);
    }

    #[test]
    fn templates_see_the_turn() {
        let scouts = ScoutFindings::from([("crm".to_owned(), json!({"name": "Ana"}))]);
        let script = script(
            "rules:\n- when: {text: '(?P<n>\\d+) (\\w+)'}\n  reply: {text: '{{ match[0] }}|{{ match[2] }}|{{ named.n }}|{{ scouts.crm.name }}|{{ scouts.none.name }}|{{ persona }}'}\n",
        );
        let turn = Turn {
            scouts: Some(&scouts),
            persona: "You are kind.",
            ..turn("order 2 teas")
        };
        assert_eq!(
            script.answer(&turn).unwrap().text,
            "2 teas|teas|2|Ana||You are kind."
        );
    }

    #[test]
    fn an_argument_that_is_one_expression_keeps_its_type() {
        let script = script(
            "rules:\n- when: {text: '(\\d+)'}\n  reply: {toolCalls: [{name: t, arguments: {n: '{{ match[1] | int }}', s: 'n={{ match[1] }}', deep: [{b: '{{ true }}'}], raw: 7}}]}\n",
        );
        let (_, arguments) = &script.answer(&turn("42")).unwrap().tool_calls[0];
        assert_eq!(
            json!(arguments),
            json!({"n": 42, "s": "n=42", "deep": [{"b": true}], "raw": 7})
        );
    }

    #[test]
    fn failures_and_latency_are_handed_on() {
        let script = script(
            "rules:\n- latency: 250ms\n  fail: {kind: rateLimited, times: 2, retryAfter: 1s}\n  reply: {text: ok}\n",
        );
        let answer = script.answer(&turn("x")).unwrap();
        assert_eq!(answer.latency, Duration::from_millis(250));
        assert_eq!(answer.fail.unwrap().times, Some(2));
        assert_eq!(answer.text, "ok");
    }

    #[test]
    fn everything_wrong_with_a_script_is_told_with_its_place() {
        let wrong = Script::from_yaml("rules:\n- when: {text: '(', toolResult: {matches: '['}}\n  reply: {text: '{{'}\n- {fail: {kind: timeout, times: 1}}\n- reply: {toolCalls: [{name: t, arguments: {a: ['{% if']}}]}\ndefault: {}\n").unwrap();
        let places: Vec<String> = CompiledScript::compile(&wrong)
            .unwrap_err()
            .into_iter()
            .map(|problem| problem.path)
            .collect();
        assert_eq!(
            places,
            [
                "rules[0].when.text",
                "rules[0].when.toolResult.matches",
                "rules[0].reply.text",
                "rules[1]",
                "rules[2].reply.toolCalls[0].arguments.a[0]",
                "default",
            ]
        );
    }

    #[test]
    fn an_unknown_field_of_a_script_is_refused() {
        assert!(Script::from_yaml("rules: [{whn: {text: a}, reply: {text: b}}]").is_err());
    }
}
