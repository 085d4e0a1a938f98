//! A Herald that remembers what it was told.

use eywa_weave::ports::herald::{Herald, News};

use crate::in_memory::Shared;

/// A Herald for tests: it remembers what it was told, and tells nobody.
#[derive(Debug, Default)]
pub struct InMemoryHerald(Shared<Vec<News>>);

impl InMemoryHerald {
    /// One that was told nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it was told, in that order.
    pub fn told(&self) -> Vec<News> {
        self.0.lock().clone()
    }
}

impl Herald for InMemoryHerald {
    fn tell(&self, news: &News) {
        self.0.lock().push(news.clone());
    }
}
