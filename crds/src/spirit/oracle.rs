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
#[x_kube(validation = Rule::new("(self.provider == 'scripted') == has(self.script)").message("script is needed for provider scripted, and only for it"))]
#[x_kube(validation = Rule::new("self.provider != 'scripted' || !(has(self.apiKey) || has(self.baseUrl))").message("provider scripted takes neither apiKey nor baseUrl"))]
pub struct Oracle {
    /// Whose interface the model is reached by. `openai` is any server that speaks OpenAI's; `scripted` is no model at all.
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
    /// What a scripted Oracle says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptSource>,
}

impl Oracle {
    fn default_timeout() -> Duration {
        Duration::from_secs(60)
    }
}

/// Whose interface a language model is reached by.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// OpenAI's chat completions, at OpenAI or any compatible server.
    Openai,
    /// Rules instead of a model: deterministic, offline and free, for demos and tests.
    Scripted,
}

impl Provider {
    /// Its name, as manifests and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Scripted => "scripted",
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
