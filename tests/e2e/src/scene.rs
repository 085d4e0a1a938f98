//! A place of its own for each scenario: a namespace, and stand-ins that only it talks to.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::future::join_all;
use serde_json::Value;

use crate::{
    cluster::{self, run_id},
    graph::Graph,
    kubectl::Kubectl,
    metrics,
    model::Model,
    redis, spirit,
    wait::{eventually, hold},
    webhook::{self, Meta},
};

/// How long a Pulse may take to be answered, with nothing in its way.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// How long the operator may take to act on an edit.
const ACTED_ON_WITHIN: Duration = Duration::from_secs(30);

/// Where a scenario plays.
pub struct Scene {
    /// Its namespace.
    pub namespace: String,
    /// `kubectl` in that namespace.
    pub kubectl: Kubectl,
    /// WhatsApp's side.
    pub graph: Graph,
    /// The model.
    pub model: Model,
    /// Who sends webhooks.
    pub meta: Meta,
}

/// A pod of a Spirit that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// Its container, as the container runtime knows it.
    pub container_id: String,
}

impl Pod {
    /// A page of its admin port.
    pub fn admin(&self, page: &str) -> String {
        format!("http://{}:9090{page}", self.ip)
    }

    /// The webhook of a voice of a Spirit.
    pub fn voice(&self, spirit: &str, voice: &str) -> String {
        format!("http://{}:8080/voices/{spirit}/{voice}", self.ip)
    }

    /// The webhook of the concierge.
    pub fn webhook(&self) -> String {
        self.voice(spirit::NAME, "wa")
    }
}

impl Scene {
    /// Makes the namespace and starts the stand-ins. The namespace is named after the scenario, as far as it fits.
    ///
    /// # Panics
    /// When the cluster refuses.
    pub async fn set(scenario: &str) -> Self {
        static SCENES: AtomicU32 = AtomicU32::new(0);
        let number = SCENES.fetch_add(1, Ordering::Relaxed);
        let words: String = scenario
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(36)
            .collect();
        let namespace = format!("e2e-{}-{}{number}", words.trim_matches('-'), run_id());
        let kubectl = Kubectl::of(&namespace);
        kubectl
            .apply(&[&cluster::restricted_namespace(&namespace)])
            .await;
        Self {
            kubectl,
            graph: Graph::start(spirit::ACCESS_TOKEN).await,
            model: Model::start(spirit::API_KEY).await,
            meta: Meta::new(spirit::APP_SECRET),
            namespace,
        }
    }

    /// The concierge, with this scene's stand-ins.
    pub fn concierge(&self) -> Value {
        spirit::concierge(&self.graph.url(), &self.model.url())
    }

    /// What the model was shown beside the conversation when it was first asked this.
    ///
    /// # Panics
    /// When nobody asked.
    pub fn system_prompt(&self, question: &str) -> String {
        let asked = self.model.asked_about(question);
        let first = asked.first();
        let first = first.unwrap_or_else(|| panic!("nobody asked {question:?}"));
        let system = first.messages.first();
        system
            .and_then(|system| system["content"].as_str())
            .unwrap_or_default()
            .to_owned()
    }

    /// Applies the concierge with its Secrets, and waits until it is Ready.
    ///
    /// # Panics
    /// When it does not get Ready.
    pub async fn serve(&self) -> Vec<Pod> {
        self.serve_as(&self.concierge()).await
    }

    /// The same with this concierge.
    ///
    /// # Panics
    /// When it does not get Ready.
    pub async fn serve_as(&self, concierge: &Value) -> Vec<Pod> {
        self.kubectl
            .apply(&[
                &spirit::voice_secret(),
                &spirit::model_secret(spirit::API_KEY),
                concierge,
            ])
            .await;
        self.kubectl
            .wait("spirit/concierge", "condition=Ready", 120)
            .await;
        self.pods(spirit::NAME).await
    }

