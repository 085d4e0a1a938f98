//! Which Spirit answers a Pulse.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Oracle;

/// Which Spirit answers a Pulse.
///
/// A Spirit that a route leads to may have routes of its own, which are followed from there. They must not lead back.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.oracle) || self.switch || self.routes.all(route, has(route.when) && !has(route.description))").message("a description is for an oracle that picks, or for agents that switch: set oracle or switch, or write when in its place"))]
#[x_kube(validation = Rule::new("!has(self.oracle) || self.routes.exists(route, has(route.description))").message("an oracle picks by description: describe at least one route"))]
#[x_kube(validation = Rule::new("has(self.oracle) || !self.reconsider").message("reconsider is for an oracle that picks"))]
pub struct PathfinderSettings {
    /// Where conversations may go. Those with `when` are rules, tried in order; the first that holds picks its Spirit. When
    /// none does, the oracle is asked, if there is one; else this Spirit answers.
    #[schemars(length(min = 1, max = 32))]
    pub routes: Vec<Route>,
    /// A language model that is asked where no rule holds and the conversation has not been given to a Spirit yet. It picks
    /// among the routes with a description, or none. A small, quick one does; its answer is waited for 8s at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle: Option<Oracle>,
    /// Whether the oracle is asked again for every later message that no rule speaks of.
    #[serde(default)]
    pub reconsider: bool,
    /// Whether a session stays with the Spirit that was picked until another is. The front Spirit's counts, also for routes
    /// of the Spirits that it routes to.
    #[serde(default = "super::yes")]
    pub sticky: bool,
    /// Whether the agents may hand a conversation to one another themselves: offers each the Action `switch_spirit`, for
    /// this Spirit and all that its routes lead to. The front Spirit's counts.
    #[serde(default)]
    pub switch: bool,
}

/// One way of the Pathfinder.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.when) || has(self.description)").message("when, description or both are needed"))]
pub struct Route {
    /// The Spirit that answers, in the same namespace. It may be this one.
    #[schemars(
        length(min = 1, max = 50),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub spirit: String,
    /// A CEL expression over `voice`, `text`, `user`, `session` and `now`, such as `text.matches('(?i)invoice')`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub when: Option<String>,
    /// What its conversations are about, in words. Read by the oracle that picks, and by agents that may switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub description: Option<String>,
}
