//! A Spirit's reconcile, against an API server in memory.

use crate::api::{Api, condition};
use eywa_crds::Spirit;
use eywa_operator::{
    error::Error,
    references::Target,
    spirit::{SpiritContext, reconcile},
};
use serde_json::{Value, json};
use std::sync::Arc;

const SPIRIT: &str = "/apis/eywa.dev/v1alpha1/namespaces/cafe/spirits/barista";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/cafe/deployments/barista-runtime";
const CONFIG: &str = "/api/v1/namespaces/cafe/configmaps/barista-runtime";
const WEB: &str = "/api/v1/namespaces/cafe/secrets/web";
const REDIS: &str = "/api/v1/namespaces/cafe/secrets/redis";
const COPY: &str = "/api/v1/namespaces/cafe/secrets/barista-runtime-redis";

fn spirit() -> Value {
    json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Spirit",
        "spec": {
            "persona": {"text": "You serve coffee."},
            "oracle": {"provider": "scripted", "model": "demo", "script": {"rules": [{"reply": {"text": "Hello."}}]}},
            "voices": [{"name": "web", "http": {"secretRef": {"name": "web", "key": "signing-key"}}}],
            "stores": {"redis": {"urls": {"secretRef": {"name": "redis", "key": "url"}}}},
        },
    })
}

fn secret(key: &str, base64: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "data": {key: base64}})
}

struct Cafe {
    api: Api,
    shared: Arc<SpiritContext>,
}

impl Cafe {
    /// A Spirit in a namespace where all that it refers to is there.
    fn new(arguments: &[&str]) -> Self {
        let api = Api::default();
        api.put(SPIRIT, spirit());
        api.put(WEB, secret("signing-key", "d2hzZWNfZmFrZQ=="));
        api.put(REDIS, secret("url", "cmVkaXM6Ly9yZWRpcw=="));
        let shared = Arc::new(SpiritContext::new(api.context(arguments)));
        Self { api, shared }
    }

    async fn reconcile(&self) -> Result<(), Error> {
        reconcile(self.api.read::<Spirit>(SPIRIT), Arc::clone(&self.shared))
            .await
            .map(drop)
    }

    /// Until nothing changes any more, and the pods are ready.
    async fn settle(&self) {
        self.reconcile().await.unwrap();
        self.api.pods_become_ready(DEPLOYMENT);
        self.reconcile().await.unwrap();
        self.api.writes();
        self.api.events();
    }

    fn condition(&self, type_: &str) -> String {
        condition(&self.api.get(SPIRIT).unwrap(), type_)
    }
}

#[tokio::test]
async fn a_spirit_gets_its_children_and_what_pods_need_comes_first() {
    let cafe = Cafe::new(&[]);
    cafe.reconcile().await.unwrap();
    assert_eq!(
        cafe.api.writes(),
        [
            "PATCH cafe/serviceaccounts/barista-runtime",
            "PATCH cafe/roles/barista-runtime",
            "PATCH cafe/rolebindings/barista-runtime",
            "PATCH cafe/configmaps/barista-runtime",
            "PATCH cafe/networkpolicies/barista-runtime",
            "PATCH cafe/services/barista-runtime",
            "PATCH cafe/poddisruptionbudgets/barista-runtime",
            "PATCH cafe/deployments/barista-runtime",
            "PATCH cafe/spirits/barista/status",
        ]
    );
    for path in cafe.api.made() {
        let child = cafe.api.get(&path).unwrap();
        assert_eq!(
            child["metadata"]["ownerReferences"][0]["uid"],
            format!("uid-of-{SPIRIT}"),
            "{path}"
        );
        assert_eq!(
            child["metadata"]["labels"]["eywa.dev/spirit"], "barista",
            "{path}"
        );
    }
    assert!(
        cafe.condition("Ready")
            .starts_with("False PodsNotAvailable: 0 of 2 pods answer")
    );
    assert_eq!(cafe.api.events(), ["RolloutStarted"]);

    cafe.api.pods_become_ready(DEPLOYMENT);
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.condition("Ready"), "True Serving: it answers");
    let status = cafe.api.get(SPIRIT).unwrap()["status"].clone();
    assert_eq!(status["url"], "http://barista-runtime.cafe.svc:8080");
    assert_eq!(
        (&status["replicas"], &status["readyReplicas"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        status["selector"],
        "app.kubernetes.io/name=eywa-runtime,eywa.dev/spirit=barista"
    );
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(cafe.api.events(), ["Ready"]);
}

#[tokio::test]
async fn a_reconcile_that_changes_nothing_writes_nothing() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    let before = cafe.shared.ctx.metrics.writes("Deployment");
    for _ in 0..3 {
        cafe.reconcile().await.unwrap();
    }
    assert_eq!(cafe.api.writes(), [""; 0]);
    assert_eq!(cafe.api.events(), [""; 0]);
    assert_eq!(cafe.shared.ctx.metrics.writes("Deployment"), before);
    // Nor does an operator that was restarted.
    let restarted = Arc::new(SpiritContext::new(cafe.api.context(&[])));
    reconcile(cafe.api.read::<Spirit>(SPIRIT), restarted)
        .await
        .unwrap();
    assert_eq!(cafe.api.writes(), [""; 0]);
}

