//! The part of a Spirit that says what it can look up: documents in a vector store.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiKey, Credentials};
use crate::{duration::Duration, reference::SecretValue};

/// Documents that are looked up for each message, by what it means: retrieval-augmented generation.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lore {
    /// Where the documents' passages are kept. `eywa up` keeps them in a folder of its own, whatever stands here.
    pub store: LoreStore,
    /// What turns text into vectors. Passages are found only by the embedder that they were stored with.
    pub embedder: Embedder,
    /// The most passages that the Oracle is shown.
    #[serde(default = "Lore::default_top_k")]
    #[schemars(range(min = 1, max = 50))]
    pub top_k: u32,
    /// How similar a passage must be at least: the cosine, from -1 to 1. What is near depends on the embedder.
    #[serde(default = "Lore::default_min_score")]
    #[schemars(range(min = -1.0, max = 1.0))]
    pub min_score: f64,
    /// Only passages whose metadata has all of these are found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::short_strings")]
    pub filter: BTreeMap<String, String>,
    /// The namespace that is searched: a template that knows `user.id`, `session.id`, `voice` and `spirit`, so that
    /// tenants are kept apart. Without it, the one without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub namespace: Option<String>,
    /// Whether the Oracle is told to name the sources that it used.
    #[serde(default)]
    pub cite: bool,
    /// How long looking up may take. When it fails or is late, the answer goes on without it.
    #[serde(default = "Lore::default_timeout")]
    #[x_kube(validation = crate::duration::positive())]
    pub timeout: Duration,
    /// A CEL expression over `voice`, `text`, `user`, `session` and `now`; nothing is looked up unless it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub when: Option<String>,
    /// Documents that are brought in whenever they or this part of the Spirit change; those that could not be had are asked
    /// for again after 10 minutes, then ever less often. `eywa lore sync` brings in others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub sources: Vec<LoreSource>,
    /// How documents are cut into passages.
    #[serde(default)]
    pub chunks: ChunkSettings,
}

impl Lore {
    fn default_top_k() -> u32 {
        4
    }

    fn default_min_score() -> f64 {
        0.2
    }

    fn default_timeout() -> Duration {
        Duration::from_secs(5)
    }
}

/// A vector store.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.qdrant), has(self.weaviate), has(self.pinecone), has(self.pgvector)].filter(named, named).size() == 1").message("exactly one of qdrant, weaviate, pinecone and pgvector is needed"))]
pub struct LoreStore {
    /// Qdrant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qdrant: Option<CollectionStore>,
    /// Weaviate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weaviate: Option<CollectionStore>,
    /// Pinecone. The index is one's own to create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinecone: Option<PineconeStore>,
    /// PostgreSQL with pgvector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pgvector: Option<PgvectorStore>,
}

/// A collection of a vector store that is reached by HTTP.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionStore {
    /// Its URL. A host without a dot is a Service of the same namespace.
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub url: String,
    /// The collection. It is made when it is not there.
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[A-Za-z][A-Za-z0-9_]*$")
    )]
    pub collection: String,
    /// The key; none for a server that asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// An index of Pinecone.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PineconeStore {
    /// The index's own URL, as Pinecone's console shows its host.
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub url: String,
    /// The key.
    pub api_key: ApiKey,
}

/// A table of a PostgreSQL.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PgvectorStore {
    /// The Secret that holds its URL: `postgres://user:password@host/database`.
    pub url: SecretValue,
    /// The table. It is made when it is not there.
    #[serde(default = "PgvectorStore::default_table")]
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z_][a-z0-9_]*$"))]
    pub table: String,
}

impl PgvectorStore {
    fn default_table() -> String {
        "eywa_lore".to_owned()
    }
}

