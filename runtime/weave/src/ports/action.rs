//! The Action: one callable tool.

use async_trait::async_trait;
use serde_json::Value;

use crate::{names::SpiritName, pulse::Pulse, tool::Tool};

/// For whom an Action is called.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The Pulse that led to it.
    pub pulse: &'a Pulse,
    /// The call's id, by which a receiver can tell that it is made again. It is made of the Pulse, the Action's name, the
    /// arguments, and how many times the turn had asked for the very same: so it is the same when a turn that a crash cut
    /// off is taken again and asks for the same. As long as the arguments, and no less private: send a hash of it.
    pub id: &'a str,
    /// The arguments; they keep to the tool's schema.
    pub arguments: &'a Value,
}

/// An Action was done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// What came of it, for the Oracle to read.
    pub said: String,
    /// What it asks of the session. The Weave sees to it once all calls of the round are done, in their order.
    pub effects: Vec<Effect>,
}

impl Done {
    /// Done, with an effect on the session.
    pub fn with(said: impl Into<String>, effect: Effect) -> Self {
        Self {
            said: said.into(),
            effects: vec![effect],
        }
    }
}

impl<T: Into<String>> From<T> for Done {
    fn from(said: T) -> Self {
        Self {
            said: said.into(),
            effects: Vec::new(),
        }
    }
}

/// What an Action may ask of the session that it is called in.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A human is to come.
    Summon {
        /// Why, in words for people that hold nothing of what was said.
        reason: String,
    },
    /// The session keeps this in mind, in the place of what it had under that name.
    Remember {
        /// The variable's name.
        name: String,
        /// Its value; `null` forgets it.
        value: Value,
    },
    /// Another Spirit of the Weave goes on from here, with this Pulse and with those to come.
    HandOver {
        /// Which.
        to: SpiritName,
    },
}

/// An Action failed. The message goes to the Oracle as the result, so it holds no key.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ActionError(pub String);

/// Something the Spirit can do.
#[async_trait]
pub trait Action: Send + Sync {
    /// What the Oracle is told of it.
    fn tool(&self) -> &Tool;

    /// Whether it changes nothing but the session that it is called in. Then it never waits for a human's yes.
    fn is_inward(&self) -> bool {
        false
    }

    /// Does it, and says what came of it. The caller bounds the time by dropping the future; the adapter bounds
    /// what it reads, and retries only what is declared safe to repeat.
    async fn call(&self, call: Call<'_>) -> Result<Done, ActionError>;
}
