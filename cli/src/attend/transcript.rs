//! A conversation, as a person reads it in the terminal.

use std::{
    collections::{HashSet, VecDeque},
    fmt::Write as _,
};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    desk_api::{Conversation, Echo, Rite},
    name,
    terminal::safe,
};

/// The most characters of arguments, results and findings that are shown.
const LONGEST: usize = 200;
/// How many messages are remembered, so that none is shown twice.
const REMEMBERED: usize = 10_000;

/// How a transcript is written.
#[derive(Clone)]
pub(super) struct Style {
    /// Whether what is not said by anybody is dimmed.
    pub(super) dim: bool,
    /// Whether each line says which conversation it is of.
    pub(super) several: bool,
    pub(super) zone: TimeZone,
}

impl Style {
    /// A message; nothing for one that has nothing to show.
    pub(super) fn echo(&self, spirit: &str, session: &str, echo: &Echo) -> String {
        let mut shown = String::new();
        let at = echo.at.unwrap_or_default();
        let by = echo.by.as_deref().filter(|by| !by.is_empty());
        match echo.kind.as_str() {
            "user" => {
                let who = echo.name.as_deref().unwrap_or_else(|| {
                    session
                        .split_once('/')
                        .map_or(session, |(_, sender)| sender)
                });
                self.said(&mut shown, session, at, who, echo);
            }
            "human" => self.said(&mut shown, session, at, by.unwrap_or("a human"), echo),
            "agent" => {
                if echo.text.as_deref().is_some_and(|text| !text.is_empty()) {
                    let who = echo.spirit.as_deref().unwrap_or(spirit);
                    self.said(&mut shown, session, at, who, echo);
                }
                for call in &echo.calls {
                    let arguments = safe::short(&call.arguments.to_string(), LONGEST);
                    let called = format!("{}({arguments})", safe::line(&call.name));
                    self.aside(&mut shown, session, at, &called);
                }
            }
            "tools" => {
                for result in &echo.results {
                    let failed = if result.failed { "failed: " } else { "" };
                    let answered = format!(
                        "{} → {failed}{}",
                        safe::line(&result.name),
                        safe::short(&result.content, LONGEST)
                    );
                    self.aside(&mut shown, session, at, &answered);
                }
            }
            "took_over" => {
                let who = safe::line(by.unwrap_or("a human"));
                self.aside(
                    &mut shown,
                    session,
                    at,
                    &format!("— {who} took the conversation —"),
                );
            }
            "gave_back" => {
                let told = match (by, echo.reason.as_deref()) {
                    (Some(by), _) => format!("— {} gave the conversation back —", safe::line(by)),
                    (None, Some("User")) => "— given back, as the person asked for —".to_owned(),
                    (None, _) => "— given back for lack of activity —".to_owned(),
                };
                self.aside(&mut shown, session, at, &told);
            }
            "rite" => self.aside(&mut shown, session, at, &rite_ended(echo)),
            _ => {}
        }
        for finding in &echo.findings {
            let found = format!(
                "scout {} found: {}",
                safe::line(&finding.scout),
                safe::short(&finding.text, LONGEST)
            );
            self.aside(&mut shown, session, at, &found);
        }
        shown
    }

    /// A change of who has the conversation that no message tells.
    pub(super) fn requested(&self, conversation: &Conversation) -> String {
        let mut shown = String::new();
        let why = conversation.request_reason.as_deref().unwrap_or_default();
        let told = format!("— a human is asked for: {} —", safe::line(why));
        let at = conversation.last_at.unwrap_or_else(Timestamp::now);
        self.aside(&mut shown, &conversation.session, at, &told);
        shown
    }

    /// A Rite that waits.
    pub(super) fn rite(&self, rite: &Rite) -> String {
        let mut shown = String::new();
        let told = format!(
            "— {}({}) waits for a yes: {} approve {} —",
            safe::line(&rite.action),
            safe::short(&rite.arguments.to_string(), LONGEST),
            name::command(),
            safe::line(&rite_name(rite))
        );
        self.aside(&mut shown, &rite.session, Timestamp::now(), &told);
        shown
    }

    fn said(&self, shown: &mut String, session: &str, at: Timestamp, who: &str, echo: &Echo) {
        let mut text = echo.text.clone().unwrap_or_default();
        for attachment in &echo.attachments {
            let name = attachment.file_name.as_deref().unwrap_or_default();
            let gap = if text.is_empty() { "" } else { " " };
            let _ = write!(
                text,
                "{gap}[{}{}{name}]",
                attachment.media_type,
                if name.is_empty() { "" } else { " " }
            );
        }
        let head = format!("{}{}: ", self.head(session, at), safe::line(who));
        let indent = head.chars().count();
        let _ = writeln!(shown, "{head}{}", safe::lines(&text, indent));
    }

