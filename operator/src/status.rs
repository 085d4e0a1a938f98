//! Writing an object's status, by server-side apply, when it says something new.

use crate::{apply::FIELD_MANAGER, context::Context, error::Error};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use std::fmt::Debug;

/// What was written: the status before it, and the new one.
pub struct Change<S> {
    /// What the status was.
    pub before: Option<S>,
    /// What it is now.
    pub after: S,
}

/// Makes the status what `compute` says it is, given the object. Writes only a status that differs from the live one.
///
/// `compute` is asked again with a fresh object before a write, since the one at hand may be older than our own last
/// write. None: it was so already, or the object is gone.
///
/// # Errors
/// The API server's.
pub async fn write<K, S>(
    ctx: &Context,
    object: &K,
    current: impl Fn(&K) -> Option<S>,
    compute: impl Fn(&K) -> S,
) -> Result<Option<Change<S>>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
    S: Serialize + PartialEq,
{
    let kind = crate::apply::kind::<K>();
    if current(object).as_ref() == Some(&compute(object)) {
        return Ok(None);
    }
    let name = object.name_any();
    let namespace = object.namespace().ok_or(Error::Incomplete {
        kind,
        field: "namespace",
    })?;
    let api = Api::<K>::namespaced(ctx.client.clone(), &namespace);
    let fresh = api
        .get_opt(&name)
        .await
        .map_err(Error::api("get", kind, &name))?;
    // Another generation has its own reconcile coming.
    let Some(fresh) = fresh.filter(|fresh| fresh.meta().generation == object.meta().generation)
    else {
        return Ok(None);
    };
    let (before, after) = (current(&fresh), compute(&fresh));
    if before.as_ref() == Some(&after) {
        return Ok(None);
    }
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name},
        "status": after,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = api
        .patch_status(&name, &params, &Patch::Apply(&patch))
        .await;
    ctx.metrics
        .wrote(kind, if written.is_ok() { "ok" } else { "error" });
    match written {
        Ok(_) => Ok(Some(Change { before, after })),
        // Deleted between the reading and the writing.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(Error::api("status", kind, &name)(error)),
    }
}
