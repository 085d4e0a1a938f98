//! The Scout: looks something up before the Oracle is asked.

use async_trait::async_trait;

use crate::{pulse::Pulse, weave::history::Turns};

/// What a Scout found: data for the Oracle, never instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Harvest {
    /// What the Oracle is to read. Empty when there was nothing.
    pub text: String,
    /// Where it is from, for an answer that names its sources.
    pub sources: Vec<String>,
}

/// A Scout came back without anything. The Weave goes on without it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScoutError(pub String);

/// A source of context. It is fail-open: whatever it does, the Weave goes on.
#[async_trait]
pub trait Scout: Send + Sync {
    /// Its name, unique in its Spirit.
    fn name(&self) -> &str;

    /// Looks. The caller bounds the time by dropping the future; the adapter bounds what it reads.
    async fn harvest(&self, pulse: &Pulse, turns: &Turns) -> Result<Harvest, ScoutError>;
}
