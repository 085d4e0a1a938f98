//! What went wrong, for the log: without the key, and without the conversation.

use std::collections::HashSet;

use eywa_weave::ports::oracle::{Fault, Question, Turn};

use super::Told;

/// The most that is kept of what the server said.
const LONGEST_MESSAGE: usize = 300;

/// The longest code of a provider that is passed on.
const LONGEST_LABEL: usize = 64;

/// As many words in a row, found in the conversation and in the server's message, are a quote.
const QUOTE: usize = 5;

/// A whole text of fewer words is a quote from this many bytes on; what is shorter is found in any sentence.
const SHORTEST_QUOTE: usize = 4;

/// What went wrong, in the server's words where they give nothing away: not with the key's (they show part of it), and
/// not when they quote the conversation.
pub(super) fn explain(what: &str, fault: Fault, told: &Told, question: &Question<'_>) -> String {
    let mut text = told.what.as_deref().unwrap_or(what).to_owned();
    for (name, value) in &told.labels {
        if !value.is_empty() && value.len() <= LONGEST_LABEL {
            text.push_str(&format!(", {name} {value}"));
        }
    }
    let telling = !told.message.is_empty()
        && fault != Fault::Unauthorized
        && !quotes(&told.message, question);
    if telling {
        text.push_str(": ");
        text.extend(told.message.chars().take(LONGEST_MESSAGE));
    }
    text
}

/// Whether a message holds some of the conversation.
fn quotes(message: &str, question: &Question<'_>) -> bool {
    let message_words: Vec<&str> = message.split_whitespace().collect();
    let runs: HashSet<&[&str]> = message_words.windows(QUOTE).collect();
    let quoted = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() < QUOTE {
            let text = text.trim();
            text.len() >= SHORTEST_QUOTE && message.contains(text)
        } else {
            words.windows(QUOTE).any(|run| runs.contains(run))
        }
    };
    quoted(question.system)
        || question.turns.iter().any(|turn| match turn {
            Turn::User { text, .. } => quoted(text),
            Turn::Agent { text, calls } => {
                quoted(text) || calls.iter().any(|call| quoted(&call.arguments.to_string()))
            }
            Turn::Tools(results) => results.iter().any(|result| quoted(&result.content)),
        })
}
