//! The Pathfinder: picks the Spirit that answers a Pulse.

use async_trait::async_trait;

use crate::{names::SpiritName, pulse::Pulse};

/// The Pathfinder could not choose. The session stays with the Spirit it has.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PathfinderError(pub String);

/// Picks the Spirit that answers.
#[async_trait]
pub trait Pathfinder: Send + Sync {
    /// Chooses for this Pulse. `current` is the Spirit that the session is with; `None` at its start. `Ok(None)` means no
    /// rule speaks of it: the session stays where it is.
    async fn choose(
        &self,
        pulse: &Pulse,
        current: Option<&SpiritName>,
    ) -> Result<Option<SpiritName>, PathfinderError>;

    /// Whether a choice holds for the session's later Pulses until another is made.
    fn sticks(&self) -> bool;
}
