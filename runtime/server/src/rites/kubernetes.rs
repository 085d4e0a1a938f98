//! Rite objects that are in a cluster.

use std::sync::Arc;

use async_trait::async_trait;
use eywa_crds::{Rite as RiteObject, rite::RiteStatus};
use eywa_weave::SpiritName;
use kube::{Api, Client};
use tokio::sync::mpsc;

use super::ledger::{Made, RiteObjects};
use crate::{
    owner::Owner,
    vigils::{
        Change, ObjectsError, Published,
        kubernetes::{delete, follow, in_time, making, publish, unreachable},
    },
};

/// The Rite objects of one namespace.
pub struct ClusterRites {
    api: Api<RiteObject>,
    owner: Owner,
}

impl ClusterRites {
    /// Those of `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            owner: Owner::new(client, namespace),
        }
    }

    /// Follows the Rites of `spirit` for as long as somebody listens. When the API server is away, says nothing and comes
    /// back to it with growing pauses; then tells all that there are.
    pub fn follow(self: &Arc<Self>, spirit: &SpiritName) -> mpsc::Receiver<Change<RiteObject>> {
        follow(self.api.clone(), spirit)
    }
}

#[async_trait]
impl RiteObjects for ClusterRites {
    async fn make(&self, object: &RiteObject) -> Result<Made, ObjectsError> {
        let mut object = object.clone();
        let spirit = object.spec.spirit_ref.name.clone();
        object.metadata.owner_references = self.owner.reference(&spirit).await;
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
