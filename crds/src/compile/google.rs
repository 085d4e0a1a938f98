//! Compiling what a Spirit keeps in Google Cloud.

use super::{Problems, address::Addresses};
use crate::{
    runtime_config::{CompiledStorage, CompiledTasks, SecretFile},
    spirit::{Credentials, StorageAttachments, TasksInbox},
};

/// Where Cloud Tasks' REST interface is.
const TASKS_URL: &str = "https://cloudtasks.googleapis.com";

/// Where Cloud Storage's REST interface is.
const STORAGE_URL: &str = "https://storage.googleapis.com";

pub(super) fn tasks(
    tasks: &TasksInbox,
    addresses: &Addresses<'_>,
    problems: &mut Problems,
) -> CompiledTasks {
    let field = "spec.stores.google.tasks";
    let base_url = tasks.base_url.as_deref().unwrap_or(TASKS_URL);
    CompiledTasks {
        queue: format!(
            "projects/{}/locations/{}/queues/{}",
            tasks.project, tasks.location, tasks.queue
        ),
        base_url: addresses.noted(&format!("{field}.baseUrl"), base_url, problems),
        // Google's to reach, not this Spirit's.
        url: tasks.url.clone(),
        service_account: tasks.service_account.clone(),
        audience: tasks.audience.clone().unwrap_or_else(|| tasks.url.clone()),
        keys_url: (tasks.keys_url.as_deref())
            .map(|url| addresses.noted(&format!("{field}.keysUrl"), url, problems)),
        credentials: tasks.credentials.as_ref().map(credentials_of),
    }
}

pub(super) fn storage(
    storage: &StorageAttachments,
    addresses: &Addresses<'_>,
    problems: &mut Problems,
) -> CompiledStorage {
    let base_url = storage.base_url.as_deref().unwrap_or(STORAGE_URL);
    CompiledStorage {
        bucket: storage.bucket.clone(),
        prefix: storage.prefix.clone().unwrap_or_default(),
        base_url: addresses.noted("spec.stores.google.storage.baseUrl", base_url, problems),
        credentials: storage.credentials.as_ref().map(credentials_of),
    }
}

fn credentials_of(credentials: &Credentials) -> SecretFile {
    SecretFile::from(&credentials.secret_ref)
}
