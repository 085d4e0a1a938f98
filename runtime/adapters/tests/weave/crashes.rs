//! Pods that die, Bonds that are lost, stores that are away.
//!
//! A pod that died leaves what it had written and nothing else: these tests write that, and let another pod find it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use eywa_adapters::{bond::InMemoryBond, oracle::InMemoryOracle, voice::InMemoryVoice};
use eywa_weave::{
    PulseId, SessionKey, StoreError, Weave,
    ports::{
        Bond, Inbox as _,
        bond::{BondGuard, Turn},
        inbox::{Depth, Speech},
        voice::VoiceError,
    },
    pulse::Outcome,
    spirit::WhenBusy,
    weave::ReceiveError,
};
use tokio::sync::Semaphore;

use crate::scene::{
    Stores, TTL, deliver, gated, parrot, pulse, says, session, spirit, texts, until,
};

/// What a pod leaves that died with the Pulse `1` of ana under its Bond.
async fn a_dead_pods_legacy(stores: &Stores, speech: Speech) {
    let hi = pulse("1", "ana", "hi");
    stores
        .inbox
        .accept(std::slice::from_ref(&hi), TTL + Duration::from_millis(500))
        .await
        .unwrap();
    stores
        .bond
        .acquire(&session("ana"), TTL)
        .await
        .unwrap()
        .expect("nobody has it");
    stores.inbox.mark(&hi.id, speech).await.unwrap();
}

/// How the legacy ended, with this pod looking after it.
async fn inherited(stores: &Stores, heir: &Weave) -> (Outcome, String) {
    let ended = tokio::select! {
        () = heir.tend() => unreachable!("it tends for ever"),
        ended = stores.entry("1") => ended,
    };
    until(async || (heir.in_flight() == 0).then_some(()))
        .await
        .unwrap();
    assert_eq!(
        stores.inbox.depth().await.unwrap(),
        Depth::default(),
        "the Inbox is empty in the end"
    );
    ended
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_pod_was_thinking_about_another_answers_once() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    a_dead_pods_legacy(&stores, Speech::Silent).await;
    let heir = stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard);
    assert_eq!(inherited(&stores, &heir).await.0, Outcome::Answered);
    assert_eq!(texts(&voice), ["hi"]);
}

#[tokio::test(start_paused = true)]
async fn a_pulse_is_never_busy_with_the_bond_of_its_own_dead_pod() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    // The lease ends while the dead pod's Bond still stands.
    let hi = pulse("1", "ana", "hi");
    stores
        .inbox
        .accept(std::slice::from_ref(&hi), Duration::from_secs(1))
        .await
        .unwrap();
    stores
        .bond
        .acquire(&session("ana"), TTL)
        .await
        .unwrap()
        .expect("nobody has it");
    let heir = stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard);
    assert_eq!(inherited(&stores, &heir).await.0, Outcome::Answered);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_may_have_been_sent_is_not_sent_again() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    a_dead_pods_legacy(&stores, Speech::Unknown).await;
    let heir = stores.pod(
        spirit("barista", vec![oracle.clone()]),
        &voice,
        WhenBusy::Discard,
    );
    let (outcome, reason) = inherited(&stores, &heir).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason.contains("at most once"), "{reason}");
    assert!(voice.tried().is_empty() && oracle.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_voice_that_would_rather_repeat_itself_sends_it_again() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new().repeating()));
    a_dead_pods_legacy(&stores, Speech::Unknown).await;
    let heir = stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard);
    assert_eq!(inherited(&stores, &heir).await.0, Outcome::Answered);
    assert_eq!(texts(&voice), ["hi"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_sent_is_never_sent_again() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new().repeating()));
    a_dead_pods_legacy(&stores, Speech::Spoken).await;
    let heir = stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard);
    assert_eq!(inherited(&stores, &heir).await.0, Outcome::Answered);
    assert!(voice.tried().is_empty());
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_a_pod_that_died_are_answered() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let pods =
        [(); 2].map(|()| stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Queue));
    a_dead_pods_legacy(&stores, Speech::Silent).await;
    deliver(&pods[0], &[pulse("2", "ana", "and a cake")])
        .await
        .unwrap();
    tokio::select! {
        () = pods[0].tend() => {}
        () = pods[1].tend() => {}
        outcome = stores.outcome("2") => assert_eq!(outcome, Outcome::Answered),
    }
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(voice.said().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_longer_than_the_ttl_keeps_its_bond() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let slow = Arc::new(InMemoryOracle::new(|_| async {
        tokio::time::sleep(TTL * 3).await;
        Ok(says("at last"))
    }));
    let mut barista = spirit("barista", vec![slow]);
    barista.oracles[0].timeout = TTL * 4;
    barista.limits.pulse_timeout = TTL * 4;
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    let other = stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard);
    tokio::time::sleep(TTL * 2).await;
    assert_eq!(
        other.reclaim().await.unwrap(),
        0,
        "the Pulse is still leased to the one that works on it"
    );
    deliver(&other, &[pulse("2", "ana", "hello?")])
        .await
        .unwrap();
    assert_eq!(stores.outcome("2").await, Outcome::Busy);
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
}

/// A Bond whose infrastructure can be taken away.
struct Shaky {
    bond: Arc<InMemoryBond>,
    away: AtomicBool,
    stolen: AtomicBool,
}

