//! A real Prometheus, with the targets that the chart's PodMonitors select.

use std::{fs, process::Stdio, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use crate::{
    cluster,
    kubectl::{Kubectl, run},
    wait::eventually,
};

/// A running Prometheus. Stops when dropped.
pub struct Prometheus {
    url: String,
    client: reqwest::Client,
    _process: Child,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes every second what the chart's PodMonitors select.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let configuration = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": join_all(pod_monitors().await.iter().map(scrape_config)).await,
        });
        let folder =
            TempDir::new().unwrap_or_else(|error| panic!("no folder for Prometheus: {error}"));
        let file = folder.path().join("prometheus.yml");
        // JSON is YAML.
        fs::write(&file, configuration.to_string())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let port = free_port().await;
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("prometheus cannot be run: {error}. Debian's package prometheus has it")
            });
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build();
        let prometheus = Self {
            url: format!("http://127.0.0.1:{port}"),
            client: client.unwrap_or_else(|error| panic!("no HTTP client: {error}")),
            _process: process,
            _folder: folder,
        };
        eventually("Prometheus answers", Duration::from_secs(30), || {
            prometheus.try_query("vector(1)")
        })
        .await;
        prometheus
    }

    /// What a query returns now: each sample's labels and value.
    ///
    /// # Errors
    /// When it is no query, or Prometheus does not answer.
    pub async fn try_query(&self, query: &str) -> Result<Vec<(Value, f64)>, String> {
        let url = format!("{}/api/v1/query", self.url);
        let answer = self
            .client
            .get(url)
            .query(&[("query", query)])
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(format!("{query}: {answer}"));
        }
        let samples = answer["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let value = |sample: &Value| {
            sample["value"][1]
                .as_str()
                .and_then(|value| value.parse().ok())
                .unwrap_or(f64::NAN)
        };
        Ok(samples
            .iter()
            .map(|sample| (sample["metric"].clone(), value(sample)))
            .collect())
    }

    /// Waits until a query returns one sample of this value.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait_for(&self, query: &str, value: f64) {
        eventually(
            &format!("{query} is {value}"),
            Duration::from_secs(30),
            || async {
                let samples = self.try_query(query).await?;
                match samples.as_slice() {
                    [(_, seen)] if (seen - value).abs() < 1e-9 => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            },
        )
        .await;
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let port = listener.and_then(|listener| Ok(listener.local_addr()?.port()));
    port.unwrap_or_else(|error| panic!("no free port: {error}"))
}

async fn pod_monitors() -> Vec<Value> {
    let chart = cluster::chart();
    let arguments = [
        "template",
        cluster::RELEASE,
        &chart.to_string_lossy(),
        "-n",
        cluster::NAMESPACE,
        "--set",
        "monitoring.enabled=true",
        "-s",
        "templates/monitoring.yaml",
    ];
    let rendered = run("helm", &arguments, None)
        .await
        .expect_ok("helm template");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered)
        .unwrap_or_else(|error| panic!("helm printed no YAML: {error}"));
    let monitors: Vec<Value> = objects
        .into_iter()
        .filter(|object| object["kind"] == "PodMonitor")
        .collect();
    assert!(!monitors.is_empty(), "the chart has no PodMonitor");
    monitors
}

/// The pods that a PodMonitor selects now, with the labels that the Prometheus operator gives them. Debian's Prometheus is
/// built without discovery in Kubernetes.
async fn scrape_config(monitor: &Value) -> Value {
    let labels = monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .into_iter()
        .flatten();
    let selector: Vec<String> = labels
        .map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default()))
        .collect();
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    let own = monitor["metadata"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let everywhere = monitor["spec"]["namespaceSelector"]["any"] == true;
    let scope = if everywhere {
        "--all-namespaces"
    } else {
        "--ignore-not-found"
    };
    let pods = Kubectl::of(own)
        .get(&["pods", scope, "--selector", &selector.join(",")])
        .await;
    let targets: Vec<Value> = pods["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|pod| target(pod, &endpoint["port"]))
        .collect();
    assert!(
        !targets.is_empty(),
        "{selector:?} selects no pod with a port {}",
        endpoint["port"]
    );
    json!({"job_name": monitor["metadata"]["name"], "metrics_path": endpoint["path"], "static_configs": targets})
}

fn target(pod: &Value, port: &Value) -> Option<Value> {
    let containers = pod["spec"]["containers"].as_array()?;
    let mut ports = containers
        .iter()
        .filter_map(|container| container["ports"].as_array())
        .flatten();
    let port = ports.find(|known| known["name"] == *port)?["containerPort"].as_u64()?;
    let address = format!("{}:{port}", pod["status"]["podIP"].as_str()?);
    let labels = json!({"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]});
    Some(json!({"targets": [address], "labels": labels}))
}
