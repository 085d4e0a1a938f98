//! From Echoes to the turns that an Oracle is shown.
//!
//! Providers refuse a conversation whose calls and results do not match, and go on refusing it for as long as it is in
//! the history. So whatever a crash, a cancel or the window's edge has left of one, what comes out here is whole.

use crate::{
    echo::{Echo, EchoBody},
    ports::oracle::Turn,
    pulse::Attachment,
    tool::{ToolCall, ToolResult},
};

/// A conversation as an Oracle may be shown it: it begins with the person, no side has two turns in a row, and every
/// call is followed at once by its result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turns(Vec<Turn>);

const INTERRUPTED: &str = "The call was interrupted; it is not known whether it took effect.";

impl Turns {
    /// The turns of these Echoes, oldest first.
    #[must_use]
    pub fn of(echoes: &[Echo]) -> Self {
        let mut turns = Self::default();
        for echo in echoes {
            match &echo.body {
                EchoBody::User { text, attachments } => turns.user(text, attachments),
                EchoBody::Agent { text, calls, .. } => turns.agent(text, calls),
                EchoBody::Tools { results } => turns.tools(results),
                EchoBody::Human { by, text } => turns.agent(&format!("[{by}, a human colleague, wrote:] {text}"), &[]),
                EchoBody::TookOver { by } => turns.mark(&format!("{} has taken over this conversation", colleague(by))),
                EchoBody::GaveBack { by } => turns.mark(&format!(
                    "{} has given this conversation back; you are in charge of it again and answer from here on",
                    colleague(by)
                )),
            }
        }
        turns.close();
        turns
    }

    /// The turns, oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Turn] {
        &self.0
    }

    /// The person's turn.
    pub fn user(&mut self, text: &str, attachments: &[Attachment]) {
        self.close();
        if let Some(Turn::User {
            text: before,
            attachments: files,
        }) = self.0.last_mut()
        {
            if !before.is_empty() && !text.is_empty() {
                before.push('\n');
            }
            before.push_str(text);
            files.extend_from_slice(attachments);
        } else {
            self.0.push(Turn::User {
                text: text.to_owned(),
                attachments: attachments.to_vec(),
            });
        }
    }

    /// The Spirit's turn.
    pub fn agent(&mut self, text: &str, calls: &[ToolCall]) {
        self.close();
        match self.0.last_mut() {
            // What the window's edge has cut from its question cannot be shown.
            None => {}
            Some(Turn::Agent {
                text: before,
                calls: made,
            }) => {
                if !before.is_empty() && !text.is_empty() {
                    before.push('\n');
                }
                before.push_str(text);
                made.extend_from_slice(calls);
            }
            Some(_) if text.is_empty() && calls.is_empty() => {}
            Some(_) => self.0.push(Turn::Agent {
                text: text.to_owned(),
                calls: calls.to_vec(),
            }),
        }
    }

    /// What the tools gave back. Results that nobody asked for are dropped; calls without one get one.
    pub fn tools(&mut self, results: &[ToolResult]) {
        let Some(Turn::Agent { calls, .. }) = self.0.last() else {
            return;
        };
        if calls.is_empty() {
            return;
        }
        let answered = calls
            .iter()
            .map(|call| {
                results
                    .iter()
                    .find(|result| result.call == call.id)
                    .cloned()
                    .unwrap_or_else(|| interrupted(call))
            })
            .collect();
        self.0.push(Turn::Tools(answered));
    }

    /// Drops the oldest turns, at least half, so that a conversation which is too long for a model fits. What remains
    /// is whole again. `false` when there is nothing that could be dropped.
    pub fn shorten(&mut self) -> bool {
        let half = self.0.len().div_ceil(2);
        let next_question = |from| {
            self.0
                .iter()
                .skip(from)
                .position(|turn| matches!(turn, Turn::User { .. }))
                .map(|at| at + from)
        };
        let Some(cut) = next_question(half).or_else(|| next_question(1)) else {
            return false;
        };
        self.0.drain(..cut);
        true
    }

    /// A note in between, which the Oracle must know and nobody said.
    fn mark(&mut self, note: &str) {
        self.user(&format!("[Note: {note}.]"), &[]);
    }

    /// Gives every open call a result.
    fn close(&mut self) {
        if matches!(self.0.last(), Some(Turn::Agent { calls, .. }) if !calls.is_empty()) {
            self.tools(&[]);
        }
    }
}

fn interrupted(call: &ToolCall) -> ToolResult {
    ToolResult {
        call: call.id.clone(),
        name: call.name.clone(),
        content: INTERRUPTED.to_owned(),
        failed: true,
    }
}

