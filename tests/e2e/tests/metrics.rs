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
    let pulses = |outcome| {
        format!(
            r#"sum(eywa_pulses_total{{namespace="{namespace}",spirit="barista",voice="wa",outcome="{outcome}"}})"#
        )
    };
    // Every series is there before anything has happened, so that a rate sees the first event.
    prometheus.wait_for(&pulses("answered"), 0.0).await;
    prometheus
        .wait_for(
            &format!(r#"count(eywa_build_info{{namespace="{namespace}"}})"#),
            pods.len() as f64,
        )
        .await;

    for (number, words) in ["Hello", "What do you have?", "A small tea", "Thank you"]
        .into_iter()
        .enumerate()
    {
        let webhook = webhook::text(ANA, &format!("wamid.{number}"), words);
        let url = pods[number % pods.len()].voice("barista", "wa");
        let answer = scene.meta.post(&url, &webhook).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        scene.graph.wait_for(ANA, number + 1, ANSWERED_WITHIN).await;
        if number == 0 {
            assert_eq!(scene.meta.post(&url, &webhook).await.status, 200);
        }
    }
    take_over(&scene).await;
    prometheus.wait_for(&pulses("answered"), 4.0).await;
    prometheus.wait_for(&pulses("duplicate"), 1.0).await;
    let of = |metric: &str, labels: &str| {
        format!(r#"sum({metric}{{namespace="{namespace}",{labels}}})"#)
    };
    prometheus
        .wait_for(
            &of("eywa_voice_messages_total", r#"outcome="delivered""#),
            4.0,
        )
        .await;
    prometheus
        .wait_for(
            &of("eywa_action_calls_total", r#"outcome="succeeded""#),
            2.0,
        )
        .await;
    prometheus
        .wait_for(
            &of("eywa_pulse_duration_seconds_count", r#"voice="wa""#),
            4.0,
        )
        .await;
    prometheus
        .wait_for(
            &format!(r#"max(eywa_vigils{{namespace="{namespace}",phase="Active"}})"#),
            1.0,
        )
        .await;
    prometheus.wait_for("sum(eywa_leader)", 1.0).await;
    prometheus
        .wait_for(
            r#"sum(eywa_reconciliations_total{kind="Spirit"}) > bool 0"#,
            1.0,
        )
        .await;
    prometheus
        .wait_for(r#"sum(eywa_objects{kind="Spirit"}) > bool 0"#, 1.0)
        .await;

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
