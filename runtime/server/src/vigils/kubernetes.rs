//! Vigil objects that are in a cluster.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use eywa_crds::{Vigil, vigil::VigilStatus};
use eywa_weave::SpiritName;
use futures::StreamExt;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};
use tracing::warn;

use super::rota::{Change, ObjectsError, Published, VigilObjects};

/// Who the runtime is to server-side apply.
const FIELD_MANAGER: &str = "eywa-runtime";
/// Changes that may wait for the rota before the watch waits too.
const WAITING: usize = 64;
/// The longest that one request to the API server may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);

/// The Vigil objects of one namespace.
pub struct ClusterVigils {
    api: Api<Vigil>,
}

impl ClusterVigils {
    /// Those of `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
        }
    }

    /// Follows the Vigils of `spirit` for as long as somebody listens. When the API server is away, says nothing and
    /// comes back to it with growing pauses; then tells all that there are.
    pub fn follow(self: &Arc<Self>, spirit: &SpiritName) -> mpsc::Receiver<Change> {
        let (changes, receiver) = mpsc::channel(WAITING);
        let config = watcher::Config::default().fields(&format!("spec.spiritRef.name={spirit}"));
        let events = watcher(self.api.clone(), config).default_backoff();
        tokio::spawn(async move {
            let mut events = pin!(events);
            let mut listed = Vec::new();
            while let Some(event) = events.next().await {
                let change = match event {
                    Ok(Event::Init) => {
                        listed.clear();
                        continue;
                    }
                    Ok(Event::InitApply(vigil)) => {
                        listed.push(vigil);
                        continue;
                    }
                    Ok(Event::InitDone) => Change::All(std::mem::take(&mut listed)),
                    Ok(Event::Apply(vigil)) => Change::Set(Box::new(vigil)),
                    Ok(Event::Delete(vigil)) => {
                        Change::Gone(vigil.metadata.name.unwrap_or_default())
                    }
                    Err(error) => {
                        warn!(%error, "the Vigils cannot be watched; who has a conversation stays as it is");
                        continue;
                    }
                };
                if changes.send(change).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

#[async_trait]
impl VigilObjects for ClusterVigils {
    async fn current(&self, name: &str) -> Result<Option<Vigil>, ObjectsError> {
        in_time(self.api.get_opt(name)).await?.map_err(unreachable)
    }

    async fn publish(
        &self,
        vigil: &Vigil,
        status: &VigilStatus,
    ) -> Result<Published, ObjectsError> {
        let name = vigil.metadata.name.as_deref().unwrap_or_default();
        let patch = json!({
            "apiVersion": format!("{}/{}", eywa_crds::GROUP, eywa_crds::VERSION),
            "kind": "Vigil",
            // With the version the API server refuses to write over anything newer.
            "metadata": {"name": name, "resourceVersion": vigil.metadata.resource_version},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match in_time(self.api.patch_status(name, &params, &Patch::Apply(&patch))).await? {
            Ok(_) => Ok(Published::Written),
            Err(kube::Error::Api(refusal)) if [404, 409].contains(&refusal.code) => {
                Ok(Published::Outdated)
            }
            Err(error) => Err(unreachable(error)),
        }
    }
}

async fn in_time<T>(request: impl Future<Output = T>) -> Result<T, ObjectsError> {
    timeout(LONGEST_REQUEST, request).await.map_err(|_| {
        ObjectsError(format!(
            "the API server did not answer within {LONGEST_REQUEST:?}"
        ))
    })
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreachable(error: kube::Error) -> ObjectsError {
    ObjectsError(error.to_string())
}
