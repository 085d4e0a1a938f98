//! Messages that answer an earlier one: the Oracle is told which.

use super::{Inner, answer::Answer};
use crate::{
    echo::{Echo, EchoBody},
    names::{PulseId, SessionKey},
};

/// The most characters of the earlier message that are repeated.
const EXCERPT: usize = 200;

impl Inner {
    /// What the person says in this turn: the text of each Pulse, after the message that it answers where it answers one.
    pub(super) async fn words(&self, answer: &Answer<'_>, echoes: &[Echo]) -> String {
        let mut words = String::new();
        for delivery in answer.deliveries {
            let (pulse, content) = (&delivery.pulse, &delivery.pulse.content);
            if !words.is_empty() {
                words.push('\n');
            }
            if let Some(quoted) = &content.quotes {
                words.push_str(&match self.quoted(&pulse.session, quoted, echoes).await {
                    Some(earlier) => format!("[In reply to: \"{earlier}\"]\n"),
                    None => "[In reply to an earlier message]\n".to_owned(),
                });
            }
            words.push_str(&content.text);
        }
        words
    }

    /// How the message of this id begins, if it is the person's own or a reply, and among the Echoes.
    async fn quoted(&self, session: &SessionKey, message: &str, echoes: &[Echo]) -> Option<String> {
        let own = PulseId::new(&session.voice, message);
        let said = |pulse: &PulseId, by_person: bool| {
            echoes.iter().rev().find_map(|echo| match &echo.body {
                EchoBody::User { text, .. } if by_person && echo.id == pulse.as_str() => Some(text),
                EchoBody::Agent { text, .. } | EchoBody::Human { text, .. }
                    if !by_person && echo.pulse.as_ref() == Some(pulse) && !text.is_empty() =>
                {
                    Some(text)
                }
                _ => None,
            })
        };
        let text = match said(&own, true) {
            Some(text) => text,
            None => {
                let contacts = self.contacts.as_ref()?;
                let answered = contacts.pulse_of(&session.voice, message).await;
                let answered = answered.unwrap_or_else(|error| {
                    tracing::warn!(%error, "it cannot be told which message was answered");
                    None
                })?;
                said(&answered, false)?
            }
        };
        let mut excerpt: String = text.chars().take(EXCERPT).collect();
        if excerpt.len() < text.len() {
            excerpt.push('…');
        }
        // A line break or a quotation mark would let it look like something else.
        Some(excerpt.replace(['\n', '\r'], " ").replace('"', "'"))
    }
}
