//! What a Spirit and a Conduit refer to: what has to be watched, read and mounted.

use std::collections::BTreeSet;

use crate::{
    conduit::ConduitSpec,
    reference::{ConfigMapKeyRef, HeaderFrom, SecretKeyRef, SecretValue},
    spirit::{ApiKey, Oracle, SpiritSpec, WhatsAppVoice},
};

/// A reference, with the field it is in.
pub(crate) type Reference<T> = (String, T);

/// Every secret key a Spirit needs to be served, those of its Conduits and of the Spirits it routes to not included.
#[must_use]
pub fn referenced_secrets(spec: &SpiritSpec) -> BTreeSet<SecretKeyRef> {
    answering_secrets(spec)
        .chain(serving_secrets(spec))
        .map(|(_, reference)| reference)
        .collect()
}

/// Every secret key a Conduit needs.
#[must_use]
pub fn conduit_secrets(spec: &ConduitSpec) -> BTreeSet<SecretKeyRef> {
    headers("spec.headersFrom", &spec.headers_from)
        .map(|(_, reference)| reference)
        .collect()
}

/// Every ConfigMap key a Spirit needs.
#[must_use]
pub fn referenced_config_maps(spec: &SpiritSpec) -> BTreeSet<ConfigMapKeyRef> {
    let scripts =
        every_oracle(spec).filter_map(|(_, oracle)| oracle.script.as_ref()?.config_map_ref.clone());
    spec.persona
        .config_map_ref
        .clone()
        .into_iter()
        .chain(scripts)
        .chain((spec.scouts.iter()).filter_map(|scout| scout.config_map_ref.clone()))
        .collect()
}

/// Names of the Conduits a Spirit uses.
#[must_use]
pub fn referenced_conduits(spec: &SpiritSpec) -> BTreeSet<String> {
    spec.conduits
        .iter()
        .map(|conduit| conduit.name.clone())
        .collect()
}

/// Names of the Spirits a Spirit routes to, itself not included.
#[must_use]
pub fn referenced_spirits(name: &str, spec: &SpiritSpec) -> BTreeSet<String> {
    spec.pathfinder
        .iter()
        .flat_map(|pathfinder| &pathfinder.routes)
        .map(|route| route.spirit.clone())
        .filter(|spirit| spirit != name)
        .collect()
}

/// The Oracle and its fallbacks, each with its field.
pub(crate) fn oracles(spec: &SpiritSpec) -> impl Iterator<Item = (String, &Oracle)> {
    std::iter::once(("spec.oracle".to_owned(), &spec.oracle)).chain(
        spec.fallbacks
            .iter()
            .enumerate()
            .map(|(index, oracle)| (format!("spec.fallbacks[{index}]"), oracle)),
    )
}

/// Every Oracle that is asked for a Spirit, whatever for, each with its field.
fn every_oracle(spec: &SpiritSpec) -> impl Iterator<Item = (String, &Oracle)> {
    let imprint = spec.imprint.oracle.iter();
    let pathfinder = spec.pathfinder.iter();
    let pathfinder = pathfinder.filter_map(|pathfinder| pathfinder.oracle.as_ref());
    oracles(spec)
        .chain(imprint.map(|oracle| ("spec.imprint.oracle".to_owned(), oracle)))
        .chain(pathfinder.map(|oracle| ("spec.pathfinder.oracle".to_owned(), oracle)))
}

/// Names of the ConfigMaps whose every key is a document of a Spirit's Lore.
#[must_use]
pub fn referenced_documents(spec: &SpiritSpec) -> BTreeSet<String> {
    let sources = spec.lore.iter().flat_map(|lore| &lore.sources);
    sources
        .filter_map(|source| Some(source.config_map.as_ref()?.name.clone()))
        .collect()
}

/// What a Spirit needs to answer, whoever serves it.
pub(crate) fn answering_secrets(
    spec: &SpiritSpec,
) -> impl Iterator<Item = Reference<SecretKeyRef>> {
    let oracles = every_oracle(spec).flat_map(|(field, oracle)| {
        let key = oracle.api_key.as_ref().map(|key| {
            let field = format!("{field}.apiKey.secretRef");
            (field, key.secret_ref.clone())
        });
        let credentials = oracle.credentials.as_ref().map(|credentials| {
            let field = format!("{field}.credentials.secretRef");
            (field, credentials.secret_ref.clone())
        });
        key.into_iter().chain(credentials)
    });
    let scouts = spec.scouts.iter().enumerate().flat_map(|(index, scout)| {
        headers(
            &format!("spec.scouts[{index}].http.headersFrom"),
            scout.http.as_ref().map_or(&[], |http| &http.headers_from),
        )
    });
    let actions = spec.actions.iter().enumerate().flat_map(|(index, action)| {
        headers(
            &format!("spec.actions[{index}].http.headersFrom"),
            &action.http.headers_from,
        )
    });
    oracles.chain(lore(spec)).chain(scouts).chain(actions)
}

