//! The channels a Spirit listens and speaks on.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::{SecretKeyRef, SecretRef};

/// A channel. Its webhook is `/voices/{spirit}/{voice}`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.whatsapp) != has(self.http)").message("exactly one of whatsapp and http is needed"))]
pub struct Voice {
    /// Name of the channel, unique in the Spirit. It is the first half of every session's name.
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// A number of the WhatsApp Cloud API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whatsapp: Option<WhatsAppVoice>,
    /// Any program that speaks HTTP, signed both ways as Standard Webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpVoice>,
}

/// A number of the WhatsApp Cloud API.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhatsAppVoice {
    /// The number's id, as Meta's dashboard shows it.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[0-9]+$"))]
    pub phone_number_id: String,
    /// The Secret with the keys `access-token`, `app-secret` and `verify-token`.
    pub secret_ref: SecretRef,
    /// The Graph API, with its version.
    #[serde(default = "WhatsAppVoice::default_graph_url")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub graph_url: String,
    /// Whether people see that their message was read, and that it is being answered: yes, unless it says no.
    // No default in the schema, here and below: kubectl compares lists whole, and would call each apply a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typing: Option<bool>,
    /// Which files it takes, for the Oracle and for people at the desk. Of others it is only told that they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaSettings>,
    /// A message that Meta has approved, sent to people who have not written for 24 hours: WhatsApp takes no other then.
    /// Without it they are sent nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateSettings>,
    /// What stands on the button that opens a list of choices: `Options`, unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub list_label: Option<String>,
}

/// Which files a voice takes.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MediaSettings {
    /// The most bytes of one file.
    #[schemars(range(min = 1, max = 26_214_400))]
    pub max_bytes: u32,
    /// Their media types: whole, such as `application/pdf`, or a family, such as `image/*`.
    #[schemars(
        length(max = 32),
        inner(
            length(max = 128),
            regex(pattern = r"^[a-z]+/(\*|[a-z0-9][a-z0-9.+-]*)$")
        )
    )]
    pub types: Vec<String>,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            max_bytes: 16 * 1024 * 1024,
            types: ["image/*", "audio/*", "video/*", "application/pdf"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

/// A template message.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSettings {
    /// Its name, as in WhatsApp Manager.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[a-z0-9_]+$"))]
    pub name: String,
    /// Its language, such as `en_US` or `pt_BR`.
    #[schemars(length(max = 16), regex(pattern = r"^[a-z]{2,3}(_[A-Z]{2,3})?$"))]
    pub language: String,
    /// What its body's parameters are filled with, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 900)))]
    pub parameters: Vec<String>,
    /// Whether the reply itself is one more parameter, the last. Without that the template only tells that there is a
    /// reply; the person is sent it at most once a day, and the Pulse counts as not answered.
    #[serde(default)]
    pub carries_text: bool,
}

impl WhatsAppVoice {
    /// The keys its Secret must have.
    pub const SECRET_KEYS: [&'static str; 3] = ["access-token", "app-secret", "verify-token"];

    fn default_graph_url() -> String {
        "https://graph.facebook.com/v24.0".to_owned()
    }

    /// What stands on the button that opens a list of choices.
    #[must_use]
    pub fn list_label(&self) -> &str {
        self.list_label.as_deref().unwrap_or("Options")
    }
}

/// A channel over plain HTTP.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpVoice {
    /// The signing key, as Standard Webhooks write it (`whsec_` and base64).
    pub secret_ref: SecretKeyRef,
    /// Where replies are sent that the caller did not wait for. Without it, only those who wait get them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub reply_url: Option<String>,
}
