//! A Scout that says what is known of the person.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    Pulse, imprint,
    ports::{
        Imprint, Scout,
        scout::{Harvest, ScoutError},
    },
    weave::history::Turns,
};
use jiff::Timestamp;

/// Finds what is known of the person who wrote: see [`eywa_weave::imprint`] for how it is shown.
pub struct ImprintScout {
    imprint: Arc<dyn Imprint>,
    max_age: Duration,
}

impl ImprintScout {
    /// Shows what this Imprint knows and was learnt no longer ago than `max_age`.
    pub fn new(imprint: Arc<dyn Imprint>, max_age: Duration) -> Self {
        Self { imprint, max_age }
    }
}

#[async_trait]
impl Scout for ImprintScout {
    fn name(&self) -> &str {
        imprint::SCOUT
    }

    async fn harvest(&self, pulse: &Pulse, _: &Turns) -> Result<Harvest, ScoutError> {
        let facts = self.imprint.facts(&pulse.session).await;
        let facts = facts.map_err(|error| ScoutError(error.to_string()))?;
        let facts = imprint::fresh(facts, self.max_age, Timestamp::now());
        Ok(Harvest {
            text: imprint::shown(&facts),
            sources: Vec::new(),
        })
    }
}
