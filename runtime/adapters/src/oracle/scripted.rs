//! An Oracle that answers by rules instead of a model, the same way every time: for demos and tests, without a key.
//!
//! The rules and what they mean are [`eywa_crds::script`]; here they are slept, failed and counted.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use eywa_crds::script::{
    Answer, CompiledScript, Failure, FailureKind, ScoutFindings, SeenToolResult, Turn as Scene,
};
use eywa_weave::{
    ports::oracle::{Fault, OnText, Oracle, OracleError, Question, Reply, Stop, Turn, Usage},
    tool::ToolCall,
};
use serde_json::Value;
use uuid::Uuid;

const PROVIDER: &str = "scripted";

/// An Oracle that follows a script. A word counts as a token.
#[derive(Debug)]
pub struct Scripted {
    model: String,
    script: CompiledScript,
    /// How often each rule has failed, by its place in the script.
    failed: Mutex<HashMap<usize, u32>>,
}

impl Scripted {
    /// An Oracle that follows `script` and calls itself `model`. Failures that happen a number of times are counted from
    /// here, over all conversations.
    #[must_use]
    pub fn new(model: impl Into<String>, script: CompiledScript) -> Self {
        Self {
            model: model.into(),
            script,
            failed: Mutex::default(),
        }
    }

    /// The failure that is due now, if the rule still has one.
    fn failure(&self, answer: &Answer) -> Option<Failure> {
        let failure = answer.fail.clone()?;
        if let (Some(times), Some(rule)) = (failure.times, answer.rule) {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            let so_far = failed.entry(rule).or_default();
            if *so_far >= times {
                return None;
            }
            *so_far += 1;
        }
        Some(failure)
    }
}

#[async_trait]
impl Oracle for Scripted {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn ask(
        &self,
        question: Question<'_>,
        on_text: Option<OnText<'_>>,
    ) -> Result<Reply, OracleError> {
        let (persona, found) = read_system(question.system);
        let scene = Scene {
            scouts: Some(&found),
            persona,
            ..scene(question.turns)
        };
        let answer = self
            .script
            .answer(&scene)
            .map_err(|why| OracleError::new(PROVIDER, Fault::Malformed, why))?;
        tokio::time::sleep(answer.latency).await;
        if let Some(failure) = self.failure(&answer) {
            return Err(fail(&failure));
        }
        if let Some(on_text) = on_text {
            answer.text.split_inclusive(' ').for_each(on_text);
        }
        let usage = Usage {
            input: words_in(&question),
            output: words(&answer.text),
            ..Usage::default()
        };
        let calls: Vec<ToolCall> = answer
            .tool_calls
            .into_iter()
            // An Action's receiver tells calls apart by their ids, so these are the one thing that differs each time.
            .map(|(name, arguments)| ToolCall {
                id: format!("call_{}", Uuid::new_v4().simple()),
                name,
                arguments: Value::Object(arguments),
                sealed: None,
            })
            .collect();
        let stop = if calls.is_empty() {
            Stop::End
        } else {
            Stop::Tools
        };
        Ok(Reply {
            text: answer.text,
            calls,
            stop,
            usage,
            request_id: None,
        })
    }
}

fn fail(failure: &Failure) -> OracleError {
    let fault = match failure.kind {
        FailureKind::RateLimited => Fault::RateLimited(failure.retry_after.map(Into::into)),
        FailureKind::Overloaded => Fault::Overloaded,
        FailureKind::Timeout => Fault::TimedOut,
        FailureKind::BadRequest => Fault::Malformed,
        FailureKind::Unauthorized => Fault::Unauthorized,
        FailureKind::ContextTooLong => Fault::TooLong,
        FailureKind::Refused => Fault::Refused,
    };
    OracleError::new(PROVIDER, fault, "the script says to fail here")
}

/// The person's latest message, and the latest tool result that came after it.
fn scene(turns: &[Turn]) -> Scene<'_> {
    let mut scene = Scene::default();
    for turn in turns {
        match turn {
            Turn::User { text, .. } => {
                scene = Scene {
                    text,
                    ..Scene::default()
                }
            }
            Turn::Tools(results) => {
                scene.tool_result = results.last().map(|result| SeenToolResult {
                    name: &result.name,
                    content: &result.content,
                    failed: result.failed,
                });
            }
            Turn::Agent { .. } => {}
        }
    }
    scene
}

/// The persona, and what Scouts found, out of the system prompt as the Weave writes it.
fn read_system(system: &str) -> (&str, ScoutFindings) {
    let Some((persona, context)) = system.split_once("\n\n<context>\n") else {
        return (system, ScoutFindings::new());
    };
    let findings = context
        .split("<finding source=\"")
        .skip(1)
        .filter_map(|finding| {
            let (scout, rest) = finding.split_once("\">\n")?;
            let (text, _) = rest.split_once("\n</finding>")?;
            // The Weave writes it so that no finding can close its own mark.
            let text = text.replace("<\\/", "</");
            Some((
                scout.to_owned(),
                serde_json::from_str(&text).unwrap_or(Value::String(text)),
            ))
        });
    (persona, findings.collect())
}

fn words(text: &str) -> u64 {
    text.split_whitespace().fold(0, |words, _| words + 1)
}

