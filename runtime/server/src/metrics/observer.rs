//! Counts what one Weave does.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use eywa_weave::{
    SpiritName, VoiceName,
    observe::{BondOutcome, Event, Observer, Stage},
    ports::{oracle::Usage, vigil::Cause},
    pulse::Outcome,
};
use prometheus::{Histogram, IntCounter};

use super::Metrics;

const STAGES: [Stage; 12] = [
    Stage::Accept,
    Stage::Bond,
    Stage::Gather,
    Stage::Recall,
    Stage::Scout,
    Stage::Pathfinder,
    Stage::Oracle,
    Stage::Action,
    Stage::Attachments,
    Stage::Vigil,
    Stage::Voice,
    Stage::Record,
];
const SPOKEN: [&str; 8] = [
    "delivered",
    "failed",
    "unauthorized",
    "arrived",
    "read",
    "undelivered",
    "inattentive",
    "unknown",
];
/// The most names of Actions that get series of their own: a model may call names that do not exist.
const MOST_ACTIONS: usize = 256;

/// The [`Observer`] of one Spirit's Weave. Holds the series of everything that is known when the Spirit is loaded; only
/// Scouts, Actions and models, which are few and slow, are looked up by their labels.
pub struct SpiritObserver {
    metrics: Metrics,
    stages: [Histogram; STAGES.len()],
    acquired: IntCounter,
    held: IntCounter,
    error: IntCounter,
    hold_seconds: Histogram,
    lost: IntCounter,
    summoned: [IntCounter; Cause::ALL.len()],
    voices: HashMap<VoiceName, VoiceSeries>,
    actions: Mutex<BTreeSet<String>>,
}

struct VoiceSeries {
    pulses: [IntCounter; Outcome::ALL.len()],
    seconds: Histogram,
    overhead: Histogram,
    spoken: [IntCounter; SPOKEN.len()],
}

impl SpiritObserver {
    pub(super) fn new<'a>(
        metrics: Metrics,
        spirit: &SpiritName,
        voices: impl IntoIterator<Item = &'a VoiceName>,
    ) -> Self {
        let spirit = spirit.as_str();
        let families = &metrics.0;
        let bond = |outcome| families.bonds.with_label_values(&[spirit, outcome]);
        let voices = voices
            .into_iter()
            .map(|voice| {
                let labels = [spirit, voice.as_str()];
                let series = VoiceSeries {
                    pulses: Outcome::ALL.map(|outcome| {
                        families.pulses.with_label_values(&[
                            spirit,
                            voice.as_str(),
                            outcome.as_str(),
                        ])
                    }),
                    seconds: families.pulse_seconds.with_label_values(&labels),
                    overhead: families.overhead_seconds.with_label_values(&labels),
                    spoken: SPOKEN.map(|outcome| {
                        families
                            .voices
                            .with_label_values(&[spirit, voice.as_str(), outcome])
                    }),
                };
                (voice.clone(), series)
            })
            .collect();
        Self {
            stages: STAGES.map(|stage| {
                families
                    .stage_seconds
                    .with_label_values(&[spirit, stage.as_str()])
            }),
            acquired: bond("acquired"),
            held: bond("held"),
            error: bond("error"),
            hold_seconds: families.bond_hold_seconds.with_label_values(&[spirit]),
            lost: families.bonds_lost.with_label_values(&[spirit]),
            summoned: Cause::ALL.map(|cause| {
                families
                    .vigil_requests
                    .with_label_values(&[spirit, cause.as_str()])
            }),
            voices,
            actions: Mutex::default(),
            metrics,
        }
    }

    /// The label for an Action of this name: `other` once there are too many names.
    fn action<'a>(&self, name: &'a str) -> &'a str {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        if actions.contains(name) {
            return name;
        }
        if actions.len() >= MOST_ACTIONS {
            return "other";
        }
        actions.insert(name.to_owned());
        name
    }

    fn oracle(
        &self,
        provider: &str,
        model: &str,
        took: Duration,
        usage: Option<Usage>,
        error: Option<&str>,
    ) {
        let families = &self.metrics.0;
        families
            .operation_seconds
            .with_label_values(&[provider, model, "chat", error.unwrap_or_default()])
            .observe(took.as_secs_f64());
        let Some(usage) = usage else { return };
        for (kind, tokens) in [("input", usage.input), ("output", usage.output)] {
            // Beyond 2^53 a float rounds, which no conversation reaches.
            #[allow(
                clippy::cast_precision_loss,
                reason = "token counts are far below 2^53"
            )]
            families
                .tokens
                .with_label_values(&[provider, model, "chat", kind])
                .observe(tokens as f64);
        }
    }
}