impl Shaky {
    fn check(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            Err(StoreError::unavailable("test", "it was taken away"))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Bond for Shaky {
    async fn acquire(
        &self,
        session: &SessionKey,
        ttl: Duration,
    ) -> Result<Option<BondGuard>, StoreError> {
        self.check()?;
        self.bond.acquire(session, ttl).await
    }

    async fn acquire_or_wait(
        &self,
        session: &SessionKey,
        ttl: Duration,
        ticket: &PulseId,
        take: usize,
    ) -> Result<Turn, StoreError> {
        self.check()?;
        self.bond.acquire_or_wait(session, ttl, ticket, take).await
    }

    async fn extend(&self, guard: &BondGuard, ttl: Duration) -> Result<bool, StoreError> {
        self.check()?;
        if self.stolen.load(Ordering::SeqCst) {
            return Ok(false);
        }
        self.bond.extend(guard, ttl).await
    }

    async fn line(&self, guard: &BondGuard, most: usize) -> Result<Vec<PulseId>, StoreError> {
        self.check()?;
        self.bond.line(guard, most).await
    }

    async fn release_or_next(
        &self,
        guard: &BondGuard,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<PulseId>, StoreError> {
        self.check()?;
        self.bond.release_or_next(guard, ttl, most).await
    }

    async fn release(&self, guard: &BondGuard) -> Result<bool, StoreError> {
        self.check()?;
        self.bond.release(guard).await
    }

    async fn busy(&self, sessions: &[SessionKey]) -> Result<Vec<bool>, StoreError> {
        self.check()?;
        self.bond.busy(sessions).await
    }
}

fn shaky(stores: &Stores) -> Arc<Shaky> {
    let bond = Arc::clone(&stores.bond);
    Arc::new(Shaky {
        bond,
        away: AtomicBool::new(false),
        stolen: AtomicBool::new(false),
    })
}

#[tokio::test(start_paused = true)]
async fn a_failed_bond_is_not_a_held_one_and_the_pulse_is_answered_when_it_is_back() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let bond = shaky(&stores);
    bond.away.store(true, Ordering::SeqCst);
    let weave = stores
        .builder(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard)
        .bond(bond.clone())
        .build()
        .unwrap();
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    until(async || (weave.in_flight() == 0).then_some(()))
        .await
        .unwrap();
    assert_eq!(
        stores.inbox.depth().await.unwrap().pulses,
        1,
        "it stays in the Inbox"
    );
    bond.away.store(false, Ordering::SeqCst);
    assert_eq!(inherited(&stores, &weave).await.0, Outcome::Answered);
}

#[tokio::test(start_paused = true)]
async fn a_weave_that_finds_its_bond_lost_stops_before_it_speaks() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    for away in [false, true] {
        let gate = Arc::new(Semaphore::new(0));
        let (bond, oracle) = (shaky(&stores), gated(&gate));
        let weave = stores
            .builder(
                spirit("barista", vec![oracle.clone()]),
                &voice,
                WhenBusy::Discard,
            )
            .bond(bond.clone())
            .build()
            .unwrap();
        let id = format!("away-{away}");
        deliver(&weave, &[pulse(&id, &id, "hi")]).await.unwrap();
        until(async || (!oracle.asked().is_empty()).then_some(()))
            .await
            .unwrap();
        if away { &bond.away } else { &bond.stolen }.store(true, Ordering::SeqCst);
        tokio::time::sleep(TTL).await;
        gate.add_permits(1);
        until(async || (weave.in_flight() == 0).then_some(()))
            .await
            .unwrap();
        assert!(
            voice.tried().is_empty(),
            "it spoke without a Bond (away: {away})"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_busy_is_tried_again_and_one_that_may_have_heard_is_not() {
    let stores = Stores::new();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let voice = Arc::new(InMemoryVoice::with(move |said| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            match said.text.as_str() {
                "busy" if first => Err(VoiceError::Busy {
                    retry_after: None,
                    message: "131056".into(),
                }),
                "busy" => Ok(()),
                _ => Err(VoiceError::Unknown {
                    message: "the connection broke".into(),
                }),
            }
        }
    }));
    let weave = stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "ana", "busy")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    deliver(&weave, &[pulse("2", "ben", "broken")])
        .await
        .unwrap();
    assert_eq!(stores.outcome("2").await, Outcome::Failed);
    assert_eq!(
        tries.load(Ordering::SeqCst),
        3,
        "what may have been heard is not said again"
    );
}

#[tokio::test(start_paused = true)]
async fn draining_takes_nothing_new_and_finishes_what_it_has() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let gate = Arc::new(Semaphore::new(0));
    let weave = stores.pod(
        spirit("barista", vec![gated(&gate)]),
        &voice,
        WhenBusy::Discard,
    );
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    let draining = weave.clone();
    let drained = tokio::spawn(async move { draining.drain(Duration::from_secs(25)).await });
    tokio::task::yield_now().await;
    let refused = deliver(&weave, &[pulse("2", "ben", "hi")]).await;
    assert!(
        matches!(refused, Err(ReceiveError::Draining)),
        "{refused:?}"
    );
    gate.add_permits(1);
    drained.await.unwrap();
    assert_eq!(texts(&voice), ["hi"]);
}

#[tokio::test(start_paused = true)]
async fn beyond_what_can_be_worked_on_webhooks_are_turned_away_whole() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let gate = Arc::new(Semaphore::new(0));
    let weave = stores
        .builder(
            spirit("barista", vec![gated(&gate)]),
            &voice,
            WhenBusy::Discard,
        )
        .most_in_flight(2)
        .build()
        .unwrap();
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    let refused = deliver(&weave, &[pulse("2", "ben", "hi"), pulse("3", "eve", "hi")]).await;
    assert!(matches!(refused, Err(ReceiveError::Full)), "{refused:?}");
    assert_eq!(
        stores.inbox.depth().await.unwrap().pulses,
        1,
        "none of the webhook was accepted"
    );
    gate.add_permits(1);
    stores.outcome("1").await;
}
