//! What the pods read: the compiled configuration, and the default Redis' URL.

use super::{Blueprint, REDIS_KEY, redis_secret_name};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use secrecy::ExposeSecret;
use std::collections::BTreeMap;

/// The file name of the configuration, in the ConfigMap and in the pod.
pub(super) const CONFIG_FILE: &str = "config.json";

pub(super) fn config_map(blueprint: &Blueprint<'_>) -> ConfigMap {
    ConfigMap {
        metadata: blueprint.metadata(),
        data: Some(BTreeMap::from([(
            CONFIG_FILE.to_owned(),
            blueprint.config.to_owned(),
        )])),
        ..Default::default()
    }
}

pub(super) fn redis_secret(blueprint: &Blueprint<'_>) -> Option<Secret> {
    let url = blueprint.default_redis?;
    Some(Secret {
        metadata: blueprint.metadata_of(redis_secret_name(blueprint.name)),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            REDIS_KEY.to_owned(),
            ByteString(url.expose_secret().as_bytes().to_vec()),
        )])),
        ..Default::default()
    })
}
