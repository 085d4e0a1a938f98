//! Pulses that Cloud Tasks brings to another pod: whole runtimes over real sockets, each on threads of its own, so that one
//! can die; stand-ins for Cloud Tasks and for the Graph API.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, and does not see that all of this is one"
)]

#[path = "../../../adapters/tests/stores/google/cloud_tasks.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod cloud_tasks;
mod door;
#[path = "../../../adapters/tests/stores/google/identity.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod identity;
mod pod;

use eywa_weave::ports::{Inbox as _, inbox::Depth};

use self::pod::{Ward, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pulse_whose_pod_died_is_brought_to_one_that_was_not_running_and_answered_once() {
    let ward = Ward::open().await;
    ward.tasks.queue().twice = true;
    let first = ward.pod("60s");
    assert_eq!(ward.says("wamid.1", "a flat white, please").await, 200);
    until(
        "the alarm to be set, and the model to be asked",
        async || ward.tasks.queue().tasks.len() == 1 && first.in_flight() == 1,
    )
    .await;
    first.die();
    let second = ward.pod("0s");
    until("the reply", async || !ward.sent().is_empty()).await;
    // The other of two pushes found it leased and set the next alarm, which finds nothing to do.
    until("the queue to be empty", async || {
        ward.tasks.queue().tasks.is_empty()
    })
    .await;
    until("the pod to rest", async || second.in_flight() == 0).await;
    let sent = ward.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["text"]["body"], "here you are");
    assert_eq!(ward.inbox.depth().await.unwrap(), Depth::default());
    let pushes = ward.tasks.queue().pushes.clone();
    assert!(
        pushes.iter().all(|(_, status)| [0, 204].contains(status)),
        "{pushes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_lives_keeps_its_pulse_however_long_it_takes() {
    let ward = Ward::open().await;
    // Longer than the lease: the alarm goes off meanwhile.
    let pod = ward.pod("5s");
    assert_eq!(ward.says("wamid.1", "a flat white, please").await, 200);
    until("the alarm to go off", async || {
        !ward.tasks.queue().pushes.is_empty()
    })
    .await;
    let (name, status) = ward.tasks.queue().pushes[0].clone();
    assert!(name.ends_with("-0") && status == 204, "{name}: {status}");
    assert!(ward.sent().is_empty());
    until("the queue to be empty", async || {
        ward.tasks.queue().tasks.is_empty()
    })
    .await;
    until("the pod to rest", async || pod.in_flight() == 0).await;
    assert_eq!(ward.sent().len(), 1);
    let last = ward.tasks.queue().pushes.last().unwrap().clone();
    assert!(last.0.ends_with("-1") && last.1 == 204, "{last:?}");
    let metrics = pod.metrics();
    assert!(
        metrics.contains(r#"eywa_inbox_alarms_total{outcome="created",spirit="barista"} 1"#),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pulse_that_is_answered_in_time_leaves_nothing_at_google() {
    let ward = Ward::open().await;
    let pod = ward.pod("0s");
    assert_eq!(ward.says("wamid.1", "a flat white, please").await, 200);
    until("the alarm to be taken back", async || {
        let deleted = r#"eywa_inbox_alarms_total{outcome="deleted",spirit="barista"} 1"#;
        pod.metrics().contains(deleted)
    })
    .await;
    let queue = ward.tasks.queue();
    assert!(queue.tasks.is_empty() && queue.pushes.is_empty());
    assert_eq!(ward.sent().len(), 1);
}
