//! The `Spirit` kind: an agent's configuration.

mod oracle;
mod runtime;
mod status;
mod tools;
mod voice;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    oracle::{ApiKey, Oracle, Provider, ScriptSource},
    runtime::{Autoscaling, RuntimeSettings},
    status::SpiritStatus,
    tools::{Action, ConduitUse, HttpAction, HttpMethod, HttpScout, Scout},
    voice::{HttpVoice, Voice, WhatsAppVoice},
};
use crate::{
    duration::{Duration, zero_for_never},
    reference::{ConfigMapKeyRef, SecretValue},
};

/// An agent: its Oracle, its persona, its Voices and tools, and how it behaves.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "eywa.dev",
    version = "v1alpha1",
    kind = "Spirit",
    namespaced,
    status = "SpiritStatus",
    derive = "PartialEq",
    doc = "An agent: its Oracle, its persona, its Voices and tools, and how it behaves.",
    shortname = "sp",
    category = "eywa",
    scale(
        spec_replicas_path = ".spec.runtime.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.oracle.provider"),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.oracle.model"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$')")
        .message("a Spirit's name is a DNS label of at most 50 characters: its children are named after it"),
)]
#[serde(rename_all = "camelCase")]
pub struct SpiritSpec {
    /// The system prompt.
    pub persona: Persona,
    /// The language model that answers.
    pub oracle: Oracle,
    /// Oracles tried in order when the one before fails and retrying does not help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub fallbacks: Vec<Oracle>,
    /// Ceilings on what one Pulse, person or session may use.
    #[serde(default)]
    #[x_kube(validation = Rule::new("duration(self.pulseTimeout) > duration('0s')").message("pulseTimeout must be longer than 0"))]
    pub limits: Limits,
    /// The channels it listens and speaks on. A Spirit without any is loaded by the Spirits that route to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub voices: Vec<Voice>,
    /// The lock on a session, and what happens to a message that comes while another is being answered.
    #[serde(default)]
    pub bond: BondSettings,
    /// Steps that fetch context before the Oracle is asked, one after another. One that fails is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub scouts: Vec<Scout>,
    /// Tools the Oracle may call, each an HTTP request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub actions: Vec<Action>,
    /// MCP servers whose tools the Oracle may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub conduits: Vec<ConduitUse>,
    /// Which Spirit answers, when it is not this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pathfinder: Option<PathfinderSettings>,
    /// How people take conversations over.
    #[serde(default)]
    pub vigil: VigilSettings,
    /// Where sessions, history and locks are kept. Without it, the chart's Redis is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stores: Option<Stores>,
    /// The pods that run it.
    #[serde(default)]
    pub runtime: RuntimeSettings,
}

/// The system prompt: a minijinja template.
///
/// Known to it: `now.date`, `now.time`, `now.weekday`, `now.hour`, `now.minute`, `now.iso`, `user.id`, `user.name`,
/// `session.id`, `voice` and `spirit`. Naming anything else is an error.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.text) != has(self.configMapRef)").message("exactly one of text and configMapRef is needed"))]
pub struct Persona {
    /// The template itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub text: Option<String>,
    /// The ConfigMap that holds the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKeyRef>,
}

/// Ceilings on what one Pulse, person or session may use.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// How many times the Oracle may be asked while answering one Pulse.
    #[schemars(range(min = 1, max = 64))]
    pub rounds: u32,
    /// How long answering one Pulse may take, tools included.
    pub pulse_timeout: Duration,
    /// How many Echoes of the conversation the Oracle is shown.
    #[schemars(range(min = 0, max = 1000))]
    pub history_messages: u32,
    /// Tokens, in and out, that one session may use per day. Without it, there is no ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tokens_per_session_per_day: Option<u64>,
    /// Pulses of one person that are answered per minute. Without it, there is no ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100000))]
    pub pulses_per_user_per_minute: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rounds: 8,
            pulse_timeout: Duration::from_secs(120),
            history_messages: 40,
            tokens_per_session_per_day: None,
            pulses_per_user_per_minute: None,
        }
    }
}

/// The lock on a session.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.merge) || self.whenBusy == 'merge'").message("merge is only for whenBusy: merge"))]
#[x_kube(validation = Rule::new("duration(self.ttl) >= duration('3s') && duration(self.ttl) <= duration('10m')").message("ttl must be from 3s to 10m"))]
pub struct BondSettings {
    /// How long a pod that died keeps its sessions locked. A living pod extends it every third of this time.
    #[serde(default = "BondSettings::default_ttl")]
    pub ttl: Duration,
    /// What happens to a message that comes while the one before it is being answered.
    #[serde(default)]
    pub when_busy: WhenBusy,
    /// How messages are merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeSettings>,
}

impl BondSettings {
    fn default_ttl() -> Duration {
        Duration::from_secs(30)
    }
}

impl Default for BondSettings {
    fn default() -> Self {
        Self {
            ttl: Self::default_ttl(),
            when_busy: WhenBusy::Discard,
            merge: None,
        }
    }
}

/// What happens to a message that comes while the one before it is being answered.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhenBusy {
    /// It is not answered; the Chronicle has it.
    #[default]
    Discard,
    /// It waits its turn.
    Queue,
    /// It joins the next turn, so that a burst gets one answer.
    Merge,
}

/// How the messages of a burst are merged into one turn.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.quiet) <= duration(self.cap)").message("quiet must not be longer than cap"))]
pub struct MergeSettings {
    /// How long nothing must have come before the turn starts.
    #[serde(default = "MergeSettings::default_quiet")]
    pub quiet: Duration,
    /// How long the turn may be put off in all.
    #[serde(default = "MergeSettings::default_cap")]
    #[x_kube(validation = crate::duration::positive())]
    pub cap: Duration,
}

impl MergeSettings {
    fn default_quiet() -> Duration {
        Duration::from_secs(2)
    }

    fn default_cap() -> Duration {
        Duration::from_secs(20)
    }
}

impl Default for MergeSettings {
    fn default() -> Self {
        Self {
            quiet: Self::default_quiet(),
            cap: Self::default_cap(),
        }
    }
}

/// Which Spirit answers a Pulse.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathfinderSettings {
    /// Rules, tried in order; the first that holds picks its Spirit. When none does, this Spirit answers.
    #[schemars(length(min = 1, max = 32))]
    pub routes: Vec<Route>,
    /// Whether a session stays with the Spirit a rule picked until another rule holds.
    #[serde(default = "yes")]
    pub sticky: bool,
}

/// One rule of the Pathfinder.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The Spirit that answers, in the same namespace.
    #[schemars(
        length(min = 1, max = 50),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub spirit: String,
    /// A CEL expression over `voice`, `text`, `user`, `session` and `now`, such as `text.matches('(?i)invoice')`.
    #[schemars(length(min = 1, max = 1024))]
    pub when: String,
}

/// How people take conversations over.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VigilSettings {
    /// Idle time after which the agent gets a conversation back, where the Vigil itself does not say; 0 for never.
    #[schemars(schema_with = "zero_for_never")]
    pub release_after: Duration,
}

impl Default for VigilSettings {
    fn default() -> Self {
        Self {
            release_after: Duration::from_secs(2 * 60 * 60),
        }
    }
}

/// Where sessions, history and locks are kept.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stores {
    /// Redis.
    pub redis: RedisStore,
}

/// A Redis to keep state in.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedisStore {
    /// The Secret that holds its URL: `redis://` or `rediss://`.
    pub urls: SecretValue,
}

fn yes() -> bool {
    true
}
