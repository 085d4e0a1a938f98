//! WhatsApp, by Meta's Cloud API.
//!
//! Facts of the API are Meta's own documentation of the WhatsApp Business Platform, at v24.0 of the Graph API.

mod chunk;
mod inbound;
mod outbound;
mod signature;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use eywa_weave::{
    VoiceName,
    ports::voice::{Method, Received, Rejected, Utterance, Voice, VoiceError, Webhook},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

/// The most bytes of a webhook that Meta sends.
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// The longest that sending one message may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);

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
    messages_url: Url,
    access_token: SecretString,
    app_secret: SecretString,
    verify_token: SecretString,
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
}

impl WhatsAppVoice {
    /// A voice that sends with `client`. White space around the secrets, such as the line break at the end of a file,
    /// does not count.
    ///
    /// # Errors
    /// When a secret is empty, or the URL is no base.
    pub fn new(settings: WhatsAppSettings, client: GuardedClient) -> Result<Self, InvalidWhatsApp> {
        let secret = |name, secret: &SecretString| match secret.expose_secret().trim() {
            "" => Err(InvalidWhatsApp::EmptySecret(name)),
            text => Ok(SecretString::from(text)),
        };
        let mut messages_url = settings.graph_url;
        messages_url
            .path_segments_mut()
            .map_err(|()| InvalidWhatsApp::GraphUrl)?
            .pop_if_empty()
            .extend([settings.phone_number_id.as_str(), "messages"]);
        Ok(Self {
            name: settings.name,
            phone_number_id: settings.phone_number_id,
            messages_url,
            access_token: secret("access-token", &settings.access_token)?,
            app_secret: secret("app-secret", &settings.app_secret)?,
            verify_token: secret("verify-token", &settings.verify_token)?,
            client,
        })
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

    /// The text goes out in as few messages as its length allows. Meta cannot tell that a message is sent again, so once
    /// the first part of several is out, a failure is [`VoiceError::Unknown`], which is not repeated.
    async fn speak(&self, utterance: Utterance<'_>) -> Result<(), VoiceError> {
        let to: ReplyTo =
            serde_json::from_value(utterance.to.clone()).map_err(|error| VoiceError::Refused {
                code: "reply_to".to_owned(),
                message: format!("this is not where a WhatsApp message goes: {error}"),
            })?;
        let parts = chunk::chunks(utterance.text);
        for (sent, text) in parts.iter().enumerate() {
            self.send(&to, text).await.map_err(|error| match sent {
                0 => error,
                _ => VoiceError::Unknown {
                    message: format!("after {sent} of {} parts: {error}", parts.len()),
                },
            })?;
        }
        Ok(())
    }
}
