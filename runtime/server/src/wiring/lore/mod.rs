//! Documents that a Spirit looks up: where their passages are, and what embeds them.

mod embedders;

use std::{fmt, sync::Arc};

use eywa_crds::runtime_config::{
    CompiledCollection, CompiledEmbedder, CompiledLore, CompiledLoreStore, CompiledSpirit,
    SecretFile,
};
use eywa_weave::{
    ports::{Embedder, Lore},
    spirit::Scouting,
};

use self::embedders::{bedrock, gemini, hashing, openai, vertexai};
use super::{Shared, WireError};
use crate::secrets::Secrets;

/// Gives the passages of a Spirit, by its name, that are kept in this process: those with vectors of so many dimensions,
/// so that another embedder finds room of its own.
pub type EmbeddedLore = Arc<dyn Fn(&str, usize) -> Arc<dyn Lore> + Send + Sync>;

/// A Spirit's Lore, with no connection opened yet.
#[derive(Clone)]
pub struct Opened {
    /// Where its passages are.
    pub lore: Arc<dyn Lore>,
    /// What embeds them.
    pub embedder: Arc<dyn Embedder>,
    /// The embedder's provider, model and dimensions. Passages are found by the one that they were embedded with.
    pub embedder_name: String,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("embedder_name", &self.embedder_name)
            .finish_non_exhaustive()
    }
}

/// Fills both ports of a Spirit's Lore.
///
/// # Errors
/// [`WireError`], which names the field, the Secret or the cargo feature that is missing.
pub fn open(
    spirit: &str,
    config: &CompiledLore,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Opened, WireError> {
    let (embedder, model) = match &config.embedder {
        CompiledEmbedder::Bedrock(it) => bedrock(spirit, it, secrets, shared)?,
        CompiledEmbedder::Gemini(it) => (gemini(spirit, it, secrets, shared)?, it.model.clone()),
        CompiledEmbedder::Hashing => (hashing(spirit)?, String::new()),
        CompiledEmbedder::Openai(it) => (openai(spirit, it, secrets, shared)?, it.model.clone()),
        CompiledEmbedder::Vertexai(it) => {
            (vertexai(spirit, it, secrets, shared)?, it.model.clone())
        }
    };
    let provider = provider(&config.embedder);
    Ok(Opened {
        lore: store(spirit, config, embedder.dimensions(), secrets, shared)?,
        embedder_name: format!("{provider}/{model}/{}", embedder.dimensions()),
        embedder,
    })
}

fn provider(embedder: &CompiledEmbedder) -> &'static str {
    use eywa_crds::spirit::EmbedderProvider;

    let provider = match embedder {
        CompiledEmbedder::Bedrock(_) => EmbedderProvider::Bedrock,
        CompiledEmbedder::Gemini(_) => EmbedderProvider::Gemini,
        CompiledEmbedder::Hashing => EmbedderProvider::Hashing,
        CompiledEmbedder::Openai(_) => EmbedderProvider::Openai,
        CompiledEmbedder::Vertexai(_) => EmbedderProvider::Vertexai,
    };
    provider.as_str()
}

/// The Scout that looks in it, if the Spirit has Lore.
#[cfg(feature = "scout-lore")]
pub(super) fn scout(
    spirit: &CompiledSpirit,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Option<Scouting>, WireError> {
    use eywa_adapters::{
        condition::CelCondition,
        scout::{LoreScout, LoreScoutSettings},
    };
    use eywa_weave::spirit::Condition;

    let Some(config) = &spirit.lore else {
        return Ok(None);
    };
    let parse = |when: &String| match CelCondition::parse(when) {
        Ok(condition) => Ok(Arc::new(condition) as Arc<dyn Condition>),
        Err(reason) => Err(WireError::invalid(&spirit.name, "lore.when", reason)),
    };
    let when = config.when.as_ref().map(parse).transpose()?;
    let opened = open(&spirit.name, config, secrets, shared)?;
    let settings = LoreScoutSettings {
        spirit: spirit.name.as_str().into(),
        namespace: &config.namespace,
        filter: config.filter.clone(),
        top_k: usize::try_from(config.top_k).unwrap_or(usize::MAX),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a cosine needs no more digits than the vectors have"
        )]
        min_score: config.min_score as f32,
        cite: config.cite,
    };
    let scout = LoreScout::new(settings, opened.lore, opened.embedder)
        .map_err(|reason| WireError::invalid(&spirit.name, "lore.namespace", reason))?;
    Ok(Some(Scouting {
        scout: Arc::new(scout),
        timeout: config.timeout.as_std(),
        when,
    }))
}

