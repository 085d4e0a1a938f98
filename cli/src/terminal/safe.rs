//! Text from outside, made safe to print. A terminal obeys control characters: a message could otherwise move the cursor,
//! hide lines, retitle the window, or put words into the clipboard; and marks of writing direction could show a text as
//! another one than it is.

use std::fmt::Write as _;

/// Whether a terminal would act on it, or show what follows it out of order.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line: line ends, tabs and every other control character are written out, as `\n`, `\t`, `\x1b`.
pub(crate) fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut safe, c);
    }
    safe
}

/// The text with its line ends, each line after the first moved right by `indent`; all else is as in [`line`].
pub(crate) fn lines(text: &str, indent: usize) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' => {
                safe.push('\n');
                safe.extend(std::iter::repeat_n(' ', indent));
            }
            '\t' => safe.push_str("    "),
            c => push(&mut safe, c),
        }
    }
    safe
}

/// The text on one line, cut to `most` characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= most {
        return line(&words);
    }
    let cut: String = words.chars().take(most.saturating_sub(1)).collect();
    line(&cut) + "…"
}

fn push(safe: &mut String, c: char) {
    match c {
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        '\t' => safe.push_str("\\t"),
        c if is_unsafe(c) && u32::from(c) <= 0xff => {
            let _ = write!(safe, "\\x{:02x}", u32::from(c));
        }
        c if is_unsafe(c) => {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
        }
        c => safe.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(
            line("\x1b]0;owned\x07\u{9b}2J\rhidden\x7f"),
            "\\x1b]0;owned\\x07\\x9b2J\\rhidden\\x7f"
        );
    }

    #[test]
    fn marks_of_writing_direction_are_written_out() {
        assert_eq!(line("pay \u{202e}001$"), "pay \\u{202e}001$");
    }

    #[test]
    fn other_scripts_and_pictures_stay_as_they_are() {
        assert_eq!(line("¡Olá! مرحبا 咖啡 ☕️"), "¡Olá! مرحبا 咖啡 ☕️");
    }

    #[test]
    fn lines_stay_lines_where_they_may() {
        assert_eq!(lines("one\r\ntwo\x1b[2J", 2), "one\n  two\\x1b[2J");
    }

    #[test]
    fn a_cut_is_on_a_character_and_says_so() {
        assert_eq!(short("é é é", 4), "é é…");
        assert_eq!(short("é é", 4), "é é");
    }
}
