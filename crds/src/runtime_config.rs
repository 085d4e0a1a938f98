//! What a runtime reads: a Spirit and all it refers to, resolved and checked.
//!
//! It is JSON in a mounted file. Secrets are not in it: a [`SecretFile`] says which mounted file holds the value.

mod google;
mod lore;
mod pathfinder;
mod tools;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use eywa_guard::Policy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    conduit::ToolFilter,
    duration::Duration,
    reference::SecretKeyRef,
    script::Script,
    spirit::{
        BondSettings, Effort, Limits, MediaSettings, MemorySettings, RiteRule, ShownAttachments,
        TemplateSettings, VigilSettings,
    },
};

pub use self::{
    google::{CompiledStorage, CompiledTasks},
    lore::{
        BedrockEmbedder, CompiledCollection, CompiledDocuments, CompiledEmbedder, CompiledImprint,
        CompiledLore, CompiledLoreSource, CompiledLoreStore, IngestConfig, KeyedEmbedder,
        VertexaiEmbedder,
    },
    pathfinder::CompiledPathfinder,
    tools::{CompiledAction, CompiledHttpScout, CompiledScout, ScoutSource},
};

/// The version of this format. A runtime refuses another.
pub const RUNTIME_CONFIG_VERSION: u32 = 1;

/// All that one runtime runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimeConfig {
    /// [`RUNTIME_CONFIG_VERSION`].
    pub version: u32,
    /// The namespace of everything in it.
    pub namespace: String,
    /// Name of the Spirit whose Voices are served, one of `spirits`.
    pub front: String,
    /// The front Spirit and those it routes to, by name. Those have no Voices here.
    pub spirits: BTreeMap<String, CompiledSpirit>,
    /// Where state is kept.
    pub stores: StoresConfig,
    /// Where requests may go.
    pub network: Policy,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// It is not this format.
    #[error("the runtime configuration cannot be read: {0}")]
    Format(#[from] serde_json::Error),
    /// It is of another version.
    #[error(
        "the runtime configuration is version {found}; this runtime reads version {RUNTIME_CONFIG_VERSION}: operator and runtime images must be of one release"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// The front Spirit is not in it.
    #[error("the runtime configuration has no Spirit {0:?}, which it names as its front")]
    NoFront(String),
}

