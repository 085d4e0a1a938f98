//! What Actions ask of the session, once they are done.

use std::{borrow::Cow, fmt::Write as _};

use super::{
    Inner, Stopped,
    answer::{Answer, Session},
    trace::Trace,
};
use crate::{
    names::SpiritName,
    ports::{action::Effect, memory::Recollection, vigil::Cause},
    spirit::Spirit,
    tool::ToolResult,
};

/// The most things that a session keeps in mind.
const MOST_VARIABLES: usize = 32;
/// How often a Pulse may be handed from one Spirit to another.
const MOST_HANDOVERS: u32 = 3;

impl Inner {
    /// Sees to the effects of a round, in their order. What cannot be is told to the Oracle in the call's own result. Gives
    /// the Spirit that goes on, if another is to.
    pub(super) async fn take_effect(
        &self,
        effects: Vec<(usize, Effect)>,
        results: &mut [ToolResult],
        answer: &Answer<'_>,
        session: &mut Session,
    ) -> Result<Option<SpiritName>, Stopped> {
        let mut next = None;
        for (call, effect) in effects {
            let refused = match effect {
                Effect::Summon { reason } => {
                    self.summon(&answer.pulse().session, Cause::Agent, &reason)
                        .await?;
                    None
                }
                Effect::Remember { name, value } => remember(session, name, value),
                Effect::HandOver { to } if answer.handovers >= MOST_HANDOVERS => Some(format!(
                    "This message was handed over {MOST_HANDOVERS} times already, and is not handed to {to} as well: \
                     answer it yourself."
                )),
                Effect::HandOver { to } if !self.spirits.contains_key(&to) => Some(format!(
                    "There is no {to} to hand over to: answer yourself."
                )),
                Effect::HandOver { to } => {
                    // Of two in one round the first counts.
                    next.get_or_insert(to);
                    None
                }
            };
            if let (Some(why), Some(result)) = (refused, results.get_mut(call)) {
                result.content = why;
                result.failed = true;
            }
        }
        Ok(next)
    }

    /// Another Spirit goes on with the Pulse, and keeps the session.
    pub(super) async fn hand_over(
        &self,
        to: &SpiritName,
        answer: &mut Answer<'_>,
        session: &mut Session,
        trace: &mut Trace,
    ) -> &Spirit {
        let spirit = self.spirits.get(to).unwrap_or(&self.front);
        answer.handovers += 1;
        answer.spirit = spirit.name.clone();
        session.recollection.spirit = Some(spirit.name.clone());
        session.changed = true;
        if spirit.name != self.name {
            self.scout(&spirit.scouts, answer, session, trace).await;
        }
        spirit
    }
}

/// Why it cannot be kept in mind, if it cannot.
fn remember(session: &mut Session, name: String, value: serde_json::Value) -> Option<String> {
    let variables = &mut session.recollection.variables;
    if value.is_null() {
        variables.remove(&name);
    } else if variables.len() >= MOST_VARIABLES && !variables.contains_key(&name) {
        return Some(format!(
            "{MOST_VARIABLES} things are kept in mind already: forget one first, with an empty value."
        ));
    } else {
        variables.insert(name, value);
    }
    session.changed = true;
    None
}

/// What was found, and what the session keeps in mind.
pub(super) fn known<'f>(
    findings: &'f [(String, String)],
    recollection: &Recollection,
) -> Cow<'f, [(String, String)]> {
    if recollection.variables.is_empty() {
        return Cow::Borrowed(findings);
    }
    let mut text = String::new();
    for (name, value) in &recollection.variables {
        let _ = match value.as_str() {
            Some(value) => writeln!(text, "{name}: {value}"),
            None => writeln!(text, "{name}: {value}"),
        };
    }
    let mut known = findings.to_vec();
    known.push(("memory".to_owned(), text.trim_end().to_owned()));
    Cow::Owned(known)
}