#[tokio::test]
async fn what_the_runtime_says_in_the_status_is_left_alone() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    let mut status = cafe.api.get(SPIRIT).unwrap()["status"].clone();
    let said = json!({
        "type": "VoicesReady", "status": "False", "reason": "CredentialsRefused", "message": "renew the token",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    status["conditions"]
        .as_array_mut()
        .unwrap()
        .push(said.clone());
    cafe.api.edit(SPIRIT, json!({"status": status}));
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.writes(), [""; 0]);
    let status = cafe.api.get(SPIRIT).unwrap()["status"].clone();
    assert!(status["conditions"].as_array().unwrap().contains(&said));
}

#[tokio::test]
async fn an_edit_of_a_child_by_hand_is_put_back() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    cafe.api.edit(DEPLOYMENT, json!({"spec": {"replicas": 7}}));
    cafe.api.remove(CONFIG);
    cafe.reconcile().await.unwrap();
    assert_eq!(
        cafe.api.writes()[..2],
        [
            "PATCH cafe/configmaps/barista-runtime",
            "PATCH cafe/deployments/barista-runtime"
        ]
    );
    assert_eq!(cafe.api.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 2);
}

#[tokio::test]
async fn a_missing_secret_is_named_and_its_creation_heals() {
    let cafe = Cafe::new(&[]);
    cafe.api.remove(WEB);
    cafe.reconcile().await.unwrap();
    assert_eq!(
        cafe.api.made(),
        [""; 0],
        "nothing is made for a Spirit that cannot run"
    );
    let condition = cafe.condition("SecretsResolved");
    assert!(condition.starts_with("False SecretNotFound"), "{condition}");
    assert!(
        condition.contains(r#""web""#) && condition.contains(r#""signing-key""#),
        "{condition}"
    );
    assert!(cafe.condition("Ready").starts_with("False SecretNotFound"));
    assert!(cafe.condition("Accepted").starts_with("True"));
    assert_eq!(cafe.api.events(), ["SecretNotFound"]);
    let waiting = cafe.shared.references.to(Target::Secret, "cafe", "web");
    assert_eq!(
        waiting.len(),
        1,
        "the Secret's creation asks for a reconcile of the Spirit"
    );

    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.events(), [""; 0], "the Event is not repeated");

    cafe.api.put(WEB, secret("signing-key", "d2hzZWNfZmFrZQ=="));
    cafe.settle().await;
    assert_eq!(
        cafe.condition("SecretsResolved"),
        "True Resolved: every Secret and key is there"
    );
    assert_eq!(cafe.condition("Ready"), "True Serving: it answers");
}

#[tokio::test]
async fn a_secret_that_goes_keeps_the_last_good_pods_running() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    let deployment = cafe.api.get(DEPLOYMENT);
    cafe.api.put(WEB, secret("another-key", "eA=="));
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.writes(), ["PATCH cafe/spirits/barista/status"]);
    assert_eq!(cafe.api.get(DEPLOYMENT), deployment);
    let ready = cafe.condition("Ready");
    assert!(
        ready.starts_with("False SecretKeyMissing")
            && ready.ends_with("(the last good pods keep running)"),
        "{ready}"
    );
    assert_eq!(
        cafe.condition("Available"),
        "True PodsAvailable: enough pods answer"
    );
}

