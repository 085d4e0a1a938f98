//! Reading what a Spirit refers to.

use crate::{
    apply::hash_of,
    context::Context,
    error::Error,
    references::{Reference, References, Target},
};
use eywa_crds::{
    Conduit, Spirit,
    compile::{
        DefaultStores, Defaults, MOST_SPIRITS, Surroundings, conduit_secrets, referenced_conduits,
        referenced_config_maps, referenced_documents, referenced_secrets, referenced_spirits,
    },
    runtime_config::{RedisUrls, SecretFile},
    spirit::SpiritSpec,
};
use k8s_openapi::{
    ByteString, NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{Api, Resource, runtime::reflector::ObjectRef};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Debug,
};

use super::build::{REDIS_KEY, redis_secret_name};

/// What a Spirit refers to, as it was read. Holds secret values: neither shown nor kept.
pub struct Dereferenced {
    /// All that compiling needs. No secret value is in it.
    pub around: Surroundings,
    /// The values of the Secrets, for their hash.
    pub values: BTreeMap<String, BTreeMap<String, ByteString>>,
    /// A hash of all that each ConfigMap holds, what is no text included.
    pub contents: BTreeMap<String, String>,
    /// The default Redis, where the Spirit uses it.
    pub default_redis: DefaultRedis,
}

/// The Redis for Spirits that have no stores of their own.
pub enum DefaultRedis {
    /// The Spirit does not need it, or the operator has none.
    Unused,
    /// Its URL.
    Url(SecretString),
    /// The operator was told of it, but its Secret or its key is not there. The text says which.
    Missing(String),
}

/// Reads it all. What there is not is left out: compiling says so.
///
/// Each reference is recorded before it is read, so that a change right after the reading causes another reconcile.
///
/// # Errors
/// The API server's.
pub async fn dereference(
    ctx: &Context,
    references: &References<Spirit>,
    spirit: &Spirit,
    name: &str,
    namespace: &str,
) -> Result<Dereferenced, Error> {
    let referrer = ObjectRef::from_obj(spirit);
    let mut known = Known::default();

    known.add(&spirit.spec);
    let mut routed: BTreeMap<String, Spirit> = BTreeMap::new();
    let mut ahead = referenced_spirits(name, &spirit.spec);
    // Level by level: a Spirit that is routed to may route on. Beyond the most, compiling refuses it all the same.
    while !ahead.is_empty() && routed.len() <= MOST_SPIRITS {
        known.spirits.extend(ahead.iter().cloned());
        references.record(&referrer, known.references());
        let read: BTreeMap<String, Spirit> = read(ctx, namespace, "Spirit", &ahead).await?;
        read.values().for_each(|routed| known.add(&routed.spec));
        ahead = read
            .iter()
            .flat_map(|(of, routed)| referenced_spirits(of, &routed.spec))
            .filter(|next| next != name && !known.spirits.contains(next))
            .collect();
        routed.extend(read);
    }
    references.record(&referrer, known.references());
    let conduits: BTreeMap<String, Conduit> =
        read(ctx, namespace, "Conduit", &known.conduits).await?;

    for conduit in conduits.values() {
        known.secrets.extend(
            conduit_secrets(&conduit.spec)
                .into_iter()
                .map(|secret| secret.name),
        );
    }
    references.record(&referrer, known.references());
    let (secrets, config_maps) = tokio::try_join!(
        read::<Secret>(ctx, namespace, "Secret", &known.secrets),
        read::<ConfigMap>(ctx, namespace, "ConfigMap", &known.config_maps),
    )?;
    let default_redis = default_redis(ctx, &spirit.spec).await?;
    let contents = config_maps
        .iter()
        .map(|(name, held)| Ok((name.clone(), hash_of(&(&held.data, &held.binary_data))?)))
        .collect::<serde_json::Result<_>>()
        .map_err(|source| Error::Serialize {
            kind: "ConfigMap",
            source,
        })?;

    let values: BTreeMap<_, _> = secrets
        .into_iter()
        .map(|(name, secret)| (name, secret.data.unwrap_or_default()))
        .collect();
    Ok(Dereferenced {
        around: Surroundings {
            namespace: namespace.to_owned(),
            spirits: routed
                .into_iter()
                .map(|(name, spirit)| (name, spirit.spec))
                .collect(),
            config_maps: config_maps
                .into_iter()
                .map(|(name, config_map)| (name, config_map.data.unwrap_or_default()))
                .collect(),
            secrets: values
                .iter()
                .map(|(name, data)| (name.clone(), data.keys().cloned().collect()))
                .collect(),
            conduits,
            services: BTreeMap::new(),
            defaults: Defaults {
                network: ctx.settings.network(),
                stores: default_stores(ctx, &spirit.spec, name),
            },
        },
        values,
        contents,
        default_redis,
    })
}

