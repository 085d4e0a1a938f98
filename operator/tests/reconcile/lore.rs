//! The Job of a Spirit's Lore, against an API server in memory.

use crate::api::{Api, condition};
use eywa_crds::{Spirit, labels};
use eywa_operator::spirit::{SpiritContext, reconcile};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::runtime::controller::Action;
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

    async fn reconcile(&self) -> Action {
        reconcile(self.api.read::<Spirit>(SPIRIT), Arc::clone(&self.shared))
            .await
            .unwrap()
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

    /// The Job itself.
    fn made(&self) -> Value {
        self.api.get(&format!("{JOBS}{}", self.job())).unwrap()
    }

    /// What the Job controller would say, at a time, and what the Job's pod left.
    fn ends(&self, type_: &str, at: &str, message: &str) {
        let job = self.job();
        let uid = self.made()["metadata"]["uid"].clone();
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
            json!({"metadata": {"labels": {"batch.kubernetes.io/controller-uid": uid}}}),
        );
    }

    fn condition(&self) -> String {
        condition(&self.api.get(SPIRIT).unwrap(), "LoreReady")
    }
}

const DONE: &str =
    r#"{"documents":1,"passages":3,"embedded":3,"removed":0,"skipped":[],"error":null}"#;

const LEFT_OUT: &str = r#"{"documents":1,"passages":3,"skipped":[{"document":"https://cafe.example/menu","reason":"the server answered 503"}],"left_out":1}"#;

fn now() -> String {
    minutes_ago(0)
}

fn minutes_ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

/// How many seconds a reconcile wants to pass before the next, which `kube` tells nobody but in this way.
fn seconds_until(next: &Action) -> f64 {
    let told = format!("{next:?}");
    let seconds = told.split(['(', ')']).nth(1).unwrap_or_default();
    let seconds = seconds.strip_suffix('s').and_then(|it| it.parse().ok());
    seconds.unwrap_or_else(|| panic!("no seconds in {told}"))
}