impl RuntimeConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When it is malformed, of another version, or lacks its front Spirit.
    pub fn from_json(text: &str) -> Result<Self, InvalidConfig> {
        check_version(text)?;
        let config: Self = serde_json::from_str(text)?;
        if config.spirits.contains_key(&config.front) {
            Ok(config)
        } else {
            Err(InvalidConfig::NoFront(config.front))
        }
    }

    /// The JSON that [`from_json`](Self::from_json) reads: one line, keys in a fixed order, so that equal configurations
    /// are equal texts.
    ///
    /// # Errors
    /// Never for a compiled configuration.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        // Through `Value`, whose maps are sorted.
        serde_json::to_value(self).map(|value| value.to_string())
    }

    /// SHA-256 of [`to_json`](Self::to_json), in hex. It changes when, and only when, what a runtime would do changes;
    /// the number of pods is not part of it, nor is what the secrets hold.
    #[must_use]
    pub fn config_hash(&self) -> String {
        hash(self)
    }

    /// The Spirit whose Voices are served.
    #[must_use]
    pub fn front(&self) -> Option<&CompiledSpirit> {
        self.spirits.get(&self.front)
    }

    /// Which clouds' identities of pods it uses.
    #[must_use]
    pub fn pod_identities(&self) -> PodIdentities {
        let mut identities = PodIdentities::default();
        for spirit in self.spirits.values() {
            for oracle in spirit.every_oracle() {
                identities.aws |= matches!(oracle, CompiledOracle::Bedrock(bedrock) if bedrock.auth == BedrockAuth::Pod);
                identities.google |= matches!(oracle, CompiledOracle::Vertexai(vertexai) if vertexai.credentials.is_none());
            }
            match spirit.lore.as_ref().map(|lore| &lore.embedder) {
                Some(CompiledEmbedder::Bedrock(bedrock)) => {
                    identities.aws |= bedrock.auth == BedrockAuth::Pod;
                }
                Some(CompiledEmbedder::Vertexai(vertexai)) => {
                    identities.google |= vertexai.credentials.is_none();
                }
                _ => {}
            }
        }
        if let StoresConfig::Redis { tasks, storage, .. } = &self.stores {
            let tasks = tasks.iter().map(|tasks| &tasks.credentials);
            let storage = storage.iter().map(|storage| &storage.credentials);
            identities.google |= tasks.chain(storage).any(Option::is_none);
        }
        identities
    }

    /// Every secret file it names: what must be mounted, by Secret and key.
    #[must_use]
    pub fn secret_files(&self) -> BTreeSet<SecretFile> {
        let mut files = BTreeSet::new();
        if let StoresConfig::Redis {
            urls,
            ca,
            mongo,
            tasks,
            storage,
        } = &self.stores
        {
            if let RedisUrls::Secret(file) = urls {
                files.insert(file.clone());
            }
            files.extend(ca.clone());
            files.extend(mongo.as_ref().map(|mongo| mongo.url.clone()));
            let tasks = tasks.as_ref().and_then(|tasks| tasks.credentials.clone());
            let storage = storage.as_ref();
            let storage = storage.and_then(|storage| storage.credentials.clone());
            files.extend(tasks.into_iter().chain(storage));
        }
        for spirit in self.spirits.values() {
            files.extend(spirit.secret_files().cloned());
        }
        files
    }
}

/// The clouds that pods have an identity of their own at, and use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodIdentities {
    /// AWS: IRSA or EKS Pod Identity.
    pub aws: bool,
    /// Google Cloud: Workload Identity.
    pub google: bool,
}

/// A Spirit, resolved and checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledSpirit {
    /// Its name.
    pub name: String,
    /// The persona, a checked [`Template`](crate::template::Template).
    pub persona: String,
    /// Its Oracle, then its fallbacks. Never empty.
    pub oracles: Vec<CompiledOracle>,
    /// Ceilings.
    pub limits: Limits,
    /// The channels it is served on.
    pub voices: Vec<CompiledVoice>,
    /// The lock on a session.
    pub bond: BondSettings,
    /// Steps that fetch context, in order.
    pub scouts: Vec<CompiledScout>,
    /// HTTP tools.
    pub actions: Vec<CompiledAction>,
    /// MCP servers.
    pub conduits: Vec<CompiledConduit>,
    /// Documents that are looked up for each message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lore: Option<CompiledLore>,
    /// What is remembered of people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub imprint: Option<CompiledImprint>,
    /// Calls that wait for a human's yes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rites: Vec<RiteRule>,
    /// Whether it may offer answers to pick from.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub offer_choices: bool,
    /// Which Spirit answers. Every route's Spirit is in the configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pathfinder: Option<CompiledPathfinder>,
    /// What it keeps in mind.
    #[serde(default)]
    pub memory: MemorySettings,
    /// How people take conversations over: the front Spirit's counts.
    #[serde(default)]
    pub vigil: CompiledVigil,
}

impl CompiledSpirit {
    /// Hash of all of it: what is bound to one version of a Spirit is bound to this.
    #[must_use]
    pub fn revision(&self) -> String {
        hash(self)
    }

    /// Every Oracle that is asked for it, whatever for.
    fn every_oracle(&self) -> impl Iterator<Item = &CompiledOracle> {
        let imprint = self.imprint.as_ref();
        let imprint = imprint.and_then(|imprint| imprint.oracle.as_ref());
        let pathfinder = self.pathfinder.as_ref();
        let pathfinder = pathfinder.and_then(|pathfinder| pathfinder.oracle.as_ref());
        self.oracles.iter().chain(imprint).chain(pathfinder)
    }

