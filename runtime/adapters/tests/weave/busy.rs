//! Two messages of one person at a time.

use std::{sync::Arc, time::Duration};

use eywa_adapters::voice::InMemoryVoice;
use eywa_weave::{ports::inbox::Acceptance, pulse::Outcome, spirit::WhenBusy};
use tokio::sync::Semaphore;

use crate::scene::{Stores, deliver, gated, parrot, pulse, spirit, texts, until};

#[tokio::test(start_paused = true)]
async fn a_pulse_that_comes_twice_is_answered_once() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let (one, other) = (
        stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard),
        stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard),
    );
    let hi = pulse("1", "ana", "hi");
    assert_eq!(
        deliver(&one, &[hi.clone(), hi.clone()]).await.unwrap(),
        [Acceptance::New, Acceptance::Duplicate]
    );
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(
        deliver(&other, std::slice::from_ref(&hi)).await.unwrap(),
        [Acceptance::Duplicate]
    );
    other.drain(Duration::from_secs(5)).await;
    assert_eq!(texts(&voice), ["hi"]);
}

#[tokio::test(start_paused = true)]
async fn a_held_bond_discards_the_pulse_and_the_chronicle_knows() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let gate = Arc::new(Semaphore::new(0));
    let oracle = gated(&gate);
    let (one, other) = (
        stores.pod(
            spirit("barista", vec![oracle.clone()]),
            &voice,
            WhenBusy::Discard,
        ),
        stores.pod(
            spirit("barista", vec![oracle.clone()]),
            &voice,
            WhenBusy::Discard,
        ),
    );
    deliver(&one, &[pulse("1", "ana", "first")]).await.unwrap();
    until(async || (!oracle.asked().is_empty()).then_some(()))
        .await
        .unwrap();
    deliver(&other, &[pulse("2", "ana", "second")])
        .await
        .unwrap();
    assert_eq!(stores.outcome("2").await, Outcome::Busy);
    gate.add_permits(1);
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(texts(&voice), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn people_do_not_wait_for_each_other() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let gate = Arc::new(Semaphore::new(0));
    let weave = stores.pod(
        spirit("barista", vec![gated(&gate)]),
        &voice,
        WhenBusy::Discard,
    );
    deliver(
        &weave,
        &[pulse("1", "ana", "ana's"), pulse("2", "ben", "ben's")],
    )
    .await
    .unwrap();
    until(async || (weave.in_flight() == 2).then_some(()))
        .await
        .unwrap();
    gate.add_permits(2);
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(stores.outcome("2").await, Outcome::Answered);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_answered_in_order_whichever_pod_took_it_in() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let gate = Arc::new(Semaphore::new(0));
    let pods = [(); 2].map(|()| {
        stores.pod(
            spirit("barista", vec![gated(&gate)]),
            &voice,
            WhenBusy::Queue,
        )
    });
    for n in 0..10 {
        let id = n.to_string();
        deliver(&pods[n % 2], &[pulse(&id, "ana", &id)])
            .await
            .unwrap();
        // Until it has the Bond or stands in the line, the next might overtake it.
        until(async || {
            (pods.iter().map(eywa_weave::Weave::in_flight).sum::<usize>() == 1).then_some(())
        })
        .await
        .unwrap();
    }
    gate.add_permits(10);
    for n in 0..10 {
        assert_eq!(stores.outcome(&n.to_string()).await, Outcome::Answered);
    }
    assert_eq!(
        texts(&voice),
        (0..10).map(|n| n.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_answered_once_when_it_is_merged() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let merge = WhenBusy::Merge {
        quiet: Duration::from_secs(2),
        cap: Duration::from_secs(20),
    };
    let weave = stores.pod(spirit("barista", vec![parrot()]), &voice, merge);
    for (id, text) in [
        ("1", "a flat white"),
        ("2", "with oat milk"),
        ("3", "please"),
    ] {
        deliver(&weave, &[pulse(id, "ana", text)]).await.unwrap();
        tokio::time::advance(Duration::from_millis(700)).await;
    }
    assert_eq!(stores.outcome("3").await, Outcome::Answered);
    assert_eq!(stores.outcome("1").await, Outcome::Merged);
    assert_eq!(stores.outcome("2").await, Outcome::Merged);
    assert_eq!(texts(&voice), ["a flat white\nwith oat milk\nplease"]);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_never_stops_is_answered_at_the_cap() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let merge = WhenBusy::Merge {
        quiet: Duration::from_secs(2),
        cap: Duration::from_secs(5),
    };
    let weave = stores.pod(spirit("barista", vec![parrot()]), &voice, merge);
    for n in 0..12 {
        deliver(&weave, &[pulse(&n.to_string(), "ana", "more")])
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(
        !voice.said().is_empty(),
        "nothing was said within twelve seconds, and the cap is five"
    );
    weave.drain(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn no_pulse_is_stranded_between_the_end_of_one_turn_and_the_next() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let pods =
        [(); 3].map(|()| stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Queue));
    for n in 0..200 {
        deliver(&pods[n % 3], &[pulse(&n.to_string(), "ana", "x")])
            .await
            .unwrap();
        if n % 7 == 0 {
            tokio::task::yield_now().await;
        }
        // The line is bounded; what is tried here is the hand-over, not the bound.
        until(async || (n < voice.said().len() + 50).then_some(()))
            .await
            .unwrap();
    }
    until(async || (voice.said().len() == 200).then_some(()))
        .await
        .expect("a Pulse was stranded");
}
