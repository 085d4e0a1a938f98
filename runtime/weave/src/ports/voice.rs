//! The Voice: a channel, in both directions.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    echo::Echo,
    names::{PulseId, UserId},
    ports::{chronicle::Entry, contacts::Progress},
    pulse::{Attachment, Choice, Media, Pulse},
};

/// A webhook as it came in, before anything of it was believed.
#[derive(Clone, Copy)]
pub struct Webhook<'a> {
    /// `GET` or `POST`.
    pub method: Method,
    /// The query string, undecoded.
    pub query: &'a str,
    /// Looks a header up by its name in lower case.
    pub header: &'a (dyn Fn(&str) -> Option<&'a [u8]> + Send + Sync),
    /// The raw body, within the channel's limit.
    pub body: &'a [u8],
}

/// The methods a webhook may come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A channel verifies the endpoint.
    Get,
    /// A channel delivers.
    Post,
}

/// What a webhook was.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// The channel verifies the endpoint: this is to be echoed as the body.
    Challenge(String),
    /// What it delivered.
    Pulses {
        /// The messages, in their order.
        pulses: Vec<Pulse>,
        /// How many parts were nothing to answer: unknown events, other numbers' messages.
        ignored: usize,
        /// What else it told of, in its order.
        notices: Vec<Notice>,
    },
}

/// What a channel tells of besides messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// These ids are one person's: of who wrote, and of who is now called otherwise.
    Person {
        /// The id that the session goes by if none of them is known yet; the former one of a person who was renamed.
        id: UserId,
        /// The others, those that tell most first, each for more than `id`. The former one of a person who was renamed is
        /// among them as well, before the new one where that may have been somebody else's.
        also: Vec<UserId>,
    },
    /// A message that was sent has come so far.
    Progress {
        /// The channel's id of the message.
        message: String,
        /// How far.
        progress: Progress,
        /// Why it failed, by the channel's code.
        code: Option<String>,
    },
}

/// Why a webhook was turned away. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The signature is missing or wrong. 401.
    #[error(
        "the signature is missing or wrong: check that the channel and the Spirit share the same secret"
    )]
    Signature,
    /// The verify token is wrong. 403.
    #[error("the verify token is wrong: check that it is the one in the Spirit's Secret")]
    VerifyToken,
    /// It is signed, and is not what the channel sends. 400.
    #[error("the body is not a webhook of this channel: {0}")]
    Malformed(String),
    /// The channel does not use this method. 405.
    #[error("this channel does not use that method")]
    Method,
}

/// What is to be said, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Utterance<'a> {
    /// The Pulse that it answers: two utterances to the same are one, where a channel can tell.
    pub pulse: &'a PulseId,
    /// [`Pulse::reply_to`].
    pub to: &'a Value,
    /// The text.
    pub text: &'a str,
    /// What the person is offered to answer with. A channel without buttons lists them in words.
    pub choices: &'a [Choice],
}

impl<'a> Utterance<'a> {
    /// A text without choices.
    #[must_use]
    pub fn new(pulse: &'a PulseId, to: &'a Value, text: &'a str) -> Self {
        Self {
            pulse,
            to,
            text,
            choices: &[],
        }
    }
}

/// Speaking failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VoiceError {
    /// The channel certainly did not take it, and asking again cannot help: an unknown number, a closed window.
    #[error("the channel refused the message ({code}): {message}")]
    Refused {
        /// The channel's own code, or the HTTP status.
        code: String,
        /// What it said.
        message: String,
    },
    /// The channel does not accept the credentials. Somebody must mend it.
    #[error("the channel does not accept the credentials ({code}): {message}")]
    Unauthorized {
        /// The channel's own code, or the HTTP status.
        code: String,
        /// What it said.
        message: String,
    },
    /// The channel certainly did not take it, this time: it is limiting, or failed before it read.
    #[error("the channel cannot take the message now: {message}")]
    Busy {
        /// When to come back, if it said so.
        retry_after: Option<Duration>,
        /// What it said.
        message: String,
    },
    /// The message was sent, and what became of it is not known.
    #[error("it is not known whether the channel took the message: {message}")]
    Unknown {
        /// What went wrong.
        message: String,
    },
    /// Nobody waits for it any more, and there is nowhere else to send it.
    #[error("nobody is there to hear it: {message}")]
    Gone {
        /// What there was.
        message: String,
    },
}

