//! What a Spirit keeps in Google Cloud.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Credentials;

/// What is kept in Google Cloud, beside Redis.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.tasks) || has(self.storage)").message("at least one of tasks and storage is needed"))]
pub struct GoogleStores {
    /// Cloud Tasks, which brings a Pulse whose pod died to another, also to one that was not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TasksInbox>,
    /// Cloud Storage, for the files that people send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageAttachments>,
}

/// A queue of Cloud Tasks.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TasksInbox {
    /// The project, by its id.
    #[schemars(
        length(min = 4, max = 63),
        regex(pattern = r"^[a-z0-9][-a-z0-9.:]*[a-z0-9]$")
    )]
    pub project: String,
    /// The queue's location, such as `europe-west1`.
    #[schemars(length(min = 2, max = 40), regex(pattern = r"^[a-z]+-[a-z]+[0-9]+$"))]
    pub location: String,
    /// The queue.
    #[schemars(length(min = 1, max = 100), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub queue: String,
    /// Where Google reaches the Spirit: `https://host/tasks/SPIRIT`, as your ingress publishes it.
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub url: String,
    /// The service account that pushes prove themselves with, by its e-mail address.
    #[schemars(length(min = 3, max = 320), regex(pattern = r"^[^@\s]+@[^@\s]+$"))]
    pub service_account: String,
    /// The audience of its tokens. Without it, `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub audience: Option<String>,
    /// Where Cloud Tasks' REST interface is, if not at Google.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub base_url: Option<String>,
    /// Where the keys are that tokens are signed with, as a JWK set, if not at Google.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub keys_url: Option<String>,
    /// A service account's key in JSON. Without it, the pods' own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// A bucket of Cloud Storage.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageAttachments {
    /// The bucket.
    #[schemars(
        length(min = 3, max = 222),
        regex(pattern = r"^[a-z0-9][-._a-z0-9]*[a-z0-9]$")
    )]
    pub bucket: String,
    /// What the names of all objects begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z0-9._/-]+$"))]
    pub prefix: Option<String>,
    /// Where Cloud Storage's REST interface is, if not at Google.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub base_url: Option<String>,
    /// A service account's key in JSON. Without it, the pods' own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}
