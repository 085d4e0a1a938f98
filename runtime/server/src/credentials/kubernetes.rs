//! The condition `VoicesReady` of a Spirit in a cluster.

use std::time::Duration;

use eywa_crds::{Spirit, spirit::VOICES_READY};
use eywa_weave::SpiritName;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::{Credentials, Known};

/// Who says so to server-side apply: nobody else of the runtime, who would take it away by not saying it.
const FIELD_MANAGER: &str = "eywa-runtime-voices";
/// The longest that one request to the API server may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);
/// The first pause before trying again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One Spirit's status.
pub struct ClusterStatus {
    api: Api<Spirit>,
    spirit: String,
}

/// What the condition is to say.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl ClusterStatus {
    /// Of this Spirit in this namespace.
    pub fn new(client: Client, namespace: &str, spirit: &SpiritName) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            spirit: spirit.to_string(),
        }
    }

    /// Says what becomes known, for as long as it is polled. Tries again, with growing pauses, while the API server is
    /// away.
    pub async fn report(self, credentials: Credentials) {
        let mut follow = credentials.follow();
        loop {
            if follow.changed().await.is_err() {
                return;
            }
            let mut pause = FIRST_PAUSE;
            loop {
                let verdict = verdict(&follow.borrow_and_update());
                let Err(reason) = self.say(verdict).await else {
                    break;
                };
                warn!(
                    reason,
                    "the Spirit's status cannot be written; trying again"
                );
                sleep(pause.mul_f64(rand::random_range(0.75..1.25))).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Writes the condition, unless it says so already. It is not made to say that all is well.
    async fn say(&self, verdict: Option<Verdict>) -> Result<(), String> {
        let Some(verdict) = verdict else {
            return Ok(());
        };
        let spirit = in_time(self.api.get_opt(&self.spirit)).await?;
        let said = spirit
            .and_then(|spirit| spirit.status)
            .and_then(|status| {
                let mut conditions = status.conditions.into_iter();
                conditions.find(|condition| condition.type_ == VOICES_READY)
            })
            .map(|condition| (condition.status, condition.message));
        let since = match &said {
            None if verdict.status == "True" => return Ok(()),
            Some((status, message)) if *status == verdict.status && *message == verdict.message => {
                return Ok(());
            }
            _ => jiff::Timestamp::now(),
        };
        let patch = json!({
            "apiVersion": format!("{}/{}", eywa_crds::GROUP, eywa_crds::VERSION),
            "kind": "Spirit",
            "metadata": {"name": self.spirit},
            "status": {"conditions": [{
                "type": VOICES_READY,
                "status": verdict.status,
                "reason": verdict.reason,
                "message": verdict.message,
                "lastTransitionTime": since,
            }]},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        in_time(
            self.api
                .patch_status(&self.spirit, &params, &Patch::Apply(&patch)),
        )
        .await
        .map(drop)
    }
}

/// Nothing, as long as no channel has said anything.
fn verdict(known: &Known) -> Option<Verdict> {
    if known.refused.is_empty() {
        return (!known.accepted.is_empty()).then(|| Verdict {
            status: "True",
            reason: "CredentialsAccepted",
            message: "the channels accept the credentials".to_owned(),
        });
    }
    let voices: Vec<&str> = known
        .refused
        .iter()
        .map(eywa_weave::VoiceName::as_str)
        .collect();
    Some(Verdict {
        status: "False",
        reason: "CredentialsRefused",
        message: format!(
            "the channel of {} does not accept the Spirit's credentials, so replies are lost: renew the token in the voice's \
             Secret; the pods follow by themselves",
            voices.join(", ")
        ),
    })
}

async fn in_time<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match timeout(LONGEST_REQUEST, request).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "the API server did not answer within {LONGEST_REQUEST:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use axum::body::Body;
    use http::{Method, Request, Response};

    use super::*;

    #[test]
    fn only_what_a_channel_said_is_said() {
        assert_eq!(verdict(&Known::default()), None);
        let mut known = Known {
            accepted: ["wa".into()].into(),
            ..Known::default()
        };
        assert_eq!(verdict(&known).unwrap().status, "True");
        known.refused.insert("other".into());
        let verdict = verdict(&known).unwrap();
        assert_eq!(
            (verdict.status, verdict.reason),
            ("False", "CredentialsRefused")
        );
        assert!(verdict.message.contains("other") && !verdict.message.contains("wa,"));
    }

    /// What an API server that has a Spirit with these conditions is asked to write when this becomes known.
    async fn written(conditions: serde_json::Value, known: &Known) -> Vec<serde_json::Value> {
        let spirit = json!({
            "apiVersion": "eywa.dev/v1alpha1", "kind": "Spirit", "metadata": {"name": "barista"},
            "spec": {"persona": {"text": "x"}, "oracle": {"provider": "scripted"}},
            "status": {"conditions": conditions},
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = {
            let seen = Arc::clone(&seen);
            tower::service_fn(move |request: Request<kube::client::Body>| {
                let (seen, spirit) = (Arc::clone(&seen), spirit.clone());
                async move {
                    if request.method() == Method::PATCH {
                        assert!(request.uri().path().ends_with("/spirits/barista/status"));
                        let body = request.into_body().collect_bytes().await.unwrap();
                        let written = serde_json::from_slice(&body).unwrap();
                        seen.lock().unwrap().push(written);
                    }
                    Ok::<_, Infallible>(Response::new(Body::from(spirit.to_string())))
                }
            })
        };
        let status =
            ClusterStatus::new(Client::new(server, "default"), "default", &"barista".into());
        status.say(verdict(known)).await.unwrap();
        seen.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn a_refusal_is_said_once_and_taken_back_when_the_channel_accepts_again() {
        let refused = Known {
            refused: ["wa".into()].into(),
            ..Known::default()
        };
        let accepted = Known {
            accepted: ["wa".into()].into(),
            ..Known::default()
        };
        assert!(written(json!([]), &accepted).await.is_empty());
        let said = written(json!([]), &refused).await;
        let condition = said[0]["status"]["conditions"][0].clone();
        assert_eq!(
            (&condition["type"], &condition["status"]),
            (&json!("VoicesReady"), &json!("False"))
        );
        assert!(written(json!([condition]), &refused).await.is_empty());
        let taken_back = written(json!([condition]), &accepted).await;
        assert_eq!(taken_back[0]["status"]["conditions"][0]["status"], "True");
    }
}
