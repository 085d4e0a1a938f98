//! The `Vigil` kind: a human has taken, or is asked to take, a conversation.

#![allow(
    clippy::duplicated_attributes,
    reason = "every printcolumn has the same keys"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    duration::{Duration, zero_for_never},
    reference::SpiritRef,
};

/// A watch over one conversation, or over all of a Spirit's: while `takeover` holds, people answer and the agent does not.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "eywa.dev",
    version = "v1alpha1",
    kind = "Vigil",
    namespaced,
    status = "VigilStatus",
    derive = "PartialEq",
    doc = "A watch over one conversation, or over all of a Spirit's: while takeover holds, people answer and the agent does not.",
    shortname = "vg",
    category = "eywa",
    selectable = ".spec.spiritRef.name",
    printcolumn(name = "Spirit", type_ = "string", json_path = ".spec.spiritRef.name"),
    printcolumn(name = "Session", type_ = "string", json_path = ".spec.session"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "By", type_ = "string", json_path = ".status.by"),
    printcolumn(
        name = "Unanswered",
        type_ = "integer",
        json_path = ".status.unanswered"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.spiritRef == oldSelf.spiritRef && self.session == oldSelf.session").message("spiritRef and session are immutable: a Vigil is about one conversation; make another"))]
pub struct VigilSpec {
    /// The Spirit whose conversations it is about.
    pub spirit_ref: SpiritRef,
    /// The conversation: `voice/sender`, or `*` for all of the Spirit's.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?/[^\s]+)$")
    )]
    pub session: String,
    /// Whether people are to have the conversation: once the status says Active, the agent says nothing in it. It is an
    /// order, carried out once: a conversation that was given back for lack of activity stays so until the next edit.
    #[serde(default)]
    pub takeover: bool,
    /// Who takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Idle time after which the agent gets the conversation back; 0 for never. Without it, the Spirit's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "zero_for_never")]
    pub release_after: Option<Duration>,
}

impl VigilSpec {
    /// The session that stands for all of a Spirit's.
    pub const EVERY_SESSION: &'static str = "*";
}

/// Where a Vigil is.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VigilPhase {
    /// The agent answers; people may take over.
    #[default]
    Watching,
    /// The agent asked for a human.
    Requested,
    /// A human asked for the conversation, and a reply in flight is being waited for.
    TakingOver,
    /// People have the conversation: no reply of the agent reaches it.
    Active,
    /// The agent has it back.
    Released,
}

impl VigilPhase {
    /// Every phase, in the order a Vigil goes through them.
    pub const ALL: [Self; 5] = [
        Self::Watching,
        Self::Requested,
        Self::TakingOver,
        Self::Active,
        Self::Released,
    ];

    /// Its name, as the status and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watching => "Watching",
            Self::Requested => "Requested",
            Self::TakingOver => "TakingOver",
            Self::Active => "Active",
            Self::Released => "Released",
        }
    }
}

/// What became of a Vigil. The runtime writes it; the operator adds the `Accepted` condition.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VigilStatus {
    /// The generation of the spec the runtime has acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the Vigil is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<VigilPhase>,
    /// When the agent asked for a human.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Time>,
    /// What the agent asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_reason: Option<String>,
    /// Since when people have the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When the last Pulse came in while people had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pulse_time: Option<Time>,
    /// Pulses that came in since a human last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<i64>,
    /// When the agent got it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Time>,
    /// Who gave it back; `idle` when nobody had spoken for `releaseAfter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_by: Option<String>,
    /// `Accepted`, `TakenOver` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
