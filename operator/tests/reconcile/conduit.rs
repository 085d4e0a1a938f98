//! A Conduit's reconcile, against an API server and MCP servers in memory.

use crate::api::{Api, condition};
use async_trait::async_trait;
use eywa_crds::{Conduit, runtime_config::CompiledConduit};
use eywa_guard::Policy;
use eywa_operator::{
    conduit::{
        ConduitContext,
        probe::{Failure, Findings, FoundTool, Probe},
        reconcile,
    },
    references::Target,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const CONDUIT: &str = "/apis/eywa.dev/v1alpha1/namespaces/cafe/conduits/shop-tools";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/cafe/deployments/shop-tools-conduit";

/// An MCP server that says what the test wants, and notes what it was asked with.
struct Server {
    answer: Mutex<Result<Findings, Failure>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Probe for Server {
    async fn probe(
        &self,
        conduit: &CompiledConduit,
        headers: Vec<(String, SecretString)>,
        network: Arc<Policy>,
    ) -> Result<Findings, Failure> {
        assert_eq!(network.namespace.as_deref(), Some("cafe"));
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.expose_secret()))
            .collect();
        self.asked
            .lock()
            .unwrap()
            .push(format!("{} {}", conduit.url, headers.join(", ")));
        self.answer.lock().unwrap().clone()
    }
}

struct Shop {
    api: Api,
    server: Arc<Server>,
    shared: Arc<ConduitContext>,
}

impl Shop {
    fn new(spec: Value) -> Self {
        let api = Api::default();
        api.put(
            CONDUIT,
            json!({"apiVersion": "eywa.dev/v1alpha1", "kind": "Conduit", "spec": spec}),
        );
        let server = Arc::new(Server {
            answer: Mutex::new(Ok(findings(&["menu_list"]))),
            asked: Mutex::default(),
        });
        let shared = Arc::new(ConduitContext::new(
            api.context(&[]),
            Arc::<Server>::clone(&server),
        ));
        Self {
            api,
            server,
            shared,
        }
    }

    async fn reconcile(&self) {
        reconcile(self.api.read::<Conduit>(CONDUIT), Arc::clone(&self.shared))
            .await
            .unwrap();
    }

    fn condition(&self, type_: &str) -> String {
        condition(&self.api.get(CONDUIT).unwrap(), type_)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.server.asked.lock().unwrap())
    }
}

fn failure(reason: &'static str, message: &str) -> Failure {
    Failure {
        reason,
        message: message.to_owned(),
    }
}

