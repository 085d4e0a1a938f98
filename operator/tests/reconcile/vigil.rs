//! A Vigil's reconcile, against an API server in memory.

use crate::api::{Api, condition};
use eywa_crds::Vigil;
use eywa_operator::vigil::{VigilContext, reconcile};
use serde_json::{Value, json};
use std::sync::Arc;

const SPIRIT: &str = "/apis/eywa.dev/v1alpha1/namespaces/cafe/spirits/barista";
const VIGIL: &str = "/apis/eywa.dev/v1alpha1/namespaces/cafe/vigils/ana";

fn spirit(voices: Value) -> Value {
    json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Spirit",
        "spec": {
            "persona": {"text": "You serve coffee."},
            "oracle": {"provider": "scripted", "model": "demo", "script": {"rules": []}},
            "voices": voices,
        },
    })
}

fn api(session: &str) -> Api {
    let api = Api::default();
    let spec = json!({"spiritRef": {"name": "barista"}, "session": session});
    api.put(
        VIGIL,
        json!({"apiVersion": "eywa.dev/v1alpha1", "kind": "Vigil", "spec": spec}),
    );
    api
}

async fn accepted(api: &Api, shared: &Arc<VigilContext>) -> String {
    reconcile(api.read::<Vigil>(VIGIL), Arc::clone(shared))
        .await
        .unwrap();
    condition(&api.get(VIGIL).unwrap(), "Accepted")
}

#[tokio::test]
async fn a_vigil_is_refused_with_the_reason_and_accepted_once_that_is_gone() {
    let api = api("wa/5511999990000");
    let shared = Arc::new(VigilContext::new(api.context(&[])));
    let told = accepted(&api, &shared).await;
    assert!(
        told.starts_with(r#"False SpiritNotFound: there is no Spirit "barista""#),
        "{told}"
    );
    assert_eq!(api.events(), ["SpiritNotFound"]);

    api.put(SPIRIT, spirit(json!([])));
    assert!(
        accepted(&api, &shared)
            .await
            .starts_with("False SpiritNotServed")
    );

    api.put(
        SPIRIT,
        spirit(json!([{"name": "web", "http": {"secretRef": {"name": "web", "key": "k"}}}])),
    );
    let told = accepted(&api, &shared).await;
    assert!(
        told.starts_with(
            r#"False VoiceNotFound: Spirit "barista" has no voice "wa"; it has "web"."#
        ),
        "{told}"
    );

    api.put(SPIRIT, spirit(json!([{"name": "wa", "whatsapp": {"phoneNumberId": "1", "secretRef": {"name": "wa"}}}])));
    assert!(accepted(&api, &shared).await.starts_with("True Accepted"));
    api.writes();
    accepted(&api, &shared).await;
    assert_eq!(
        api.writes(),
        [""; 0],
        "a reconcile that changes nothing writes nothing"
    );
}

#[tokio::test]
async fn a_vigil_may_be_about_every_session() {
    let api = api("*");
    api.put(
        SPIRIT,
        spirit(json!([{"name": "web", "http": {"secretRef": {"name": "web", "key": "k"}}}])),
    );
    let shared = Arc::new(VigilContext::new(api.context(&[])));
    assert!(accepted(&api, &shared).await.starts_with("True Accepted"));
}

#[tokio::test]
async fn what_the_runtime_says_of_a_vigil_is_no_reason_to_write() {
    let api = api("web/ana");
    api.put(
        SPIRIT,
        spirit(json!([{"name": "web", "http": {"secretRef": {"name": "web", "key": "k"}}}])),
    );
    let shared = Arc::new(VigilContext::new(api.context(&[])));
    accepted(&api, &shared).await;
    api.writes();
    let mut conditions = api.get(VIGIL).unwrap()["status"]["conditions"].clone();
    conditions.as_array_mut().unwrap().push(json!({
        "type": "TakenOver", "status": "True", "reason": "Active", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }));
    api.edit(
        VIGIL,
        json!({"status": {"phase": "Active", "unanswered": 3, "conditions": conditions}}),
    );
    accepted(&api, &shared).await;
    assert_eq!(api.writes(), [""; 0]);
}
