//! The one place for metrics. Names and labels are a contract with dashboards and alerts; no label holds a person.

mod observer;

use std::{collections::HashMap, sync::Arc};

use eywa_weave::{
    SpiritName, VoiceName,
    observe::Remembered,
    ports::{inbox::Depth, rite::Standing, vigil::Phase},
};
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

use self::observer::SpiritObserver;

/// From a webhook's acceptance to the reply: a scripted Spirit takes milliseconds, a model with tools up to minutes.
const PULSE_SECONDS: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0,
];
/// The Weave's own time: a few store trips, so a millisecond or so where the store is near.
const OVERHEAD_SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 2.048,
];
/// Stages, from one store trip to one long answer.
const STAGE_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0,
];
/// The GenAI conventions' buckets of `gen_ai.client.operation.duration`.
const OPERATION_SECONDS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// The GenAI conventions' buckets of `gen_ai.client.token.usage`.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Every phase of a Vigil, by its label.
const PHASES: [Phase; 5] = [
    Phase::Watching,
    Phase::Requested,
    Phase::TakingOver,
    Phase::Active,
    Phase::Released,
];

/// The registry and every metric in it. Cheap to clone; clones are the same metrics.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

struct Families {
    registry: Registry,
    pulses: IntCounterVec,
    pulse_seconds: HistogramVec,
    overhead_seconds: HistogramVec,
    stage_seconds: HistogramVec,
    bonds: IntCounterVec,
    bond_hold_seconds: HistogramVec,
    bonds_lost: IntCounterVec,
    scouts: IntCounterVec,
    actions: IntCounterVec,
    action_seconds: HistogramVec,
    voices: IntCounterVec,
    refusals: IntCounterVec,
    operation_seconds: HistogramVec,
    tokens: HistogramVec,
    oracles_open: IntGaugeVec,
    vigils: IntGaugeVec,
    vigil_requests: IntCounterVec,
    rites: IntGaugeVec,
    imprints: IntCounterVec,
    imprint_facts: IntCounterVec,
    imprint_tokens: IntCounterVec,
    takeover_seconds: HistogramVec,
    inbox_pulses: IntGaugeVec,
    inbox_alarms: IntCounterVec,
    inbox_oldest: GaugeVec,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// When a metric's name or label is invalid, which a test would have found.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| {
            keep(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels)?,
            )
        };
        let histograms = |name, help, labels: &[&str], buckets: &[f64]| {
            keep(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new(name, help).buckets(buckets.to_vec()),
                    labels,
                )?,
            )
        };
        let gauges = |name, help, labels: &[&str]| {
            keep(&registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let families = Families {
            pulses: counters(
                "eywa_pulses_total",
                "Pulses that ended, by how.",
                &["spirit", "voice", "outcome"],
            )?,
            pulse_seconds: histograms(
                "eywa_pulse_duration_seconds",
                "From a Pulse's acceptance to its end.",
                &["spirit", "voice"],
                &PULSE_SECONDS,
            )?,
            overhead_seconds: histograms(
                "eywa_weave_overhead_seconds",
                "The Weave's own time for a Pulse: all but Oracle, Actions, Scouts and Voice.",
                &["spirit", "voice"],
                &OVERHEAD_SECONDS,
            )?,
            stage_seconds: histograms(
                "eywa_stage_duration_seconds",
                "How long each stage of the pipeline takes.",
                &["spirit", "stage"],
                &STAGE_SECONDS,
            )?,
            bonds: counters(
                "eywa_bond_acquisitions_total",
                "Attempts at a session's lock, by what came of them.",
                &["spirit", "outcome"],
            )?,
            bond_hold_seconds: histograms(
                "eywa_bond_hold_seconds",
                "How long a session's lock is held.",
                &["spirit"],
                &PULSE_SECONDS,
            )?,
            bonds_lost: counters(
                "eywa_bond_lost_total",
                "Locks that were found lost while their Weave ran.",
                &["spirit"],
            )?,
            scouts: counters(
                "eywa_scout_harvests_total",
                "Scouts that came back, by what they brought.",
                &["spirit", "scout", "outcome"],
            )?,
            actions: counters(
                "eywa_action_calls_total",
                "Calls of Actions and of Conduits' tools, by what came of them.",
                &["spirit", "action", "outcome"],
            )?,
            action_seconds: histograms(
                "eywa_action_duration_seconds",
                "How long a call of an Action takes.",
                &["spirit", "action", "outcome"],
                &STAGE_SECONDS,
            )?,
            voices: counters(
                "eywa_voice_messages_total",
                "Messages that were given to a voice, by what became of them.",
                &["spirit", "voice", "outcome"],
            )?,
            refusals: counters(
                "eywa_voice_refusals_total",
                "Messages that a channel refused or could not deliver, by its own code.",
                &["spirit", "voice", "code"],
            )?,
            operation_seconds: histograms(
                "gen_ai_client_operation_duration_seconds",
                "How long the model takes for one request.",
                &[
                    "gen_ai_provider_name",
                    "gen_ai_request_model",
                    "gen_ai_operation_name",
                    "error_type",
                ],
                &OPERATION_SECONDS,
            )?,
            tokens: histograms(
                "gen_ai_client_token_usage",
                "Tokens of one request to the model.",
                &[
                    "gen_ai_provider_name",
                    "gen_ai_request_model",
                    "gen_ai_operation_name",
                    "gen_ai_token_type",
                ],
                &TOKENS,
            )?,
            oracles_open: gauges(
                "eywa_oracle_circuit_open",
                "1 while an Oracle that gave no answers is left alone by this pod, 0 when it answers again.",
                &["gen_ai_provider_name", "gen_ai_request_model"],
            )?,
            vigils: gauges(
                "eywa_vigils",
                "Vigil objects, by phase. Every pod of a Spirit sees all of them.",
                &["spirit", "phase"],
            )?,
            vigil_requests: counters(
                "eywa_vigil_requests_total",
                "How often a Spirit asked for a human, by what made it ask.",
                &["spirit", "reason"],
            )?,
            rites: gauges(
                "eywa_rites",
                "Rites that wait, or that ended within a day, by phase. Every pod of a Spirit sees all of them.",
                &["spirit", "phase"],
            )?,
            imprints: counters(
                "eywa_imprint_extractions_total",
                "Finished conversations that facts about a person were drawn from, or were to be, by how that went.",
                &["spirit", "outcome"],
            )?,
            imprint_facts: counters(
                "eywa_imprint_facts_total",
                "Facts about people that were drawn from conversations: learnt, forgotten since they hold no longer, or refused since they are no facts.",
                &["spirit", "change"],
            )?,
            imprint_tokens: counters(
                "eywa_imprint_tokens_total",
                "Tokens of the model that drew facts from conversations; no session's budget is charged for them.",
                &["spirit", "type"],
            )?,
            takeover_seconds: histograms(
                "eywa_vigil_takeover_seconds",
                "From seeing that a human takes over to the Vigil being Active.",
                &["spirit"],
                &STAGE_SECONDS,
            )?,
            inbox_alarms: counters(
                "eywa_inbox_alarms_total",
                "Alarms of accepted Pulses at Cloud Tasks, by what became of them.",
                &["spirit", "outcome"],
            )?,
            inbox_pulses: gauges(
                "eywa_inbox_pulses",
                "Accepted Pulses that are not finished. Every pod of a Spirit sees all of them.",
                &["spirit"],
            )?,
            inbox_oldest: keep(
                &registry,
                GaugeVec::new(
                    Opts::new(
                        "eywa_inbox_oldest_seconds",
                        "The age of the oldest Pulse that is not finished.",
                    ),
                    &["spirit"],
                )?,
            )?,
            registry: registry.clone(),
        };
        let build = gauges(
            "eywa_build_info",
            "The build that runs; always 1.",
            &["version", "commit"],
        )?;
        build
            .with_label_values(&[
                env!("CARGO_PKG_VERSION"),
                option_env!("EYWA_COMMIT").unwrap_or("unknown"),
            ])
            .set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(Self(Arc::new(families)))
    }

    /// What counts a Weave's events. Series whose labels are known now are made now, so that a rate has a zero to start
    /// from and an event costs no look-up of labels.
    pub fn observer<'a>(
        &self,
        spirit: &SpiritName,
        voices: impl IntoIterator<Item = &'a VoiceName>,
    ) -> SpiritObserver {
        let metrics = &self.0;
        for phase in PHASES {
            metrics
                .vigils
                .with_label_values(&[spirit.as_str(), phase_label(phase)])
                .add(0);
        }
        self.rites(spirit, &HashMap::new());
        metrics
            .takeover_seconds
            .with_label_values(&[spirit.as_str()]);
        SpiritObserver::new(self.clone(), spirit, voices)
    }

    /// Writes down how full a Spirit's Inbox is; nothing is shown of it where that is not known.
    pub fn inbox(&self, spirit: &SpiritName, depth: Option<Depth>) {
        let labels = &[spirit.as_str()];
        if let Some(depth) = depth {
            self.0
                .inbox_pulses
                .with_label_values(labels)
                .set(i64::try_from(depth.pulses).unwrap_or(i64::MAX));
            self.0
                .inbox_oldest
                .with_label_values(labels)
                .set(depth.oldest.as_secs_f64());
        } else {
            // An error means that there was no such series, which is what is wanted.
            let _ = self.0.inbox_pulses.remove_label_values(labels);
            let _ = self.0.inbox_oldest.remove_label_values(labels);
        }
    }

    /// Something became of an alarm of one of the Spirit's Pulses.
    pub fn alarm(&self, spirit: &SpiritName, outcome: &str) {
        let labels = [spirit.as_str(), outcome];
        self.0.inbox_alarms.with_label_values(&labels).inc();
    }

    /// A Vigil of the Spirit went from one phase to another; it came or went where one is absent.
    pub fn vigil_moved(&self, spirit: &SpiritName, from: Option<Phase>, to: Option<Phase>) {
        for (phase, step) in [(from, -1), (to, 1)] {
            if let Some(phase) = phase {
                self.0
                    .vigils
                    .with_label_values(&[spirit.as_str(), phase_label(phase)])
                    .add(step);
            }
        }
    }

    /// So many Rites of the Spirit stand so.
    pub fn rites(&self, spirit: &SpiritName, counts: &HashMap<Standing, i64>) {
        for standing in Standing::ALL {
            self.0
                .rites
                .with_label_values(&[spirit.as_str(), standing.as_str()])
                .set(counts.get(&standing).copied().unwrap_or_default());
        }
    }

    /// The Spirit draws facts from conversations: its series begin with zero.
    pub fn remembers(&self, spirit: &SpiritName) {
        for outcome in Remembered::ALL {
            let labels = [spirit.as_str(), outcome.as_str()];
            self.0.imprints.with_label_values(&labels);
        }
        for change in ["learnt", "forgotten", "refused"] {
            let labels = [spirit.as_str(), change];
            self.0.imprint_facts.with_label_values(&labels);
        }
        for kind in ["input", "output"] {
            let labels = [spirit.as_str(), kind];
            self.0.imprint_tokens.with_label_values(&labels);
        }
    }

    /// A takeover became Active this long after it was seen.
    pub fn taken_over(&self, spirit: &SpiritName, after: std::time::Duration) {
        self.0
            .takeover_seconds
            .with_label_values(&[spirit.as_str()])
            .observe(after.as_secs_f64());
    }

    /// The text exposition format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.0.registry.gather())
    }
}

fn keep<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn phase_label(phase: Phase) -> &'static str {
    match phase {
        Phase::Watching => "Watching",
        Phase::Requested => "Requested",
        Phase::TakingOver => "TakingOver",
        Phase::Active => "Active",
        Phase::Released => "Released",
    }
}

#[cfg(test)]
mod tests;
