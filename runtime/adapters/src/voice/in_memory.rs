//! A Voice that remembers what it was given to say.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use eywa_weave::{
    PulseId,
    ports::voice::{
        Listener, Method, Piece, Received, Rejected, Utterance, Voice, VoiceError, Webhook,
    },
    pulse::Choice,
};
use futures::future::BoxFuture;
use serde_json::Value;

use crate::in_memory::Shared;

/// Something a Voice was given to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The Pulse that it answers.
    pub pulse: PulseId,
    /// To whom.
    pub to: Value,
    /// The text.
    pub text: String,
    /// What was offered to answer with.
    pub choices: Vec<Choice>,
}

type Speak = dyn Fn(Said) -> BoxFuture<'static, Result<(), VoiceError>> + Send + Sync;

/// A Voice for tests: its webhooks are JSON lists of Pulses, and it remembers what it said.
pub struct InMemoryVoice {
    speak: Box<Speak>,
    repeats: bool,
    listens: bool,
    heard: Arc<Shared<Vec<String>>>,
    tried: Shared<Vec<Said>>,
    said: Shared<Vec<Said>>,
}

impl InMemoryVoice {
    /// A channel that takes everything at once.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| async { Ok(()) })
    }

    /// A channel that does with an utterance what `speak` does: it may take a while, fail, or never come back.
    pub fn with<F, R>(speak: F) -> Self
    where
        F: Fn(Said) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), VoiceError>> + Send + 'static,
    {
        let speak = Box::new(move |said| -> BoxFuture<'static, _> { Box::pin(speak(said)) });
        Self {
            speak,
            repeats: false,
            listens: false,
            heard: Arc::default(),
            tried: Shared::default(),
            said: Shared::default(),
        }
    }

    /// Makes it prefer to say something twice rather than not at all.
    #[must_use]
    pub fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// Makes it hear replies while they are being made.
    #[must_use]
    pub fn listening(mut self) -> Self {
        self.listens = true;
        self
    }

    /// What was heard while it was being made: words as they came, `<again>`, `<tool NAME>` and `<silence>`.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }

    /// What the channel took, in the order in which it did.
    pub fn said(&self) -> Vec<Said> {
        self.said.lock().clone()
    }

    /// What the channel was given, whatever it did with it.
    pub fn tried(&self) -> Vec<Said> {
        self.tried.lock().clone()
    }
}

impl Default for InMemoryVoice {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryVoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryVoice")
            .field("said", &self.said)
            .finish_non_exhaustive()
    }
}

struct Ear(Arc<Shared<Vec<String>>>);

impl Listener for Ear {
    fn hear(&mut self, piece: Piece<'_>) {
        self.0.lock().push(match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Again => "<again>".to_owned(),
            Piece::Tool(name) => format!("<tool {name}>"),
            Piece::Silence => "<silence>".to_owned(),
        });
    }
}

#[async_trait]
impl Voice for InMemoryVoice {
    fn body_limit(&self) -> usize {
        1 << 20
    }

    fn receive(&self, webhook: Webhook<'_>) -> Result<Received, Rejected> {
        if webhook.method != Method::Post {
            return Err(Rejected::Method);
        }
        match serde_json::from_slice(webhook.body) {
            Ok(pulses) => Ok(Received::Pulses {
                pulses,
                ignored: 0,
                notices: Vec::new(),
            }),
            Err(reason) => Err(Rejected::Malformed(reason.to_string())),
        }
    }

    fn listen(&self, _: &PulseId) -> Option<Box<dyn Listener>> {
        self.listens
            .then(|| Box::new(Ear(Arc::clone(&self.heard))) as Box<dyn Listener>)
    }

    async fn speak(&self, utterance: Utterance<'_>) -> Result<(), VoiceError> {
        let Utterance {
            pulse,
            to,
            text,
            choices,
        } = utterance;
        let said = Said {
            pulse: pulse.clone(),
            to: to.clone(),
            text: text.to_owned(),
            choices: choices.to_vec(),
        };
        self.tried.lock().push(said.clone());
        (self.speak)(said.clone()).await?;
        self.said.lock().push(said);
        Ok(())
    }

    fn repeats(&self) -> bool {
        self.repeats
    }
}