    fn secret_files(&self) -> impl Iterator<Item = &SecretFile> {
        let oracles = self.every_oracle().filter_map(CompiledOracle::secret_file);
        let lore = self.lore.iter().flat_map(CompiledLore::secret_files);
        let voices = self.voices.iter().flat_map(|voice| match &voice.channel {
            CompiledChannel::Whatsapp(whatsapp) => {
                vec![
                    &whatsapp.access_token,
                    &whatsapp.app_secret,
                    &whatsapp.verify_token,
                ]
            }
            CompiledChannel::Http(http) => vec![&http.signing_key],
        });
        let conduits = self.conduits.iter().flat_map(|conduit| &conduit.headers);
        let headers = (self.scouts.iter().flat_map(CompiledScout::secret_files))
            .chain(self.actions.iter().flat_map(CompiledAction::secret_files))
            .chain(conduits.map(|header| &header.value));
        let notify = self.vigil.notify.iter().map(|notify| &notify.signing_key);
        oracles
            .chain(lore)
            .chain(voices)
            .chain(headers)
            .chain(notify)
    }
}

/// How people take conversations over, and how the Spirit asks them to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledVigil {
    /// Whether the agent may ask for a human.
    pub summon: bool,
    /// When it does without being asked: a checked [`When`](crate::expression::When).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summon_when: Option<String>,
    /// Who is told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub notify: Option<CompiledNotify>,
    /// What a person writes to have the agent back.
    pub release_phrases: Vec<String>,
    /// Idle time after which the agent has a conversation back; zero for never.
    pub release_after: Duration,
}

impl Default for CompiledVigil {
    fn default() -> Self {
        let VigilSettings {
            summon,
            summon_when,
            release_phrases,
            release_after,
            ..
        } = VigilSettings::default();
        Self {
            summon,
            summon_when,
            notify: None,
            release_phrases,
            release_after,
        }
    }
}

/// Where people are told of what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledNotify {
    /// Where events are POSTed.
    pub url: String,
    /// The Standard Webhooks key that they are signed with.
    pub signing_key: SecretFile,
    /// Whether what the person writes is sent along.
    pub include_text: bool,
}

/// A secret value: the file that holds it, below the folder secrets are mounted in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// Name of the Secret.
    pub name: String,
    /// Its key.
    pub key: String,
}

impl SecretFile {
    /// The file, below `secrets`: `<secrets>/<name>/<key>`.
    #[must_use]
    pub fn path(&self, secrets: &Path) -> PathBuf {
        secrets.join(&self.name).join(&self.key)
    }
}

impl fmt::Display for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?} of Secret {:?}", self.key, self.name)
    }
}

impl From<&SecretKeyRef> for SecretFile {
    fn from(reference: &SecretKeyRef) -> Self {
        Self {
            name: reference.name.clone(),
            key: reference.key.clone(),
        }
    }
}

/// A header whose value is kept in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretHeader {
    /// Its name.
    pub name: String,
    /// Its whole value.
    pub value: SecretFile,
}

/// A language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum CompiledOracle {
    /// By Anthropic's interface.
    Anthropic(AnthropicOracle),
    /// At Amazon Bedrock.
    Bedrock(BedrockOracle),
    /// By the Gemini API.
    Gemini(GeminiOracle),
    /// At Google's Vertex AI.
    Vertexai(VertexaiOracle),
    /// By OpenAI's interface.
    Openai(OpenaiOracle),
    /// By rules.
    Scripted(ScriptedOracle),
}

impl CompiledOracle {
    /// The file that requests prove themselves with, if there is one.
    #[must_use]
    pub const fn secret_file(&self) -> Option<&SecretFile> {
        match self {
            Self::Anthropic(anthropic) => anthropic.api_key.as_ref(),
            Self::Bedrock(bedrock) => bedrock.auth.secret_file(),
            Self::Gemini(gemini) => gemini.api_key.as_ref(),
            Self::Vertexai(vertexai) => vertexai.credentials.as_ref(),
            Self::Openai(openai) => openai.api_key.as_ref(),
            Self::Scripted(_) => None,
        }
    }