impl VoiceError {
    /// The channel's own code, where it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } | Self::Unauthorized { code, .. } => Some(code),
            Self::Busy { .. } | Self::Unknown { .. } | Self::Gone { .. } => None,
        }
    }
}

/// A file could not be fetched. The text is for the Oracle and for people: it names neither addresses nor content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The channel hands out no files, or the Spirit has no such voice any more.
    #[error("this channel hands out no files")]
    Unsupported,
    /// The channel no longer has it.
    #[error("the channel no longer has the file")]
    Gone,
    /// It is longer than the voice takes, in bytes.
    #[error("the file is longer than {limit} bytes (the voice's media.maxBytes)")]
    TooLarge {
        /// The most bytes that it takes.
        limit: usize,
    },
    /// The voice does not take such files.
    #[error("files of the type {media_type} are not taken (the voice's media.types)")]
    NotAllowed {
        /// The type that the channel gave.
        media_type: String,
    },
    /// What came is not what the channel had announced.
    #[error("the file arrived damaged")]
    Damaged,
    /// The channel failed, refused, or took too long.
    #[error("the file could not be fetched: {0}")]
    Failed(String),
}

/// How a Pulse of this voice ended, for a channel whose caller waits to hear.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The outcome, the reason and the steps, as the Chronicle has them.
    pub entry: &'a Entry,
    /// What this Pulse added to the conversation: the tools that were called among it.
    pub echoes: &'a [Echo],
    /// What each Scout found, by its name.
    pub findings: &'a [(String, String)],
}

/// Part of a reply that is heard while it is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next words.
    Text(&'a str),
    /// What was heard so far is no part of the answer: it begins anew.
    Again,
    /// A tool of this name is being called.
    Tool(&'a str),
    /// A human takes over: nothing more is heard, and what has not left this process yet must not leave it.
    Silence,
}

/// Hears a reply while it is being made, in order. It must not block; whoever cannot follow misses pieces, and gets the
/// whole when it is [spoken](Voice::speak).
pub trait Listener: Send + Sync {
    /// The next piece.
    fn hear(&mut self, piece: Piece<'_>);
}

/// A channel: webhooks in, messages out.
#[async_trait]
pub trait Voice: Send + Sync {
    /// The most bytes of a webhook that the channel sends.
    fn body_limit(&self) -> usize;

    /// Turns a webhook into Pulses. Checks its signature, in constant time, over the raw bytes and before it parses any
    /// of them. Part of a batch that is unknown does not fail the rest. Pure, and quick: it waits for nothing.
    ///
    /// # Errors
    /// [`Rejected`], which says what the sender has to mend.
    fn receive(&self, webhook: Webhook<'_>) -> Result<Received, Rejected>;

    /// Says one thing, once: it does not retry. The caller bounds the time by dropping the future, after which what
    /// became of it is not known.
    async fn speak(&self, utterance: Utterance<'_>) -> Result<(), VoiceError>;

    /// Somebody in this process who wants to hear the reply to this Pulse while it is being made. The Weave asks for its
    /// permit to speak before it lets anything be heard; the whole is spoken in the end all the same.
    fn listen(&self, pulse: &PulseId) -> Option<Box<dyn Listener>> {
        let _ = pulse;
        None
    }

    /// The content of a file that came with a message. Bounded in bytes by the adapter and in time by the caller, who drops
    /// the future. Does not retry.
    async fn fetch(&self, attachment: &Attachment) -> Result<Media, FetchError> {
        let _ = attachment;
        Err(FetchError::Unsupported)
    }

    /// Shows the person that their message was read, and that somebody is about to answer: `to` is its
    /// [`Pulse::reply_to`]. It shows for [`Voice::attention`]; whoever takes longer asks again. A failure harms nothing.
    async fn attend(&self, to: &Value) -> Result<(), VoiceError> {
        let _ = to;
        Ok(())
    }

    /// How long [`Voice::attend`] shows; nothing for a channel that cannot show it.
    fn attention(&self) -> Option<Duration> {
        None
    }

    /// A Pulse of this voice has ended, with a reply or without one, and its session is free again: whoever waits for it
    /// in this process can be told. Called once for each ending in this process, after [`Voice::speak`] if that was
    /// called; not for a duplicate. It must not block.
    fn ended(&self, ending: Ending<'_>) {
        let _ = ending;
    }

    /// Whether a message that may have been taken is better sent again than lost. `false` is at most once.
    fn repeats(&self) -> bool {
        false
    }
}
