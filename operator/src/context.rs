//! What every reconcile has at hand.

use crate::{events::Events, metrics::Metrics, settings::Settings};
use kube::Client;
use std::sync::Arc;

/// Shared by all reconcilers; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the operator was started with.
    pub settings: Arc<Settings>,
    /// Where counts go.
    pub metrics: Metrics,
    /// Where Events go.
    pub events: Events,
}