impl Observer for SpiritObserver {
    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Pulse {
                voice,
                outcome,
                took,
                own,
                ..
            } => {
                if let Some(series) = self.voices.get(voice) {
                    series.pulses[place(&Outcome::ALL, &outcome)].inc();
                    // A duplicate ended long ago: only what was worked on has a duration to tell of.
                    if outcome != Outcome::Duplicate {
                        series.seconds.observe(took.as_secs_f64());
                        series.overhead.observe(own.as_secs_f64());
                    }
                }
            }
            Event::Stage { stage, took, .. } => {
                self.stages[place(&STAGES, &stage)].observe(took.as_secs_f64());
            }
            Event::Bond { outcome, .. } => match outcome {
                BondOutcome::Acquired => self.acquired.inc(),
                BondOutcome::Held => self.held.inc(),
                BondOutcome::Error => self.error.inc(),
            },
            Event::BondReleased { held, .. } => self.hold_seconds.observe(held.as_secs_f64()),
            Event::BondLost { .. } => self.lost.inc(),
            Event::Scout {
                spirit,
                scout,
                outcome,
            } => {
                self.metrics
                    .0
                    .scouts
                    .with_label_values(&[spirit.as_str(), scout, outcome])
                    .inc();
            }
            Event::Action {
                spirit,
                action,
                outcome,
                took,
            } => {
                let labels = [spirit.as_str(), self.action(action), outcome];
                self.metrics.0.actions.with_label_values(&labels).inc();
                self.metrics
                    .0
                    .action_seconds
                    .with_label_values(&labels)
                    .observe(took.as_secs_f64());
            }
            Event::Oracle {
                provider,
                model,
                took,
                usage,
                error,
            } => self.oracle(provider, model, took, usage, error),
            Event::Breaker {
                provider,
                model,
                open,
            } => self
                .metrics
                .0
                .oracles_open
                .with_label_values(&[provider, model])
                .set(open.into()),
            Event::Imprint {
                spirit,
                outcome,
                learnt,
                forgotten,
                refused,
                usage,
            } => {
                let families = &self.metrics.0;
                let spirit = spirit.as_str();
                let outcome = [spirit, outcome.as_str()];
                families.imprints.with_label_values(&outcome).inc();
                for (change, facts) in [
                    ("learnt", learnt),
                    ("forgotten", forgotten),
                    ("refused", refused),
                ] {
                    let labels = [spirit, change];
                    let series = families.imprint_facts.with_label_values(&labels);
                    series.inc_by(u64::try_from(facts).unwrap_or_default());
                }
                for (kind, tokens) in [("input", usage.input), ("output", usage.output)] {
                    let labels = [spirit, kind];
                    let series = families.imprint_tokens.with_label_values(&labels);
                    series.inc_by(tokens);
                }
            }
            Event::Summoned { cause, .. } => self.summoned[place(&Cause::ALL, &cause)].inc(),
            Event::Voice { voice, outcome, .. } => {
                if let Some(series) = self.voices.get(voice) {
                    series.spoken[place(&SPOKEN, &outcome)].inc();
                }
            }
            Event::VoiceRefusal {
                spirit,
                voice,
                code,
            } => {
                let labels = [spirit.as_str(), voice.as_str(), code];
                self.metrics.0.refusals.with_label_values(&labels).inc();
            }
        }
    }
}

/// Where `what` stands in a list that holds every one there is; the last place stands for what it does not hold.
fn place<T: PartialEq>(list: &[T], what: &T) -> usize {
    list.iter()
        .position(|one| one == what)
        .unwrap_or(list.len() - 1)
}