    /// How long one request may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        match self {
            Self::Anthropic(anthropic) => anthropic.timeout,
            Self::Bedrock(bedrock) => bedrock.timeout,
            Self::Gemini(gemini) => gemini.timeout,
            Self::Vertexai(vertexai) => vertexai.timeout,
            Self::Openai(openai) => openai.timeout,
            Self::Scripted(scripted) => scripted.timeout,
        }
    }

    /// How it is asked.
    #[must_use]
    pub fn asked(&self) -> Asked {
        match self {
            Self::Anthropic(anthropic) => anthropic.asked,
            Self::Bedrock(bedrock) => bedrock.asked,
            Self::Gemini(gemini) => gemini.asked,
            Self::Vertexai(vertexai) => vertexai.asked,
            Self::Openai(openai) => openai.asked,
            Self::Scripted(_) => Asked::default(),
        }
    }

    /// Name of the model.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::Anthropic(anthropic) => &anthropic.model,
            Self::Bedrock(bedrock) => &bedrock.model,
            Self::Gemini(gemini) => &gemini.model,
            Self::Vertexai(vertexai) => &vertexai.model,
            Self::Openai(openai) => &openai.model,
            Self::Scripted(scripted) => &scripted.model,
        }
    }
}

/// A model behind Anthropic's interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnthropicOracle {
    /// Name of the model.
    pub model: String,
    /// Base URL, up to and with `/v1`.
    pub base_url: String,
    /// The key; none for a server that asks for none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api_key: Option<SecretFile>,
    /// How it is asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// Whether what every request begins with is marked to be cached.
    pub prompt_caching: bool,
    /// How long one request may take.
    pub timeout: Duration,
}

/// How a model is asked, whoever serves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// See [`Oracle`](crate::spirit::Oracle).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub temperature: Option<f64>,
    /// Tokens it may answer with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_tokens: Option<u32>,
    /// How hard it thinks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effort: Option<Effort>,
    /// Which files it is shown.
    #[serde(default)]
    pub attachments: ShownAttachments,
}

/// A model behind OpenAI's interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenaiOracle {
    /// Name of the model.
    pub model: String,
    /// Base URL, up to and with `/v1`.
    pub base_url: String,
    /// The key; none for a server that asks for none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api_key: Option<SecretFile>,
    /// How it is asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A model at Amazon Bedrock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BedrockOracle {
    /// Id or ARN of the model, or of an inference profile.
    pub model: String,
    /// Where the region's Bedrock answers.
    pub base_url: String,
    /// The region.
    pub region: String,
    /// What requests prove themselves with.
    pub auth: BedrockAuth,
    /// How it is asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// Whether what every request begins with is marked to be cached.
    pub prompt_caching: bool,
    /// How long one request may take.
    pub timeout: Duration,
}

/// What requests to Amazon Bedrock prove themselves with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BedrockAuth {
    /// A Bedrock API key.
    ApiKey(SecretFile),
    /// A credentials file.
    Credentials(SecretFile),
    /// The pods' own role.
    Pod,
}

impl BedrockAuth {
    /// The file that it is in, if it is in one.
    #[must_use]
    pub const fn secret_file(&self) -> Option<&SecretFile> {
        match self {
            Self::ApiKey(file) | Self::Credentials(file) => Some(file),
            Self::Pod => None,
        }
    }
}

