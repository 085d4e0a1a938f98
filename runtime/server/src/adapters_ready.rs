//! The condition `AdaptersReady` of a Spirit in a cluster: whether this image can run it.
//!
//! It is there only while the answer is no: a pod whose image lacks an adapter writes it and ends, and the first pod that
//! has all of them takes it away.

use std::time::Duration;

use eywa_crds::{Spirit, spirit::ADAPTERS_READY};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::warn;

use crate::wiring::WireError;

/// Who says so to server-side apply: nobody else of the runtime, who would take it away by not saying it.
const FIELD_MANAGER: &str = "eywa-runtime-adapters";
/// The longest that this may take, all requests together: a start does not wait for it.
const WITHIN: Duration = Duration::from_secs(10);

/// Says on the Spirit that its configuration was wired, or why it cannot be. A status that cannot be written is logged:
/// the pod's log has the reason too.
pub async fn report(client: Client, namespace: &str, spirit: &str, wired: Result<(), &WireError>) {
    let api = Api::<Spirit>::namespaced(client, namespace);
    let said = timeout(WITHIN, async {
        match wired {
            Err(error) => match condition(error) {
                Some(condition) => say(&api, spirit, &[condition]).await,
                None => Ok(()),
            },
            Ok(()) if says(&api, spirit).await? => say(&api, spirit, &[]).await,
            Ok(()) => Ok(()),
        }
    });
    let reason = match said.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("the API server did not answer within {WITHIN:?}"),
    };
    warn!(reason, "the Spirit's status cannot be written");
}

async fn says(api: &Api<Spirit>, spirit: &str) -> Result<bool, kube::Error> {
    let status = api.get_opt(spirit).await?.and_then(|spirit| spirit.status);
    let mut conditions = status.iter().flat_map(|status| &status.conditions);
    Ok(conditions.any(|condition| condition.type_ == ADAPTERS_READY))
}

async fn say(api: &Api<Spirit>, spirit: &str, conditions: &[Value]) -> Result<(), kube::Error> {
    let patch = json!({
        "apiVersion": format!("{}/{}", eywa_crds::GROUP, eywa_crds::VERSION),
        "kind": "Spirit",
        "metadata": {"name": spirit},
        "status": {"conditions": conditions},
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(spirit, &params, &Patch::Apply(&patch))
        .await
        .map(drop)
}

/// Only what the image lacks is said: the rest of what can be wrong, the operator checks.
fn condition(error: &WireError) -> Option<Value> {
    let WireError::NotBuiltIn { .. } = error else {
        return None;
    };
    Some(json!({
        "type": ADAPTERS_READY,
        "status": "False",
        "reason": "AdapterNotBuiltIn",
        "message": format!("{error}; or name an image that has it (spec.runtime.image, or the chart's runtime.image)"),
        "lastTransitionTime": jiff::Timestamp::now(),
    }))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Mutex};

    use axum::body::Body;
    use http::{Method, Request, Response};

    use super::*;

    /// An API server that has this Spirit, and what it was asked to write.
    async fn written(spirit: Value, wired: Result<(), &WireError>) -> Vec<Value> {
        let written = Mutex::new(Vec::new());
        let seen = std::sync::Arc::new(written);
        let server = {
            let seen = std::sync::Arc::clone(&seen);
            tower::service_fn(move |request: Request<kube::client::Body>| {
                let (seen, spirit) = (std::sync::Arc::clone(&seen), spirit.clone());
                async move {
                    assert!(
                        request.uri().path().ends_with("/spirits/barista")
                            || request.uri().path().ends_with("/spirits/barista/status")
                    );
                    if request.method() == Method::PATCH {
                        let body = request.into_body().collect_bytes().await.unwrap();
                        seen.lock()
                            .unwrap()
                            .push(serde_json::from_slice(&body).unwrap());
                    }
                    Ok::<_, Infallible>(Response::new(Body::from(spirit.to_string())))
                }
            })
        };
        let client = Client::new(server, "default");
        report(client, "default", "barista", wired).await;
        seen.lock().unwrap().clone()
    }

    fn spirit(conditions: Value) -> Value {
        json!({
            "apiVersion": "eywa.dev/v1alpha1", "kind": "Spirit", "metadata": {"name": "barista"},
            "spec": {"persona": {"text": "x"}, "oracle": {"provider": "scripted"}},
            "status": {"conditions": conditions},
        })
    }

    fn lacking() -> WireError {
        WireError::NotBuiltIn {
            spirit: "barista".to_owned(),
            what: "the Oracle anthropic".to_owned(),
            feature: "oracle-anthropic",
        }
    }

    #[tokio::test]
    async fn an_adapter_that_the_image_lacks_is_said_with_what_to_do() {
        let written = written(spirit(json!([])), Err(&lacking())).await;
        let condition = &written[0]["status"]["conditions"][0];
        assert_eq!(condition["type"], "AdaptersReady");
        assert_eq!(
            (&condition["status"], &condition["reason"]),
            (&json!("False"), &json!("AdapterNotBuiltIn"))
        );
        let message = condition["message"].as_str().unwrap();
        for part in [
            "barista",
            "the Oracle anthropic",
            "oracle-anthropic",
            "spec.runtime.image",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[tokio::test]
    async fn a_pod_that_has_them_all_takes_it_back_and_writes_nothing_otherwise() {
        let said = json!([{"type": "AdaptersReady", "status": "False", "reason": "AdapterNotBuiltIn",
            "message": "…", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let taken_back = written(spirit(said), Ok(())).await;
        assert_eq!(taken_back.len(), 1);
        assert_eq!(taken_back[0]["status"]["conditions"], json!([]));
        assert!(written(spirit(json!([])), Ok(())).await.is_empty());
    }

    #[tokio::test]
    async fn what_is_not_about_the_image_is_not_said() {
        let error = WireError::Invalid {
            spirit: "barista".to_owned(),
            field: "oracle.baseUrl".to_owned(),
            reason: "no URL".to_owned(),
        };
        assert!(written(spirit(json!([])), Err(&error)).await.is_empty());
    }
}
