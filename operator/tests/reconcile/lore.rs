//! The Job of a Spirit's Lore, against an API server in memory.

use crate::api::{Api, condition};
use eywa_crds::{Spirit, labels};
use eywa_operator::spirit::{SpiritContext, reconcile};
use serde_json::{Value, json};
use std::sync::Arc;

const SPIRIT: &str = "/apis/eywa.dev/v1alpha1/namespaces/cafe/spirits/librarian";
const JOBS: &str = "/apis/batch/v1/namespaces/cafe/jobs/";
const MENU: &str = "/api/v1/namespaces/cafe/configmaps/menu";
const KEY: &str = "/api/v1/namespaces/cafe/secrets/qdrant";

/// A Spirit without voices: what is made is made for its Lore alone.
fn spirit() -> Value {
    json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Spirit",
        "spec": {
            "persona": {"text": "You know the menu."},
            "oracle": {"provider": "scripted", "model": "demo", "script": {"rules": [{"reply": {"text": "Hello."}}]}},
            "lore": {
                "store": {"qdrant": {
                    "url": "https://qdrant.example:6333", "collection": "menu",
                    "apiKey": {"secretRef": {"name": "qdrant", "key": "api-key"}},
                }},
                "embedder": {"provider": "hashing"},
                "sources": [{"name": "menu", "configMap": {"name": "menu"}}],
            },
        },
    })
}

struct Library {
    api: Api,
    shared: Arc<SpiritContext>,
}

impl Library {
    fn new() -> Self {
        let api = Api::default();
        api.put(SPIRIT, spirit());
        api.put(
            MENU,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"menu.md": "# Menu"}}),
        );
        api.put(
            KEY,
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"api-key": "bm90LWEta2V5"}}),
        );
        let shared = Arc::new(SpiritContext::new(api.context(&[])));
        Self { api, shared }
    }

    async fn reconcile(&self) {
        reconcile(self.api.read::<Spirit>(SPIRIT), Arc::clone(&self.shared))
            .await
            .unwrap();
    }

    fn jobs(&self) -> Vec<String> {
        let made = self.api.made().into_iter();
        made.filter_map(|path| Some(path.strip_prefix(JOBS)?.to_owned()))
            .collect()
    }

    /// The only Job there is.
    fn job(&self) -> String {
        let jobs = self.jobs();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.into_iter().next().unwrap()
    }

    /// What the Job controller would say, at a time, and what the Job's pod left.
    fn ends(&self, type_: &str, at: &str, message: &str) {
        let job = self.job();
        self.api.edit(
            &format!("{JOBS}{job}"),
            json!({"status": {"conditions": [{"type": type_, "status": "True", "lastTransitionTime": at}]}}),
        );
        let pod = format!("/api/v1/namespaces/cafe/pods/{job}-abcde");
        self.api.put(
            &pod,
            json!({"apiVersion": "v1", "kind": "Pod", "status": {"containerStatuses": [{
                "name": "ingest", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "finishedAt": at, "message": message}},
            }]}}),
        );
        self.api.edit(
            &pod,
            json!({"metadata": {"labels": {"batch.kubernetes.io/job-name": job}}}),
        );
    }

    fn condition(&self) -> String {
        condition(&self.api.get(SPIRIT).unwrap(), "LoreReady")
    }
}

const DONE: &str =
    r#"{"documents":1,"passages":3,"embedded":3,"removed":0,"skipped":[],"error":null}"#;

fn now() -> String {
    k8s_openapi::jiff::Timestamp::now().to_string()
}

/// Whoever looks for the pods that serve (the Service, `eywa chat --cluster`) must not find the Job's.
#[tokio::test]
async fn the_jobs_pods_are_not_taken_for_those_that_serve() {
    let library = Library::new();
    library.reconcile().await;
    let job = library
        .api
        .get(&format!("{JOBS}{}", library.job()))
        .unwrap();
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels[labels::SPIRIT], "librarian");
    let serving = labels::runtime_pods("librarian");
    assert!(
        serving.iter().any(|(label, value)| labels[label] != *value),
        "{labels}"
    );
}

