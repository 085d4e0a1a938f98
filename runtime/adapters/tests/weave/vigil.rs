//! A human takes the conversation, and the Spirit is silent.

use std::{sync::Arc, time::Duration};

use eywa_adapters::{oracle::InMemoryOracle, voice::InMemoryVoice};
use eywa_weave::{
    Echo, EchoBody, Weave,
    ports::{
        Echoes as _, Vigil as _,
        oracle::Turn,
        vigil::{Phase, ReleaseReason, Target},
        voice::VoiceError,
    },
    pulse::Outcome,
    spirit::WhenBusy,
};
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::sync::Semaphore;

use crate::scene::{Stores, deliver, gated, parrot, pulse, says, session, spirit, texts, until};

async fn taken_over(stores: &Stores, target: &Target) {
    stores
        .vigil
        .take_over(target, "ana@cafe.example", Timestamp::now())
        .await
        .unwrap();
    until(async || {
        let watch = stores.vigil.settle(target, Timestamp::now()).await.unwrap();
        (watch.phase == Phase::Active).then_some(())
    })
    .await
    .expect("the takeover became Active");
}

#[tokio::test(start_paused = true)]
async fn while_a_human_has_it_a_pulse_is_kept_and_counted_and_not_answered() {
    for target in [Target::Session(session("guest")), Target::Everyone] {
        let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
        let weave = stores.pod(
            spirit("barista", vec![oracle.clone()]),
            &voice,
            WhenBusy::Discard,
        );
        taken_over(&stores, &target).await;
        deliver(&weave, &[pulse("1", "guest", "hello?")])
            .await
            .unwrap();
        assert_eq!(stores.outcome("1").await, Outcome::Vigil);
        assert_eq!(stores.vigil.state(&target).await.unwrap().unanswered, 1);
        assert!(oracle.asked().is_empty() && voice.tried().is_empty());
        let kept = stores.echoes.recent(&session("guest"), 10).await.unwrap();
        assert!(
            matches!(&kept.last().unwrap().body, EchoBody::User { text, .. } if text == "hello?"),
            "{kept:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_weave_in_flight_at_the_takeover_does_not_speak() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let gate = Arc::new(Semaphore::new(0));
    let oracle = gated(&gate);
    let weave = stores.pod(
        spirit("barista", vec![oracle.clone()]),
        &voice,
        WhenBusy::Discard,
    );
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    until(async || (!oracle.asked().is_empty()).then_some(()))
        .await
        .unwrap();
    let target = Target::Session(session("guest"));
    taken_over(&stores, &target).await;
    gate.add_permits(1);
    assert_eq!(stores.outcome("1").await, Outcome::Vigil);
    assert!(voice.tried().is_empty());
    assert_eq!(stores.vigil.state(&target).await.unwrap().unanswered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_waits_for_what_is_being_said() {
    let stores = Stores::new();
    let mouth = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&mouth);
    let voice = Arc::new(InMemoryVoice::with(move |_| {
        let opened = Arc::clone(&opened);
        async move {
            opened.acquire().await.expect("it stays").forget();
            Ok(())
        }
    }));
    let weave = stores.pod(spirit("barista", vec![parrot()]), &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    until(async || (!voice.tried().is_empty()).then_some(()))
        .await
        .unwrap();
    let target = Target::Session(session("guest"));
    let taking = stores
        .vigil
        .take_over(&target, "ana", Timestamp::now())
        .await
        .unwrap();
    assert_eq!(taking.phase, Phase::TakingOver);
    assert_eq!(
        stores
            .vigil
            .settle(&target, Timestamp::now())
            .await
            .unwrap()
            .phase,
        Phase::TakingOver
    );
    mouth.add_permits(1);
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    taken_over(&stores, &target).await;
    assert_eq!(texts(&voice), ["hi"]);
}

#[tokio::test(start_paused = true)]
async fn after_the_release_the_spirit_answers_and_knows_what_was_said_meanwhile() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = stores.pod(
        spirit("barista", vec![oracle.clone()]),
        &voice,
        WhenBusy::Discard,
    );
    let target = Target::Session(session("guest"));
    taken_over(&stores, &target).await;
    deliver(&weave, &[pulse("1", "guest", "my card was charged twice")])
        .await
        .unwrap();
    stores.outcome("1").await;
    until(async || (weave.in_flight() == 0).then_some(()))
        .await
        .unwrap();
    let human = EchoBody::Human {
        by: "ana".into(),
        text: "I have refunded one.".into(),
    };
    for (id, body) in [
        ("h1", human),
        (
            "h2",
            EchoBody::GaveBack {
                by: "ana".into(),
                reason: ReleaseReason::Human,
            },
        ),
    ] {
        let echo = Echo {
            id: id.into(),
            at: Timestamp::now(),
            pulse: None,
            body,
        };
        stores
            .echoes
            .append(&session("guest"), None, &[echo])
            .await
            .unwrap();
    }
    stores
        .vigil
        .release(&target, "ana", ReleaseReason::Human, Timestamp::now())
        .await
        .unwrap();
    deliver(&weave, &[pulse("2", "guest", "thanks")])
        .await
        .unwrap();
    assert_eq!(stores.outcome("2").await, Outcome::Answered);
    let shown = oracle.asked().remove(0).turns;
    let Turn::User { text: before, .. } = &shown[0] else {
        panic!("{shown:?}")
    };
    let Turn::Agent { text: humans, .. } = &shown[1] else {
        panic!("{shown:?}")
    };
    assert_eq!(before, "my card was charged twice");
    assert!(humans.contains("I have refunded one."), "{humans}");
}

/// Less than so many microseconds.
async fn a_while(most: u64) {
    let time = Duration::from_micros(rand::rng().random_range(0..most));
    tokio::time::sleep(time).await;
}

/// The promise, tried at many moments: once Active has been seen, the channel is asked for nothing more. Whatever the
/// Spirit does with what comes while it is busy, with two pods, and with a channel that is slow and wants to be asked
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_active_nothing_is_said_however_the_moments_fall() {
    let merge = WhenBusy::Merge {
        quiet: Duration::from_millis(1),
        cap: Duration::from_millis(4),
    };
    for when_busy in [WhenBusy::Queue, merge, WhenBusy::Discard] {
        let (before, silenced) = takeovers(when_busy).await;
        assert!(
            before > 0 && silenced > 0,
            "{when_busy:?}: the moments were all alike ({before} answered, {silenced} silenced)"
        );
    }
}

/// 200 takeovers. How many replies reached the channel before them, and how many never did.
async fn takeovers(when_busy: WhenBusy) -> (usize, usize) {
    let stores = Stores::new();
    let voice = Arc::new(
        InMemoryVoice::with(|_| async {
            a_while(1500).await;
            if rand::rng().random_ratio(1, 8) {
                return Err(VoiceError::Busy {
                    retry_after: Some(Duration::from_micros(700)),
                    message: "come back".into(),
                });
            }
            Ok(())
        })
        .repeating(),
    );
    let oracle = Arc::new(InMemoryOracle::new(|_| async {
        a_while(3000).await;
        Ok(says("something"))
    }));
    let pods = [(); 2].map(|()| {
        let barista = spirit("barista", vec![oracle.clone()]);
        stores.pod(barista, &voice, when_busy)
    });
    let tending = pods
        .clone()
        .map(|pod| tokio::spawn(async move { pod.tend().await }));
    let takeovers: Vec<_> = (0..200)
        .map(|n| {
            tokio::spawn(one_takeover(
                n,
                stores.clone(),
                Arc::clone(&voice),
                pods.clone(),
            ))
        })
        .collect();
    let (mut before, mut silenced) = (0, 0);
    for takeover in takeovers {
        let (at_active, in_the_end) = takeover.await.unwrap();
        assert_eq!(
            at_active, in_the_end,
            "{when_busy:?}: a reply was sent after the takeover was Active"
        );
        before += usize::from(at_active > 0);
        silenced += usize::from(at_active < 4);
    }
    for tending in tending {
        tending.abort();
    }
    (before, silenced)
}

/// Four Pulses of one person, at two pods, and a takeover by a third at some moment of their Weaves. How often the channel
/// was asked when it was Active, and how often in the end.
async fn one_takeover(
    n: usize,
    stores: Stores,
    voice: Arc<InMemoryVoice>,
    pods: [Weave; 2],
) -> (usize, usize) {
    let user = format!("guest-{n}");
    for m in 0..4 {
        deliver(&pods[m % 2], &[pulse(&format!("{n}.{m}"), &user, "hi")])
            .await
            .unwrap();
        a_while(1000).await;
    }
    a_while(8000).await;
    let target = Target::Session(session(&user));
    stores
        .vigil
        .take_over(&target, "ana", Timestamp::now())
        .await
        .unwrap();
    while stores
        .vigil
        .settle(&target, Timestamp::now())
        .await
        .unwrap()
        .phase
        != Phase::Active
    {
        tokio::task::yield_now().await;
    }
    let to_guest = || {
        voice
            .tried()
            .into_iter()
            .filter(|said| said.to == serde_json::json!(user))
            .count()
    };
    let at_active = to_guest();
    for m in 0..4 {
        stores.outcome(&format!("{n}.{m}")).await;
    }
    (at_active, to_guest())
}
