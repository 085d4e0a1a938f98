//! The Pathfinder: picks the Spirit that answers a Pulse.

use std::time::Duration;

use async_trait::async_trait;

use super::oracle::{Fault, Usage};
use crate::{names::SpiritName, pulse::Pulse};

/// The Pathfinder could not choose. The session stays with the Spirit it has.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PathfinderError(pub String);

/// An Oracle was asked to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Consulted {
    /// The provider, by the GenAI conventions' `gen_ai.provider.name`.
    pub provider: &'static str,
    /// The model.
    pub model: String,
    /// How long it took.
    pub took: Duration,
    /// What it used, or why it did not answer.
    pub used: Result<Usage, Fault>,
}

/// Picks the Spirit that answers.
#[async_trait]
pub trait Pathfinder: Send + Sync {
    /// Chooses for this Pulse. `current` is the Spirit that the session is with; `None` until one was chosen. `Ok(None)`
    /// means that nothing speaks of it: the session stays where it is.
    ///
    /// Each Oracle that was asked for it is written to `consulted` at once, so that what it used is known also of a choice
    /// that is never made: the caller bounds the time by dropping the future. An Oracle that fails, or answers with what is
    /// no choice, is no error: it has chosen nothing.
    async fn choose(
        &self,
        pulse: &Pulse,
        current: Option<&SpiritName>,
        consulted: &mut Vec<Consulted>,
    ) -> Result<Option<SpiritName>, PathfinderError>;

    /// Whether a choice holds for the session's later Pulses until another is made.
    fn sticks(&self) -> bool;
}
