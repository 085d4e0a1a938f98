//! The `Vigil` kind: a human has taken, or is asked to take, a conversation.

#![allow(
    clippy::duplicated_attributes,
    reason = "every printcolumn has the same keys"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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

/// The label of Vigils that are kept for people rather than by them: their spec follows whatever is done on the desk, and
/// they are deleted a day after their release. Its value is [`KEPT_BY_RUNTIME`].
pub const KEPT_BY: &str = "eywa.dev/kept-by";
/// The value of [`KEPT_BY`].
pub const KEPT_BY_RUNTIME: &str = "runtime";
/// The annotation that names a generation of the spec which the runtime wrote itself. It orders nothing: it says what is.
pub const FOLLOWED: &str = "eywa.dev/followed-generation";

/// The name of the Vigil about a conversation of a Spirit, where nobody has given it another: the same for everybody who
/// makes one. A name cannot hold every session, so what of it does not fit is replaced and a digest of the whole is added.
#[must_use]
pub fn object_name(spirit: &str, session: &str) -> String {
    let readable = match session {
        VigilSpec::EVERY_SESSION => "everyone".to_owned(),
        session => session
            .chars()
            .map(|letter| match letter.to_ascii_lowercase() {
                letter @ ('a'..='z' | '0'..='9') => letter,
                _ => '-',
            })
            .collect(),
    };
    let digest = Sha256::digest(format!("{spirit}\n{session}").as_bytes());
    let digest: String = digest
        .iter()
        .take(5)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let readable: String = readable.trim_matches('-').chars().take(40).collect();
    let name = format!("{spirit}-{readable}");
    format!("{}-{digest}", name.trim_end_matches('-'))
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

/// Why a conversation was given back.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VigilReleaseReason {
    /// Somebody gave it back.
    Human,
    /// Nobody had spoken in it for `releaseAfter`.
    Idle,
    /// The person asked for the agent, by one of the Spirit's `releasePhrases`.
    User,
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
    /// Pulses that came in since a human last answered; 0 once it is given back. Of a Vigil over every conversation: all
    /// that came in since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<i64>,
    /// When the agent got it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Time>,
    /// Who gave it back; `idle` when nobody had spoken for `releaseAfter`, `user` when the person asked for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_by: Option<String>,
    /// Why it was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_reason: Option<VigilReleaseReason>,
    /// `Accepted`, `TakenOver` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_has_one_name_that_an_object_may_have() {
        let name = object_name("barista", "wa/5511999990000");
        assert!(name.starts_with("barista-wa-5511999990000-"), "{name}");
        assert_eq!(name, object_name("barista", "wa/5511999990000"));
        let long = format!("web/{}", "Ü/é 7".repeat(60));
        for session in ["*", "web/a", "web/A", "web/--", long.as_str()] {
            let name = object_name(
                "a-spirit-whose-name-is-as-long-as-it-may-be-0123456",
                session,
            );
            let fits = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-');
            assert!(name.len() <= 253 && name.chars().all(fits), "{name}");
            assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
        }
        assert_ne!(
            object_name("barista", "web/a"),
            object_name("barista", "web/A")
        );
        assert_ne!(object_name("barista", "*"), object_name("billing", "*"));
    }
}