#[tokio::test]
async fn a_job_brings_the_documents_in_and_its_report_becomes_a_condition() {
    let library = Library::new();
    library.reconcile().await;
    let job = library.job();
    assert!(job.starts_with("librarian-lore-"), "{job}");
    assert!(
        library.condition().starts_with("Unknown Syncing: Job"),
        "{}",
        library.condition()
    );
    let made = library.api.get(&format!("{JOBS}{job}")).unwrap();
    let pod = &made["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "librarian-runtime");
    assert_eq!(
        pod["containers"][0]["volumeMounts"][2]["mountPath"],
        "/etc/eywa/documents/menu"
    );
    let text = made.to_string();
    assert!(
        !text.contains("bm90LWEta2V5") && !text.contains("# Menu"),
        "{text}"
    );

    library.ends("Complete", &now(), DONE);
    library.reconcile().await;
    assert_eq!(library.condition(), "True Synced: 1 document in 3 passages");
    library.api.writes();
    library.reconcile().await;
    assert_eq!(
        library.api.writes(),
        Vec::<String>::new(),
        "nothing has changed"
    );
}

#[tokio::test]
async fn what_changes_the_documents_makes_another_job_and_what_does_not_makes_none() {
    let library = Library::new();
    library.reconcile().await;
    let first = library.job();
    library.api.edit(
        SPIRIT,
        json!({"spec": {"persona": {"text": "You know it all."}}}),
    );
    library.reconcile().await;
    assert_eq!(library.job(), first, "the persona is none of its business");

    let mut seen = vec![first];
    for (path, change) in [
        (MENU, json!({"data": {"menu.md": "# Another menu"}})),
        (MENU, json!({"binaryData": {"menu.pdf": "JVBERi0="}})),
        (KEY, json!({"data": {"api-key": "YW5vdGhlcg=="}})),
        (SPIRIT, json!({"spec": {"runtime": {"image": "mine:2"}}})),
        (SPIRIT, json!({"spec": {"lore": {"chunks": {"size": 800}}}})),
    ] {
        library.api.edit(path, change.clone());
        library.reconcile().await;
        let job = library.job();
        assert!(!seen.contains(&job), "{change} made no other Job");
        seen.push(job);
    }
}

#[tokio::test]
async fn a_job_that_failed_is_told_of_and_made_anew_only_after_a_while() {
    let library = Library::new();
    library.reconcile().await;
    let error = r#"{"error":"qdrant has no collection \"menu\": create it"}"#;
    library.ends("Failed", &now(), error);
    library.reconcile().await;
    assert!(
        library
            .condition()
            .starts_with("False SyncFailed: qdrant has no collection"),
        "{}",
        library.condition()
    );
    assert_eq!(library.api.events(), ["Ready", "SyncFailed"]);
    let made = |library: &Library| {
        library
            .api
            .get(&format!("{JOBS}{}", library.job()))
            .unwrap()
    };
    let first = made(&library)["metadata"]["uid"].clone();
    library.reconcile().await;
    assert_eq!(
        made(&library)["metadata"]["uid"],
        first,
        "it is there to be looked at"
    );

    library.ends("Failed", "2026-01-01T00:00:00Z", error);
    library.reconcile().await;
    assert_ne!(made(&library)["metadata"]["uid"], first);
    assert!(
        library.condition().starts_with("Unknown Syncing"),
        "{}",
        library.condition()
    );
}

#[tokio::test]
async fn a_spirit_that_loses_its_lore_loses_the_job_and_the_condition() {
    let library = Library::new();
    library.reconcile().await;
    library.ends("Complete", &now(), DONE);
    library.reconcile().await;
    library.api.edit(SPIRIT, json!({"spec": {"lore": null}}));
    library.reconcile().await;
    assert_eq!(library.jobs(), Vec::<String>::new());
    assert_eq!(library.api.made(), Vec::<String>::new());
    let conditions = library.api.get(SPIRIT).unwrap()["status"]["conditions"].to_string();
    assert!(!conditions.contains("LoreReady"), "{conditions}");
}

#[tokio::test]
async fn a_spirit_with_a_mistake_keeps_what_was_known_of_its_lore() {
    let library = Library::new();
    library.reconcile().await;
    library.ends("Complete", &now(), DONE);
    library.reconcile().await;
    library.api.remove(KEY);
    library.reconcile().await;
    assert_eq!(library.condition(), "True Synced: 1 document in 3 passages");
    assert_eq!(library.jobs().len(), 1);
}