/// A model behind the Gemini API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GeminiOracle {
    /// Name of the model.
    pub model: String,
    /// Base URL, up to and with the version.
    pub base_url: String,
    /// The key; none for a server that asks for none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api_key: Option<SecretFile>,
    /// How it is asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A model at Google's Vertex AI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VertexaiOracle {
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
    /// How it is asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// Whether what every request begins with is marked to be cached.
    pub prompt_caching: bool,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Rules instead of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScriptedOracle {
    /// What it calls itself in metrics.
    pub model: String,
    /// The rules, checked.
    pub script: Script,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledVoice {
    /// Its name.
    pub name: String,
    /// What kind of channel it is.
    #[serde(flatten)]
    pub channel: CompiledChannel,
}

/// A kind of channel, with what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CompiledChannel {
    /// A number of the WhatsApp Cloud API.
    Whatsapp(Box<CompiledWhatsApp>),
    /// Plain HTTP.
    Http(CompiledHttp),
}

/// A number of the WhatsApp Cloud API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledWhatsApp {
    /// The number's id.
    pub phone_number_id: String,
    /// The Graph API, with its version.
    pub graph_url: String,
    /// What it sends with.
    pub access_token: SecretFile,
    /// What webhooks are signed with.
    pub app_secret: SecretFile,
    /// What the webhook's verification must carry.
    pub verify_token: SecretFile,
    /// Whether people see that their message was read, and that it is being answered.
    pub typing: bool,
    /// Which files it takes.
    pub media: MediaSettings,
    /// What is sent to people who have not written for 24 hours.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<TemplateSettings>,
    /// What stands on the button that opens a list of choices.
    pub list_label: String,
}

/// A channel over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledHttp {
    /// The Standard Webhooks key, both ways.
    pub signing_key: SecretFile,
    /// Where replies are sent that nobody waited for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reply_url: Option<String>,
}

/// An MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledConduit {
    /// Its name.
    pub name: String,
    /// Its MCP endpoint.
    pub url: String,
    /// Headers of every request.
    pub headers: Vec<SecretHeader>,
    /// What the Conduit lets through.
    pub tools: ToolFilter,
    /// What this Spirit uses of that.
    pub uses: Vec<String>,
    /// How long one call may take.
    pub timeout: Duration,
}

impl CompiledConduit {
    /// Whether the Spirit's Oracle is offered a tool of this name.
    #[must_use]
    pub fn offers(&self, tool: &str) -> bool {
        self.tools.lets_through(tool)
            && self
                .uses
                .iter()
                .any(|glob| crate::conduit::glob_matches(glob, tool))
    }
}

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StoresConfig {
    /// In this process and a folder of its own: one process only.
    Embedded,
    /// In Redis.
    Redis {
        /// Where it is.
        urls: RedisUrls,
        /// The file with the certificate of the only authority that is trusted, in PEM.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        ca: Option<SecretFile>,
        /// Where conversations and the Chronicle are, if not there too.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mongo: Option<CompiledMongo>,
        /// What brings a Pulse whose pod died to another.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tasks: Option<Box<CompiledTasks>>,
        /// Where the files are that people send, if not there too.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        storage: Option<Box<CompiledStorage>>,
    },
}

/// A MongoDB to keep conversations in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledMongo {
    /// The file that holds its URL.
    pub url: SecretFile,
    /// The database.
    pub database: String,
    /// How long an Echo or a Chronicle entry is kept.
    pub retention: Duration,
}

/// Where a Redis is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RedisUrls {
    /// A URL that holds no secret.
    Plain(String),
    /// A file that holds the URL, or several, a line each.
    Secret(SecretFile),
}

/// The version first: another version's fields would only give a confusing error.
fn check_version(text: &str) -> Result<(), InvalidConfig> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_str(text)?;
    if version == RUNTIME_CONFIG_VERSION {
        Ok(())
    } else {
        Err(InvalidConfig::Version { found: version })
    }
}

fn hash(value: &impl Serialize) -> String {
    // Through `Value`, whose maps are sorted; compiled configurations always serialize.
    let json = serde_json::to_value(value)
        .map(|value| value.to_string())
        .unwrap_or_default();
    let digest = Sha256::digest(json.as_bytes());
    digest
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            hex.push_str(&format!("{byte:02x}"));
            hex
        })
}
