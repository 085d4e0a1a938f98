//! The Echo store: what was said, on either side.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    echo::{Echo, EchoBody},
    error::StoreError,
    names::SessionKey,
    ports::bond::Fence,
};

/// The most characters of a message that a list of conversations shows.
pub const GLIMPSE: usize = 120;

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// The person.
    User,
    /// The Spirit.
    Agent,
    /// A human in the Spirit's place.
    Human,
}

/// The last message of a conversation, as a list of conversations shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glimpse {
    /// When it was said.
    pub at: Timestamp,
    /// Who said it.
    pub from: Author,
    /// How it begins: at most [`GLIMPSE`] characters.
    pub text: String,
}

impl Glimpse {
    /// The last of these Echoes that is a message: calls of tools and marks are none.
    #[must_use]
    pub fn of(echoes: &[Echo]) -> Option<Self> {
        echoes.iter().rev().find_map(|echo| {
            let (from, text) = match &echo.body {
                EchoBody::User { text, .. } => (Author::User, text),
                EchoBody::Agent { text, .. } if !text.is_empty() => (Author::Agent, text),
                EchoBody::Human { text, .. } => (Author::Human, text),
                _ => return None,
            };
            Some(Self {
                at: echo.at,
                from,
                text: text.chars().take(GLIMPSE).collect(),
            })
        })
    }
}

/// The name that the person goes by in the last of these Echoes that says one.
#[must_use]
pub fn name_in(echoes: &[Echo]) -> Option<&str> {
    echoes.iter().rev().find_map(|echo| match &echo.body {
        EchoBody::User { name, .. } => name.as_deref(),
        _ => None,
    })
}

/// A conversation, as a list of them shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Which one.
    pub session: SessionKey,
    /// When an Echo was last appended, in microseconds since 1970 by the store's clock. No two conversations of a Spirit
    /// have the same, and each change has a larger one than all before it.
    pub place: u64,
    /// How many Echoes were ever appended: the number of the next.
    pub length: u64,
    /// The name that the channel gave the person, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The last message; absent while there are only marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Glimpse>,
}

/// A part of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stretch {
    /// The Echoes, oldest first.
    pub echoes: Vec<Echo>,
    /// The number of the first of them, when there are older ones: what comes before it is read from here.
    pub older: Option<u64>,
}

/// Keeps conversations. Reading the last few costs the same however long the conversation is, and appending the same
/// however many conversations there are.
#[async_trait]
pub trait Echoes: Send + Sync {
    /// Appends, in order. An Echo whose id is among the session's recent ones is left as it is, so that writing again
    /// after a crash is safe. With a fence, refuses as fenced if a newer Bond has written; without one (a human's words,
    /// or a person's while a human has the conversation), always appends. What is new gives the session a new place among
    /// the conversations, not before it can be read: whoever is told of Echoes can read them. After a crash, writing again
    /// does what is missing of that. Of two places that are given at the same moment the later may show first.
    async fn append(
        &self,
        session: &SessionKey,
        fence: Option<Fence>,
        echoes: &[Echo],
    ) -> Result<(), StoreError>;

    /// The last `most` Echoes, oldest first.
    async fn recent(&self, session: &SessionKey, most: usize) -> Result<Vec<Echo>, StoreError>;

    /// The last `most` Echoes before the one of this number, or the last of all, oldest first. Echoes are numbered from
    /// zero, and keep their number when older ones are forgotten.
    async fn stretch(
        &self,
        session: &SessionKey,
        before: Option<u64>,
        most: usize,
    ) -> Result<Stretch, StoreError>;

    /// Conversations with a place before this one, or all of them: the latest first, at most `most`. Those that nobody has
    /// spoken in for long are forgotten along with their Echoes.
    async fn latest(&self, before: Option<u64>, most: usize) -> Result<Vec<Summary>, StoreError>;

    /// Conversations with a place after this one: the earliest first, at most `most`. What happened since.
    async fn changed(&self, after: u64, most: usize) -> Result<Vec<Summary>, StoreError>;

    /// These conversations, each in its place; `None` where nobody ever spoke.
    async fn known(&self, sessions: &[SessionKey]) -> Result<Vec<Option<Summary>>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(body: EchoBody) -> Echo {
        Echo {
            id: "1".into(),
            at: Timestamp::UNIX_EPOCH,
            pulse: None,
            body,
        }
    }

    fn user(name: Option<&str>, text: &str) -> Echo {
        echo(EchoBody::User {
            name: name.map(str::to_owned),
            text: text.to_owned(),
            attachments: vec![],
            findings: vec![],
        })
    }

    #[test]
    fn a_glimpse_is_of_the_last_message_and_not_of_a_mark() {
        let by = "ana".to_owned();
        let echoes = [user(Some("Ben"), "hello?"), echo(EchoBody::TookOver { by })];
        let glimpse = Glimpse::of(&echoes).unwrap();
        assert_eq!((glimpse.from, &*glimpse.text), (Author::User, "hello?"));
        assert_eq!(Glimpse::of(&echoes[1..]), None);
        assert_eq!(name_in(&echoes), Some("Ben"));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let glimpse = Glimpse::of(&[user(None, &"ü🥐".repeat(100))]).unwrap();
        assert_eq!(glimpse.text, "ü🥐".repeat(GLIMPSE / 2));
    }
}