#[cfg(not(feature = "scout-lore"))]
pub(super) fn scout(
    spirit: &CompiledSpirit,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Option<Scouting>, WireError> {
    match &spirit.lore {
        None => Ok(None),
        Some(_) => Err(WireError::not_built_in(
            &spirit.name,
            "the Scout of Lore",
            "scout-lore",
        )),
    }
}

fn store(
    spirit: &str,
    config: &CompiledLore,
    dimensions: usize,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    match &config.store {
        CompiledLoreStore::Embedded => match &shared.lore {
            Some(lore) => Ok(lore(spirit, dimensions)),
            None => Err(WireError::invalid(
                spirit,
                "lore.store",
                "embedded Lore is for one process, `eywa up`; a runtime pod needs a vector store",
            )),
        },
        CompiledLoreStore::Qdrant(it) => qdrant(spirit, it, secrets, shared),
        CompiledLoreStore::Weaviate(it) => weaviate(spirit, it, secrets, shared),
        CompiledLoreStore::Pinecone { url, api_key } => {
            pinecone(spirit, url, api_key, secrets, shared)
        }
        CompiledLoreStore::Pgvector { url, table } => pgvector(spirit, url, table, secrets, shared),
    }
}

#[allow(dead_code, reason = "every adapter may be left out")]
fn url(spirit: &str, field: &str, url: &str) -> Result<url::Url, WireError> {
    url.parse()
        .map_err(|reason| WireError::invalid(spirit, field, reason))
}

#[allow(dead_code, reason = "every adapter may be left out")]
fn key(
    file: Option<&SecretFile>,
    secrets: &dyn Secrets,
) -> Result<Option<secrecy::SecretString>, WireError> {
    Ok(file.map(|file| secrets.get(file)).transpose()?)
}

#[allow(dead_code, reason = "every adapter may be left out")]
fn dimensions(of: u32) -> usize {
    usize::try_from(of).unwrap_or(usize::MAX)
}

#[cfg(feature = "lore-qdrant")]
fn qdrant(
    spirit: &str,
    config: &CompiledCollection,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    Ok(Arc::new(eywa_adapters::lore::QdrantLore::new(
        shared.client.clone(),
        url(spirit, "lore.store.qdrant.url", &config.url)?,
        config.collection.as_str(),
        key(config.api_key.as_ref(), secrets)?,
    )))
}

#[cfg(not(feature = "lore-qdrant"))]
fn qdrant(
    spirit: &str,
    _: &CompiledCollection,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    Err(WireError::not_built_in(
        spirit,
        "Lore in Qdrant",
        "lore-qdrant",
    ))
}

#[cfg(feature = "lore-weaviate")]
fn weaviate(
    spirit: &str,
    config: &CompiledCollection,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    let lore = eywa_adapters::lore::WeaviateLore::new(
        shared.client.clone(),
        url(spirit, "lore.store.weaviate.url", &config.url)?,
        &config.collection,
        key(config.api_key.as_ref(), secrets)?,
    )
    .map_err(|reason| WireError::invalid(spirit, "lore.store.weaviate.collection", reason))?;
    Ok(Arc::new(lore))
}

#[cfg(not(feature = "lore-weaviate"))]
fn weaviate(
    spirit: &str,
    _: &CompiledCollection,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    Err(WireError::not_built_in(
        spirit,
        "Lore in Weaviate",
        "lore-weaviate",
    ))
}

#[cfg(feature = "lore-pinecone")]
fn pinecone(
    spirit: &str,
    index: &str,
    api_key: &SecretFile,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    Ok(Arc::new(eywa_adapters::lore::PineconeLore::new(
        shared.client.clone(),
        url(spirit, "lore.store.pinecone.url", index)?,
        key(Some(api_key), secrets)?,
    )))
}

#[cfg(not(feature = "lore-pinecone"))]
fn pinecone(
    spirit: &str,
    _: &str,
    _: &SecretFile,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    Err(WireError::not_built_in(
        spirit,
        "Lore in Pinecone",
        "lore-pinecone",
    ))
}

#[cfg(feature = "lore-pgvector")]
fn pgvector(
    spirit: &str,
    url: &SecretFile,
    table: &str,
    secrets: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    let lore = eywa_adapters::lore::PgvectorLore::new(&secrets.get(url)?, table)
        .map_err(|reason| WireError::invalid(spirit, "lore.store.pgvector", reason))?;
    Ok(Arc::new(lore))
}

#[cfg(not(feature = "lore-pgvector"))]
fn pgvector(
    spirit: &str,
    _: &SecretFile,
    _: &str,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Lore>, WireError> {
    Err(WireError::not_built_in(
        spirit,
        "Lore in PostgreSQL",
        "lore-pgvector",
    ))
}
