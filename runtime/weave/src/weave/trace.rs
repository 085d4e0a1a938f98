//! What one Weave did and how long it took, for the Chronicle and for metrics.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    names::SpiritName,
    observe::{Event, Observer, Stage},
    ports::{chronicle::Step, oracle::Usage},
};

/// Steps beyond these are left out of a Chronicle entry.
const MOST_STEPS: usize = 200;

/// The most sources of one step, and the most bytes of each.
const MOST_SOURCES: usize = 50;
const LONGEST_SOURCE: usize = 256;

pub(super) struct Trace {
    spirit: SpiritName,
    observer: Arc<dyn Observer>,
    started: Instant,
    outside: Duration,
    pub(super) steps: Vec<Step>,
    pub(super) usage: Usage,
}

impl Trace {
    pub(super) fn start(spirit: SpiritName, observer: Arc<dyn Observer>) -> Self {
        Self {
            spirit,
            observer,
            started: Instant::now(),
            outside: Duration::ZERO,
            steps: Vec::new(),
            usage: Usage::default(),
        }
    }

    /// A stage that began at `began` is over. The time spent outside is counted apart, for stages that run side by side:
    /// see [`Trace::waited`].
    pub(super) fn step(
        &mut self,
        stage: Stage,
        name: &str,
        outcome: &str,
        began: Instant,
        took: Duration,
    ) {
        self.observer.observe(Event::Stage {
            spirit: &self.spirit,
            stage,
            took,
        });
        if self.steps.len() < MOST_STEPS {
            self.steps.push(Step {
                stage,
                name: name.to_owned(),
                outcome: outcome.to_owned(),
                started_us: micros(began.saturating_duration_since(self.started)),
                took_us: micros(took),
                sources: Vec::new(),
            });
        }
    }

    /// The step that was just added found something, and this is where it is from.
    pub(super) fn found(&mut self, name: &str, mut sources: Vec<String>) {
        sources.truncate(MOST_SOURCES);
        for source in &mut sources {
            source.truncate(source.floor_char_boundary(LONGEST_SOURCE));
        }
        if let Some(step) = self.steps.last_mut().filter(|step| step.name == name) {
            step.sources = sources;
        }
    }

    /// A stage that began at `began` ends now.
    pub(super) fn stage(&mut self, stage: Stage, name: &str, outcome: &str, began: Instant) {
        let took = began.elapsed();
        if stage.is_outside() {
            self.outside += took;
        }
        self.step(stage, name, outcome, began, took);
    }

    /// So much of the Weave's time was spent outside of it.
    pub(super) fn waited(&mut self, time: Duration) {
        self.outside += time;
    }

    /// The Weave's own time until now.
    pub(super) fn own(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.outside)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
