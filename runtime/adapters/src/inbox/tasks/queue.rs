//! A queue of Cloud Tasks, by its REST interface.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eywa_guard::GuardedClient;
use eywa_weave::StoreError;
use http::{HeaderValue, Method};
use jiff::Timestamp;
use serde_json::json;
use url::Url;

use super::pushes::Alarm;
use crate::google::{
    GoogleTokens,
    rest::{Call, GoogleRest, RestError, hashed},
};

const STORE: &str = "cloud tasks";

/// The longest that one request may take. A named task takes longer to create than others (Cloud Tasks, `CreateTask`).
const WITHIN: Duration = Duration::from_secs(10);
/// The most bytes of an answer: it repeats the task without its body.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How long Cloud Tasks may be told to wait for an answer (`Task.dispatchDeadline`).
const DEADLINE: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(30 * 60)];

/// Where a Spirit's alarms are, and where they go off.
#[derive(Clone, Debug)]
pub struct TaskSite {
    /// Where Cloud Tasks answers: `https://cloudtasks.googleapis.com`.
    pub base_url: Url,
    /// The queue, as `projects/P/locations/L/queues/Q`.
    pub queue: String,
    /// Where Google reaches the Spirit.
    pub url: String,
    /// The e-mail address of the service account that pushes prove themselves with.
    pub account: String,
    /// The audience of its tokens.
    pub audience: String,
    /// The Spirit's namespace.
    pub namespace: String,
    /// The Spirit.
    pub spirit: String,
    /// How long a push may take: as long as a Pulse may. Between 15 s and 30 min.
    pub push_within: Duration,
}

/// The queue of a Spirit. Cheap to clone.
#[derive(Clone)]
pub struct TaskQueue(Arc<Inner>);

struct Inner {
    rest: GoogleRest,
    site: TaskSite,
}

impl TaskQueue {
    /// The queue of the site.
    #[must_use]
    pub fn new(client: GuardedClient, tokens: GoogleTokens, site: TaskSite) -> Self {
        let rest = GoogleRest::new(client, tokens);
        Self(Arc::new(Inner { rest, site }))
    }

    pub(super) fn push_within(&self) -> Duration {
        let [shortest, longest] = DEADLINE;
        self.0.site.push_within.clamp(shortest, longest)
    }

    /// Sets an alarm; `false` when it was set before. It is asked for once: whoever asks knows when to ask again.
    pub(super) async fn create(&self, alarm: &Alarm, due: Timestamp) -> Result<bool, RestError> {
        let site = &self.0.site;
        let body = json!({"task": {
            "name": self.name(alarm),
            "scheduleTime": due.to_string(),
            "dispatchDeadline": format!("{}s", self.push_within().as_secs()),
            "httpRequest": {
                "url": site.url,
                "httpMethod": "POST",
                "headers": {"Content-Type": "application/json"},
                "body": STANDARD.encode(alarm.written()),
                "oidcToken": {"serviceAccountEmail": site.account, "audience": site.audience},
            },
        }});
        let call = Call::new(
            Method::POST,
            self.url(&site.queue, &["tasks"]),
            LONGEST_ANSWER,
        )
        .body(
            HeaderValue::from_static("application/json"),
            body.to_string(),
        );
        match self.0.rest.once(&call, WITHIN).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes an alarm back. One that is not there any more is as good.
    pub(super) async fn delete(&self, alarm: &Alarm) -> Result<(), RestError> {
        let call = Call::new(
            Method::DELETE,
            self.url(&self.name(alarm), &[]),
            LONGEST_ANSWER,
        );
        match self.0.rest.send(&call, WITHIN).await {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }

    /// What it says of a failure, and what to do about it.
    pub(super) fn explained(&self, error: &RestError) -> StoreError {
        let site = &self.0.site;
        let advice = match error.status() {
            Some(400) => ": do stores.google.tasks' queue, url and serviceAccount belong together?".to_owned(),
            Some(401) => ": the token is not accepted; are the credentials of a service account that still exists?".to_owned(),
            Some(403) => format!(
                ": give the pods' service account roles/cloudtasks.enqueuer and roles/cloudtasks.taskDeleter on {}, and \
                 roles/iam.serviceAccountUser on {}",
                site.queue, site.account
            ),
            Some(404) => format!(": is there a queue {}?", site.queue),
            _ => String::new(),
        };
        StoreError::unavailable(STORE, format!("{error}{advice}"))
    }

    /// A task's full name. It is a hash, which Cloud Tasks wants for the sake of its own speed, and which tells nobody's
    /// number.
    fn name(&self, alarm: &Alarm) -> String {
        let site = &self.0.site;
        let hash = hashed(&[&site.namespace, &site.spirit, alarm.pulse.as_str()]);
        format!("{}/tasks/{hash}-{}", site.queue, alarm.nth)
    }

    fn url(&self, resource: &str, more: &[&str]) -> Url {
        let mut url = self.0.site.base_url.clone();
        // A URL that cannot have a path is refused by the client, with the reason.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .push("v2")
                .extend(resource.split('/'))
                .extend(more);
        }
        url
    }
}

impl fmt::Debug for TaskQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskQueue").field(&self.0.site).finish()
    }
}