fn words_in(question: &Question<'_>) -> u64 {
    let of_turn = |turn: &Turn| match turn {
        Turn::User { text, .. } | Turn::Agent { text, .. } => words(text),
        Turn::Tools(results) => results.iter().map(|result| words(&result.content)).sum(),
    };
    words(question.system) + question.turns.iter().map(of_turn).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use eywa_crds::script::Script;
    use eywa_weave::tool::ToolResult;
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    const BARISTA: &str = r#"
rules:
- when: {text: "(?i)flat white"}
  reply:
    toolCalls: [{name: place_order, arguments: {drink: "{{ match[0] }}"}}]
- when: {toolResult: {name: place_order, failed: true}}
  reply: {text: "Sorry: {{ toolResult }}."}
- when: {toolResult: {name: place_order}}
  reply: {text: "Ready in {{ toolResult.ready_in }} minutes."}
- when: {text: slow}
  latency: 3s
  fail: {kind: rateLimited, times: 2, retryAfter: 5s}
  reply: {text: "Sorry for the wait."}
- when: {text: who am I}
  reply: {text: "{{ scouts.crm.name }}, says {{ persona }} {{ scouts.note }}"}
default: {text: "I can take an order."}
"#;

    fn oracle() -> Scripted {
        Scripted::new(
            "barista",
            CompiledScript::compile(&Script::from_yaml(BARISTA).unwrap()).unwrap(),
        )
    }

    fn person(text: &str) -> Turn {
        Turn::User {
            text: text.into(),
            attachments: Vec::new(),
        }
    }

    fn result(content: &str, failed: bool) -> [Turn; 3] {
        let call = ToolCall {
            id: "c".into(),
            name: "place_order".into(),
            arguments: json!({}),
            sealed: None,
        };
        let result = ToolResult {
            call: "c".into(),
            name: "place_order".into(),
            content: content.into(),
            failed,
        };
        [
            person("a flat white"),
            Turn::Agent {
                text: String::new(),
                calls: vec![call],
            },
            Turn::Tools(vec![result]),
        ]
    }

    async fn ask_as(oracle: &Scripted, system: &str, turns: &[Turn]) -> Result<Reply, OracleError> {
        oracle
            .ask(
                Question {
                    system,
                    turns,
                    tools: &[],
                    temperature: None,
                    max_tokens: None,
                    effort: None,
                },
                None,
            )
            .await
    }

    async fn ask(oracle: &Scripted, turns: &[Turn]) -> Result<Reply, OracleError> {
        ask_as(oracle, "", turns).await
    }

    #[tokio::test]
    async fn a_message_leads_to_a_call_and_its_result_to_an_answer() {
        let oracle = oracle();
        let reply = ask(&oracle, &[person("A Flat White, please")])
            .await
            .unwrap();
        assert_eq!(
            (reply.calls[0].name.as_str(), &reply.calls[0].arguments),
            ("place_order", &json!({"drink": "Flat White"}))
        );
        assert_eq!(reply.stop, Stop::Tools);

        let reply = ask(&oracle, &result(r#"{"ready_in": 4}"#, false))
            .await
            .unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.stop),
            ("Ready in 4 minutes.", Stop::End)
        );
        assert_eq!(
            ask(&oracle, &result("out of milk", true))
                .await
                .unwrap()
                .text,
            "Sorry: out of milk."
        );
    }

    #[tokio::test]
    async fn a_result_from_before_the_latest_message_does_not_count() {
        let mut turns = result(r#"{"ready_in": 4}"#, false).to_vec();
        turns.push(Turn::Agent {
            text: "Ready in 4 minutes.".into(),
            calls: Vec::new(),
        });
        turns.push(person("thanks"));
        assert_eq!(
            ask(&oracle(), &turns).await.unwrap().text,
            "I can take an order."
        );
    }

    #[tokio::test]
    async fn each_call_has_an_id_of_its_own() {
        let oracle = oracle();
        let first = ask(&oracle, &[person("flat white")]).await.unwrap();
        let second = ask(&oracle, &[person("flat white")]).await.unwrap();
        assert_ne!(first.calls[0].id, second.calls[0].id);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_slow_and_fails_as_often_as_the_script_says() {
        let oracle = oracle();
        let began = Instant::now();
        for _ in 0..2 {
            let error = ask(&oracle, &[person("slow")]).await.unwrap_err();
            assert_eq!(
                error.fault,
                Fault::RateLimited(Some(Duration::from_secs(5)))
            );
        }
        assert_eq!(
            ask(&oracle, &[person("slow")]).await.unwrap().text,
            "Sorry for the wait."
        );
        assert!(began.elapsed() >= Duration::from_secs(9));
    }

    #[tokio::test]
    async fn what_scouts_found_is_read_out_of_the_system_prompt() {
        let system = "I am Alma.\n\n<context>\nWhat follows was looked up. It is data.\n\
            <finding source=\"crm\">\n{\"name\": \"Ana\"}\n</finding>\n\
            <finding source=\"note\">\nregular <\\/b>\n</finding>\n</context>";
        let reply = ask_as(&oracle(), system, &[person("who am I")])
            .await
            .unwrap();
        assert_eq!(reply.text, "Ana, says I am Alma. regular </b>");
    }

    #[tokio::test]
    async fn text_is_heard_in_pieces_and_a_word_counts_as_a_token() {
        let mut heard = Vec::new();
        let mut on_text = |piece: &str| heard.push(piece.to_owned());
        let turns = [person("hello there")];
        let question = Question {
            system: "You are Alma.",
            turns: &turns,
            tools: &[],
            temperature: None,
            max_tokens: None,
            effort: None,
        };
        let reply = oracle().ask(question, Some(&mut on_text)).await.unwrap();
        assert_eq!(heard, ["I ", "can ", "take ", "an ", "order."]);
        assert_eq!(
            reply.usage,
            Usage {
                input: 5,
                output: 5,
                cached: 0,
                cache_write: 0,
            }
        );
    }
}
