//! What a Spirit keeps in Google Cloud, beside its other stores.

#[cfg(any(feature = "attachments-storage", feature = "inbox-tasks"))]
use std::sync::Arc;

use eywa_crds::runtime_config::{RuntimeConfig, StoresConfig};
#[cfg(any(feature = "attachments-storage", feature = "inbox-tasks"))]
use {eywa_adapters::google::GoogleTokens, eywa_crds::runtime_config::SecretFile, url::Url};

use super::{Shared, Stores, WireError};
use crate::secrets::Secrets;

/// With the files that people send in Cloud Storage, if the configuration says so.
#[cfg(feature = "attachments-storage")]
pub(super) fn attachments(
    config: &RuntimeConfig,
    secrets: &dyn Secrets,
    stores: Stores,
    shared: &Shared,
) -> Result<Stores, WireError> {
    use eywa_adapters::attachments::{StorageAttachments, StorageSite};

    let StoresConfig::Redis {
        storage: Some(storage),
        ..
    } = &config.stores
    else {
        return Ok(stores);
    };
    let field = "stores.google.storage";
    let tokens = tokens(config, field, storage.credentials.as_ref(), secrets)?;
    let site = StorageSite {
        base_url: url(config, field, "baseUrl", &storage.base_url)?,
        bucket: storage.bucket.clone(),
        prefix: storage.prefix.clone(),
        namespace: config.namespace.clone(),
        spirit: config.front.clone(),
    };
    let attachments = StorageAttachments::new(shared.client.clone(), tokens, site);
    Ok(Stores {
        attachments: Arc::new(attachments),
        ..stores
    })
}

#[cfg(not(feature = "attachments-storage"))]
pub(super) fn attachments(
    config: &RuntimeConfig,
    _: &dyn Secrets,
    stores: Stores,
    _: &Shared,
) -> Result<Stores, WireError> {
    match &config.stores {
        StoresConfig::Redis {
            storage: Some(_), ..
        } => Err(WireError::not_built_in(
            &config.front,
            "stores.google.storage",
            "attachments-storage",
        )),
        _ => Ok(stores),
    }
}

/// What a Pulse may take beyond the Spirit's own limit, while Cloud Tasks waits: to get the Bond, to be spoken, and written
/// down.
#[cfg(feature = "inbox-tasks")]
const BEYOND: std::time::Duration = std::time::Duration::from_secs(90);

/// With alarms for the Inbox at Cloud Tasks, if the configuration says so, and who may set them off.
#[cfg(feature = "inbox-tasks")]
pub(super) fn tasks(
    config: &RuntimeConfig,
    front: &eywa_crds::runtime_config::CompiledSpirit,
    secrets: &dyn Secrets,
    stores: Stores,
    shared: &Shared,
) -> Result<(Stores, Option<Arc<eywa_adapters::inbox::TaskPushes>>), WireError> {
    use eywa_adapters::{
        google::{GOOGLE_KEYS, IdTokens},
        inbox::{TaskPushes, TaskQueue, TaskSite, TasksInbox},
    };

    let StoresConfig::Redis {
        tasks: Some(tasks), ..
    } = &config.stores
    else {
        return Ok((stores, None));
    };
    let field = "stores.google.tasks";
    let site = TaskSite {
        base_url: url(config, field, "baseUrl", &tasks.base_url)?,
        queue: tasks.queue.clone(),
        url: tasks.url.clone(),
        account: tasks.service_account.clone(),
        audience: tasks.audience.clone(),
        namespace: config.namespace.clone(),
        spirit: config.front.clone(),
        push_within: front.limits.pulse_timeout.as_std() + BEYOND,
    };
    let keys = tasks.keys_url.as_deref().unwrap_or(GOOGLE_KEYS);
    let id_tokens = IdTokens::new(
        shared.client.clone(),
        url(config, field, "keysUrl", keys)?,
        tasks.service_account.as_str(),
        tasks.audience.as_str(),
    );
    let tokens = tokens(config, field, tasks.credentials.as_ref(), secrets)?;
    let queue = TaskQueue::new(shared.client.clone(), tokens, site);
    let pushes = TaskPushes::new(id_tokens, queue.clone());
    let (metrics, spirit) = (shared.metrics.clone(), config.front.as_str().into());
    let inbox = TasksInbox::new(stores.inbox, queue, move |event| {
        metrics.alarm(&spirit, event.as_str());
    });
    let stores = Stores {
        inbox: Arc::new(inbox),
        ..stores
    };
    Ok((stores, Some(Arc::new(pushes))))
}

#[cfg(not(feature = "inbox-tasks"))]
pub(super) fn no_tasks(config: &RuntimeConfig) -> Result<(), WireError> {
    match &config.stores {
        StoresConfig::Redis { tasks: Some(_), .. } => Err(WireError::not_built_in(
            &config.front,
            "stores.google.tasks",
            "inbox-tasks",
        )),
        _ => Ok(()),
    }
}

#[cfg(any(feature = "attachments-storage", feature = "inbox-tasks"))]
fn tokens(
    config: &RuntimeConfig,
    field: &str,
    credentials: Option<&SecretFile>,
    secrets: &dyn Secrets,
) -> Result<GoogleTokens, WireError> {
    let Some(file) = credentials else {
        return Ok(GoogleTokens::of_the_pod());
    };
    GoogleTokens::of_key(&secrets.get(file)?)
        .map_err(|reason| WireError::invalid(&config.front, format!("{field}.credentials"), reason))
}

#[cfg(any(feature = "attachments-storage", feature = "inbox-tasks"))]
fn url(config: &RuntimeConfig, field: &str, name: &str, url: &str) -> Result<Url, WireError> {
    url.parse()
        .map_err(|reason| WireError::invalid(&config.front, format!("{field}.{name}"), reason))
}
