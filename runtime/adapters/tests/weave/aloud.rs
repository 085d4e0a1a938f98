//! Replies that are heard while they are being made, and Oracles that are left alone.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use eywa_adapters::{action::InMemoryAction, oracle::InMemoryOracle, voice::InMemoryVoice};
use eywa_weave::{
    EchoBody,
    ports::{
        Echoes as _, Oracle, Vigil as _,
        oracle::{Fault, OnText, OracleError, Question, Reply},
        vigil::{Phase, Target},
    },
    pulse::Outcome,
    spirit::WhenBusy,
    tool::ToolCall,
};
use jiff::Timestamp;
use serde_json::json;

use crate::scene::{Stores, deliver, fails, pulse, says, session, spirit, texts, until};

/// What a streaming Oracle does: it says these pieces, a time apart, and then this.
struct Act {
    pieces: &'static [&'static str],
    apart: Duration,
    end: Result<Reply, Fault>,
}

/// An Oracle that does one act for each question.
struct Streaming(Mutex<VecDeque<Act>>);

impl Streaming {
    fn of(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(acts.into_iter().collect())))
    }
}

#[async_trait]
impl Oracle for Streaming {
    fn provider(&self) -> &'static str {
        "streaming"
    }

    fn model(&self) -> &str {
        "test"
    }

    async fn ask(
        &self,
        _: Question<'_>,
        mut on_text: Option<OnText<'_>>,
    ) -> Result<Reply, OracleError> {
        let act = self.0.lock().unwrap().pop_front().expect("one more act");
        for piece in act.pieces {
            if let Some(on_text) = &mut on_text {
                on_text(piece);
            }
            tokio::time::sleep(act.apart).await;
        }
        act.end.map_err(fails)
    }
}

const SOON: Duration = Duration::from_millis(300);

fn act(pieces: &'static [&'static str], end: Result<Reply, Fault>) -> Act {
    Act {
        pieces,
        apart: SOON,
        end,
    }
}

fn listening() -> Arc<InMemoryVoice> {
    Arc::new(InMemoryVoice::new().listening())
}

