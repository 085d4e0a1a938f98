//! WhatsApp, by Meta's Cloud API.
//!
//! Facts of the API are Meta's own documentation of the WhatsApp Business Platform, at v24.0 of the Graph API.

mod chunk;
mod content;
mod inbound;
mod media;
mod message;
mod outbound;
mod signature;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::{
    PulseId, UserId, VoiceName,
    ports::{
        contacts::{Contacts, Pace},
        voice::{FetchError, Method, Received, Rejected, Utterance, Voice, VoiceError, Webhook},
    },
    pulse::{Attachment, Media},
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use self::message::{Body, bodies, read_and_typing};
pub use self::{media::MediaSettings, message::Template};

/// The most bytes of a webhook that Meta sends.
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// The longest that sending one message may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// How long after a person's last message only templates may be sent to them.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// Meta's code for a message that came later than that.
const OUTSIDE_WINDOW: &str = "131047";
/// How long the sign shows that somebody types.
const TYPING: Duration = Duration::from_secs(25);
/// How fast one person may be written to by one number: one message in 6 seconds, and 45 at once after a quiet time. Who
/// speaks waits for a turn, not the voice: a reply that is given up while it waits was certainly not sent.
const PACE: Pace = Pace {
    interval: Duration::from_secs(6),
    burst: 45,
    longest_wait: Duration::ZERO,
};
/// How often one person is sent a template that only tells of a reply.
const TEMPLATE_PACE: Pace = Pace {
    interval: WINDOW,
    burst: 1,
    longest_wait: Duration::ZERO,
};

/// What a [`WhatsAppVoice`] needs.
pub struct WhatsAppSettings {
    /// The voice's name, unique in its Spirit.
    pub name: VoiceName,
    /// The number's id, as Meta's dashboard shows it.
    pub phone_number_id: String,
    /// The Graph API, with its version: `https://graph.facebook.com/v24.0`.
    pub graph_url: Url,
    /// What messages are sent with.
    pub access_token: SecretString,
    /// What webhooks are signed with.
    pub app_secret: SecretString,
    /// What the verification of the webhook must carry.
    pub verify_token: SecretString,
    /// People see that their message was read, and that it is being answered.
    pub typing: bool,
    /// Which files it takes.
    pub media: MediaSettings,
    /// What is sent to people who have not written for 24 hours. Without it they are sent nothing.
    pub template: Option<Template>,
    /// What stands on the button that opens a list of choices. At most 20 characters.
    pub list_label: String,
}

/// Settings that no voice can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWhatsApp {
    /// One of the secrets is empty, so that anybody could make it up.
    #[error("{0} is empty: fill it in the Spirit's Secret")]
    EmptySecret(&'static str),
    /// The Graph API's URL cannot have a path.
    #[error("graphUrl is not a base URL such as https://graph.facebook.com/v24.0")]
    GraphUrl,
}

/// One number of the WhatsApp Cloud API.
pub struct WhatsAppVoice {
    name: VoiceName,
    phone_number_id: String,
    graph_url: Url,
    messages_url: Url,
    access_token: SecretString,
    app_secret: SecretString,
    verify_token: SecretString,
    typing: bool,
    media: MediaSettings,
    template: Option<Template>,
    list_label: String,
    contacts: Arc<dyn Contacts>,
    client: GuardedClient,
}

impl fmt::Debug for WhatsAppVoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.messages_url.as_str();
        f.debug_struct("WhatsAppVoice")
            .field("name", &self.name)
            .field("url", &url)
            .finish_non_exhaustive()
    }
}

/// Where an answer goes: what [`Pulse::reply_to`](eywa_weave::Pulse::reply_to) holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ReplyTo {
    /// The person's telephone number, unless they keep it to themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The id that Meta gave the person for this business. A number wins over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    /// The message that is answered.
    message: String,
    /// When it was sent, in seconds since 1970 by Meta's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
}

impl WhatsAppVoice {
    /// A voice that sends with `client`, and shares with other pods what `contacts` knows. White space around the secrets, such as the line break at the end of a file,
    /// does not count.
    ///
    /// # Errors
    /// When a secret is empty, or the URL is no base.
    pub fn new(
        settings: WhatsAppSettings,
        contacts: Arc<dyn Contacts>,
        client: GuardedClient,
    ) -> Result<Self, InvalidWhatsApp> {
        let secret = |name, secret: &SecretString| match secret.expose_secret().trim() {
            "" => Err(InvalidWhatsApp::EmptySecret(name)),
            text => Ok(SecretString::from(text)),
        };
        let mut messages_url = settings.graph_url.clone();
        messages_url
            .path_segments_mut()
            .map_err(|()| InvalidWhatsApp::GraphUrl)?
            .pop_if_empty()
            .extend([settings.phone_number_id.as_str(), "messages"]);
        Ok(Self {
            name: settings.name,
            phone_number_id: settings.phone_number_id,
            graph_url: settings.graph_url,
            messages_url,
            access_token: secret("access-token", &settings.access_token)?,
            app_secret: secret("app-secret", &settings.app_secret)?,
            verify_token: secret("verify-token", &settings.verify_token)?,
            typing: settings.typing,
            media: settings.media,
            template: settings.template,
            list_label: settings.list_label,
            contacts,
            client,
        })
    }

