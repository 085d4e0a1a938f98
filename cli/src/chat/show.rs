//! An answer, as a person reads it.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _},
};

use eywa_runtime::http::Answer;

use super::talk::Piece;

/// The most characters of one argument list, result or finding that are shown.
const LONGEST: usize = 200;

/// Prints an answer while it is being made, where that can be: on a terminal.
pub(super) struct Telling<'a> {
    spirit: &'a str,
    terminal: bool,
    /// What stands on the terminal of the answer.
    told: String,
}

impl<'a> Telling<'a> {
    pub(super) fn of(spirit: &'a str) -> Self {
        Self {
            spirit,
            terminal: std::io::stdout().is_terminal(),
            told: String::new(),
        }
    }

    /// The next piece.
    pub(super) fn piece(&mut self, piece: Piece<'_>) {
        if !self.terminal {
            return;
        }
        match piece {
            Piece::Text(text) => {
                if self.told.is_empty() {
                    print!("{}: ", self.spirit);
                }
                print!("{text}");
                self.told.push_str(text);
            }
            Piece::Again => self.break_off(),
        }
        // A line that is not whole is not shown by itself.
        let _ = std::io::stdout().flush();
    }

    /// What came of the message: what the Scouts found, which tools were called, and what was said, as far as that does
    /// not stand there already.
    pub(super) fn end(mut self, answer: &Answer) {
        let stands = !self.told.is_empty() && answer.text.as_deref() == Some(self.told.trim());
        if stands {
            println!();
        } else {
            self.break_off();
        }
        print!("{}", render(self.spirit, answer, self.terminal, !stands));
    }

    /// What stands there is no part of the answer.
    pub(super) fn break_off(&mut self) {
        if !std::mem::take(&mut self.told).is_empty() {
            println!(" …");
        }
    }
}

fn render(spirit: &str, answer: &Answer, dim: bool, text_too: bool) -> String {
    let (on, off) = if dim {
        ("\x1b[2m", "\x1b[0m")
    } else {
        ("", "")
    };
    let mut shown = String::new();
    let detail = answer.detail.as_ref();
    for finding in detail.iter().flat_map(|detail| &detail.findings) {
        let _ = writeln!(
            shown,
            "{on}  scout {} found: {}{off}",
            finding.scout,
            short(&finding.text)
        );
    }
    for tool in detail.iter().flat_map(|detail| &detail.tools) {
        let (failed, arguments) = (
            if tool.failed { "failed: " } else { "" },
            short(&tool.arguments.to_string()),
        );
        let _ = writeln!(
            shown,
            "{on}  {}({arguments}) → {failed}{}{off}",
            tool.name,
            short(&tool.result)
        );
    }
    let who = detail.map_or(spirit, |detail| detail.spirit.as_str());
    let _ = match (&answer.text, answer.outcome.as_str()) {
        (Some(_), _) if !text_too => Ok(()),
        (Some(text), _) => writeln!(shown, "{who}: {text}"),
        (None, "vigil") => writeln!(
            shown,
            "A human has this conversation. {spirit} is silent until it is given back; what you wrote is kept for them."
        ),
        (None, "busy") => {
            writeln!(
                shown,
                "{spirit} was still answering what came before, and discards what comes meanwhile."
            )
        }
        (None, "accepted") => writeln!(
            shown,
            "{spirit} is still at it; there was no answer in time."
        ),
        (None, outcome) => writeln!(shown, "no answer ({outcome}): {}", answer.reason),
    };
    for choice in &answer.choices {
        let description = choice.description.as_deref().unwrap_or_default();
        let _ = writeln!(shown, "{on}  [{}] {description}{off}", choice.title);
    }
    shown
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(answer: serde_json::Value) -> String {
        render(
            "barista",
            &serde_json::from_value(answer).expect("an Answer"),
            false,
            true,
        )
    }

    #[test]
    fn an_answer_shows_what_was_found_and_which_tools_were_called() {
        let text = shown(json!({
            "pulse": "web/1", "outcome": "answered", "text": "Coming up.",
            "spirit": "barista", "steps": [], "usage": {},
            "findings": [{"scout": "crm", "text": "A regular."}],
            "tools": [{"name": "place_order", "arguments": {"drink": "flat white"}, "result": "Order 7", "failed": false}],
        }));
        assert_eq!(
            text,
            "  scout crm found: A regular.\n  place_order({\"drink\":\"flat white\"}) → Order 7\nbarista: Coming up.\n"
        );
    }

    #[test]
    fn it_says_so_when_a_human_has_the_conversation() {
        let text = shown(json!({"pulse": "web/1", "outcome": "vigil"}));
        assert!(text.starts_with("A human has this conversation."), "{text}");
    }

    #[test]
    fn long_results_are_cut_on_a_character() {
        assert_eq!(short(&"é".repeat(LONGEST + 1)).chars().count(), LONGEST + 1);
        assert!(short(&"é".repeat(LONGEST + 1)).ends_with('…'));
    }
}