/// Whoever looks for the pods that serve (the Service, `eywa chat --cluster`) must not find the Job's.
#[tokio::test]
async fn the_jobs_pods_are_not_taken_for_those_that_serve() {
    let library = Library::new();
    library.reconcile().await;
    let job = library.made();
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
    let made = library.made();
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
async fn what_a_job_left_out_is_still_told_when_its_pods_are_collected() {
    let library = Library::new();
    library.reconcile().await;
    let report = r#"{"documents":1,"passages":3,"skipped":[{"document":"a.doc","reason":"not a kind that is read"}]}"#;
    library.ends("Complete", &now(), report);
    library.reconcile().await;
    let told = library.condition();
    assert!(told.starts_with("False DocumentsSkipped"), "{told}");
    library.api.remove(&format!(
        "/api/v1/namespaces/cafe/pods/{}-abcde",
        library.job()
    ));
    library.reconcile().await;
    assert_eq!(library.condition(), told);
}

#[tokio::test]
async fn what_a_job_at_work_needs_is_put_back() {
    let library = Library::new();
    library.reconcile().await;
    let beside = [
        "/api/v1/namespaces/cafe/configmaps/librarian-lore",
        "/apis/networking.k8s.io/v1/namespaces/cafe/networkpolicies/librarian-lore",
    ];
    for path in beside {
        assert!(library.api.get(path).is_some(), "{path}");
        library.api.remove(path);
    }
    let job = library.job();
    library.reconcile().await;
    for path in beside {
        assert!(library.api.get(path).is_some(), "{path}");
    }
    assert_eq!(library.job(), job);
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
    let serving = json!({"spec": {"runtime": {"replicas": 3, "podLabels": {"team": "cafe"}}}});
    library.api.edit(SPIRIT, serving);
    library.reconcile().await;
    assert_eq!(library.job(), first, "nor are the pods that serve");

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
async fn a_job_whose_pods_cannot_start_is_replaced_when_the_spirit_is_mended() {
    let library = Library::new();
    library.reconcile().await;
    let mut seen = vec![library.job()];
    let role = "arn:aws:iam::1:role/librarian";
    for mended in [
        json!({"imagePullSecrets": [{"name": "registry"}]}),
        json!({"env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]}),
        json!({"nodeSelector": {"disk": "ssd"}}),
        json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}),
        json!({"affinity": {"nodeAffinity": {}}}),
        json!({"priorityClassName": "low"}),
        json!({"podAnnotations": {"vault.example/inject": "true"}}),
        json!({"serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": role}}),
    ] {
        let edit = json!({"spec": {"runtime": mended}});
        library.api.edit(SPIRIT, edit.clone());
        library.reconcile().await;
        let job = library.job();
        assert!(!seen.contains(&job), "{edit} made no other Job");
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
    let first = library.made()["metadata"]["uid"].clone();
    library.reconcile().await;
    assert_eq!(
        library.made()["metadata"]["uid"],
        first,
        "it is there to be looked at"
    );

    library.ends("Failed", "2026-01-01T00:00:00Z", error);
    library.reconcile().await;
    assert_ne!(library.made()["metadata"]["uid"], first);
    assert!(
        library.condition().starts_with("Unknown Syncing"),
        "{}",
        library.condition()
    );
}

#[tokio::test]
async fn documents_that_were_left_out_are_asked_for_again_and_ever_less_often() {
    let library = Library::new();
    library.reconcile().await;
    let uid = || library.made()["metadata"]["uid"].clone();
    let first = uid();
    library.ends("Complete", &minutes_ago(9), LEFT_OUT);
    library.reconcile().await;
    assert_eq!(uid(), first, "the site is given time");
    let told = library.condition();
    let at_once = format!("or at once after `kubectl delete job {}`", library.job());
    assert!(
        told.starts_with("False DocumentsSkipped") && told.contains(&at_once),
        "{told}"
    );

    library.ends("Complete", &minutes_ago(11), LEFT_OUT);
    library.reconcile().await;
    let second = uid();
    assert_ne!(second, first);
    assert!(library.condition().starts_with("Unknown Syncing"));

    library.ends("Complete", &minutes_ago(11), LEFT_OUT);
    library.reconcile().await;
    assert_eq!(uid(), second, "it is given more time");
    library.ends("Complete", &minutes_ago(21), LEFT_OUT);
    library.reconcile().await;
    let third = uid();
    assert_ne!(third, second);

    // A store that was down says nothing about the site.
    library.ends("Failed", &minutes_ago(11), r#"{"error":"down"}"#);
    library.reconcile().await;
    let fourth = uid();
    assert_ne!(fourth, third);
    library.ends("Complete", &minutes_ago(39), LEFT_OUT);
    library.reconcile().await;
    assert_eq!(uid(), fourth);
    library.ends("Complete", &minutes_ago(41), LEFT_OUT);
    library.reconcile().await;
    let fifth = uid();
    assert_ne!(fifth, fourth);

    library.ends("Complete", "2026-01-01T00:00:00Z", DONE);
    library.reconcile().await;
    assert_eq!(uid(), fifth, "everything is in");
}

#[tokio::test]
async fn a_job_that_is_due_to_be_made_anew_is_looked_at_when_it_is() {
    for (type_, report) in [("Failed", r#"{"error":"down"}"#), ("Complete", LEFT_OUT)] {
        let library = Library::new();
        library.reconcile().await;
        library.ends(type_, &minutes_ago(9), report);
        let next = seconds_until(&library.reconcile().await);
        // Of the minute that is left, the test itself may have used some.
        assert!(next > 5.0 && next <= 70.0, "{type_}: {next}");
    }
    let library = Library::new();
    library.reconcile().await;
    library.ends("Complete", &minutes_ago(9), DONE);
    let next = seconds_until(&library.reconcile().await);
    assert!((300.0..=600.0).contains(&next), "as usual: {next}");
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
    library
        .api
        .edit(SPIRIT, json!({"metadata": {"generation": 2}}));
    library.reconcile().await;
    assert_eq!(library.condition(), "True Synced: 1 document in 3 passages");
    assert_eq!(library.jobs().len(), 1);
    let conditions = library.api.get(SPIRIT).unwrap()["status"]["conditions"].clone();
    let observed = |type_: &str| {
        let mut all = conditions.as_array().unwrap().iter();
        let found = all.find(|condition| condition["type"] == type_).unwrap();
        found["observedGeneration"].clone()
    };
    assert_eq!(observed("Ready"), 2);
    assert_eq!(observed("LoreReady"), 1, "nobody looked at it since");
}