/// What a Spirit needs for its Lore.
pub(crate) fn lore(spec: &SpiritSpec) -> impl Iterator<Item = Reference<SecretKeyRef>> {
    spec.lore.iter().flat_map(|lore| {
        let (store, embedder) = (&lore.store, &lore.embedder);
        let api_key = |field: &str, key: Option<&ApiKey>| {
            let field = format!("spec.lore.{field}.apiKey.secretRef");
            key.map(|key| (field, key.secret_ref.clone()))
        };
        let qdrant = store.qdrant.as_ref();
        let weaviate = store.weaviate.as_ref();
        let pinecone = store.pinecone.as_ref();
        let pgvector = store.pgvector.as_ref().map(|pgvector| {
            let field = "spec.lore.store.pgvector.url.secretRef".to_owned();
            (field, pgvector.url.secret_ref.clone())
        });
        let credentials = embedder.credentials.as_ref().map(|credentials| {
            let field = "spec.lore.embedder.credentials.secretRef".to_owned();
            (field, credentials.secret_ref.clone())
        });
        [
            api_key("store.qdrant", qdrant.and_then(|at| at.api_key.as_ref())),
            api_key(
                "store.weaviate",
                weaviate.and_then(|at| at.api_key.as_ref()),
            ),
            api_key("store.pinecone", pinecone.map(|at| &at.api_key)),
            pgvector,
            api_key("embedder", embedder.api_key.as_ref()),
            credentials,
        ]
        .into_iter()
        .flatten()
    })
}

/// What a Spirit needs to be served itself: its Voices' secrets and its stores'.
pub(crate) fn serving_secrets(spec: &SpiritSpec) -> impl Iterator<Item = Reference<SecretKeyRef>> {
    let voices = spec.voices.iter().enumerate().flat_map(|(index, voice)| {
        let whatsapp = voice.whatsapp.iter().flat_map(move |whatsapp| {
            WhatsAppVoice::SECRET_KEYS.map(|key| {
                let reference = SecretKeyRef {
                    name: whatsapp.secret_ref.name.clone(),
                    key: key.to_owned(),
                };
                (
                    format!("spec.voices[{index}].whatsapp.secretRef"),
                    reference,
                )
            })
        });
        let http = voice.http.iter().map(move |http| {
            (
                format!("spec.voices[{index}].http.secretRef"),
                http.secret_ref.clone(),
            )
        });
        whatsapp.chain(http)
    });
    let stores = spec.stores.iter().flat_map(|stores| {
        let secret = |name: &str, secret: &SecretValue| {
            let field = format!("spec.stores.{name}.secretRef");
            (field, secret.secret_ref.clone())
        };
        let ca = stores.redis.ca.as_ref().map(|ca| secret("redis.ca", ca));
        let mongo = stores.mongo.as_ref();
        let mongo = mongo.map(|mongo| secret("mongo.url", &mongo.url));
        let urls = secret("redis.urls", &stores.redis.urls);
        let google = stores.google.iter().flat_map(|google| {
            let tasks = google.tasks.as_ref().map(|at| ("tasks", &at.credentials));
            let storage = google.storage.as_ref();
            let storage = storage.map(|at| ("storage", &at.credentials));
            let both = tasks.into_iter().chain(storage);
            both.filter_map(|(name, credentials)| {
                let field = format!("spec.stores.google.{name}.credentials.secretRef");
                Some((field, credentials.as_ref()?.secret_ref.clone()))
            })
        });
        [urls].into_iter().chain(ca).chain(mongo).chain(google)
    });
    let notify = spec.vigil.notify.iter().map(|notify| {
        let field = "spec.vigil.notify.secretRef".to_owned();
        (field, notify.secret_ref.clone())
    });
    voices.chain(stores).chain(notify)
}

/// The secrets of headers, each with its field.
pub(crate) fn headers<'a>(
    field: &str,
    headers: &'a [HeaderFrom],
) -> impl Iterator<Item = Reference<SecretKeyRef>> + use<'a> {
    let field = field.to_owned();
    headers.iter().enumerate().map(move |(index, header)| {
        (
            format!("{field}[{index}].secretRef"),
            header.secret_ref.clone(),
        )
    })
}
