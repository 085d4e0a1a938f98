//! Which Spirit answers.

use serde::{Deserialize, Serialize};

use super::CompiledOracle;
use crate::spirit::Route;

/// Which Spirit answers. Every route's Spirit is in the configuration, and no chain of routes leads back to where it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledPathfinder {
    /// The ways, in order. Each `when` is a checked [`When`](crate::expression::When).
    pub routes: Vec<Route>,
    /// What picks where no rule holds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oracle: Option<CompiledOracle>,
    /// Whether it is asked again once a Spirit was picked.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub reconsider: bool,
    /// Whether a session stays where it was sent: the front Spirit's counts.
    pub sticky: bool,
    /// Whether the agents may hand a conversation over themselves: the front Spirit's counts.
    pub switch: bool,
}
