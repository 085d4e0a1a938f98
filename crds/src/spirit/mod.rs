//! The `Spirit` kind: an agent's configuration.

mod google;
mod imprint;
mod lore;
mod oracle;
mod pathfinder;
mod rites;
mod runtime;
mod status;
mod tools;
mod voice;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    google::{GoogleStores, StorageAttachments, TasksInbox},
    imprint::Imprint,
    lore::{
        ChunkSettings, CollectionStore, ConfigMapSource, Embedder, EmbedderProvider, Lore,
        LoreSource, LoreStore, PgvectorStore, PineconeStore,
    },
    oracle::{ApiKey, Credentials, Effort, Oracle, Provider, ScriptSource, ShownAttachments},
    pathfinder::{PathfinderSettings, Route},
    rites::RiteRule,
    runtime::{Autoscaling, RuntimeSettings},
    status::{ADAPTERS_READY, SpiritStatus, VOICES_READY},
    tools::{Action, ConduitUse, Header, HttpAction, HttpMethod, HttpScout, Scout},
    voice::{HttpVoice, MediaSettings, TemplateSettings, Voice, WhatsAppVoice},
};
use crate::{
    duration::{Duration, zero_for_never},
    reference::{ConfigMapKeyRef, SecretKeyRef, SecretValue},
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
    /// Documents that are looked up for each message, by what it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lore: Option<Lore>,
    /// What the agent remembers of a person, across conversations.
    #[serde(default)]
    pub imprint: Imprint,
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
    /// Whether the agent may offer answers to pick from, as buttons or a list: offers it the Action `offer_choices`.
    #[serde(default)]
    pub offer_choices: bool,
    /// What the agent keeps in mind.
    #[serde(default)]
    pub memory: MemorySettings,
    /// Calls of Actions and of Conduits' tools that are made only once a human has said yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub rites: Vec<RiteRule>,
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

/// What the agent keeps in mind.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemorySettings {
    /// Whether the agent may keep things in mind for the rest of a conversation: offers it the Action `remember`.
    pub remember: bool,
}

/// How people take conversations over, and how the agent asks them to.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VigilSettings {
    /// Whether the agent may ask for a human: offers it the Action `summon_human`, and asks when no Oracle answers and when
    /// a session has spent its tokens of the day.
    pub summon: bool,
    /// Asks for a human when this holds of a message: a CEL expression over `voice`, `text`, `user`, `session` and `now`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub summon_when: Option<String>,
    /// Who is told when a human is asked for, has come, is written to and has gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<NotifySettings>,
    /// A person who writes one of these and nothing else while a human has the conversation gets the agent back, such as
    /// `bot`. Upper and lower case are the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub release_phrases: Vec<String>,
    /// Idle time after which the agent gets a conversation back, where the Vigil itself does not say; 0 for never.
    #[schemars(schema_with = "zero_for_never")]
    pub release_after: Duration,
}

/// Where people are told of what happens with conversations that are, or are to be, theirs.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifySettings {
    /// Where each event is POSTed.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// The Standard Webhooks key that it is signed with.
    pub secret_ref: SecretKeyRef,
    /// Whether what the person writes is sent along. Without it only that they wrote is told.
    #[serde(default)]
    pub include_text: bool,
}

impl Default for VigilSettings {
    fn default() -> Self {
        Self {
            summon: false,
            summon_when: None,
            notify: None,
            release_phrases: Vec::new(),
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
    /// MongoDB, for the conversations and the Chronicle. Without it they are in Redis too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mongo: Option<MongoStore>,
    /// What is kept in Google Cloud, beside Redis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleStores>,
}

/// A MongoDB to keep conversations in.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.retention) >= duration('24h')").message("retention must be 24h or more"))]
pub struct MongoStore {
    /// The Secret that holds its URL: `mongodb://` or `mongodb+srv://`.
    pub url: SecretValue,
    /// The database.
    #[serde(default = "MongoStore::default_database")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub database: String,
    /// How long an Echo or a Chronicle entry is kept.
    #[serde(default = "MongoStore::default_retention")]
    pub retention: Duration,
}

impl MongoStore {
    fn default_database() -> String {
        "eywa".to_owned()
    }

    fn default_retention() -> Duration {
        Duration::from_secs(90 * 24 * 60 * 60)
    }
}

/// A Redis to keep state in.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedisStore {
    /// The Secret that holds its URL: `redis://host:6379`, `redis-cluster://a:6379,b:6379`, or
    /// `redis-sentinel://a:26379,b:26379/master`, each with `rediss` for TLS. Three and more, one a line, are a Redlock
    /// over independent servers; the first of them keeps everything else.
    pub urls: SecretValue,
    /// The certificate, in PEM, of the authority that signed the servers'. Without it, those that the image trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretValue>,
}

fn yes() -> bool {
    true
}