/// The names of what is referred to, as far as is known yet.
#[derive(Default)]
struct Known {
    spirits: BTreeSet<String>,
    conduits: BTreeSet<String>,
    secrets: BTreeSet<String>,
    config_maps: BTreeSet<String>,
}

impl Known {
    fn add(&mut self, spec: &SpiritSpec) {
        self.conduits.extend(referenced_conduits(spec));
        self.secrets.extend(
            referenced_secrets(spec)
                .into_iter()
                .map(|secret| secret.name),
        );
        self.config_maps.extend(
            referenced_config_maps(spec)
                .into_iter()
                .map(|config_map| config_map.name),
        );
        self.config_maps.extend(referenced_documents(spec));
    }

    fn references(&self) -> HashSet<Reference> {
        [
            (Target::Spirit, &self.spirits),
            (Target::Conduit, &self.conduits),
            (Target::Secret, &self.secrets),
            (Target::ConfigMap, &self.config_maps),
        ]
        .into_iter()
        .flat_map(|(target, names)| names.iter().map(move |name| (target, name.clone())))
        .collect()
    }
}

/// Where state goes when the Spirit does not say. The Secret is the one that the operator makes beside the pods.
fn default_stores(ctx: &Context, spec: &SpiritSpec, name: &str) -> DefaultStores {
    // A Spirit that is not served keeps no state: it must not be refused for want of a place for it.
    if ctx.settings.default_redis_secret.is_none() && !spec.voices.is_empty() {
        return DefaultStores::None;
    }
    DefaultStores::Redis(RedisUrls::Secret(SecretFile {
        name: redis_secret_name(name),
        key: REDIS_KEY.to_owned(),
    }))
}

async fn default_redis(ctx: &Context, spec: &SpiritSpec) -> Result<DefaultRedis, Error> {
    let Some(name) = &ctx.settings.default_redis_secret else {
        return Ok(DefaultRedis::Unused);
    };
    if spec.stores.is_some() || spec.voices.is_empty() {
        return Ok(DefaultRedis::Unused);
    }
    let (namespace, key) = (&ctx.settings.pod_namespace, &ctx.settings.default_redis_key);
    let secret = Api::<Secret>::namespaced(ctx.client.clone(), namespace)
        .get_opt(name)
        .await
        .map_err(Error::api("get", "Secret", name))?;
    let Some(secret) = secret else {
        return Ok(DefaultRedis::Missing(format!(
            "the Redis for Spirits without stores is in Secret {name:?} of namespace {namespace:?}, which is not there; \
             create it with the key {key:?}, or set spec.stores"
        )));
    };
    let url = secret
        .data
        .unwrap_or_default()
        .remove(key)
        .and_then(|value| String::from_utf8(value.0).ok());
    Ok(url.map_or_else(
        || {
            DefaultRedis::Missing(format!(
                "Secret {name:?} of namespace {namespace:?}, the Redis for Spirits without stores, has no text under \
                 the key {key:?}; add it, or set spec.stores"
            ))
        },
        |url| DefaultRedis::Url(SecretString::from(url)),
    ))
}

/// Those of `names` that exist, by name.
async fn read<K>(
    ctx: &Context,
    namespace: &str,
    kind: &'static str,
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, K>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let api = Api::<K>::namespaced(ctx.client.clone(), namespace);
    let mut found = BTreeMap::new();
    for name in names {
        if let Some(object) = api
            .get_opt(name)
            .await
            .map_err(Error::api("get", kind, name))?
        {
            found.insert(name.clone(), object);
        }
    }
    Ok(found)
}
