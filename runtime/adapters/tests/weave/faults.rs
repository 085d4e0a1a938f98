//! What the Weave does about each way in which an Oracle can fail.

use std::{sync::Arc, time::Duration};

use eywa_adapters::{oracle::InMemoryOracle, voice::InMemoryVoice};
use eywa_weave::{
    ports::oracle::{Fault, Reply, Stop, Turn},
    pulse::Outcome,
    spirit::WhenBusy,
};
use tokio::time::Instant;

use crate::scene::{Stores, deliver, fails, parrot, pulse, spirit, texts};

/// An Oracle that fails like this as often as this, and then answers.
fn failing(fault: Fault, times: usize) -> Arc<InMemoryOracle> {
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(times));
    Arc::new(InMemoryOracle::new(move |asked| {
        let fail = left
            .fetch_update(
                std::sync::atomic::Ordering::SeqCst,
                std::sync::atomic::Ordering::SeqCst,
                |left| left.checked_sub(1),
            )
            .is_ok();
        async move {
            if fail {
                Err(fails(fault))
            } else {
                Ok(crate::scene::says(&crate::scene::last_words(&asked)))
            }
        }
    }))
}

/// Delivers one Pulse to a Spirit with these Oracles; how it ended, and how long that took.
async fn answered(oracles: &[Arc<InMemoryOracle>]) -> (Outcome, String, Duration, Vec<String>) {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracles = oracles
        .iter()
        .map(|oracle| Arc::clone(oracle) as _)
        .collect();
    let weave = stores.pod(spirit("barista", oracles), &voice, WhenBusy::Discard);
    let began = Instant::now();
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    let (outcome, why) = stores.entry("1").await;
    (outcome, why, began.elapsed(), texts(&voice))
}

#[tokio::test(start_paused = true)]
async fn what_asking_again_cannot_mend_goes_to_the_next_oracle_at_once() {
    for fault in [Fault::Unauthorized, Fault::Malformed] {
        let (first, second) = (failing(fault, 9), parrot());
        let (outcome, ..) = answered(&[first.clone(), second]).await;
        assert_eq!(outcome, Outcome::Answered, "{fault:?}");
        assert_eq!(first.asked().len(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_asked_again_before_the_next_oracle_is() {
    for fault in [Fault::Overloaded, Fault::TimedOut, Fault::RateLimited(None)] {
        let (first, second) = (failing(fault, 2), parrot());
        let (outcome, _, took, _) = answered(&[first.clone(), second.clone()]).await;
        assert_eq!(outcome, Outcome::Answered, "{fault:?}");
        assert_eq!(
            (first.asked().len(), second.asked().len()),
            (3, 0),
            "{fault:?}"
        );
        assert!(took >= Duration::from_millis(750), "with pauses: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_oracle_that_hangs_leaves_time_for_the_next() {
    let hangs = Arc::new(InMemoryOracle::new(|_| std::future::pending()));
    let next = parrot();
    let (outcome, why, ..) = answered(&[hangs.clone(), next.clone()]).await;
    assert_eq!(outcome, Outcome::Answered, "{why}");
    assert_eq!((hangs.asked().len(), next.asked().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_oracle_that_spends_its_tokens_before_it_speaks_says_what_to_raise() {
    let silent = Arc::new(InMemoryOracle::new(|_| async {
        Ok(Reply {
            stop: Stop::Length,
            ..crate::scene::says("")
        })
    }));
    let (outcome, why, _, said) = answered(&[silent]).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(why.contains("raise the Oracle's maxTokens"), "{why}");
    assert!(said.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_providers_hint_is_waited_for_and_never_for_longer_than_ten_seconds() {
    for (hint, least, most) in [(4, 4, 7), (3600, 10, 11)] {
        let oracle = failing(Fault::RateLimited(Some(Duration::from_secs(hint))), 1);
        let (outcome, _, took, _) = answered(&[oracle]).await;
        assert_eq!(outcome, Outcome::Answered);
        let bounds = Duration::from_secs(least)..Duration::from_secs(most);
        assert!(bounds.contains(&took), "{hint} s: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_stays_too_long_goes_to_the_next_oracle_as_it_was_shortened() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let (first, second) = (parrot(), parrot());
    let before = stores.pod(spirit("barista", vec![first]), &voice, WhenBusy::Discard);
    for id in ["1", "2", "3", "4"] {
        deliver(&before, &[pulse(id, "guest", id)]).await.unwrap();
        assert_eq!(stores.outcome(id).await, Outcome::Answered);
        crate::scene::until(async || (before.in_flight() == 0).then_some(()))
            .await
            .unwrap();
    }
    let short = failing(Fault::TooLong, 9);
    let after = stores.pod(
        spirit("barista", vec![short.clone(), second.clone()]),
        &voice,
        WhenBusy::Discard,
    );
    deliver(&after, &[pulse("5", "guest", "5")]).await.unwrap();
    assert_eq!(stores.outcome("5").await, Outcome::Answered);
    let asked = short.asked();
    assert_eq!(asked.len(), 2, "once as it is, once shortened");
    assert!(asked[1].turns.len() < asked[0].turns.len());
    assert_eq!(second.asked()[0].turns, asked[1].turns);
    assert!(matches!(asked[1].turns[0], Turn::User { .. }));
}

#[tokio::test(start_paused = true)]
async fn when_no_oracle_answers_the_last_ones_reason_is_told() {
    let (outcome, why, _, said) = answered(&[
        failing(Fault::Unauthorized, 9),
        failing(Fault::Malformed, 9),
    ])
    .await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(why.contains("it was told to"), "{why}");
    assert!(said.is_empty());
}
