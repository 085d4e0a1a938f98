//! A voice for any program that speaks HTTP.
//!
//! What comes in is a POST, signed by [`standard_webhooks`](crate::standard_webhooks):
//!
//! ```text
//! webhook-id: 6f1c…            unique to the message, the same when it is sent again
//! webhook-timestamp: 1790000000
//! webhook-signature: v1,…
//!
//! {"user": {"id": "ana", "name": "Ana"}, "text": "two flat whites, please"}
//! ```
//!
//! `user.name`, `session` and `attachments` may be left out. A person has one conversation, by `user.id`; a `session`
//! names another. What goes out is a [`HttpReply`]: to whoever [waits](HttpVoice::expect) for it in this process, or else
//! to the voice's `replyUrl`, signed by the same key, with the Pulse's id as `webhook-id`.

mod hearing;
mod inbound;
mod outbound;
#[cfg(test)]
mod tests;
mod waiting;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::{
    PulseId, SessionKey, VoiceName,
    ports::voice::{
        Ending, Listener, Method, Piece, Received, Rejected, Utterance, Voice, VoiceError, Webhook,
    },
    pulse::{Choice, Outcome},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use self::{hearing::Hearing, waiting::Waiting};
pub use self::{
    hearing::HttpPiece,
    waiting::{Heard, HttpEnding, TooManyWaiters, Waiter},
};
use crate::standard_webhooks::SigningKey;

/// The most bytes of a message.
const BODY_LIMIT: usize = 256 * 1024;
/// The longest that delivering a reply may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);

/// What a [`HttpVoice`] needs.
#[derive(Debug)]
pub struct HttpVoiceSettings {
    /// The voice's name, unique in its Spirit.
    pub name: VoiceName,
    /// The key that both directions are signed with.
    pub key: SigningKey,
    /// Where replies are sent that nobody waits for.
    pub reply_url: Option<Url>,
}

/// A channel over plain HTTP.
pub struct HttpVoice {
    name: VoiceName,
    key: SigningKey,
    reply_url: Option<Url>,
    client: GuardedClient,
    waiting: Waiting,
}

impl fmt::Debug for HttpVoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpVoice")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A reply, as it is handed to a waiter or POSTed to a `replyUrl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpReply {
    /// The Pulse that it answers.
    pub pulse: PulseId,
    /// The conversation.
    pub session: SessionKey,
    /// What is said.
    pub text: String,
    /// What the person is offered to answer with; a choice's title comes back as their text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// Where an answer goes: what [`Pulse::reply_to`](eywa_weave::Pulse::reply_to) holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ReplyTo {
    session: SessionKey,
}

impl HttpVoice {
    /// A voice that sends with `client`.
    #[must_use]
    pub fn new(settings: HttpVoiceSettings, client: GuardedClient) -> Self {
        let HttpVoiceSettings {
            name,
            key,
            reply_url,
        } = settings;
        Self {
            name,
            key,
            reply_url,
            client,
            waiting: Waiting::default(),
        }
    }

    /// Waits, from now on, for the reply to this Pulse and for its end. Call it before the Pulse is accepted, so that these
    /// cannot come first. Several may wait for the same Pulse, and each hears them; dropping a [`Waiter`] ends its waiting.
    ///
    /// # Errors
    /// When as many are waiting as this process has room for.
    pub fn expect(&self, pulse: &PulseId) -> Result<Waiter, TooManyWaiters> {
        self.waiting.expect(pulse, None)
    }

    /// Waits like [`HttpVoice::expect`], and hears the reply while it is being made.
    ///
    /// # Errors
    /// When as many are waiting as this process has room for.
    pub fn expect_aloud(&self, pulse: &PulseId) -> Result<Waiter, TooManyWaiters> {
        self.waiting.expect(pulse, Some(Hearing::default()))
    }
}

#[async_trait]
impl Voice for HttpVoice {
    fn body_limit(&self) -> usize {
        BODY_LIMIT
    }

    fn receive(&self, webhook: Webhook<'_>) -> Result<Received, Rejected> {
        if webhook.method != Method::Post {
            return Err(Rejected::Method);
        }
        let now = Timestamp::now();
        let id = self
            .key
            .verify(webhook.header, webhook.body, now)
            .map_err(|_| Rejected::Signature)?;
        let pulse = inbound::pulse(id, webhook.body, &self.name, now)?;
        Ok(Received::Pulses {
            pulses: vec![pulse],
            ignored: 0,
            notices: Vec::new(),
        })
    }

    async fn speak(&self, utterance: Utterance<'_>) -> Result<(), VoiceError> {
        let ReplyTo { session } =
            serde_json::from_value(utterance.to.clone()).map_err(|error| VoiceError::Refused {
                code: "reply_to".to_owned(),
                message: format!("this is not where the reply to an HTTP message goes: {error}"),
            })?;
        let reply = HttpReply {
            pulse: utterance.pulse.clone(),
            session,
            text: utterance.text.to_owned(),
            choices: utterance.choices.to_vec(),
        };
        if self.waiting.hand_over(&reply) {
            return Ok(());
        }
        match &self.reply_url {
            Some(url) => self.post(url, &reply).await,
            None => Err(VoiceError::Gone {
                message:
                    "nobody waits for the reply in this process, and the voice has no replyUrl"
                        .to_owned(),
            }),
        }
    }

    fn listen(&self, pulse: &PulseId) -> Option<Box<dyn Listener>> {
        let hearings = self.waiting.hearings(pulse);
        (!hearings.is_empty()).then(|| Box::new(All(hearings)) as Box<dyn Listener>)
    }

    /// A message that came again while the first is still answered ends at once, as a duplicate: that is not the end that
    /// its waiters wait for.
    fn ended(&self, ending: Ending<'_>) {
        if ending.entry.outcome != Outcome::Duplicate {
            self.waiting.ended(&ending.entry.pulse, || HttpEnding {
                entry: ending.entry.clone(),
                echoes: ending.echoes.to_vec(),
                findings: ending.findings.to_vec(),
            });
        }
    }

    /// A receiver tells by `webhook-id` that a reply is sent again.
    fn repeats(&self) -> bool {
        true
    }
}

/// All who hear one reply.
struct All(Vec<Hearing>);

impl Listener for All {
    fn hear(&mut self, piece: Piece<'_>) {
        for hearing in &self.0 {
            hearing.hear(piece);
        }
    }
}
