//! The part of a Spirit that says which language model answers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    duration::Duration,
    reference::{ConfigMapKeyRef, SecretKeyRef},
    script::Script,
};

/// A language model: who serves it, and how it is asked.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.provider != 'openai' || has(self.model)").message("model is needed for provider openai"))]
#[x_kube(validation = Rule::new("self.provider != 'openai' || has(self.apiKey) || has(self.baseUrl)").message("apiKey is needed for provider openai, unless baseUrl names a server that asks for none"))]
#[x_kube(validation = Rule::new("self.provider != 'anthropic' || has(self.model)").message("model is needed for provider anthropic"))]
#[x_kube(validation = Rule::new("self.provider != 'anthropic' || has(self.apiKey) || has(self.baseUrl)").message("apiKey is needed for provider anthropic, unless baseUrl names a server that asks for none"))]
#[x_kube(validation = Rule::new("self.provider != 'anthropic' || !has(self.temperature) || self.temperature <= 1.0").message("temperature is at most 1 for provider anthropic"))]
#[x_kube(validation = Rule::new("!(self.provider in ['bedrock', 'gemini', 'vertexai']) || has(self.model)").message("model is needed for providers bedrock, gemini and vertexai"))]
#[x_kube(validation = Rule::new("self.provider != 'gemini' || has(self.apiKey) || has(self.baseUrl)").message("apiKey is needed for provider gemini, unless baseUrl names a server that asks for none"))]
#[x_kube(validation = Rule::new("self.provider != 'vertexai' || (has(self.project) && has(self.location))").message("project and location are needed for provider vertexai"))]
#[x_kube(validation = Rule::new("self.provider == 'vertexai' || !(has(self.project) || has(self.location))").message("project and location are for provider vertexai"))]
#[x_kube(validation = Rule::new("(self.provider == 'bedrock') == has(self.region)").message("region is needed for provider bedrock, and only for it"))]
#[x_kube(validation = Rule::new("!has(self.credentials) || self.provider in ['bedrock', 'vertexai']").message("credentials are for providers bedrock and vertexai; the others have apiKey"))]
#[x_kube(validation = Rule::new("self.provider != 'vertexai' || !has(self.apiKey)").message("provider vertexai takes no apiKey: it has credentials, or the pods' own identity"))]
#[x_kube(validation = Rule::new("!(has(self.credentials) && has(self.apiKey))").message("credentials and apiKey exclude each other"))]
#[x_kube(validation = Rule::new("self.provider != 'bedrock' || !has(self.temperature) || self.temperature <= 1.0").message("temperature is at most 1 for provider bedrock"))]
#[x_kube(validation = Rule::new("self.provider != 'bedrock' || !has(self.effort)").message("provider bedrock takes no effort"))]
#[x_kube(validation = Rule::new("!has(self.promptCaching) || self.provider in ['anthropic', 'bedrock', 'vertexai']").message("promptCaching is for providers that cache what they are told to: anthropic, bedrock, vertexai; the others do it by themselves"))]
#[x_kube(validation = Rule::new("self.provider != 'scripted' || !(has(self.effort) || has(self.attachments))").message("provider scripted takes neither effort nor attachments"))]
#[x_kube(validation = Rule::new("(self.provider == 'scripted') == has(self.script)").message("script is needed for provider scripted, and only for it"))]
#[x_kube(validation = Rule::new("self.provider != 'scripted' || !(has(self.apiKey) || has(self.baseUrl))").message("provider scripted takes neither apiKey nor baseUrl"))]
pub struct Oracle {
    /// Whose interface the model is reached by. `openai` and `anthropic` are any server that speaks theirs; `scripted` is
    /// no model at all.
    pub provider: Provider,
    /// Name of the model, as the provider writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// How freely it picks its words: 0 for as little as it can. Without it, the provider's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 2.0))]
    pub temperature: Option<f64>,
    /// Tokens it may answer with, at most. Without it, the provider's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_tokens: Option<u32>,
    /// How hard it thinks before it answers. Without it, the model's own default; a model that cannot be told refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Which files that people send it is shown; the rest is named to it in words. Without it: what the provider takes, and
    /// `images` for a server of one's own that speaks OpenAI's interface. `none` for a model that only reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<ShownAttachments>,
    /// Whether the provider is told to cache what every request begins with. It answers the same, sooner and cheaper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_caching: Option<bool>,
    /// How long one request to it may take.
    #[serde(default = "Oracle::default_timeout")]
    #[x_kube(validation = crate::duration::positive())]
    pub timeout: Duration,
    /// The provider's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// Base URL of a compatible server (vLLM, Ollama, a gateway), up to and with `/v1`. A host without a dot is
    /// a Service of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub base_url: Option<String>,
    /// The Google Cloud project whose models answer, by its id: for `vertexai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 4, max = 63),
        regex(pattern = r"^[a-z0-9][-a-z0-9.:]*[a-z0-9]$")
    )]
    pub project: Option<String>,
    /// The location of those models, such as `europe-west1`, `eu` or `global`: for `vertexai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z]+(-[a-z]+[0-9]+)?$")
    )]
    pub location: Option<String>,
    /// The AWS region whose models answer, such as `eu-west-1`: for `bedrock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 5, max = 40),
        regex(pattern = r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")
    )]
    pub region: Option<String>,
    /// A service account's key in JSON for `vertexai`, a credentials file as AWS' tools write it for `bedrock`. Without it,
    /// the pods' own identity: see `runtime.serviceAccountAnnotations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// What a scripted Oracle says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptSource>,
}

