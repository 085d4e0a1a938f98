//! The Spirit as the owner of the objects that the runtime makes: they go when it goes.

use eywa_crds::Spirit;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Api, Client, Resource as _};
use tokio::sync::OnceCell;
use tracing::debug;

use crate::vigils::{
    ObjectsError,
    kubernetes::{in_time, unreachable},
};

/// The Spirit that a pod serves.
pub(crate) struct Owner {
    spirits: Api<Spirit>,
    /// Its uid, once it is known.
    uid: OnceCell<String>,
}

impl Owner {
    /// In `namespace`.
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self {
            spirits: Api::namespaced(client, namespace),
            uid: OnceCell::new(),
        }
    }

    /// What makes an object the Spirit's. Where that cannot be read, there is none, and the object stays by itself.
    pub(crate) async fn reference(&self, spirit: &str) -> Option<Vec<OwnerReference>> {
        let uid = self.uid.get_or_try_init(async || {
            let found = in_time(self.spirits.get(spirit)).await?;
            let uid = found.map_err(unreachable)?.metadata.uid;
            uid.ok_or_else(|| ObjectsError(format!("the Spirit {spirit} has no uid")))
        });
        match uid.await {
            Ok(uid) => Some(vec![OwnerReference {
                api_version: Spirit::api_version(&()).into_owned(),
                kind: Spirit::kind(&()).into_owned(),
                name: spirit.to_owned(),
                uid: uid.clone(),
                ..OwnerReference::default()
            }]),
            Err(error) => {
                debug!(%error, "an object has no owner");
                None
            }
        }
    }
}
