//! A Pathfinder that is a function.

use std::{fmt, future::Future};

use async_trait::async_trait;
use eywa_weave::{
    Pulse, SpiritName,
    ports::pathfinder::{Consulted, Pathfinder, PathfinderError},
};
use futures::future::BoxFuture;

type Choice = Result<Option<SpiritName>, PathfinderError>;
type Choose = dyn Fn(Pulse, Option<SpiritName>) -> BoxFuture<'static, Choice> + Send + Sync;

/// A Pathfinder for tests: it chooses what its function chooses.
pub struct InMemoryPathfinder {
    sticks: bool,
    choose: Box<Choose>,
}

impl InMemoryPathfinder {
    /// A Pathfinder that chooses with `choose`; with `sticks`, a choice holds for the session's later Pulses.
    pub fn new<F, R>(sticks: bool, choose: F) -> Self
    where
        F: Fn(Pulse, Option<SpiritName>) -> R + Send + Sync + 'static,
        R: Future<Output = Choice> + Send + 'static,
    {
        let choose = Box::new(move |pulse, current| -> BoxFuture<'static, _> {
            Box::pin(choose(pulse, current))
        });
        Self { sticks, choose }
    }
}

impl fmt::Debug for InMemoryPathfinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryPathfinder")
            .field("sticks", &self.sticks)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Pathfinder for InMemoryPathfinder {
    async fn choose(
        &self,
        pulse: &Pulse,
        current: Option<&SpiritName>,
        _: &mut Vec<Consulted>,
    ) -> Choice {
        (self.choose)(pulse.clone(), current.cloned()).await
    }

    fn sticks(&self) -> bool {
        self.sticks
    }
}