    /// Something that nobody said. `told` is safe already.
    fn aside(&self, shown: &mut String, session: &str, at: Timestamp, told: &str) {
        let (on, off) = if self.dim {
            ("\x1b[2m", "\x1b[0m")
        } else {
            ("", "")
        };
        let _ = writeln!(shown, "{on}{}  {told}{off}", self.head(session, at));
    }

    fn head(&self, session: &str, at: Timestamp) -> String {
        let at = at
            .to_zoned(self.zone.clone())
            .strftime("%H:%M:%S")
            .to_string();
        if self.several {
            format!("{at} [{}] ", safe::line(session))
        } else {
            format!("{at} ")
        }
    }
}

/// What a Rite goes by on the command line: its object's name in a cluster, its id in `eywa up`.
fn rite_name(rite: &Rite) -> String {
    if name::is_plugin() {
        format!("{}-{}", rite.spirit, rite.id)
    } else {
        rite.id.clone()
    }
}

/// What became of a parked call.
fn rite_ended(echo: &Echo) -> String {
    let standing = match echo.standing.as_deref().unwrap_or("over") {
        // The call was made, as somebody said yes to.
        "Consumed" => "approved".to_owned(),
        other => safe::line(other).to_lowercase(),
    };
    let by = echo.by.as_deref().filter(|by| !by.is_empty());
    let by = by.map_or_else(String::new, |by| format!(" by {}", safe::line(by)));
    let (action, said) = echo.result.as_ref().map_or(("the action", ""), |result| {
        (result.name.as_str(), result.content.as_str())
    });
    format!(
        "— {} {standing}{by}: {} —",
        safe::line(action),
        safe::short(said, LONGEST)
    )
}

/// The messages that were shown, the latest of them.
#[derive(Default)]
pub(super) struct Shown {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Shown {
    /// Whether it is new; from now on it is not.
    pub(super) fn is_new(&mut self, spirit: &str, session: &str, id: &str) -> bool {
        let key = format!("{spirit}\n{session}\n{id}");
        if !self.known.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(several: bool, echo: serde_json::Value) -> String {
        let style = Style {
            dim: false,
            several,
            zone: TimeZone::UTC,
        };
        style.echo("barista", "wa/551", &serde_json::from_value(echo).unwrap())
    }

    #[test]
    fn a_message_is_shown_with_when_and_who_and_its_lines_below_each_other() {
        let echo = json!({"id": "1", "at": "2026-01-01T10:00:07Z", "kind": "user", "name": "Ana", "text": "Hello\nthere"});
        assert_eq!(
            shown(false, echo),
            "10:00:07 Ana: Hello\n              there\n"
        );
    }

    #[test]
    fn of_several_conversations_each_line_says_whose_it_is() {
        let echo = json!({"id": "1", "at": "2026-01-01T10:00:07Z", "kind": "agent", "spirit": "barista", "text": "Hi"});
        assert_eq!(shown(true, echo), "10:00:07 [wa/551] barista: Hi\n");
    }

    #[test]
    fn no_part_of_a_message_reaches_the_terminal_as_a_control_character() {
        let nasty = "\x1b]52;c;AAAA\x07\u{9b}2J\u{202e}";
        let echoes = [
            json!({"id": "1", "kind": "user", "name": nasty, "text": nasty, "attachments": [{"media_type": nasty, "file_name": nasty}], "findings": [{"scout": nasty, "text": nasty}]}),
            json!({"id": "2", "kind": "agent", "spirit": nasty, "text": nasty, "calls": [{"name": nasty, "arguments": {nasty: nasty}}]}),
            json!({"id": "3", "kind": "tools", "results": [{"name": nasty, "content": nasty}]}),
            json!({"id": "4", "kind": "human", "by": nasty, "text": nasty}),
            json!({"id": "5", "kind": "took_over", "by": nasty}),
            json!({"id": "6", "kind": "gave_back", "by": nasty, "reason": nasty}),
            json!({"id": "7", "kind": "rite", "by": nasty, "standing": nasty, "result": {"name": nasty, "content": nasty}}),
        ];
        for echo in echoes {
            let text = shown(true, echo.clone());
            assert!(!text.is_empty(), "{echo}");
            assert!(
                text.chars()
                    .all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_change_of_hands_says_who_and_why() {
        assert_eq!(
            shown(
                false,
                json!({"id": "1", "at": "2026-01-01T10:00:07Z", "kind": "gave_back", "by": "", "reason": "Idle"})
            ),
            "10:00:07   — given back for lack of activity —\n"
        );
    }

    #[test]
    fn a_message_is_shown_once() {
        let mut shown = Shown::default();
        assert!(shown.is_new("barista", "wa/1", "a"));
        assert!(!shown.is_new("barista", "wa/1", "a"));
        assert!(shown.is_new("barista", "wa/2", "a"));
    }
}