    /// Sends these in their order, once it is this person's turn. It cannot tell that a message is sent again, so once the
    /// first is out, a failure is [`VoiceError::Unknown`], which is not repeated.
    async fn send_all(
        &self,
        to: &ReplyTo,
        bodies: &[Body],
        utterance: Utterance<'_>,
    ) -> Result<(), VoiceError> {
        for (sent, body) in bodies.iter().enumerate() {
            let id = self
                .send(&body.addressed(to))
                .await
                .map_err(|error| match sent {
                    0 => error,
                    _ => VoiceError::Unknown {
                        message: format!("after {sent} of {} parts: {error}", bodies.len()),
                    },
                })?;
            if let Some(id) = id {
                self.remember_sent(id, utterance.pulse.clone());
            }
        }
        Ok(())
    }

    /// Keeps in mind which Pulse a message answered, beside what comes next: nobody waits for it.
    fn remember_sent(&self, message: String, pulse: PulseId) {
        let (contacts, voice) = (Arc::clone(&self.contacts), self.name.clone());
        tokio::spawn(async move {
            if let Err(error) = contacts.sent(&voice, &message, &pulse).await {
                tracing::warn!(%error, "it will not be known what an answer to this message refers to");
            }
        });
    }

    /// Whether this person may be sent so many messages now; they are counted if so. Otherwise busy until they may.
    /// Without the store nobody waits: Meta counts by itself.
    async fn take_turn(&self, to: &ReplyTo, messages: usize) -> Result<(), VoiceError> {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX).min(PACE.burst);
        let paced = self
            .contacts
            .pace(&self.name, &to.person(), messages, PACE)
            .await;
        match paced {
            Ok(Duration::ZERO) => Ok(()),
            Ok(wait) => Err(VoiceError::Busy {
                retry_after: Some(wait),
                message: "this person is being sent too many messages".to_owned(),
            }),
            Err(error) => {
                tracing::warn!(%error, "sending without knowing the pace");
                Ok(())
            }
        }
    }

    /// The person has not written for 24 hours, and it is their turn: they are sent the template, if there is one.
    async fn speak_outside_window(
        &self,
        to: &ReplyTo,
        utterance: Utterance<'_>,
    ) -> Result<(), VoiceError> {
        let closed = |message: String| VoiceError::Refused {
            code: OUTSIDE_WINDOW.to_owned(),
            message,
        };
        let Some(template) = &self.template else {
            return Err(closed(
                "the person has not written for 24 hours, after which WhatsApp takes templates alone: name one in the voice's \
                 template"
                    .to_owned(),
            ));
        };
        let name = &template.name;
        if !template.carries_text {
            let key = UserId::from(format!("template/{}", to.person()));
            let told = self.contacts.pace(&self.name, &key, 1, TEMPLATE_PACE).await;
            if matches!(told, Ok(wait) if !wait.is_zero()) {
                return Err(closed(format!(
                    "the person has not written for 24 hours, and was sent the template {name} before"
                )));
            }
        }
        let body = Body::template(template, utterance.text);
        self.send_all(to, &[body], utterance).await?;
        if template.carries_text {
            Ok(())
        } else {
            Err(closed(format!(
                "the person has not written for 24 hours: they were sent the template {name}, and not the reply"
            )))
        }
    }
}

impl ReplyTo {
    fn read(value: &Value) -> Result<Self, VoiceError> {
        serde_json::from_value(value.clone()).map_err(|error| VoiceError::Refused {
            code: "reply_to".to_owned(),
            message: format!("this is not where a WhatsApp message goes: {error}"),
        })
    }

    /// The address as Meta counts messages to it.
    fn person(&self) -> UserId {
        let person = self.to.as_deref().or(self.recipient.as_deref());
        UserId::from(person.unwrap_or_default())
    }

    /// Whether the person's message was sent more than 24 hours ago.
    fn is_outside_window(&self, now: Timestamp) -> bool {
        let window = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
        self.at.is_some_and(|at| now.as_second() - at > window)
    }
}

#[async_trait]
impl Voice for WhatsAppVoice {
    fn body_limit(&self) -> usize {
        BODY_LIMIT
    }

    fn receive(&self, webhook: Webhook<'_>) -> Result<Received, Rejected> {
        match webhook.method {
            Method::Get => {
                signature::challenge(webhook.query, &self.verify_token).map(Received::Challenge)
            }
            Method::Post => {
                let signed = (webhook.header)(signature::HEADER).unwrap_or_default();
                signature::check(signed, webhook.body, &self.app_secret)?;
                inbound::pulses(webhook.body, &self.name, &self.phone_number_id)
            }
        }
    }

    /// The text goes out in as few messages as its length allows, and as a template when the person has not written for 24
    /// hours. Busy until Meta's pace allows it.
    async fn speak(&self, utterance: Utterance<'_>) -> Result<(), VoiceError> {
        let to = ReplyTo::read(utterance.to)?;
        if to.is_outside_window(Timestamp::now()) {
            self.take_turn(&to, 1).await?;
            return self.speak_outside_window(&to, utterance).await;
        }
        let bodies = bodies(utterance.text, utterance.choices, &self.list_label);
        self.take_turn(&to, bodies.len()).await?;
        match self.send_all(&to, &bodies, utterance).await {
            // The turn is not over: nothing was sent in it.
            Err(VoiceError::Refused { code, .. }) if code == OUTSIDE_WINDOW => {
                self.speak_outside_window(&to, utterance).await
            }
            sent => sent,
        }
    }

    async fn fetch(&self, attachment: &Attachment) -> Result<Media, FetchError> {
        self.download(attachment).await
    }

    async fn attend(&self, to: &Value) -> Result<(), VoiceError> {
        let to = ReplyTo::read(to)?;
        self.send(&read_and_typing(&to.message)).await.map(drop)
    }

    fn attention(&self) -> Option<Duration> {
        self.typing.then_some(TYPING)
    }
}
