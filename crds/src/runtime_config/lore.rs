//! Lore and Imprint, resolved.

use std::collections::{BTreeMap, BTreeSet};

use eywa_guard::Policy;
use serde::{Deserialize, Serialize};

use super::{BedrockAuth, CompiledOracle, InvalidConfig, RuntimeConfig, SecretFile};
use crate::{duration::Duration, spirit::ChunkSettings};

/// What a Spirit's documents are brought in with: a part of a [`RuntimeConfig`], so that what does not concern them does
/// not bring them in again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestConfig {
    /// [`RUNTIME_CONFIG_VERSION`](super::RUNTIME_CONFIG_VERSION).
    pub version: u32,
    /// The Spirit's namespace.
    pub namespace: String,
    /// The Spirit.
    pub spirit: String,
    /// Its Lore.
    pub lore: CompiledLore,
    /// Where requests may go.
    pub network: Policy,
}

impl IngestConfig {
    /// Of the front Spirit, if it has Lore.
    #[must_use]
    pub fn of(config: &RuntimeConfig) -> Option<Self> {
        let front = config.front()?;
        Some(Self {
            version: config.version,
            namespace: config.namespace.clone(),
            spirit: front.name.clone(),
            lore: front.lore.clone()?,
            network: config.network.clone(),
        })
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// When it is malformed or of another version.
    pub fn from_json(text: &str) -> Result<Self, InvalidConfig> {
        super::check_version(text)?;
        Ok(serde_json::from_str(text)?)
    }

    /// The JSON that [`from_json`](Self::from_json) reads: equal configurations are equal texts.
    ///
    /// # Errors
    /// Never for a compiled configuration.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_value(self).map(|value| value.to_string())
    }

    /// Every secret file it names.
    #[must_use]
    pub fn secret_files(&self) -> BTreeSet<SecretFile> {
        self.lore.secret_files().cloned().collect()
    }

    /// The ConfigMaps that hold documents, by name.
    #[must_use]
    pub fn config_maps(&self) -> BTreeSet<&str> {
        let sources = self.lore.sources.iter();
        sources
            .filter_map(|source| match &source.documents {
                CompiledDocuments::ConfigMap(name) => Some(name.as_str()),
                CompiledDocuments::Urls(_) => None,
            })
            .collect()
    }
}

/// Documents that are looked up for each message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledLore {
    /// Where their passages are kept.
    pub store: CompiledLoreStore,
    /// What turns text into vectors.
    pub embedder: CompiledEmbedder,
    /// The most passages that are shown.
    pub top_k: u32,
    /// How similar they are at least.
    pub min_score: f64,
    /// What their metadata has.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub filter: BTreeMap<String, String>,
    /// The namespace that is searched: a checked [`Template`](crate::template::Template) with
    /// [`LORE_NAMESPACE`](crate::template::Vocabulary::LORE_NAMESPACE). Empty for the one without a name.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub namespace: String,
    /// Whether the Oracle is told to name its sources.
    pub cite: bool,
    /// How long looking up may take.
    pub timeout: Duration,
    /// A checked [`When`](crate::expression::When).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub when: Option<String>,
    /// What is brought in, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sources: Vec<CompiledLoreSource>,
    /// How documents are cut.
    pub chunks: ChunkSettings,
}

impl CompiledLore {
    pub(super) fn secret_files(&self) -> impl Iterator<Item = &SecretFile> {
        let store = match &self.store {
            CompiledLoreStore::Embedded => None,
            CompiledLoreStore::Qdrant(collection) | CompiledLoreStore::Weaviate(collection) => {
                collection.api_key.as_ref()
            }
            CompiledLoreStore::Pinecone { api_key, .. } => Some(api_key),
            CompiledLoreStore::Pgvector { url, .. } => Some(url),
        };
        let embedder = match &self.embedder {
            CompiledEmbedder::Bedrock(bedrock) => bedrock.auth.secret_file(),
            CompiledEmbedder::Gemini(model) | CompiledEmbedder::Openai(model) => {
                model.api_key.as_ref()
            }
            CompiledEmbedder::Hashing => None,
            CompiledEmbedder::Vertexai(vertexai) => vertexai.credentials.as_ref(),
        };
        store.into_iter().chain(embedder)
    }
}

/// Where passages are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CompiledLoreStore {
    /// In a folder of this process.
    Embedded,
    /// In Qdrant.
    Qdrant(CompiledCollection),
    /// In Weaviate.
    Weaviate(CompiledCollection),
    /// In Pinecone.
    #[serde(rename_all = "camelCase")]
    Pinecone {
        /// The index's URL.
        url: String,
        /// The key.
        api_key: SecretFile,
    },
    /// In PostgreSQL.
    Pgvector {
        /// The file that holds its URL.
        url: SecretFile,
        /// The table.
        table: String,
    },
}

/// A collection of a vector store that is reached by HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledCollection {
    /// Its server's URL.
    pub url: String,
    /// Its name.
    pub collection: String,
    /// The key; none for a server that asks for none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api_key: Option<SecretFile>,
}

/// What turns text into vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum CompiledEmbedder {
    /// Titan, at Amazon Bedrock.
    Bedrock(BedrockEmbedder),
    /// By the Gemini API.
    Gemini(KeyedEmbedder),
    /// By hashing words.
    Hashing,
    /// By OpenAI's interface.
    Openai(KeyedEmbedder),
    /// At Google's Vertex AI.
    Vertexai(VertexaiEmbedder),
}

/// An embedder that asks for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyedEmbedder {
    /// Name of the model.
    pub model: String,
    /// Base URL, up to and with the version.
    pub base_url: String,
    /// The key; none for a server that asks for none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api_key: Option<SecretFile>,
    /// How many entries its vectors have.
    pub dimensions: u32,
}

/// An embedder at Amazon Bedrock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BedrockEmbedder {
    /// Id of the model; Titan's text embeddings when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// Where the region's Bedrock answers.
    pub base_url: String,
    /// The region.
    pub region: String,
    /// What requests prove themselves with.
    pub auth: BedrockAuth,
    /// How many entries its vectors have.
    pub dimensions: u32,
}

/// An embedder at Google's Vertex AI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VertexaiEmbedder {
    /// Name of the model.
    pub model: String,
    /// Where the location's Vertex AI answers.
    pub base_url: String,
    /// The project's id.
    pub project: String,
    /// The location.
    pub location: String,
    /// A service account's key; without it, the pods' own identity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credentials: Option<SecretFile>,
    /// How many entries its vectors have.
    pub dimensions: u32,
}

/// Documents that are brought in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledLoreSource {
    /// Its name. A ConfigMap's document is known as `<name>/<key>`.
    pub name: String,
    /// Where its documents are.
    pub documents: CompiledDocuments,
    /// The namespace that they are put in.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub namespace: String,
    /// What is known of all of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub metadata: BTreeMap<String, String>,
}

/// Where documents are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CompiledDocuments {
    /// The keys of the ConfigMap of this name. What they hold is not in the configuration.
    ConfigMap(String),
    /// At these URLs.
    Urls(Vec<String>),
}

/// What is remembered of people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledImprint {
    /// Nothing is drawn or shown: it says how long what was learnt before is kept, and no more.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub off: bool,
    /// The most facts of a person.
    pub max_facts: u32,
    /// How long a fact is kept that is not heard again.
    pub max_age: Duration,
    /// How long nothing must have come for a conversation to be finished.
    pub after: Duration,
    /// What draws the facts, if not the Spirit's own Oracles.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oracle: Option<CompiledOracle>,
}
