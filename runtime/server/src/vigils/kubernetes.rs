//! Vigil objects that are in a cluster.

use std::{fmt::Debug, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use eywa_crds::{Vigil, vigil::VigilStatus};
use eywa_weave::SpiritName;
use futures::StreamExt;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    runtime::{
        WatchStreamExt,
        events::{self, EventType, Recorder, Reporter},
        watcher::{self, Event, watcher},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};
use tracing::warn;

use crate::owner::Owner;

use super::rota::{Announcement, Change, ObjectsError, Published, VigilObjects};

/// Who the runtime is to server-side apply.
pub(crate) const FIELD_MANAGER: &str = "eywa-runtime";
/// Changes that may wait for the rota before the watch waits too.
const WAITING: usize = 64;
/// The longest that one request to the API server may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);

/// The Vigil objects of one namespace.
pub struct ClusterVigils {
    api: Api<Vigil>,
    owner: Owner,
    client: Client,
}

impl ClusterVigils {
    /// Those of `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            owner: Owner::new(client.clone(), namespace),
            client,
        }
    }

    /// Follows the Vigils of `spirit` for as long as somebody listens. When the API server is away, says nothing and
    /// comes back to it with growing pauses; then tells all that there are.
    pub fn follow(self: &Arc<Self>, spirit: &SpiritName) -> mpsc::Receiver<Change> {
        follow(self.api.clone(), spirit)
    }
}

/// Follows the objects about `spirit` for as long as somebody listens.
pub(crate) fn follow<K>(api: Api<K>, spirit: &SpiritName) -> mpsc::Receiver<Change<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let (changes, receiver) = mpsc::channel(WAITING);
    let config = watcher::Config::default().fields(&format!("spec.spiritRef.name={spirit}"));
    let events = watcher(api, config).default_backoff();
    tokio::spawn(async move {
        let mut events = pin!(events);
        let mut listed = Vec::new();
        while let Some(event) = events.next().await {
            let change = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    continue;
                }
                Ok(Event::InitApply(object)) => {
                    listed.push(object);
                    continue;
                }
                Ok(Event::InitDone) => Change::All(std::mem::take(&mut listed)),
                Ok(Event::Apply(object)) => Change::Set(Box::new(object)),
                Ok(Event::Delete(object)) => {
                    Change::Gone(object.meta().name.clone().unwrap_or_default())
                }
                Err(error) => {
                    let kind = K::kind(&());
                    warn!(%error, %kind, "objects cannot be watched; what is in the store holds meanwhile");
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
        publish(&self.api, vigil, status).await
    }

    async fn make(&self, vigil: &Vigil) -> Result<(), ObjectsError> {
        let mut vigil = vigil.clone();
        let spirit = vigil.spec.spirit_ref.name.clone();
        vigil.metadata.owner_references = self.owner.reference(&spirit).await;
        match in_time(self.api.create(&making(), &vigil)).await? {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(refusal)) if refusal.code == 409 => Ok(()),
            // Such as a session whose name is too long for an object: it is on the desk all the same.
            Err(kube::Error::Api(refusal)) if refusal.code == 422 => {
                warn!(
                    reason = refusal.message,
                    "a conversation has no Vigil object"
                );
                Ok(())
            }
            Err(error) => Err(unreachable(error)),
        }
    }

    async fn rewrite(&self, vigil: &Vigil) -> Result<Published, ObjectsError> {
        let name = vigil.metadata.name.as_deref().unwrap_or_default();
        let patch = json!({
            "metadata": {
                "resourceVersion": vigil.metadata.resource_version,
                "annotations": vigil.metadata.annotations,
                "labels": vigil.metadata.labels,
            },
            "spec": vigil.spec,
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        if_unchanged(in_time(self.api.patch(name, &params, &Patch::Merge(&patch))).await?)
    }

    async fn delete(&self, vigil: &Vigil) -> Result<Published, ObjectsError> {
        delete(&self.api, vigil).await
    }

    async fn announce(&self, vigil: &Vigil, news: Announcement) {
        let event = events::Event {
            type_: if news.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: news.reason.to_owned(),
            note: Some(news.note),
            action: "Watch".to_owned(),
            secondary: None,
        };
        // A new recorder each time: one that is kept folds Events of one reason into the first.
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: None,
        };
        let recorder = Recorder::new(self.client.clone(), reporter);
        let about = vigil.object_ref(&());
        match timeout(LONGEST_REQUEST, recorder.publish(&event, &about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "an Event could not be written"),
            Err(_) => warn!("an Event could not be written in time"),
        }
    }
}

/// How an object is made.
pub(crate) fn making() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// Writes the object's status, unless the object is another one by now, or gone.
pub(crate) async fn publish<K>(
    api: &Api<K>,
    object: &K,
    status: &impl Serialize,
) -> Result<Published, ObjectsError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let name = object.meta().name.as_deref().unwrap_or_default();
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // With the version the API server refuses to write over anything newer.
        "metadata": {"name": name, "resourceVersion": object.meta().resource_version},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    if_unchanged(in_time(api.patch_status(name, &params, &Patch::Apply(&patch))).await?)
}

/// Deletes the object, unless it is another one by now.
pub(crate) async fn delete<K>(api: &Api<K>, object: &K) -> Result<Published, ObjectsError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let name = object.meta().name.as_deref().unwrap_or_default();
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: object.meta().uid.clone(),
            resource_version: object.meta().resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    if_unchanged(in_time(api.delete(name, &params)).await?)
}

fn if_unchanged<T>(answer: Result<T, kube::Error>) -> Result<Published, ObjectsError> {
    match answer {
        Ok(_) => Ok(Published::Written),
        Err(kube::Error::Api(refusal)) if [404, 409].contains(&refusal.code) => {
            Ok(Published::Outdated)
        }
        Err(error) => Err(unreachable(error)),
    }
}

pub(crate) async fn in_time<T>(request: impl Future<Output = T>) -> Result<T, ObjectsError> {
    timeout(LONGEST_REQUEST, request).await.map_err(|_| {
        ObjectsError(format!(
            "the API server did not answer within {LONGEST_REQUEST:?}"
        ))
    })
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn unreachable(error: kube::Error) -> ObjectsError {
    ObjectsError(error.to_string())
}
