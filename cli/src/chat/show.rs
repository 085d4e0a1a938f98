//! An answer, as a person reads it.

use std::{fmt::Write as _, io::IsTerminal as _};

use eywa_runtime::http::Answer;

/// The most characters of one argument list, result or finding that are shown.
const LONGEST: usize = 200;

/// Prints what came of a message: what the Scouts found, which tools were called, and what was said.
pub(super) fn answer(spirit: &str, answer: &Answer) {
    let dim = std::io::stdout().is_terminal();
    print!("{}", render(spirit, answer, dim));
}

fn render(spirit: &str, answer: &Answer, dim: bool) -> String {
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