impl Oracle {
    fn default_timeout() -> Duration {
        Duration::from_secs(60)
    }
}

/// How hard a model thinks before it answers.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// As little as it can: quick and cheap.
    Low,
    /// In between.
    Medium,
    /// As much as it needs.
    High,
}

/// Which files that people send a model is shown.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShownAttachments {
    /// Images and PDFs, as far as the provider takes them.
    #[default]
    All,
    /// Images alone.
    Images,
    /// Nothing.
    None,
}

/// Whose interface a language model is reached by.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anthropic's Messages API, at Anthropic or any compatible server.
    Anthropic,
    /// Amazon Bedrock: the models of many makers, in one's own AWS account.
    Bedrock,
    /// Google's Gemini API.
    Gemini,
    /// OpenAI's chat completions, at OpenAI or any compatible server.
    Openai,
    /// Rules instead of a model: deterministic, offline and free, for demos and tests.
    Scripted,
    /// Google's Vertex AI: Gemini and Claude models, in one's own Google Cloud project.
    Vertexai,
}

impl Provider {
    /// Its name, as manifests and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
            Self::Gemini => "gemini",
            Self::Openai => "openai",
            Self::Scripted => "scripted",
            Self::Vertexai => "vertexai",
        }
    }
}

/// A provider's key.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Where the key is kept.
    pub secret_ref: SecretKeyRef,
}

/// What a cloud knows its caller by.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Where they are kept.
    pub secret_ref: SecretKeyRef,
}

/// Where a scripted Oracle's rules are: in a ConfigMap, or right here.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapRef) != has(self.rules)").message("exactly one of configMapRef and rules is needed"))]
#[x_kube(validation = Rule::new("!has(self.configMapRef) || !has(self.default)").message("default goes with rules; a ConfigMap's script has its own"))]
pub struct ScriptSource {
    /// The ConfigMap whose key holds the script, as YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKeyRef>,
    /// The script's rules, tried in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub rules: Option<Vec<crate::script::ScriptRule>>,
    /// What is said when no rule holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<crate::script::Reply>,
}

impl ScriptSource {
    /// The script, when it is written inline.
    #[must_use]
    pub fn inline(&self) -> Option<Script> {
        self.rules.clone().map(|rules| Script {
            rules,
            default: self.default.clone(),
        })
    }
}
