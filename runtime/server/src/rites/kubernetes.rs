//! Rite objects that are in a cluster.

use std::sync::Arc;

use async_trait::async_trait;
use eywa_crds::{Rite as RiteObject, Spirit, rite::RiteStatus};
use eywa_weave::SpiritName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Api, Client, Resource as _};
use tokio::sync::{OnceCell, mpsc};
use tracing::debug;

use super::ledger::{Made, RiteObjects};
use crate::vigils::{
    Change, ObjectsError, Published,
    kubernetes::{delete, follow, in_time, making, publish, unreachable},
};

/// The Rite objects of one namespace.
pub struct ClusterRites {
    api: Api<RiteObject>,
    spirits: Api<Spirit>,
    /// The uid of the Spirit, once it is known.
    owner: OnceCell<String>,
}

impl ClusterRites {
    /// Those of `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            spirits: Api::namespaced(client, namespace),
            owner: OnceCell::new(),
        }
    }

    /// Follows the Rites of `spirit` for as long as somebody listens. When the API server is away, says nothing and comes
    /// back to it with growing pauses; then tells all that there are.
    pub fn follow(self: &Arc<Self>, spirit: &SpiritName) -> mpsc::Receiver<Change<RiteObject>> {
        follow(self.api.clone(), spirit)
    }

    /// The object as it goes with its Spirit. Where that cannot be read, it stays by itself.
    async fn owned(&self, object: &RiteObject) -> RiteObject {
        let name = &object.spec.spirit_ref.name;
        let uid = self.owner.get_or_try_init(async || {
            let spirit = in_time(self.spirits.get(name)).await?;
            let uid = spirit.map_err(unreachable)?.metadata.uid;
            uid.ok_or_else(|| ObjectsError(format!("the Spirit {name} has no uid")))
        });
        let mut object = object.clone();
        match uid.await {
            Ok(uid) => {
                object.metadata.owner_references = Some(vec![OwnerReference {
                    api_version: Spirit::api_version(&()).into_owned(),
                    kind: Spirit::kind(&()).into_owned(),
                    name: object.spec.spirit_ref.name.clone(),
                    uid: uid.clone(),
                    ..OwnerReference::default()
                }]);
            }
            Err(error) => debug!(%error, "a Rite's object has no owner"),
        }
        object
    }
}

#[async_trait]
impl RiteObjects for ClusterRites {
    async fn make(&self, object: &RiteObject) -> Result<Made, ObjectsError> {
        let object = self.owned(object).await;
        match in_time(self.api.create(&making(), &object)).await? {
            Ok(_) => Ok(Made::There),
            Err(kube::Error::Api(refusal)) if refusal.code == 409 => Ok(Made::There),
            // Such as a session whose name is too long for an object.
            Err(kube::Error::Api(refusal)) if [400, 413, 422].contains(&refusal.code) => {
                Ok(Made::Impossible)
            }
            Err(error) => Err(unreachable(error)),
        }
    }

    async fn publish(
        &self,
        object: &RiteObject,
        status: &RiteStatus,
    ) -> Result<Published, ObjectsError> {
        publish(&self.api, object, status).await
    }

    async fn delete(&self, object: &RiteObject) -> Result<(), ObjectsError> {
        delete(&self.api, object).await.map(drop)
    }
}
