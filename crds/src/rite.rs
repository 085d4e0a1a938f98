//! The `Rite` kind: an action waits for a human's yes.

#![allow(
    clippy::duplicated_attributes,
    reason = "every printcolumn has the same keys"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::reference::SpiritRef;

/// An action that waits for a human's yes. The runtime makes it; a human sets `decision`, once.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "eywa.dev",
    version = "v1alpha1",
    kind = "Rite",
    namespaced,
    status = "RiteStatus",
    derive = "PartialEq",
    doc = "An action that waits for a human's yes. The runtime makes it; a human sets decision, once.",
    shortname = "rt",
    category = "eywa",
    selectable = ".spec.spiritRef.name",
    printcolumn(name = "Spirit", type_ = "string", json_path = ".spec.spiritRef.name"),
    printcolumn(name = "Action", type_ = "string", json_path = ".spec.action"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.spiritRef == oldSelf.spiritRef && self.session == oldSelf.session && self.action == oldSelf.action && self.arguments == oldSelf.arguments").message("spiritRef, session, action and arguments are immutable: a yes is bound to them"))]
#[x_kube(validation = Rule::new("oldSelf.decision == '' || self.decision == oldSelf.decision").message("a decision is made once"))]
pub struct RiteSpec {
    /// The Spirit whose action it is.
    pub spirit_ref: SpiritRef,
    /// The conversation it is called in: `voice/sender`.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[^\s]+$")
    )]
    pub session: String,
    /// Name of the action.
    #[schemars(length(min = 1, max = 128))]
    pub action: String,
    /// The arguments it would be called with.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub arguments: Map<String, Value>,
    /// The human's word: `Approved` or `Denied`; empty until there is one.
    #[serde(default)]
    pub decision: Decision,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub by: Option<String>,
    /// What they said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub comment: Option<String>,
}

/// A human's word on a Rite.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// None yet.
    #[default]
    #[serde(rename = "")]
    Undecided,
    /// Yes.
    Approved,
    /// No.
    Denied,
}

/// Where a Rite is.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RitePhase {
    /// It waits for a decision.
    #[default]
    Pending,
    /// A human said yes.
    Approved,
    /// A human said no.
    Denied,
    /// Nobody decided in time. That is not a no.
    Expired,
    /// What it was bound to has changed.
    Void,
    /// The approved call was made.
    Consumed,
}

impl RitePhase {
    /// Every phase, in the order in which a Rite may go through them.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Void,
        Self::Consumed,
    ];

    /// Its name, as the status and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Denied => "Denied",
            Self::Expired => "Expired",
            Self::Void => "Void",
            Self::Consumed => "Consumed",
        }
    }
}

/// How the approved call went.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RiteOutcome {
    /// The action answered.
    Succeeded,
    /// The action failed.
    Failed,
}

/// What became of a Rite.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RiteStatus {
    /// Where the Rite is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<RitePhase>,
    /// Until when it can be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Who decided; empty where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// How the approved call went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RiteOutcome>,
}
