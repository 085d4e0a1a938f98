//! What is measured, as a real Prometheus sees it and as the dashboard asks for it.

use std::{fs, sync::Arc, time::Duration};

use eywa_e2e::{
    Scene, cluster, eventually, prometheus::Prometheus, scene::ANSWERED_WITHIN, webhook,
};
use serde_json::{Value, json};

use crate::barista;

const ANA: &str = "5511999990000";

pub async fn a_prometheus_returns_the_counts_and_fills_the_dashboard(scene: Arc<Scene>) {
    let pods = barista::serve(&scene).await;
    let prometheus = Prometheus::start().await;
    let namespace = &scene.namespace;
    let of = |how: &str, metric: &str, labels: &str| {
        format!(r#"{how}({metric}{{namespace="{namespace}",{labels}}})"#)
    };
    let answered = of(
        "sum",
        "eywa_pulses_total",
        r#"spirit="barista",voice="wa",outcome="answered""#,
    );
    // What is known beforehand is there before anything has happened, so that a rate sees the first event.
    prometheus.wait_for(&answered, 0.0).await;
    let builds = of("count", "eywa_build_info", "");
    prometheus.wait_for(&builds, pods.len() as f64).await;

    // What is not, such as an Action's name, is counted from its second time on: so everything happens twice.
    let words = ["Hello", "What do you have?", "A small tea", "Thank you"];
    for round in 0..2 {
        for (number, words) in words.into_iter().enumerate() {
            let webhook = webhook::text(ANA, &format!("wamid.{round}.{number}"), words);
            let url = pods[number % pods.len()].voice("barista", "wa");
            for _delivery in 0..=round {
                let answer = scene.meta.post(&url, &webhook).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
            scene
                .graph
                .wait_for(ANA, round * 4 + number + 1, ANSWERED_WITHIN)
                .await;
            scene.wait_until_free("barista", ANA).await;
        }
        prometheus
            .wait_for(&answered, (round + 1) as f64 * 4.0)
            .await;
    }
    take_over(&scene).await;

    for (query, value) in [
        (
            of("sum", "eywa_pulses_total", r#"outcome="duplicate""#),
            4.0,
        ),
        (
            of("sum", "eywa_pulse_duration_seconds_count", r#"voice="wa""#),
            8.0,
        ),
        (
            of("sum", "eywa_voice_messages_total", r#"outcome="delivered""#),
            8.0,
        ),
        (
            of("sum", "eywa_action_calls_total", r#"outcome="succeeded""#),
            4.0,
        ),
        (of("max", "eywa_vigils", r#"phase="Active""#), 1.0),
        ("sum(eywa_leader)".to_owned(), 1.0),
        (
            r#"sum(eywa_reconciliations_total{kind="Spirit",outcome="ok"}) > bool 1"#.to_owned(),
            1.0,
        ),
        (
            r#"sum(eywa_objects{kind="Conduit"}) > bool 0"#.to_owned(),
            1.0,
        ),
    ] {
        prometheus.wait_for(&query, value).await;
    }

    for (title, query) in dashboard() {
        let query = query
            .replace("$namespace", namespace)
            .replace("$spirit", "barista")
            .replace("$__rate_interval", "2m")
            .replace("$__range", "2m");
        eventually(
            &format!("the panel {title:?} has data: {query}"),
            Duration::from_secs(20),
            || async {
                match prometheus.try_query(&query).await? {
                    samples if samples.iter().any(|(_, value)| !value.is_nan()) => Ok(()),
                    samples => Err(format!("{samples:?}")),
                }
            },
        )
        .await;
    }
}

async fn take_over(scene: &Scene) {
    scene
        .kubectl
        .apply(&[&json!({
            "apiVersion": "eywa.dev/v1alpha1",
            "kind": "Vigil",
            "metadata": {"name": "ana"},
            "spec": {"spiritRef": {"name": "barista"}, "session": format!("wa/{ANA}"), "takeover": true, "by": "bea"},
        })])
        .await;
    scene
        .kubectl
        .wait("vigil/ana", "jsonpath={.status.phase}=Active", 30)
        .await;
}

/// Every query of the dashboard, with its panel's title.
fn dashboard() -> Vec<(String, String)> {
    let file = cluster::chart().join("files/dashboards/eywa.json");
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let dashboard: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            queries.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    assert!(
        queries.len() > 20,
        "the dashboard has too few queries to be read rightly: {queries:?}"
    );
    queries
}
