//! What is kept in Google Cloud, resolved.

use serde::{Deserialize, Serialize};

use super::SecretFile;

/// A queue of Cloud Tasks, beside the Inbox in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledTasks {
    /// The queue, as `projects/P/locations/L/queues/Q`.
    pub queue: String,
    /// Where Cloud Tasks' REST interface is, without the version.
    pub base_url: String,
    /// Where Google reaches the Spirit.
    pub url: String,
    /// The service account that pushes prove themselves with.
    pub service_account: String,
    /// The audience of its tokens.
    pub audience: String,
    /// Where the keys are that tokens are signed with, if not at Google.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keys_url: Option<String>,
    /// A service account's key; without it, the pods' own identity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credentials: Option<SecretFile>,
}

/// A bucket of Cloud Storage, for the files that people send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledStorage {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub prefix: String,
    /// Where Cloud Storage's REST interface is.
    pub base_url: String,
    /// A service account's key; without it, the pods' own identity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credentials: Option<SecretFile>,
}
