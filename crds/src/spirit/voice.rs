//! The channels a Spirit listens and speaks on.

use kube::KubeSchema;
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
}

impl WhatsAppVoice {
    /// The keys its Secret must have.
    pub const SECRET_KEYS: [&'static str; 3] = ["access-token", "app-secret", "verify-token"];

    fn default_graph_url() -> String {
        "https://graph.facebook.com/v24.0".to_owned()
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
