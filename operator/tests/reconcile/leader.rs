//! Leader election, against an API server in memory.

use crate::api::Api;
use eywa_operator::leader::{Elector, Timing};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/eywa/leases/eywa-operator";

fn elector(api: &Api, identity: &str) -> Elector {
    Elector::new(
        api.client(),
        "eywa",
        "eywa-operator",
        identity,
        Timing::default(),
    )
}

fn holder(api: &Api) -> Option<String> {
    api.get(LEASE)?["spec"]["holderIdentity"]
        .as_str()
        .map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_the_other_waits_for_as_long_as_it_renews() {
    let api = Api::default();
    let (mut first, mut second) = (elector(&api, "a"), elector(&api, "b"));
    first.acquire().await;
    assert_eq!(holder(&api).as_deref(), Some("a"));
    tokio::select! {
        () = first.hold() => panic!("the leader lost a Lease that it renewed"),
        () = second.acquire() => panic!("two lead"),
        () = tokio::time::sleep(Duration::from_secs(120)) => {}
    }
    assert_eq!(holder(&api).as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_at_the_next_look() {
    let api = Api::default();
    let (mut first, mut second) = (elector(&api, "a"), elector(&api, "b"));
    first.acquire().await;
    first.release().await.unwrap();
    let start = Instant::now();
    second.acquire().await;
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(holder(&api).as_deref(), Some("b"));
    assert_eq!(api.get(LEASE).unwrap()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_dead_leader_is_taken_after_its_time_whatever_its_clock_said() {
    let api = Api::default();
    elector(&api, "dead").acquire().await;
    // Renewed "in an hour": only how long it does not change counts.
    api.edit(
        LEASE,
        json!({"spec": {"renewTime": "2099-01-01T00:00:00.000000Z"}}),
    );
    let start = Instant::now();
    let mut second = elector(&api, "b");
    second.acquire().await;
    let waited = start.elapsed();
    assert!(
        waited > Duration::from_secs(15) && waited < Duration::from_secs(20),
        "{waited:?}"
    );
    assert_eq!(holder(&api).as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_gives_up_before_the_others_may_take_over() {
    let api = Api::default();
    let mut first = elector(&api, "a");
    first.acquire().await;
    api.set_down(true);
    let start = Instant::now();
    timeout(Duration::from_secs(60), first.hold())
        .await
        .expect("it leads on without a Lease");
    assert!(start.elapsed() < Timing::default().lease);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_another_took_stops_leading() {
    let api = Api::default();
    let mut first = elector(&api, "a");
    first.acquire().await;
    api.edit(LEASE, json!({"spec": {"holderIdentity": "b"}}));
    timeout(Duration::from_secs(10), first.hold())
        .await
        .expect("two lead");
    first.release().await.unwrap();
    assert_eq!(
        holder(&api).as_deref(),
        Some("b"),
        "another's Lease is not released"
    );
}
