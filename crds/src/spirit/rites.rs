//! Which calls wait for a human's yes.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{conduit::glob_matches, duration::Duration};

/// Calls that are made only once a human has said yes. Of several rules that hold for a call, the first counts.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RiteRule {
    /// Names of Actions and of Conduits' tools, where `*` stands for anything. What is built in, such as `summon_human`,
    /// never waits.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 128)))]
    pub actions: Vec<String>,
    /// How long a human may take to decide, at most 168h. Then the Rite has expired, which is not a no.
    #[serde(default = "RiteRule::default_timeout")]
    #[x_kube(validation = Rule::new("duration(self) > duration('0s') && duration(self) <= duration('168h')").message("must be longer than 0, and at most 168h"))]
    pub timeout: Duration,
    /// JSON pointers to arguments that people are not shown, such as `/card` or `/lines/0/note`: the Rite's object and the
    /// desk have `[redacted]` in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 2, max = 256), regex(pattern = r"^(/([^/~]|~[01])*)+$"))
    )]
    pub redact: Vec<String>,
    /// What the person is told when a call begins to wait, in these words. Without it they hear nothing until it is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub notice: Option<String>,
}

impl RiteRule {
    fn default_timeout() -> Duration {
        Duration::from_secs(15 * 60)
    }

    /// Whether it is about a tool of this name.
    #[must_use]
    pub fn holds_for(&self, tool: &str) -> bool {
        self.actions.iter().any(|glob| glob_matches(glob, tool))
    }
}