    /// Waits until the operator has acted on the concierge as it is now, and gives its pods, which are new where they had
    /// to be. A rollout's status by itself may be that of the Deployment before the edit.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn rolled_out(&self) -> Vec<Pod> {
        eventually("the operator acts on an edit", ACTED_ON_WITHIN, || async {
            let spirit = self.kubectl.get(&["spirit", spirit::NAME]).await;
            let seen = spirit["status"]["observedGeneration"].clone();
            hold(seen == spirit["metadata"]["generation"], seen)
        })
        .await;
        let deployment = format!("deployment/{}-runtime", spirit::NAME);
        self.kubectl
            .run(&["rollout", "status", &deployment, "--timeout=120s"])
            .await;
        self.pods(spirit::NAME).await
    }

    /// The pods that serve a Spirit, and are ready and stay.
    pub async fn pods(&self, spirit: &str) -> Vec<Pod> {
        let label = format!("app.kubernetes.io/name=eywa-runtime,eywa.dev/spirit={spirit}");
        let pods = self.kubectl.get(&["pods", "-l", &label]).await;
        pods["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(ready_pod)
            .collect()
    }

    /// The webhook of a voice of a Spirit, by its Service.
    pub async fn service(&self, spirit: &str, voice: &str) -> String {
        let name = format!("{spirit}-runtime");
        let address = self
            .kubectl
            .run(&[
                "get",
                "service",
                &name,
                "-o",
                "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}",
            ])
            .await;
        format!("http://{address}/voices/{spirit}/{voice}")
    }

    /// Says something as this person, by a pod, and waits for the only answer to it.
    ///
    /// # Panics
    /// When it is not taken, or not answered.
    pub async fn converse(&self, pod: &Pod, person: &str, wamid: &str, words: &str) -> String {
        let before = self.graph.sent_to(person).len();
        self.say(pod, person, wamid, words).await;
        let sent = self
            .graph
            .wait_for(person, before + 1, ANSWERED_WITHIN)
            .await;
        self.wait_until_free(spirit::NAME, person).await;
        sent.last()
            .map(|sent| sent.text.clone())
            .unwrap_or_default()
    }

    /// Says something as this person, by a pod.
    ///
    /// # Panics
    /// When it is not taken.
    pub async fn say(&self, pod: &Pod, person: &str, wamid: &str, words: &str) {
        let answer = self
            .meta
            .post(&pod.webhook(), &webhook::text(person, wamid, words))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Waits until nothing is being done for this person on WhatsApp. Before that, what they say next would be discarded.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn wait_until_free(&self, spirit: &str, person: &str) {
        let session = format!("wa/{person}");
        eventually(
            &format!("the session {session} is free"),
            ANSWERED_WITHIN,
            || async {
                let held = redis::is_held(&self.namespace, spirit, &session).await;
                if held {
                    Err("its Bond is held")
                } else {
                    Ok(())
                }
            },
        )
        .await;
    }

    /// What the Chronicle has of a message, by outcome, oldest first.
    pub async fn outcomes(&self, wamid: &str) -> Vec<String> {
        let entries =
            redis::chronicle_of_pulse(&self.namespace, spirit::NAME, &format!("wa/{wamid}")).await;
        entries
            .iter()
            .map(|entry| entry["outcome"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Waits until the Chronicle has exactly these outcomes of a message.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn wait_for_outcomes(&self, wamid: &str, outcomes: &[&str]) {
        eventually(
            &format!("the Chronicle has {outcomes:?} of {wamid}"),
            ANSWERED_WITHIN,
            || async {
                let seen = self.outcomes(wamid).await;
                hold(seen == outcomes, seen)
            },
        )
        .await;
    }

    /// A metric, summed over pods and over the samples with these labels.
    ///
    /// # Panics
    /// When a pod does not show its metrics.
    pub async fn metric(&self, pods: &[Pod], name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut total = 0.0;
        for pod in pods {
            let page = self.meta.get(&pod.admin("/metrics")).await;
            let page =
                page.unwrap_or_else(|error| panic!("{} shows no metrics: {error}", pod.name));
            total += metrics::sum(&page.body, name, labels);
        }
        total
    }

    /// Everything that may tell why a scenario failed.
    pub async fn diagnostics(&self) -> String {
        let system = Kubectl::of(cluster::NAMESPACE);
        let here: [&[&str]; 6] = [
            &["get", "eywa,all,configmaps,secrets", "-o", "wide"],
            &["get", "eywa", "-o", "yaml"],
            &["describe", "pods"],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "-l",
                "app.kubernetes.io/name=eywa-runtime",
                "--all-containers",
                "--prefix",
                "--tail=60",
            ],
            &[
                "logs",
                "-l",
                "app.kubernetes.io/name=eywa-runtime",
                "--all-containers",
                "--prefix",
                "--tail=20",
                "--previous",
            ],
        ];
        let there: [&[&str]; 2] = [
            &["get", "all", "-o", "wide"],
            &[
                "logs",
                "-l",
                "app.kubernetes.io/part-of=eywa",
                "--prefix",
                "--tail=40",
            ],
        ];
        let looks = here
            .iter()
            .map(|look| (&self.kubectl, *look))
            .chain(there.iter().map(|look| (&system, *look)));
        let pages = join_all(looks.map(|(kubectl, look)| async move {
            let said = kubectl.attempt(look).await;
            format!("--- kubectl {}\n{}{}", look.join(" "), said.out, said.err)
        }));
        pages.await.join("\n")
    }

    /// Removes the namespace, without waiting for its end.
    pub async fn clear(&self) {
        self.kubectl
            .attempt(&["delete", "namespace", &self.namespace, "--wait=false"])
            .await;
    }
}

fn ready_pod(pod: &Value) -> Option<Pod> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let ready = conditions
        .iter()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    if !ready || !pod["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    Some(Pod {
        name: pod["metadata"]["name"].as_str()?.to_owned(),
        ip: pod["status"]["podIP"].as_str()?.parse().ok()?,
        container_id: pod["status"]["containerStatuses"][0]["containerID"]
            .as_str()?
            .to_owned(),
    })
}