#[tokio::test]
async fn a_rotated_secret_rolls_the_pods_and_its_value_is_nowhere() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    let hash = |cafe: &Cafe| {
        cafe.api.get(DEPLOYMENT).unwrap()["spec"]["template"]["metadata"]["annotations"]["eywa.dev/secrets-hash"].clone()
    };
    let before = hash(&cafe);
    // "rotated-value"
    cafe.api
        .put(WEB, secret("signing-key", "cm90YXRlZC12YWx1ZQ=="));
    cafe.reconcile().await.unwrap();
    assert_eq!(
        cafe.api.writes(),
        ["PATCH cafe/deployments/barista-runtime"]
    );
    assert_eq!(cafe.api.events(), ["RolloutStarted"]);
    assert_ne!(hash(&cafe), before);
    for path in cafe.api.made().iter().map(String::as_str).chain([SPIRIT]) {
        let text = cafe.api.get(path).unwrap().to_string();
        assert!(
            !text.contains("rotated-value") && !text.contains("cm90YXRlZC12YWx1ZQ"),
            "{path}"
        );
    }
    // Another key of the same Secret is not mounted, and so no reason to roll.
    cafe.api.edit(WEB, json!({"data": {"unused": "eA=="}}));
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.writes(), [""; 0]);
}

#[tokio::test]
async fn a_changed_persona_rolls_the_pods() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    let before = cafe.api.get(SPIRIT).unwrap()["status"]["configHash"].clone();
    cafe.api.edit(
        SPIRIT,
        json!({"metadata": {"generation": 2}, "spec": {"persona": {"text": "You serve tea."}}}),
    );
    cafe.reconcile().await.unwrap();
    assert_eq!(
        cafe.api.writes(),
        [
            "PATCH cafe/configmaps/barista-runtime",
            "PATCH cafe/deployments/barista-runtime",
            "PATCH cafe/spirits/barista/status"
        ]
    );
    let status = cafe.api.get(SPIRIT).unwrap()["status"].clone();
    assert_ne!(status["configHash"], before);
    assert_eq!(status["observedGeneration"], 2);
}

#[tokio::test]
async fn scaling_does_not_roll_the_pods() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    let template = cafe.api.get(DEPLOYMENT).unwrap()["spec"]["template"].clone();
    cafe.api.edit(
        SPIRIT,
        json!({"metadata": {"generation": 2}, "spec": {"runtime": {"replicas": 5}}}),
    );
    cafe.reconcile().await.unwrap();
    let deployment = cafe.api.get(DEPLOYMENT).unwrap();
    assert_eq!(deployment["spec"]["replicas"], 5);
    assert_eq!(deployment["spec"]["template"], template);
}

#[tokio::test]
async fn an_autoscaler_s_number_of_pods_is_left_alone() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    cafe.api.edit(DEPLOYMENT, json!({"metadata": {"managedFields": [
        {"manager": "eywa-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    ]}}));
    cafe.api.edit(SPIRIT, json!({"metadata": {"generation": 2}, "spec": {"runtime": {"autoscaling": {"min": 2, "max": 9}}}}));
    cafe.reconcile().await.unwrap();
    let deployments = cafe
        .api
        .writes()
        .into_iter()
        .filter(|write| write.contains("deployments"))
        .count();
    assert_eq!(
        deployments, 2,
        "the number is handed over before it is let go"
    );
    assert!(
        cafe.api
            .get("/apis/autoscaling/v2/namespaces/cafe/horizontalpodautoscalers/barista-runtime")
            .is_some()
    );

    cafe.api.edit(
        DEPLOYMENT,
        json!({"metadata": {"managedFields": null}, "spec": {"replicas": 6}}),
    );
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 6);
    assert!(
        !cafe
            .api
            .writes()
            .iter()
            .any(|write| write.contains("deployments"))
    );

    cafe.api.edit(
        SPIRIT,
        json!({"metadata": {"generation": 3}, "spec": {"runtime": {"autoscaling": null}}}),
    );
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 2);
    assert!(
        cafe.api
            .get("/apis/autoscaling/v2/namespaces/cafe/horizontalpodautoscalers/barista-runtime")
            .is_none()
    );
}

#[tokio::test]
async fn a_spirit_without_stores_gets_a_copy_of_the_default_redis_url_and_loses_it_with_stores_of_its_own()
 {
    let cafe = Cafe::new(&["--default-redis-secret=eywa-redis", "--pod-namespace=eywa"]);
    cafe.api.edit(SPIRIT, json!({"spec": {"stores": null}}));
    cafe.reconcile().await.unwrap();
    let condition = cafe.condition("SecretsResolved");
    assert!(
        condition.starts_with("False DefaultRedisMissing")
            && condition.contains(r#""eywa-redis" of namespace "eywa""#),
        "{condition}"
    );
    assert_eq!(cafe.api.made(), [""; 0]);

    cafe.api.put(
        "/api/v1/namespaces/eywa/secrets/eywa-redis",
        secret("url", "cmVkaXM6Ly9kZWZhdWx0"),
    );
    cafe.settle().await;
    assert_eq!(
        cafe.api.get(COPY).unwrap()["data"],
        json!({"url": "cmVkaXM6Ly9kZWZhdWx0"})
    );
    assert_eq!(cafe.condition("Ready"), "True Serving: it answers");
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.writes(), [""; 0]);

    cafe.api.edit(
        SPIRIT,
        json!({"metadata": {"generation": 2}, "spec": spirit()["spec"]}),
    );
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.get(COPY), None);
}

#[tokio::test]
async fn an_object_of_someone_else_is_not_overwritten_and_the_status_says_so() {
    let cafe = Cafe::new(&[]);
    cafe.api.put(
        CONFIG,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"theirs": "yes"}}),
    );
    let error = cafe.reconcile().await.unwrap_err();
    assert_eq!(error.label(), "not_ours");
    assert_eq!(
        cafe.api.get(CONFIG).unwrap()["data"],
        json!({"theirs": "yes"})
    );
    let available = cafe.condition("Available");
    assert!(available.starts_with("False NotDeployed"), "{available}");
    assert_eq!(cafe.api.events(), ["NameTaken"]);
    let ready = cafe.condition("Ready");
    assert!(
        ready.starts_with("False NameTaken") && ready.contains("ConfigMap barista-runtime exists"),
        "{ready}"
    );
}

