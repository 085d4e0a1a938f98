//! The part of a Spirit that says what it remembers of people.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Oracle;
use crate::duration::Duration;

/// What the agent remembers of a person, across conversations.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.after) >= duration('10s') && duration(self.after) <= duration('24h')").message("after must be from 10s to 24h"))]
#[x_kube(validation = Rule::new("duration(self.maxAge) >= duration('1h')").message("maxAge must be 1h or more"))]
pub struct Imprint {
    /// Whether facts about people are drawn from finished conversations, and shown in later ones.
    #[serde(default)]
    pub enabled: bool,
    /// The most facts that are kept of a person; beyond it the oldest go.
    #[serde(default = "Imprint::default_max_facts")]
    #[schemars(range(min = 1, max = 500))]
    pub max_facts: u32,
    /// How long a fact is kept that is not heard again.
    #[serde(default = "Imprint::default_max_age")]
    pub max_age: Duration,
    /// How long nothing must have come for a conversation to be finished.
    #[serde(default = "Imprint::default_after")]
    pub after: Duration,
    /// The language model that draws the facts. Without it, the Spirit's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle: Option<Oracle>,
}

impl Imprint {
    fn default_max_facts() -> u32 {
        50
    }

    fn default_max_age() -> Duration {
        Duration::from_secs(365 * 24 * 60 * 60)
    }

    fn default_after() -> Duration {
        Duration::from_secs(10 * 60)
    }
}

impl Default for Imprint {
    fn default() -> Self {
        Self {
            enabled: false,
            max_facts: Self::default_max_facts(),
            max_age: Self::default_max_age(),
            after: Self::default_after(),
            oracle: None,
        }
    }
}
