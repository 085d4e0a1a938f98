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
