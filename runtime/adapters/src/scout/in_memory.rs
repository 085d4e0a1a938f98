//! A Scout that is a function.

use std::{fmt, future::Future};

use async_trait::async_trait;
use eywa_weave::{
    Pulse,
    ports::scout::{Harvest, Scout, ScoutError},
    weave::history::Turns,
};
use futures::future::BoxFuture;

type Look = dyn Fn(Pulse, Turns) -> BoxFuture<'static, Result<Harvest, ScoutError>> + Send + Sync;

/// A Scout for tests: it finds what its function finds.
pub struct InMemoryScout {
    name: String,
    look: Box<Look>,
}

impl InMemoryScout {
    /// A Scout of this name that looks with `look`.
    pub fn new<F, R>(name: &str, look: F) -> Self
    where
        F: Fn(Pulse, Turns) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Harvest, ScoutError>> + Send + 'static,
    {
        let look =
            Box::new(move |pulse, turns| -> BoxFuture<'static, _> { Box::pin(look(pulse, turns)) });
        Self {
            name: name.to_owned(),
            look,
        }
    }
}

impl fmt::Debug for InMemoryScout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryScout")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Scout for InMemoryScout {
    fn name(&self) -> &str {
        &self.name
    }

    async fn harvest(&self, pulse: &Pulse, turns: &Turns) -> Result<Harvest, ScoutError> {
        (self.look)(pulse.clone(), turns.clone()).await
    }
}
