//! What templates and expressions know of the Pulse they run for.

use serde::Serialize;

/// What persona and URL templates and `when` expressions know of a Pulse. The field names are theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PulseFacts {
    /// Name of the Voice it came by.
    pub voice: String,
    /// Its text; empty where there is none.
    pub text: String,
    /// Who sent it.
    pub user: UserFacts,
    /// The conversation.
    pub session: SessionFacts,
    /// When it is answered.
    pub now: Now,
    /// Name of the Spirit.
    pub spirit: String,
}

/// Who sent a Pulse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UserFacts {
    /// The sender's id on the channel.
    pub id: String,
    /// The sender's name where the channel tells it, else the id.
    pub name: String,
}

/// The conversation of a Pulse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SessionFacts {
    /// `voice/sender`.
    pub id: String,
}

/// A moment, in the runtime's time zone (`TZ`, else UTC).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Now {
    /// `2026-11-22`
    pub date: String,
    /// `19:40`
    pub time: String,
    /// `Sunday`
    pub weekday: String,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// `2026-11-22T19:40:00Z`
    pub iso: String,
}

impl PulseFacts {
    /// Facts of no Pulse in particular: templates and expressions are tried on it before they are accepted.
    #[must_use]
    pub fn sample() -> Self {
        Self {
            voice: "web".to_owned(),
            text: "hello".to_owned(),
            user: UserFacts {
                id: "5511999990000".to_owned(),
                name: "Ana".to_owned(),
            },
            session: SessionFacts {
                id: "web/5511999990000".to_owned(),
            },
            now: Now {
                date: "2026-11-22".to_owned(),
                time: "19:40".to_owned(),
                weekday: "Sunday".to_owned(),
                hour: 19,
                minute: 40,
                iso: "2026-11-22T19:40:00Z".to_owned(),
            },
            spirit: "barista".to_owned(),
        }
    }
}
