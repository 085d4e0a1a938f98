//! The Oracle: the language model.

use std::{ops::AddAssign, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    pulse::Attachment,
    tool::{ToolCall, ToolResult, ToolSpec},
};

/// What an Oracle is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Who the Spirit is and what it knows: the persona, and what Scouts found, marked as data.
    pub system: &'a str,
    /// The conversation, oldest first. It begins with the person, sides alternate, and every call of a tool is followed
    /// by its result: see [`crate::weave::history`].
    pub turns: &'a [Turn],
    /// The tools it may call.
    pub tools: &'a [Arc<ToolSpec>],
    /// Sampling temperature; the provider's default when absent.
    pub temperature: Option<f64>,
    /// The most tokens of the reply; the provider's default when absent.
    pub max_tokens: Option<u32>,
    /// How hard it is to think; the provider's default when absent. Models that cannot be told refuse it.
    pub effort: Option<Effort>,
}

/// How hard a model is to think before it answers: quality against time and tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// As little as it can.
    Low,
    /// In between.
    Medium,
    /// As much as it needs.
    High,
}

impl Effort {
    /// As providers write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One side's turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// The person's, or a human's words on their behalf.
    User {
        /// What was said.
        text: String,
        /// What came with it.
        attachments: Vec<Attachment>,
    },
    /// The Spirit's own, earlier.
    Agent {
        /// What it said; may be empty when it only called tools.
        text: String,
        /// The tools it called.
        calls: Vec<ToolCall>,
    },
    /// What the tools of the turn before gave back: one result for each call, in any order.
    Tools(Vec<ToolResult>),
}

/// What an Oracle answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// Text for the person. Empty when it only calls tools.
    pub text: String,
    /// Tools to call, whose results it wants next.
    pub calls: Vec<ToolCall>,
    /// Why it stopped.
    pub stop: Stop,
    /// What it used.
    pub usage: Usage,
    /// The provider's own id of the request, for its support desk.
    pub request_id: Option<String>,
}

/// Why an Oracle stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// It was done.
    #[default]
    End,
    /// It wants tools called.
    Tools,
    /// It ran into the most tokens.
    Length,
    /// The provider's policy cut it off.
    Policy,
}

/// Tokens, as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens in, those read from and written to a cache included.
    pub input: u64,
    /// Tokens out.
    pub output: u64,
    /// Of the input, tokens read from the provider's cache.
    pub cached: u64,
    /// Of the input, tokens written to the provider's cache, where it counts them: they may cost more than others.
    pub cache_write: u64,
}

impl Usage {
    /// In and out.
    #[must_use]
    pub fn total(self) -> u64 {
        self.input + self.output
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.input += more.input;
        self.output += more.output;
        self.cached += more.cached;
        self.cache_write += more.cache_write;
    }
}

/// The class of a failure: what the Weave acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too many requests; the provider's hint of when to come back, if it gave one. Retry.
    RateLimited(Option<Duration>),
    /// The provider has no capacity, or failed on its side. Retry.
    Overloaded,
    /// No answer in time, or the connection failed. Retry.
    TimedOut,
    /// The key is wrong, or may not use this model. Fall back; somebody must mend it.
    Unauthorized,
    /// The provider's policy refuses this conversation. Do not ask another way.
    Refused,
    /// The conversation is too long for the model. Ask again with fewer turns, once.
    TooLong,
    /// The provider does not understand the request, or its answer cannot be understood. Fall back.
    Malformed,
}

impl Fault {
    /// As `error.type` in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited(_) => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::TimedOut => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::TooLong => "context_too_long",
            Self::Malformed => "bad_request",
        }
    }

    /// Whether the same Oracle may answer if asked again.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::RateLimited(_) | Self::Overloaded | Self::TimedOut
        )
    }
}

/// An Oracle did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{provider}: {message}")]
pub struct OracleError {
    /// What to do about it.
    pub fault: Fault,
    /// The provider.
    pub provider: &'static str,
    /// What it said, without any of the conversation and without the key.
    pub message: String,
}

impl OracleError {
    /// A failure of `provider`.
    pub fn new(provider: &'static str, fault: Fault, message: impl Into<String>) -> Self {
        Self {
            fault,
            provider,
            message: message.into(),
        }
    }
}

/// Hears an Oracle's text as it comes.
pub type OnText<'a> = &'a mut (dyn FnMut(&str) + Send);

/// A language model: a question in, a reply out. It keeps nothing between questions.
#[async_trait]
pub trait Oracle: Send + Sync {
    /// The provider, by the GenAI conventions' `gen_ai.provider.name`.
    fn provider(&self) -> &'static str;

    /// The model that is asked.
    fn model(&self) -> &str;

    /// Whether it can be shown files of this media type, such as `image/jpeg`. What it does not take is not loaded for it:
    /// an attachment without its media is named to it in words.
    fn takes(&self, media_type: &str) -> bool {
        let _ = media_type;
        false
    }

    /// Asks. The caller bounds the time by dropping the future; the adapter bounds what it reads, and does not retry.
    /// With `on_text`, an adapter that streams calls it with each piece as it comes, in order; the reply holds the whole
    /// all the same. One that does not stream never calls it.
    async fn ask(
        &self,
        question: Question<'_>,
        on_text: Option<OnText<'_>>,
    ) -> Result<Reply, OracleError>;
}