fn colleague(by: &str) -> String {
    if by.is_empty() {
        "A human colleague".to_owned()
    } else {
        format!("{by}, a human colleague,")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn echo(body: EchoBody) -> Echo {
        Echo {
            id: "wa/1".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            pulse: None,
            body,
        }
    }

    fn user(text: &str) -> Echo {
        echo(EchoBody::User {
            text: text.into(),
            attachments: Vec::new(),
        })
    }

    fn agent(text: &str, calls: &[&str]) -> Echo {
        let call = |id: &&str| ToolCall {
            id: (*id).into(),
            name: "t".into(),
            arguments: json!({}),
        };
        echo(EchoBody::Agent {
            spirit: "barista".into(),
            text: text.into(),
            calls: calls.iter().map(call).collect(),
        })
    }

    fn tools(calls: &[&str]) -> Echo {
        let result = |id: &&str| ToolResult {
            call: (*id).into(),
            name: "t".into(),
            content: "done".into(),
            failed: false,
        };
        echo(EchoBody::Tools {
            results: calls.iter().map(result).collect(),
        })
    }

    /// What providers demand of a conversation.
    fn is_whole(turns: &[Turn]) -> bool {
        let mut open: Option<Vec<&str>> = None;
        let mut before: Option<&Turn> = None;
        for turn in turns {
            let follows = match (before, turn) {
                (None, Turn::User { .. }) => true,
                (None, _) => false,
                (Some(Turn::User { .. }), Turn::Agent { .. }) => true,
                (Some(Turn::Agent { calls, .. }), Turn::User { .. }) => calls.is_empty(),
                (Some(Turn::Agent { calls, .. }), Turn::Tools(_)) => !calls.is_empty(),
                (Some(Turn::Tools(_)), Turn::Agent { .. } | Turn::User { .. }) => true,
                _ => false,
            };
            let answered = match (&open, turn) {
                (Some(open), Turn::Tools(results)) => {
                    *open
                        == results
                            .iter()
                            .map(|result| result.call.as_str())
                            .collect::<Vec<_>>()
                }
                (Some(_), _) => false,
                (None, _) => true,
            };
            if !follows || !answered {
                return false;
            }
            open = match turn {
                Turn::Agent { calls, .. } if !calls.is_empty() => {
                    Some(calls.iter().map(|call| call.id.as_str()).collect())
                }
                _ => None,
            };
            before = Some(turn);
        }
        open.is_none()
    }

    #[test]
    fn a_call_that_a_crash_left_open_gets_a_result_that_says_so() {
        let turns = Turns::of(&[user("hi"), agent("", &["a", "b"]), user("still there?")]);
        assert!(is_whole(turns.as_slice()), "{turns:?}");
        let Turn::Tools(results) = &turns.as_slice()[2] else {
            panic!("{turns:?}")
        };
        assert!(
            results
                .iter()
                .all(|result| result.failed && result.content.contains("interrupted"))
        );
    }

    #[test]
    fn a_window_that_begins_in_the_middle_of_a_round_drops_the_half_it_shows() {
        let turns = Turns::of(&[tools(&["a"]), agent("Done.", &[]), user("thanks")]);
        assert_eq!(turns.as_slice(), Turns::of(&[user("thanks")]).as_slice());
    }

    #[test]
    fn after_a_human_has_left_the_conversation_says_that_the_spirit_is_back_in_charge() {
        let turns = Turns::of(&[
            user("I want a person"),
            echo(EchoBody::TookOver { by: "ana".into() }),
            echo(EchoBody::Human {
                by: "ana".into(),
                text: "Ana here.".into(),
            }),
            echo(EchoBody::GaveBack { by: "ana".into() }),
            user("are you there?"),
        ]);
        assert!(is_whole(turns.as_slice()), "{turns:?}");
        let Some(Turn::User { text, .. }) = turns.as_slice().last() else {
            panic!("{turns:?}")
        };
        assert!(
            text.contains("you are in charge of it again") && text.ends_with("are you there?"),
            "{text}"
        );
    }

    fn any_echo() -> impl Strategy<Value = Echo> {
        let ids = proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3);
        prop_oneof![
            "[a-z]{0,3}".prop_map(|text| user(&text)),
            ("[a-z]{0,3}", ids.clone()).prop_map(|(text, calls)| agent(&text, &calls)),
            ids.prop_map(|calls| tools(&calls)),
            Just(echo(EchoBody::TookOver { by: "ana".into() })),
            Just(echo(EchoBody::GaveBack { by: String::new() })),
            "[a-z]{1,3}".prop_map(|text| echo(EchoBody::Human {
                by: "ana".into(),
                text
            })),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_store_holds_what_an_oracle_is_shown_is_whole(
            echoes in proptest::collection::vec(any_echo(), 0..20),
            shortenings in 0..4,
        ) {
            let mut turns = Turns::of(&echoes);
            turns.user("and now?", &[]);
            prop_assert!(is_whole(turns.as_slice()), "{turns:?}");
            for _ in 0..shortenings {
                let before = turns.as_slice().len();
                if turns.shorten() {
                    prop_assert!(turns.as_slice().len() < before);
                }
                prop_assert!(is_whole(turns.as_slice()), "{turns:?}");
            }
        }
    }
}
