//! The operator's metrics, by the names of the metrics reference.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};
use std::sync::{Arc, Mutex, PoisonError};

/// The kinds that the operator reconciles, as metric labels.
pub const KINDS: [&str; 3] = ["Conduit", "Spirit", "Vigil"];

/// Counts the objects of one kind: those that are Ready, and those that are not.
pub type Census = Box<dyn Fn() -> (usize, usize) + Send>;

/// The registry and every metric in it. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    reconciliations: IntCounterVec,
    duration: HistogramVec,
    objects: IntGaugeVec,
    leader: IntGauge,
    writes: IntCounterVec,
    censuses: Arc<Mutex<Vec<(&'static str, Census)>>>,
}

impl Metrics {
    /// Registers all metrics, with the series that a dashboard wants to see at zero.
    ///
    /// # Errors
    /// When a metric's name or label is invalid, which a test would have found.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let reconciliations = registered(
            &registry,
            IntCounterVec::new(
                Opts::new(
                    "eywa_reconciliations_total",
                    "Reconciliations, by kind and outcome.",
                ),
                &["kind", "outcome"],
            )?,
        )?;
        let duration = registered(
            &registry,
            HistogramVec::new(
                HistogramOpts::new(
                    "eywa_reconcile_duration_seconds",
                    "How long a reconcile takes.",
                )
                .buckets(vec![
                    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
                    60.0,
                ]),
                &["kind"],
            )?,
        )?;
        let objects = registered(
            &registry,
            IntGaugeVec::new(
                Opts::new(
                    "eywa_objects",
                    "Objects, by kind and whether they are Ready.",
                ),
                &["kind", "ready"],
            )?,
        )?;
        let leader = registered(
            &registry,
            IntGauge::new(
                "eywa_leader",
                "1 when this operator leads and so writes, else 0.",
            )?,
        )?;
        let writes = registered(
            &registry,
            IntCounterVec::new(
                Opts::new(
                    "eywa_api_writes_total",
                    "Writes to the Kubernetes API, by kind written and outcome.",
                ),
                &["kind", "outcome"],
            )?,
        )?;
        let build = registered(
            &registry,
            IntGaugeVec::new(
                Opts::new("eywa_build_info", "The build that runs; always 1."),
                &["version", "commit"],
            )?,
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
        for kind in KINDS {
            reconciliations.with_label_values(&[kind, "ok"]).inc_by(0);
            duration.with_label_values(&[kind]);
            writes.with_label_values(&[kind, "ok"]).inc_by(0);
        }
        Ok(Self {
            registry,
            reconciliations,
            duration,
            objects,
            leader,
            writes,
            censuses: Arc::default(),
        })
    }

    /// Counts one reconcile of `kind` and how long it took, in seconds. `outcome` is `ok` or an error's label.
    pub fn reconciled(&self, kind: &str, outcome: &str, seconds: f64) {
        self.reconciliations
            .with_label_values(&[kind, outcome])
            .inc();
        self.duration.with_label_values(&[kind]).observe(seconds);
    }

    /// Counts one write to the API server. `outcome` is `ok` or `error`.
    pub fn wrote(&self, kind: &str, outcome: &str) {
        self.writes.with_label_values(&[kind, outcome]).inc();
    }

    /// How many writes of `kind` succeeded since the start.
    #[must_use]
    pub fn writes(&self, kind: &str) -> u64 {
        self.writes.with_label_values(&[kind, "ok"]).get()
    }

    /// Says whether this operator leads.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Adds a source for `eywa_objects`. It is asked at each scrape, so it must be quick. Sources of one kind add up.
    pub fn count_objects(&self, kind: &'static str, census: Census) {
        self.censuses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((kind, census));
    }

    /// The text exposition format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render(&self) -> prometheus::Result<String> {
        let censuses = self.censuses.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, _) in censuses.iter() {
            for ready in ["true", "false"] {
                self.objects.with_label_values(&[kind, ready]).set(0);
            }
        }
        for (kind, census) in censuses.iter() {
            let (ready, not_ready) = census();
            for (label, count) in [("true", ready), ("false", not_ready)] {
                self.objects
                    .with_label_values(&[kind, label])
                    .add(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_counts_objects_of_all_namespaces_by_readiness() {
        let metrics = Metrics::new().unwrap();
        metrics.count_objects("Spirit", Box::new(|| (2, 1)));
        metrics.count_objects("Spirit", Box::new(|| (3, 0)));
        for _ in 0..2 {
            let text = metrics.render().unwrap();
            assert!(
                text.contains(r#"eywa_objects{kind="Spirit",ready="true"} 5"#),
                "{text}"
            );
            assert!(
                text.contains(r#"eywa_objects{kind="Spirit",ready="false"} 1"#),
                "{text}"
            );
        }
    }

    #[test]
    fn series_that_a_rate_needs_exist_before_their_first_event() {
        let text = Metrics::new().unwrap().render().unwrap();
        for series in [
            r#"eywa_reconciliations_total{kind="Vigil",outcome="ok"} 0"#,
            r#"eywa_api_writes_total{kind="Spirit",outcome="ok"} 0"#,
            "eywa_leader 0",
            "eywa_build_info{",
        ] {
            assert!(text.contains(series), "{series} is missing from\n{text}");
        }
    }
}