/// What the listener heard, the empty beginning left out.
fn heard(voice: &InMemoryVoice) -> Vec<String> {
    let heard = voice.heard();
    assert_eq!(heard.first().map(String::as_str), Some("<again>"));
    heard[1..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_heard_as_it_comes_and_spoken_whole_in_the_end() {
    let (stores, voice) = (Stores::new(), listening());
    let oracle = Streaming::of([act(
        &["Two ", "flat ", "whites."],
        Ok(says("Two flat whites.")),
    )]);
    let weave = stores.pod(spirit("barista", vec![oracle]), &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(heard(&voice), ["Two ", "flat ", "whites."]);
    assert_eq!(texts(&voice), ["Two flat whites."]);
    // The permit was given back: a takeover need not wait.
    let target = Target::Session(session("guest"));
    stores
        .vigil
        .take_over(&target, "ana", Timestamp::now())
        .await
        .unwrap();
    let settled = stores
        .vigil
        .settle(&target, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(settled.phase, Phase::Active);
}

#[tokio::test(start_paused = true)]
async fn a_voice_without_a_listener_gets_the_same_reply() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Streaming::of([act(&["Two ", "flat whites."], Ok(says("Two flat whites.")))]);
    let weave = stores.pod(spirit("barista", vec![oracle]), &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert!(voice.heard().is_empty());
    assert_eq!(texts(&voice), ["Two flat whites."]);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_oracle_said_is_taken_back_before_the_next_one_speaks() {
    let (stores, voice) = (Stores::new(), listening());
    let first = Streaming::of([act(&["I am br"], Err(Fault::Malformed))]);
    let second = Streaming::of([act(&["Here I am."], Ok(says("Here I am.")))]);
    let weave = stores.pod(
        spirit("barista", vec![first, second]),
        &voice,
        WhenBusy::Discard,
    );
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(heard(&voice), ["I am br", "<again>", "Here I am."]);
}

#[tokio::test(start_paused = true)]
async fn words_before_a_call_are_taken_back_and_the_call_is_told() {
    let (stores, voice) = (Stores::new(), listening());
    let calls = Reply {
        text: "Let me see.".into(),
        calls: vec![ToolCall {
            id: "c".into(),
            name: "menu".into(),
            arguments: json!({}),
            sealed: None,
        }],
        ..Reply::default()
    };
    let oracle = Streaming::of([
        act(&["Let me ", "see."], Ok(calls)),
        act(&["Tea."], Ok(says("Tea."))),
    ]);
    let mut barista = spirit("barista", vec![oracle]);
    let menu = InMemoryAction::new("menu", json!({"type": "object"}), |_| async {
        Ok("tea".to_owned())
    });
    barista.actions = vec![Arc::new(menu.unwrap())];
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(
        heard(&voice),
        ["Let me ", "see.", "<again>", "<tool menu>", "Tea."]
    );
    assert_eq!(texts(&voice), ["Tea."]);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_in_the_middle_stops_the_stream_and_nothing_is_heard_once_it_is_active() {
    let (stores, voice) = (Stores::new(), listening());
    const WORDS: &[&str] = &["one "; 200];
    let oracle = Streaming::of([act(WORDS, Ok(says("all of it")))]);
    let weave = stores.pod(spirit("barista", vec![oracle]), &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    until(async || (voice.heard().len() > 5).then_some(()))
        .await
        .unwrap();
    let target = Target::Session(session("guest"));
    let began = tokio::time::Instant::now();
    stores
        .vigil
        .take_over(&target, "ana", Timestamp::now())
        .await
        .unwrap();
    let at_active = until(async || {
        let watch = stores
            .vigil
            .settle(&target, Timestamp::now())
            .await
            .unwrap();
        (watch.phase == Phase::Active).then(|| voice.heard())
    })
    .await
    .unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "a takeover waits a second or so, not for the whole answer: {:?}",
        began.elapsed()
    );
    assert_eq!(stores.outcome("1").await, Outcome::Vigil);
    assert_eq!(voice.heard(), at_active, "something was heard after Active");
    assert_eq!(at_active.last().unwrap(), "<silence>");
    assert!(voice.tried().is_empty(), "the whole was not spoken");
    // What the person had heard by then is known to whoever took over.
    let echoes = stores.echoes.recent(&session("guest"), 10).await.unwrap();
    let said = heard(&voice).concat().replace("<silence>", "");
    assert!(
        echoes
            .iter()
            .any(|echo| matches!(&echo.body, EchoBody::Agent { text, .. } if *text == said)),
        "{echoes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn not_one_word_is_heard_when_a_human_takes_over_before_the_first() {
    let (stores, voice) = (Stores::new(), listening());
    let oracle = Streaming::of([act(&["", "too late"], Ok(says("too late")))]);
    let weave = stores.pod(spirit("barista", vec![oracle]), &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "guest", "hi")]).await.unwrap();
    until(async || (!voice.heard().is_empty()).then_some(()))
        .await
        .unwrap();
    let target = Target::Session(session("guest"));
    stores
        .vigil
        .take_over(&target, "ana", Timestamp::now())
        .await
        .unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Vigil);
    assert_eq!(voice.heard(), ["<again>", "<silence>"]);
    assert!(voice.tried().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dead_oracle_costs_a_few_pulses_their_time_and_then_none() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let dead = Arc::new(InMemoryOracle::new(|_| std::future::pending()));
    let alive = Arc::new(InMemoryOracle::new(|_| async { Ok(says("here")) }));
    let mut barista = spirit("barista", vec![dead.clone(), alive]);
    barista.oracles[0].timeout = Duration::from_secs(20);
    barista.limits.pulse_timeout = Duration::from_secs(600);
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    let answer = async |id: &str| {
        let began = tokio::time::Instant::now();
        deliver(&weave, &[pulse(id, id, "hi")]).await.unwrap();
        assert_eq!(stores.outcome(id).await, Outcome::Answered);
        began.elapsed()
    };
    assert!(answer("1").await >= Duration::from_secs(60), "three tries");
    assert!(answer("2").await >= Duration::from_secs(40), "two more");
    assert_eq!(dead.asked().len(), 5);
    assert!(answer("3").await < Duration::from_secs(1));
    assert_eq!(dead.asked().len(), 5, "it is left alone");
    tokio::time::sleep(Duration::from_secs(15)).await;
    let probed = answer("4").await;
    assert_eq!(dead.asked().len(), 6, "one question finds out");
    assert!(probed < Duration::from_secs(25), "{probed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_oracle_that_answers_again_is_asked_again() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = Arc::clone(&mended);
    let oracle = Arc::new(InMemoryOracle::new(move |_| {
        let mended = state.load(std::sync::atomic::Ordering::Relaxed);
        async move {
            if mended {
                Ok(says("back"))
            } else {
                Err(fails(Fault::Overloaded))
            }
        }
    }));
    let weave = stores.pod(
        spirit("barista", vec![oracle.clone()]),
        &voice,
        WhenBusy::Discard,
    );
    for id in ["1", "2", "3"] {
        deliver(&weave, &[pulse(id, id, "hi")]).await.unwrap();
        assert_eq!(stores.outcome(id).await, Outcome::Failed);
    }
    let (_, why) = stores.entry("3").await;
    assert!(why.contains("left alone"), "{why}");
    assert_eq!(oracle.asked().len(), 5);
    mended.store(true, std::sync::atomic::Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(15)).await;
    for id in ["4", "5"] {
        deliver(&weave, &[pulse(id, id, "hi")]).await.unwrap();
        assert_eq!(stores.outcome(id).await, Outcome::Answered);
    }
}