/// A model that turns text into vectors.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.provider in ['hashing', 'bedrock'] || has(self.model)").message("model is needed for providers openai, gemini and vertexai"))]
#[x_kube(validation = Rule::new("self.provider == 'hashing' || has(self.dimensions)").message("dimensions are needed: how many entries the model's vectors have"))]
#[x_kube(validation = Rule::new("self.provider != 'hashing' || !(has(self.model) || has(self.dimensions) || has(self.apiKey) || has(self.baseUrl))").message("provider hashing is no model: it takes neither model, dimensions, apiKey nor baseUrl"))]
#[x_kube(validation = Rule::new("!(self.provider in ['openai', 'gemini']) || has(self.apiKey) || has(self.baseUrl)").message("apiKey is needed for providers openai and gemini, unless baseUrl names a server that asks for none"))]
#[x_kube(validation = Rule::new("(self.provider == 'vertexai') == (has(self.project) && has(self.location))").message("project and location are needed for provider vertexai, and only for it"))]
#[x_kube(validation = Rule::new("self.provider == 'vertexai' || !(has(self.project) || has(self.location))").message("project and location are for provider vertexai"))]
#[x_kube(validation = Rule::new("(self.provider == 'bedrock') == has(self.region)").message("region is needed for provider bedrock, and only for it"))]
#[x_kube(validation = Rule::new("self.provider != 'bedrock' || !has(self.dimensions) || self.dimensions in [256, 512, 1024]").message("Titan's vectors have 256, 512 or 1024 dimensions"))]
#[x_kube(validation = Rule::new("!has(self.credentials) || self.provider in ['bedrock', 'vertexai']").message("credentials are for providers bedrock and vertexai; the others have apiKey"))]
#[x_kube(validation = Rule::new("self.provider != 'vertexai' || !has(self.apiKey)").message("provider vertexai takes no apiKey: it has credentials, or the pods' own identity"))]
#[x_kube(validation = Rule::new("!(has(self.credentials) && has(self.apiKey))").message("credentials and apiKey exclude each other"))]
pub struct Embedder {
    /// Whose interface it is reached by. `openai` is any server that speaks it; `hashing` is no model at all: it finds words,
    /// not meanings, and is for demos and tests.
    pub provider: EmbedderProvider,
    /// Name of the model, as the provider writes it. For `bedrock`, Titan's text embeddings unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// How many entries its vectors have. A collection takes vectors of one length only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8192))]
    pub dimensions: Option<u32>,
    /// The provider's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// Base URL of a compatible server, up to and with `/v1`. A host without a dot is a Service of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub base_url: Option<String>,
    /// The Google Cloud project, by its id: for `vertexai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 4, max = 63),
        regex(pattern = r"^[a-z0-9][-a-z0-9.:]*[a-z0-9]$")
    )]
    pub project: Option<String>,
    /// The location of the models: for `vertexai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z]+(-[a-z]+[0-9]+)?$")
    )]
    pub location: Option<String>,
    /// The AWS region: for `bedrock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 5, max = 40),
        regex(pattern = r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")
    )]
    pub region: Option<String>,
    /// As an Oracle's. Without it, the pods' own identity: see `runtime.serviceAccountAnnotations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// Whose interface an embedder is reached by.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbedderProvider {
    /// Amazon Bedrock: Titan.
    Bedrock,
    /// Google's Gemini API.
    Gemini,
    /// No model: words and their parts, hashed. Deterministic, offline, free, and not semantic.
    Hashing,
    /// OpenAI's embeddings, at OpenAI or any compatible server.
    Openai,
    /// Google's Vertex AI.
    Vertexai,
}

impl EmbedderProvider {
    /// Its name, as manifests and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bedrock => "bedrock",
            Self::Gemini => "gemini",
            Self::Hashing => "hashing",
            Self::Openai => "openai",
            Self::Vertexai => "vertexai",
        }
    }
}

/// Documents that are brought in.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMap) != has(self.urls)").message("exactly one of configMap and urls is needed"))]
pub struct LoreSource {
    /// Its name, unique in the Spirit. Documents that it no longer has are taken out; those of other sources stay.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// A ConfigMap, each of whose keys is a document, named after its kind: `menu.md`, `hours.txt`, `about.html`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,
    /// Documents to fetch: Markdown, text, HTML or PDF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 256),
        inner(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s]+$"))
    )]
    pub urls: Option<Vec<String>>,
    /// The namespace that they are put in: what `namespace` of the Lore is for the tenant that they are for. Needed when
    /// that is a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub namespace: Option<String>,
    /// What is known of all of them, for `filter`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::short_strings")]
    pub metadata: BTreeMap<String, String>,
}

/// A ConfigMap of documents.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMapSource {
    /// Its name, in the same namespace.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// How documents are cut into passages.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.overlap * 2 <= self.size").message("overlap is at most half of size"))]
pub struct ChunkSettings {
    /// The most characters of a passage.
    #[serde(default = "ChunkSettings::default_size")]
    #[schemars(range(min = 100, max = 8000))]
    pub size: u32,
    /// How many characters of the passage before are said again at the beginning of the next.
    #[serde(default = "ChunkSettings::default_overlap")]
    #[schemars(range(min = 0, max = 2000))]
    pub overlap: u32,
}

impl ChunkSettings {
    fn default_size() -> u32 {
        1200
    }

    fn default_overlap() -> u32 {
        150
    }
}

impl Default for ChunkSettings {
    fn default() -> Self {
        Self {
            size: Self::default_size(),
            overlap: Self::default_overlap(),
        }
    }
}
