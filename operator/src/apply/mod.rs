//! Writing an owned object by server-side apply, and not writing it when the cluster already has it.
//!
//! Two questions decide. Did the operator last apply exactly this? The hash of what it applied is an annotation of the
//! object, so that also a field that is no longer wanted is noticed. And does the live object still say so? Each
//! wanted field is compared with the live one, so that an edit by hand is put back. Both yes: nothing is written.

mod cover;

use crate::{context::Context, error::Error};
use cover::covers;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    core::PartialObjectMeta,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt::Debug};

/// The field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "eywa-operator";

/// The annotation that holds the hash of what was applied last.
pub const APPLIED: &str = "eywa.dev/applied";

/// What became of an object that was applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied<K> {
    /// The live object already was as wanted; this is it.
    Unchanged(K),
    /// It was created or changed; this is the result.
    Written(K),
}

impl<K> Applied<K> {
    /// The live object, and whether it was written.
    pub fn into_parts(self) -> (K, bool) {
        match self {
            Self::Unchanged(object) => (object, false),
            Self::Written(object) => (object, true),
        }
    }
}

/// What [`apply`] and [`remove`] need of a kind.
pub trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
{
}
impl<K> Child for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + Sync
{
}

/// Makes the cluster's object be `wanted`, writing only if it is not already.
///
/// `wanted` names its namespace and has `owner` as its controller.
///
/// # Errors
/// [`Error::NotOurs`] when an object of that name belongs to someone else, which is left alone; else the API server's.
pub async fn apply<K: Child>(
    ctx: &Context,
    owner: &OwnerReference,
    wanted: K,
) -> Result<Applied<K>, Error> {
    let kind = kind::<K>();
    let name = wanted.name_any();
    let api = api_of::<K>(ctx, wanted.meta().namespace.as_deref(), kind)?;
    let wanted = stamped(&wanted, kind)?;
    let live = api
        .get_opt(&name)
        .await
        .map_err(Error::api("get", kind, &name))?;
    if let Some(live) = live {
        if !is_owned(&live, owner) {
            return Err(Error::NotOurs {
                kind,
                name,
                owner: format!("{} {}", owner.kind, owner.name),
            });
        }
        let current =
            serde_json::to_value(&live).map_err(|source| Error::Serialize { kind, source })?;
        if covers(&current, &wanted) {
            return Ok(Applied::Unchanged(live));
        }
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = api.patch(&name, &params, &Patch::Apply(&wanted)).await;
    ctx.metrics
        .wrote(kind, if written.is_ok() { "ok" } else { "error" });
    Ok(Applied::Written(
        written.map_err(Error::api("apply", kind, &name))?,
    ))
}

/// Deletes the object if it exists and belongs to `owner`. Says whether there was one.
///
/// # Errors
/// The API server's.
pub async fn remove<K: Child>(
    ctx: &Context,
    owner: &OwnerReference,
    namespace: &str,
    name: &str,
) -> Result<bool, Error> {
    let kind = kind::<K>();
    let found = Api::<PartialObjectMeta<K>>::namespaced(ctx.client.clone(), namespace)
        .get_opt(name)
        .await
        .map_err(Error::api("get", kind, name))?;
    let Some(live) = found.filter(|live| is_owned(live, owner)) else {
        return Ok(false);
    };
    let params = DeleteParams {
        // Never one that was made anew in between by someone else.
        preconditions: Some(Preconditions {
            uid: live.uid(),
            resource_version: None,
        }),
        ..DeleteParams::background()
    };
    let deleted = Api::<K>::namespaced(ctx.client.clone(), namespace)
        .delete(name, &params)
        .await;
    ctx.metrics
        .wrote(kind, if deleted.is_ok() { "ok" } else { "error" });
    match deleted {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(Error::api("delete", kind, name)(error)),
    }
}

/// The hex SHA-256 of a value's JSON, whose object keys are in a fixed order.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn hash_of(value: &impl Serialize) -> serde_json::Result<String> {
    // Through Value, whose maps are sorted: a HashMap or a struct's field order does not matter.
    let json = serde_json::to_vec(&serde_json::to_value(value)?)?;
    Ok(hex::encode(Sha256::digest(json)))
}

/// `wanted` as JSON, with kind and API version, its own hash as an annotation, and without what is not said.
fn stamped<K: Child>(wanted: &K, kind: &'static str) -> Result<Value, Error> {
    let serialize = |source| Error::Serialize { kind, source };
    let mut value = serde_json::to_value(wanted).map_err(serialize)?;
    value["apiVersion"] = K::api_version(&()).into();
    value["kind"] = K::kind(&()).into();
    let hash = hash_of(&value).map_err(serialize)?;
    if !value["metadata"]["annotations"].is_object() {
        value["metadata"]["annotations"] = Value::Object(serde_json::Map::new());
    }
    value["metadata"]["annotations"][APPLIED] = hash.into();
    Ok(value)
}

fn is_owned<K: Resource>(live: &K, owner: &OwnerReference) -> bool {
    live.owner_references()
        .iter()
        .any(|reference| reference.uid == owner.uid)
}

fn api_of<K: Child>(
    ctx: &Context,
    namespace: Option<&str>,
    kind: &'static str,
) -> Result<Api<K>, Error> {
    let namespace = namespace.ok_or(Error::Incomplete {
        kind,
        field: "namespace",
    })?;
    Ok(Api::namespaced(ctx.client.clone(), namespace))
}

/// The kind's name for errors and metrics.
pub(crate) fn kind<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()) {
        Cow::Borrowed(kind) => kind,
        Cow::Owned(_) => "object",
    }
}
