//! `-o`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;

use super::{safe, say};

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For people with wide screens.
    Wide,
    /// For programs: JSON; what goes on without end is one document a line.
    Json,
    /// For programs: YAML.
    Yaml,
}

impl Output {
    /// Whether people read it.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }

    /// Prints a whole result, in one of the forms for programs.
    pub(crate) fn print(self, result: &impl Serialize) -> Result<()> {
        say(&self.document(result)?)
    }

    /// Prints one of many results, each as it comes.
    pub(crate) fn print_next(self, result: &impl Serialize) -> Result<()> {
        match self {
            Self::Yaml => say(&format!("---\n{}", self.document(result)?)),
            _ => say(&escaped(&serde_json::to_string(result)?)),
        }
    }

    fn document(self, result: &impl Serialize) -> Result<String> {
        if self == Self::Yaml {
            let yaml = serde_saphyr::to_string(result).context("this cannot be written as YAML")?;
            return Ok(escaped(yaml.trim_end()));
        }
        Ok(escaped(&serde_json::to_string_pretty(result)?))
    }
}

/// Escapes what a terminal would obey and a serializer left as it is. In both formats such a character stands only
/// within a quoted string, where `\u` followed by four digits is the same character.
fn escaped(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for c in document.chars() {
        if c != '\n' && safe::is_unsafe(c) {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NASTY: &str = "\x1b[2J\u{9b}2J\x07 \u{202e}\n\r\tend \\ \"";

    #[test]
    fn no_form_lets_a_control_character_through_and_each_reads_back() {
        let result = json!({"text": NASTY, "plain": "hello", "keys": {NASTY: 1}});
        for output in [Output::Json, Output::Yaml] {
            let document = output.document(&result).unwrap();
            assert!(
                document.chars().all(|c| c == '\n' || !safe::is_unsafe(c)),
                "{document:?}"
            );
            let read: Value = if output == Output::Json {
                serde_json::from_str(&document).unwrap()
            } else {
                serde_saphyr::from_str(&document).unwrap()
            };
            assert_eq!(read, result, "{document}");
        }
    }
}