fn findings(tools: &[&str]) -> Findings {
    Findings {
        protocol_version: "2025-06-18".into(),
        server: "shop".into(),
        server_version: Some("1.2".into()),
        tools: tools
            .iter()
            .map(|name| FoundTool {
                name: (*name).into(),
                description: "d".into(),
                schema: json!({"type": "object"}),
            })
            .collect(),
        left_out: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_is_probed_and_its_tools_are_told() {
    let shop = Shop::new(
        json!({"url": "http://shop.cafe.svc:8000/mcp", "tools": {"allow": ["*"], "deny": ["drop_*"]}}),
    );
    *shop.server.answer.lock().unwrap() = Ok(findings(&["menu_list", "drop_tables", "cart"]));
    shop.reconcile().await;
    assert_eq!(
        shop.condition("Ready"),
        "True Ready: its tools can be called"
    );
    let status = shop.api.get(CONDUIT).unwrap()["status"].clone();
    let names: Vec<_> = status["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].clone())
        .collect();
    assert_eq!(names, ["cart", "menu_list"]);
    assert_eq!(status["toolCount"], 2);
    assert_eq!(status["server"], json!({"name": "shop", "version": "1.2"}));
    assert_eq!(status["protocolVersion"], "2025-06-18");
    assert_eq!(status["url"], "http://shop.cafe.svc:8000/mcp");
    assert_eq!(shop.api.events(), ["Connected"]);
}

#[tokio::test(start_paused = true)]
async fn probes_are_spaced_and_one_that_finds_nothing_new_writes_nothing() {
    let shop = Shop::new(json!({"url": "http://shop.cafe.svc:8000/mcp"}));
    for _ in 0..5 {
        shop.reconcile().await;
    }
    assert_eq!(shop.asked().len(), 1);
    shop.api.writes();
    tokio::time::advance(std::time::Duration::from_secs(121)).await;
    shop.reconcile().await;
    assert_eq!(shop.asked().len(), 1);
    assert_eq!(shop.api.writes(), [""; 0]);
    // A tool that changed is news.
    *shop.server.answer.lock().unwrap() = Ok(findings(&["menu_list", "cart"]));
    tokio::time::advance(std::time::Duration::from_secs(121)).await;
    shop.reconcile().await;
    assert_eq!(shop.api.writes(), ["PATCH cafe/conduits/shop-tools/status"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_keeps_its_last_known_tools_and_is_asked_again_soon() {
    let shop = Shop::new(json!({"url": "http://shop.cafe.svc:8000/mcp"}));
    shop.reconcile().await;
    shop.asked();
    *shop.server.answer.lock().unwrap() = Err(failure("Unreachable", "connection refused"));
    tokio::time::advance(std::time::Duration::from_secs(121)).await;
    shop.reconcile().await;
    assert_eq!(
        shop.condition("Connected"),
        "False Unreachable: connection refused"
    );
    assert!(shop.condition("Ready").starts_with("False Unreachable"));
    assert_eq!(shop.api.get(CONDUIT).unwrap()["status"]["toolCount"], 1);
    assert_eq!(shop.api.events(), ["Connected", "Unreachable"]);

    *shop.server.answer.lock().unwrap() = Ok(findings(&["menu_list"]));
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    shop.reconcile().await;
    assert_eq!(shop.asked().len(), 2);
    assert_eq!(
        shop.condition("Ready"),
        "True Ready: its tools can be called"
    );
}

#[tokio::test(start_paused = true)]
async fn a_header_s_secret_is_sent_and_its_rotation_probes_at_once() {
    let shop = Shop::new(json!({
        "url": "http://shop.cafe.svc:8000/mcp",
        "headersFrom": [{"name": "Authorization", "secretRef": {"name": "shop", "key": "bearer"}}],
    }));
    let secret = "/api/v1/namespaces/cafe/secrets/shop";
    shop.reconcile().await;
    assert!(
        shop.condition("Accepted")
            .starts_with("False SecretNotFound"),
        "{}",
        shop.condition("Accepted")
    );
    assert!(shop.condition("Connected").starts_with("Unknown NotProbed"));
    assert_eq!(shop.asked(), [""; 0]);
    assert_eq!(
        shop.shared
            .references
            .to(Target::Secret, "cafe", "shop")
            .len(),
        1
    );

    shop.api.put(
        secret,
        json!({"apiVersion": "v1", "kind": "Secret", "data": {"bearer": "b25l"}}),
    );
    shop.reconcile().await;
    assert_eq!(
        shop.asked(),
        ["http://shop.cafe.svc:8000/mcp Authorization: one"]
    );
    assert!(shop.condition("Ready").starts_with("True"));

    shop.api.put(
        secret,
        json!({"apiVersion": "v1", "kind": "Secret", "data": {"bearer": "dHdv"}}),
    );
    shop.reconcile().await;
    assert_eq!(
        shop.asked(),
        ["http://shop.cafe.svc:8000/mcp Authorization: two"]
    );
    assert!(!shop.api.get(CONDUIT).unwrap().to_string().contains("two"));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_allowed_is_never_asked() {
    let shop = Shop::new(json!({"url": "http://169.254.169.254/mcp"}));
    shop.reconcile().await;
    let accepted = shop.condition("Accepted");
    assert!(
        accepted.starts_with("False AddressNotAllowed") && accepted.contains("169.254.169.254"),
        "{accepted}"
    );
    assert_eq!(shop.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_run_where_asked_and_taken_away_when_a_url_takes_its_place() {
    let shop = Shop::new(json!({"server": {"image": "shop-tools:1", "port": 9000}}));
    shop.reconcile().await;
    assert_eq!(
        shop.api.writes(),
        [
            "PATCH cafe/services/shop-tools-conduit",
            "PATCH cafe/deployments/shop-tools-conduit",
            "PATCH cafe/conduits/shop-tools/status",
        ]
    );
    assert_eq!(shop.asked(), [""; 0], "nobody is there to ask yet");
    assert!(
        shop.condition("Connected")
            .starts_with("False ServerNotAvailable")
    );
    assert_eq!(shop.api.events(), [""; 0]);

    shop.api.pods_become_ready(DEPLOYMENT);
    shop.reconcile().await;
    assert_eq!(
        shop.asked(),
        ["http://shop-tools-conduit.cafe.svc:9000/mcp "]
    );
    assert!(shop.condition("Ready").starts_with("True"));
    shop.api.writes();
    shop.reconcile().await;
    assert_eq!(shop.api.writes(), [""; 0]);

    shop.api.edit(CONDUIT, json!({"metadata": {"generation": 2}, "spec": {"server": null, "url": "http://shop.cafe.svc/mcp"}}));
    shop.reconcile().await;
    assert_eq!(shop.api.get(DEPLOYMENT), None);
    assert_eq!(shop.api.made(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_the_api_server_refuses_is_told_of_in_the_status() {
    let shop = Shop::new(json!({"server": {"image": "shop-tools:1"}}));
    shop.api.refuse(DEPLOYMENT, 422);
    let error = reconcile(shop.api.read::<Conduit>(CONDUIT), Arc::clone(&shop.shared))
        .await
        .unwrap_err();
    assert_eq!(error.label(), "refused");
    let ready = shop.condition("Ready");
    assert!(
        ready.starts_with("False ChildRefused: apply Deployment shop-tools-conduit"),
        "{ready}"
    );
    assert_eq!(shop.api.events(), ["ChildRefused"]);
}

/// What the status says of the server's pods, as their Deployment's status does.
fn pods(shop: &Shop, generation: i64, updated: i32, available: i32) {
    let metadata = json!({"generation": generation});
    let status = json!({"observedGeneration": generation, "updatedReplicas": updated, "availableReplicas": available});
    shop.api
        .edit(DEPLOYMENT, json!({"metadata": metadata, "status": status}));
}

#[tokio::test(start_paused = true)]
async fn another_pod_of_a_server_is_asked_at_once_what_it_offers() {
    let shop = Shop::new(json!({"server": {"image": "shop-tools:1"}}));
    shop.reconcile().await;
    pods(&shop, 1, 1, 1);
    shop.reconcile().await;
    assert_eq!(shop.asked().len(), 1);
    let tool_count = || shop.api.get(CONDUIT).unwrap()["status"]["toolCount"].clone();
    assert_eq!(tool_count(), 1);

    // Its pod crashes, and starts again with another tool.
    pods(&shop, 1, 1, 0);
    shop.reconcile().await;
    assert!(
        shop.condition("Connected")
            .starts_with("False ServerNotAvailable")
    );
    assert_eq!(
        tool_count(),
        1,
        "what it last said is the best that is known"
    );
    *shop.server.answer.lock().unwrap() = Ok(findings(&["menu_list", "cart"]));
    pods(&shop, 1, 1, 1);
    shop.reconcile().await;
    assert_eq!((shop.asked().len(), tool_count()), (1, json!(2)));

    // Another image comes: one pod more, then the old one goes.
    let mut renewed = findings(&["menu_list"]);
    renewed.server_version = Some("2.0".into());
    pods(&shop, 2, 1, 1);
    shop.reconcile().await;
    *shop.server.answer.lock().unwrap() = Ok(renewed);
    pods(&shop, 2, 1, 2);
    shop.reconcile().await;
    let status = shop.api.get(CONDUIT).unwrap()["status"].clone();
    assert_eq!(status["server"]["version"], "2.0");
    assert_eq!(status["toolCount"], 1);

    // And no further probe before it is due.
    shop.asked();
    for _ in 0..5 {
        shop.reconcile().await;
    }
    assert_eq!(shop.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn why_a_server_cannot_be_asked_is_told_once_and_it_is_asked_less_and_less_often() {
    let shop = Shop::new(json!({"url": "http://shop.cafe.svc:8000/mcp"}));
    let refused = failure("Unauthorized", "look at key \"bearer\" of Secret \"shop\"");
    *shop.server.answer.lock().unwrap() = Err(refused);
    shop.reconcile().await;
    assert_eq!(
        shop.condition("Connected"),
        "False Unauthorized: look at key \"bearer\" of Secret \"shop\""
    );
    assert!(shop.condition("Ready").starts_with("False Unauthorized"));
    shop.api.writes();
    shop.asked();
    // Ten minutes, looked at each second.
    for _ in 0..600 {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        shop.reconcile().await;
    }
    let asked = shop.asked().len();
    assert!(
        (10..=25).contains(&asked),
        "asked {asked} times in ten minutes"
    );
    assert_eq!(shop.api.writes(), [""; 0]);
    assert_eq!(shop.api.events(), ["Unauthorized"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_starts_slowly_becomes_ready_by_itself() {
    let shop = Shop::new(json!({"url": "http://shop.cafe.svc:8000/mcp"}));
    *shop.server.answer.lock().unwrap() = Err(failure("Unreachable", "connection refused"));
    shop.reconcile().await;
    assert!(shop.condition("Ready").starts_with("False Unreachable"));
    *shop.server.answer.lock().unwrap() = Ok(findings(&["menu_list"]));
    let mut seconds = 0;
    while !shop.condition("Ready").starts_with("True") {
        seconds += 1;
        assert!(seconds < 5, "{}", shop.condition("Ready"));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        shop.reconcile().await;
    }
    assert_eq!(shop.api.events(), ["Unreachable", "Connected"]);
}

#[tokio::test(start_paused = true)]
async fn tools_that_nobody_can_call_are_told() {
    let filter = json!({"allow": ["menu_*"]});
    let shop = Shop::new(json!({"url": "http://shop.cafe.svc:8000/mcp", "tools": filter}));
    let mut some = findings(&["menu_list", "cart"]);
    some.left_out = vec![
        (
            "menu_broken".into(),
            "its schema is not a JSON Schema".into(),
        ),
        ("other".into(), "nobody asked for it".into()),
    ];
    *shop.server.answer.lock().unwrap() = Ok(some);
    shop.reconcile().await;
    assert_eq!(
        shop.condition("Ready"),
        "True Ready: its tools can be called, but for \"menu_broken\" (its schema is not a JSON Schema)"
    );
    *shop.server.answer.lock().unwrap() = Ok(findings(&["cart", "refund"]));
    tokio::time::advance(std::time::Duration::from_secs(121)).await;
    shop.reconcile().await;
    assert_eq!(
        shop.condition("Ready"),
        "True Ready: it has 2 tools, and spec.tools lets none of them through"
    );
}
