//! Events where a person would look for one: `kubectl describe` on the object that it is about.
//!
//! An Event is published when something changes, never because a reconcile ran again. An Event that cannot be written is
//! logged and dropped: it never fails a reconcile.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::warn;

/// The API's limit on an Event's note, in bytes.
const NOTE_LIMIT: usize = 1024;

/// Publishes Events in the operator's name. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    client: Client,
    reporter: Reporter,
}

impl Events {
    /// A publisher; `instance` is the pod's name.
    #[must_use]
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter {
            controller: "eywa-operator".to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self { client, reporter }
    }

    /// Something that went as it should.
    pub async fn normal(&self, about: &ObjectReference, action: &str, reason: &str, note: &str) {
        self.publish(EventType::Normal, about, action, reason, note)
            .await;
    }

    /// Something that a person should look at.
    pub async fn warning(&self, about: &ObjectReference, action: &str, reason: &str, note: &str) {
        self.publish(EventType::Warning, about, action, reason, note)
            .await;
    }

    async fn publish(
        &self,
        type_: EventType,
        about: &ObjectReference,
        action: &str,
        reason: &str,
        note: &str,
    ) {
        let end = (0..=note.len().min(NOTE_LIMIT))
            .rev()
            .find(|&at| note.is_char_boundary(at))
            .unwrap_or(0);
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note[..end].to_owned()),
            action: action.to_owned(),
            secondary: None,
        };
        // A new recorder each time: one that is kept folds Events of one reason into the first, whose note may be about
        // something else.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = recorder.publish(&event, about).await {
            warn!(%error, reason, "an Event could not be written");
        }
    }
}