#[tokio::test]
async fn pods_that_the_api_server_refuses_are_told_of_in_the_status() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    cafe.api.refuse(DEPLOYMENT, 422);
    cafe.api.edit(
        SPIRIT,
        json!({"metadata": {"generation": 2}, "spec": {"persona": {"text": "You serve tea."}}}),
    );
    assert_eq!(cafe.reconcile().await.unwrap_err().label(), "refused");
    let ready = cafe.condition("Ready");
    assert!(
        ready.starts_with("False ChildRefused: apply Deployment barista-runtime"),
        "{ready}"
    );
    assert_eq!(
        cafe.condition("Available"),
        "True PodsAvailable: enough pods answer"
    );
}

#[tokio::test]
async fn a_spirit_that_loses_its_voices_loses_its_pods() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    cafe.api.edit(
        SPIRIT,
        json!({"metadata": {"generation": 2}, "spec": {"voices": null, "stores": null}}),
    );
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.made(), [""; 0]);
    assert_eq!(
        cafe.condition("Ready"),
        "True NotServed: it can be routed to"
    );
    assert_eq!(cafe.api.get(SPIRIT).unwrap()["status"]["replicas"], 0);
}

#[tokio::test]
async fn a_routed_spirit_s_needs_are_the_front_spirit_s_too() {
    let cafe = Cafe::new(&[]);
    let billing = "/apis/eywa.dev/v1alpha1/namespaces/cafe/spirits/billing";
    cafe.api.edit(SPIRIT, json!({"spec": {"pathfinder": {"routes": [{"spirit": "billing", "when": "text == 'invoice'"}]}}}));
    cafe.reconcile().await.unwrap();
    assert!(
        cafe.condition("Accepted")
            .starts_with("False SpiritNotFound")
    );
    assert_eq!(
        cafe.shared
            .references
            .to(Target::Spirit, "cafe", "billing")
            .len(),
        1
    );

    cafe.api.put(billing, json!({
        "apiVersion": "eywa.dev/v1alpha1", "kind": "Spirit",
        "spec": {"persona": {"text": "You know invoices."}, "oracle": {
            "provider": "openai", "model": "gpt-5-mini", "apiKey": {"secretRef": {"name": "openai", "key": "api-key"}},
        }},
    }));
    cafe.reconcile().await.unwrap();
    let condition = cafe.condition("SecretsResolved");
    assert!(condition.contains(r#""openai""#), "{condition}");
    assert_eq!(
        cafe.shared
            .references
            .to(Target::Secret, "cafe", "openai")
            .len(),
        1
    );
}

#[tokio::test]
async fn the_routes_of_a_routed_spirit_are_followed_and_a_circle_of_them_is_told_with_its_chain() {
    let cafe = Cafe::new(&[]);
    let spirit = |pathfinder: Value| {
        json!({
            "apiVersion": "eywa.dev/v1alpha1", "kind": "Spirit",
            "spec": {
                "persona": {"text": "You know invoices."},
                "oracle": {"provider": "scripted", "script": {"rules": [{"reply": {"text": "hi"}}]}},
                "pathfinder": pathfinder,
            },
        })
    };
    let to = |spirit: &str| json!({"routes": [{"spirit": spirit, "when": "text == 'invoice'"}]});
    let path = |name: &str| format!("/apis/eywa.dev/v1alpha1/namespaces/cafe/spirits/{name}");
    cafe.api
        .edit(SPIRIT, json!({"spec": {"pathfinder": to("billing")}}));
    cafe.api.put(&path("billing"), spirit(to("refunds")));
    cafe.reconcile().await.unwrap();
    let condition = cafe.condition("Accepted");
    assert!(
        condition.starts_with("False SpiritNotFound") && condition.contains("refunds"),
        "{condition}"
    );
    let watched = |name| cafe.shared.references.to(Target::Spirit, "cafe", name);
    assert_eq!(
        (watched("billing").len(), watched("refunds").len()),
        (1, 1),
        "a change of either is heard"
    );

    cafe.api.put(&path("refunds"), spirit(to("barista")));
    cafe.reconcile().await.unwrap();
    let condition = cafe.condition("Accepted");
    assert!(
        condition.starts_with("False RouteCycle")
            && condition.contains("barista → billing → refunds → barista"),
        "{condition}"
    );

    cafe.api.put(&path("refunds"), spirit(to("refunds")));
    cafe.reconcile().await.unwrap();
    let condition = cafe.condition("Accepted");
    assert!(condition.starts_with("True"), "{condition}");
}

#[tokio::test]
async fn a_conduit_that_does_not_answer_is_told_of_and_does_not_keep_the_pods_away() {
    let cafe = Cafe::new(&[]);
    let tools = "/apis/eywa.dev/v1alpha1/namespaces/cafe/conduits/shop-tools";
    cafe.api.edit(
        SPIRIT,
        json!({"spec": {"conduits": [{"name": "shop-tools", "tools": ["menu_*"]}]}}),
    );
    cafe.api.put(tools, json!({
        "apiVersion": "eywa.dev/v1alpha1", "kind": "Conduit", "spec": {"url": "http://shop-tools.cafe.svc:8000/mcp"},
    }));
    cafe.settle().await;
    assert_eq!(
        cafe.condition("Available"),
        "True PodsAvailable: enough pods answer"
    );
    assert_eq!(
        cafe.condition("Ready"),
        r#"False ConduitNotReady: Conduit "shop-tools" has not been probed yet"#
    );

    cafe.api.edit(tools, json!({"status": {
        "tools": [{"name": "menu_list", "schemaHash": "1"}, {"name": "drop_tables", "schemaHash": "2"}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }}));
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.condition("Ready"), "True Serving: it answers");
    assert_eq!(
        cafe.api.get(SPIRIT).unwrap()["status"]["tools"],
        json!(["menu_list"])
    );
}

#[tokio::test]
async fn a_spirit_that_is_being_deleted_is_left_to_the_garbage_collector() {
    let cafe = Cafe::new(&[]);
    cafe.api.edit(
        SPIRIT,
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
    );
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.writes(), [""; 0]);
}

#[tokio::test]
async fn an_api_server_that_is_away_is_an_error_that_is_retried() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    cafe.api.set_down(true);
    assert_eq!(cafe.reconcile().await.unwrap_err().label(), "unreachable");
    cafe.api.set_down(false);
    cafe.reconcile().await.unwrap();
    assert_eq!(cafe.api.writes(), [""; 0]);
}

#[tokio::test]
async fn a_rollout_that_is_stuck_and_one_scaled_to_nothing_are_not_ready() {
    let cafe = Cafe::new(&[]);
    cafe.settle().await;
    let conditions = |progressing: &str| {
        json!({"status": {"conditions": [
            {"type": "Available", "status": "True"},
            {"type": "Progressing", "status": progressing, "reason": "ProgressDeadlineExceeded"},
        ]}})
    };
    cafe.api.edit(DEPLOYMENT, conditions("False"));
    cafe.reconcile().await.unwrap();
    assert!(cafe.condition("Ready").starts_with("False RolloutStuck"));
    assert!(
        cafe.condition("Available").starts_with("True"),
        "the former pods still answer"
    );
    cafe.api.edit(DEPLOYMENT, conditions("True"));
    cafe.reconcile().await.unwrap();
    assert!(cafe.condition("Ready").starts_with("True"));

    cafe.api.edit(
        SPIRIT,
        json!({"metadata": {"generation": 2}, "spec": {"runtime": {"replicas": 0}}}),
    );
    cafe.reconcile().await.unwrap();
    assert!(cafe.condition("Ready").starts_with("False ScaledToZero"));
}
