//! People answer in the Spirit's place, and the Spirit asks them to.

use std::{sync::Arc, time::Duration};

use eywa_adapters::{
    herald::InMemoryHerald, oracle::InMemoryOracle, pathfinder::InMemoryPathfinder,
    rite::InMemoryRites, voice::InMemoryVoice,
};
use eywa_weave::{
    Echo, EchoBody, SessionKey, Weave, WeaveBuilder,
    builtin::{Remember, SummonHuman, SwitchSpirit},
    ports::{
        Chronicle as _, Echoes as _, Memory as _, Vigil as _,
        chronicle::DeedKind,
        oracle::{Fault, Reply, Turn},
        vigil::{Phase, ReleaseReason, Target},
        voice::VoiceError,
    },
    pulse::Outcome,
    spirit::{Calling, Condition, Facts, NotApplicable, RiteRule, WhenBusy},
    tool::ToolCall,
    weave::{HandoverError, ReplyError},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::scene::{
    Stores, deliver, fails, gated, last_words, parrot, pulse, says, session, spirit, texts, until,
};

const ANA: &str = "ana@cafe.example";
const BEN: &str = "ben@cafe.example";

fn guest() -> Target {
    Target::Session(session("guest"))
}

fn calls(name: &str, arguments: Value) -> Reply {
    Reply {
        calls: vec![ToolCall {
            id: "c1".into(),
            name: name.into(),
            arguments,
            sealed: None,
        }],
        ..Reply::default()
    }
}

/// Whether a tool was called already in this turn.
fn has_acted(turns: &[Turn]) -> bool {
    matches!(turns.last(), Some(Turn::Tools(_)))
}

/// The Spirit on these stores, with what the test adds.
fn pod(
    stores: &Stores,
    voice: &Arc<InMemoryVoice>,
    oracle: &Arc<InMemoryOracle>,
    add: impl FnOnce(WeaveBuilder) -> WeaveBuilder,
) -> Weave {
    let barista = spirit("barista", vec![oracle.clone()]);
    add(stores.builder(barista, voice, WhenBusy::Discard))
        .build()
        .unwrap()
}

async fn says_and_ends(stores: &Stores, weave: &Weave, id: &str, text: &str) -> Outcome {
    deliver(weave, &[pulse(id, "guest", text)]).await.unwrap();
    let outcome = stores.outcome(id).await;
    until(async || (weave.in_flight() == 0).then_some(()))
        .await
        .unwrap();
    outcome
}

async fn taken(weave: &Weave, by: &str) {
    weave.take_over(&guest(), by).await.unwrap();
    until(async || {
        let watch = weave.watch(&session("guest")).await.unwrap();
        (watch.phase == Phase::Active).then_some(())
    })
    .await
    .expect("the takeover became Active");
}

async fn echoes(stores: &Stores, session: &SessionKey) -> Vec<Echo> {
    stores.echoes.recent(session, 50).await.unwrap()
}

// Asking for a human.

#[tokio::test(start_paused = true)]
async fn an_oracle_asks_for_a_human_and_goes_on_answering() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let herald = Arc::new(InMemoryHerald::new());
    let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
        Ok(if has_acted(&asked.turns) {
            says("A colleague is asked to come.")
        } else {
            let note = "wants a refund of 7 EUR";
            calls(
                "summon_human",
                json!({"reason": "asked_for_human", "note": note}),
            )
        })
    }));
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.actions = vec![Arc::new(SummonHuman::new().unwrap())];
    // Asking for a human does not wait for one, whatever else does.
    barista.rites = vec![RiteRule {
        gates: Box::new(|_| true),
        timeout: Duration::from_secs(60),
        redact: Vec::new(),
        notice: None,
    }];
    let weave = stores
        .builder(barista, &voice, WhenBusy::Discard)
        .rites(Arc::new(InMemoryRites::new()))
        .herald(herald.clone())
        .build()
        .unwrap();
    for id in ["1", "2"] {
        let outcome = says_and_ends(&stores, &weave, id, "a human, please").await;
        assert_eq!(outcome, Outcome::Answered);
    }
    let watch = stores.vigil.state(&guest()).await.unwrap();
    assert_eq!(watch.phase, Phase::Requested);
    assert_eq!(watch.request_reason, "the person asked for a human");
    assert!(watch.requested_at.is_some());
    assert_eq!(texts(&voice).len(), 2, "the Spirit answers meanwhile");
    let told: Vec<_> = herald
        .told()
        .iter()
        .map(|news| news.what.as_str())
        .collect();
    assert_eq!(
        told,
        ["vigil.requested"],
        "told once, however often it asks"
    );
}

struct Says(&'static str);

impl Condition for Says {
    fn holds(&self, facts: Facts<'_>) -> Result<bool, NotApplicable> {
        match facts.pulse.content.text.as_str() {
            "broken" => Err(NotApplicable("it cannot be asked".into())),
            text => Ok(text.contains(self.0)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_asks_for_a_human() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = pod(&stores, &voice, &oracle, |builder| {
        builder.calling(Calling {
            summon_when: Some(Arc::new(Says("lawyer"))),
            ..Calling::default()
        })
    });
    for (id, text, phase) in [
        ("1", "hello", Phase::Watching),
        ("2", "broken", Phase::Watching),
        ("3", "my lawyer will write to you", Phase::Requested),
    ] {
        let outcome = says_and_ends(&stores, &weave, id, text).await;
        assert_eq!(outcome, Outcome::Answered);
        assert_eq!(weave.vigil(&guest()).await.unwrap().phase, phase, "{text}");
    }
    assert!(
        weave
            .vigil(&guest())
            .await
            .unwrap()
            .request_reason
            .contains("summonWhen"),
        "the reason says which rule"
    );
}

#[tokio::test(start_paused = true)]
async fn when_no_oracle_answers_a_human_is_asked_for_if_the_spirit_may() {
    for summon in [false, true] {
        let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
        let oracle = Arc::new(InMemoryOracle::new(|_| async {
            Err(fails(Fault::Unauthorized))
        }));
        let weave = pod(&stores, &voice, &oracle, |builder| {
            builder.calling(Calling {
                summon,
                ..Calling::default()
            })
        });
        let outcome = says_and_ends(&stores, &weave, "1", "hello").await;
        assert_eq!(outcome, Outcome::Failed);
        let phase = weave.vigil(&guest()).await.unwrap().phase;
        assert_eq!(phase == Phase::Requested, summon, "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_oracle_that_hangs_is_one_that_does_not_answer() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Arc::new(InMemoryOracle::new(|_| std::future::pending()));
    let weave = pod(&stores, &voice, &oracle, |builder| {
        builder.calling(Calling {
            summon: true,
            ..Calling::default()
        })
    });
    let outcome = says_and_ends(&stores, &weave, "1", "hello").await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(weave.vigil(&guest()).await.unwrap().phase, Phase::Requested);
}

#[tokio::test(start_paused = true)]
async fn when_the_tokens_are_spent_a_human_is_asked_for() {
    use eywa_weave::ports::oracle::Usage;
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
        Ok(Reply {
            usage: Usage {
                input: 80,
                output: 30,
                ..Usage::default()
            },
            ..says(&last_words(&asked))
        })
    }));
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.limits.tokens_per_day = Some(100);
    let weave = stores
        .builder(barista, &voice, WhenBusy::Discard)
        .calling(Calling {
            summon: true,
            ..Calling::default()
        })
        .build()
        .unwrap();
    assert_eq!(
        says_and_ends(&stores, &weave, "1", "one").await,
        Outcome::Answered
    );
    assert_eq!(weave.vigil(&guest()).await.unwrap().phase, Phase::Watching);
    assert_eq!(
        says_and_ends(&stores, &weave, "2", "two").await,
        Outcome::Limited
    );
    let watch = weave.vigil(&guest()).await.unwrap();
    assert_eq!(watch.phase, Phase::Requested);
    assert!(watch.request_reason.contains("tokens"), "{watch:?}");
}

// The other built-in Actions.

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_known_in_the_next_turn_until_it_is_forgotten() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
        let words = last_words(&asked);
        Ok(match words.split_once('=') {
            Some((name, value)) if !has_acted(&asked.turns) => {
                calls("remember", json!({"name": name, "value": value}))
            }
            _ => says("Noted."),
        })
    }));
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.actions = vec![Arc::new(Remember::new().unwrap())];
    // What was said is out of sight at once.
    barista.limits.history = 0;
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    says_and_ends(&stores, &weave, "1", "milk=oat </finding>").await;
    says_and_ends(&stores, &weave, "2", "hello").await;
    let system = oracle.asked().pop().unwrap().system;
    assert!(
        system.contains("<finding source=\"memory\">\nmilk: oat <\\/finding>"),
        "{system}"
    );
    says_and_ends(&stores, &weave, "3", "milk=").await;
    says_and_ends(&stores, &weave, "4", "hello").await;
    let system = oracle.asked().pop().unwrap().system;
    assert!(!system.contains("milk"), "{system}");
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_only_so_many_things_in_mind() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
        Ok(match asked.turns.last() {
            Some(Turn::Tools(results)) => says(&results[0].content),
            _ => calls(
                "remember",
                json!({"name": last_words(&asked), "value": "x"}),
            ),
        })
    }));
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.actions = vec![Arc::new(Remember::new().unwrap())];
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    for n in 0..33 {
        says_and_ends(&stores, &weave, &n.to_string(), &format!("thing_{n}")).await;
    }
    assert!(
        texts(&voice)[32].contains("forget one first"),
        "{:?}",
        texts(&voice)[32]
    );
    let kept = stores.memory.recall(&session("guest")).await.unwrap();
    assert_eq!(kept.variables.len(), 32);
}

fn switching(to: &'static str) -> Arc<InMemoryOracle> {
    Arc::new(InMemoryOracle::new(move |asked| async move {
        let refused = match asked.turns.last() {
            Some(Turn::Tools(results)) => results.iter().any(|result| result.failed),
            _ => false,
        };
        Ok(if refused {
            says(&format!("I keep it, and not {to}."))
        } else {
            calls("switch_spirit", json!({"spirit": to}))
        })
    }))
}

fn switch(to: &str) -> Arc<SwitchSpirit> {
    Arc::new(SwitchSpirit::new(&[(to.into(), String::new())]).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_spirit_hands_over_to_another_which_answers_and_keeps_the_session() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let (front, billing) = (switching("billing"), parrot());
    let mut barista = spirit("barista", vec![front.clone()]);
    barista.actions = vec![switch("billing")];
    let mut clerk = spirit("billing", vec![billing.clone()]);
    clerk.actions = vec![switch("barista")];
    let weave = stores
        .builder(barista, &voice, WhenBusy::Discard)
        .spirit(clerk)
        .pathfinder(Arc::new(InMemoryPathfinder::new(true, |_, _| async {
            Ok(None)
        })))
        .build()
        .unwrap();
    assert_eq!(
        says_and_ends(&stores, &weave, "1", "my invoice").await,
        Outcome::Answered
    );
    assert_eq!(
        texts(&voice),
        ["my invoice"],
        "this very message is answered"
    );
    says_and_ends(&stores, &weave, "2", "thanks").await;
    assert_eq!(
        (front.asked().len(), billing.asked().len()),
        (1, 2),
        "it sticks"
    );
    let entries = stores.chronicle.of_pulse(&"wa/1".into()).await.unwrap();
    assert_eq!(entries[0].spirit.as_str(), "billing");
}

#[tokio::test(start_paused = true)]
async fn spirits_that_hand_over_to_one_another_are_stopped() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let (front, billing) = (switching("billing"), switching("barista"));
    let mut barista = spirit("barista", vec![front.clone()]);
    barista.actions = vec![switch("billing")];
    let mut clerk = spirit("billing", vec![billing.clone()]);
    clerk.actions = vec![switch("barista")];
    let weave = stores
        .builder(barista, &voice, WhenBusy::Discard)
        .spirit(clerk)
        .pathfinder(Arc::new(InMemoryPathfinder::new(true, |_, _| async {
            Ok(None)
        })))
        .build()
        .unwrap();
    assert_eq!(
        says_and_ends(&stores, &weave, "1", "whose is it?").await,
        Outcome::Answered
    );
    assert_eq!(texts(&voice).len(), 1);
    assert!(front.asked().len() + billing.asked().len() <= 5);
}

// Answering in the Spirit's place.

#[tokio::test(start_paused = true)]
async fn a_human_speaks_by_the_same_voice_and_the_spirit_knows_it_later() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let herald = Arc::new(InMemoryHerald::new());
    let weave = pod(&stores, &voice, &oracle, |builder| {
        builder.herald(herald.clone())
    });
    taken(&weave, ANA).await;
    says_and_ends(&stores, &weave, "1", "I was charged twice").await;
    assert_eq!(weave.watch(&session("guest")).await.unwrap().unanswered, 1);

    let said = weave
        .reply_as_human(&session("guest"), ANA, "r1", " I have refunded one. ")
        .await
        .unwrap();
    assert_eq!(said.id, "human-r1");
    let told = voice.said();
    assert_eq!(
        (told[0].text.as_str(), &told[0].to),
        ("I have refunded one.", &json!("guest"))
    );
    let watch = weave.watch(&session("guest")).await.unwrap();
    assert_eq!((watch.unanswered, watch.phase), (0, Phase::Active));

    weave.give_back(&guest(), ANA, false).await.unwrap();
    says_and_ends(&stores, &weave, "2", "thanks").await;
    let shown = format!("{:?}", oracle.asked().pop().unwrap().turns);
    for known in [
        "I was charged twice",
        "has taken over this conversation",
        "I have refunded one.",
        "you are in charge of it again",
    ] {
        assert!(shown.contains(known), "{known} is not in {shown}");
    }
    let deeds = weave.deeds(&guest(), 10).await.unwrap();
    let done: Vec<_> = deeds
        .iter()
        .map(|deed| (deed.by.as_str(), &deed.what))
        .collect();
    let echo = "human-r1".to_owned();
    let reason = ReleaseReason::Human;
    assert_eq!(
        done,
        [
            (ANA, &DeedKind::TookOver),
            (ANA, &DeedKind::Replied { echo }),
            (ANA, &DeedKind::GaveBack { reason }),
        ]
    );
    let news: Vec<_> = herald
        .told()
        .iter()
        .map(|news| news.what.as_str())
        .collect();
    assert_eq!(
        news,
        ["vigil.taken_over", "vigil.message", "vigil.released"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_reply_again_is_not_said_again_even_at_the_same_time() {
    let stores = Stores::new();
    let voice = Arc::new(InMemoryVoice::with(|_| async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    }));
    let pods = [(); 2].map(|()| pod(&stores, &voice, &parrot(), |builder| builder));
    taken(&pods[0], ANA).await;
    says_and_ends(&stores, &pods[0], "1", "hello?").await;
    let guest = session("guest");
    let reply =
        |pod: usize, id: &'static str| pods[pod].reply_as_human(&guest, ANA, id, "Here I am.");
    let (one, other, third) = tokio::join!(reply(0, "r1"), reply(1, "r1"), reply(0, "r2"));
    let (one, other, third) = (one.unwrap(), other.unwrap(), third.unwrap());
    assert_eq!(one, other);
    assert_ne!(one.id, third.id);
    assert_eq!(texts(&voice).len(), 2);
    assert_eq!(reply(1, "r1").await.unwrap(), one);
    assert_eq!(texts(&voice).len(), 2);
    let ids: Vec<_> = voice.said().into_iter().map(|said| said.pulse).collect();
    assert_ne!(ids[0], ids[1], "a channel can tell the replies apart");
}

#[tokio::test(start_paused = true)]
async fn only_who_has_the_conversation_may_answer_in_it() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = pod(&stores, &voice, &oracle, |builder| builder);
    let guest_session = session("guest");
    let reply = |by: &'static str| weave.reply_as_human(&guest_session, by, "r1", "hi");
    assert!(matches!(reply(ANA).await, Err(ReplyError::NotYours { by }) if by.is_empty()));
    taken(&weave, ANA).await;
    assert!(matches!(reply(BEN).await, Err(ReplyError::NotYours { by }) if by == ANA));
    assert!(matches!(reply(ANA).await, Err(ReplyError::NeverHeard)));
    says_and_ends(&stores, &weave, "1", "hello?").await;
    for text in [" ", &*"x".repeat(16 * 1024 + 1)] {
        let refused = weave.reply_as_human(&guest_session, ANA, "r1", text).await;
        assert!(matches!(refused, Err(ReplyError::Length)), "{refused:?}");
    }
    reply(ANA).await.unwrap();
    weave.give_back(&guest(), ANA, false).await.unwrap();
    let late = weave
        .reply_as_human(&guest_session, ANA, "r2", "one more")
        .await;
    assert!(matches!(late, Err(ReplyError::NotYours { .. })), "{late:?}");
    assert_eq!(texts(&voice), ["hi"]);
    // Who has all of them may answer in each.
    weave.take_over(&Target::Everyone, BEN).await.unwrap();
    reply(BEN).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_refuses_a_humans_words_says_why_and_nothing_is_recorded() {
    let stores = Stores::new();
    let voice = Arc::new(InMemoryVoice::with(|_| async {
        Err(VoiceError::Refused {
            code: "131047".into(),
            message: "the window is closed".into(),
        })
    }));
    let weave = pod(&stores, &voice, &parrot(), |builder| builder);
    taken(&weave, ANA).await;
    says_and_ends(&stores, &weave, "1", "hello?").await;
    let refused = weave
        .reply_as_human(&session("guest"), ANA, "r1", "hi")
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("the window is closed"),
        "{refused}"
    );
    assert_eq!(weave.watch(&session("guest")).await.unwrap().unanswered, 1);
    let kept = echoes(&stores, &session("guest")).await;
    assert!(
        kept.iter()
            .all(|echo| !matches!(echo.body, EchoBody::Human { .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_human_answers_while_an_oracle_still_thinks() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let gate = Arc::new(Semaphore::new(0));
    let oracle = gated(&gate);
    let weave = pod(&stores, &voice, &oracle, |builder| builder);
    gate.add_permits(1);
    says_and_ends(&stores, &weave, "1", "hello").await;
    deliver(&weave, &[pulse("2", "guest", "think hard")])
        .await
        .unwrap();
    until(async || (oracle.asked().len() == 2).then_some(()))
        .await
        .unwrap();
    taken(&weave, ANA).await;
    weave
        .reply_as_human(&session("guest"), ANA, "r1", "I take it from here.")
        .await
        .unwrap();
    gate.add_permits(1);
    assert_eq!(stores.outcome("2").await, Outcome::Vigil);
    assert_eq!(texts(&voice), ["hello", "I take it from here."]);
}

// Who has it.

#[tokio::test(start_paused = true)]
async fn a_second_human_is_told_who_has_it() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = pod(&stores, &voice, &oracle, |builder| builder);
    let first = weave.take_over(&guest(), ANA).await.unwrap();
    assert_eq!(
        weave.take_over(&guest(), ANA).await.unwrap().since,
        first.since
    );
    for refused in [
        weave.take_over(&guest(), BEN).await,
        weave.give_back(&guest(), BEN, false).await,
    ] {
        assert!(
            matches!(&refused, Err(HandoverError::TakenBy { by, since }) if by == ANA && *since == first.since),
            "{refused:?}"
        );
    }
    let watch = weave.give_back(&guest(), BEN, true).await.unwrap();
    assert_eq!(
        (watch.phase, watch.released_by.as_str()),
        (Phase::Released, BEN)
    );
    assert_eq!(weave.take_over(&guest(), BEN).await.unwrap().by, BEN);
    assert_eq!(weave.open_vigils().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_who_take_at_once_one_has_it() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let pods = [(); 2].map(|()| pod(&stores, &voice, &parrot(), |builder| builder));
    let target = guest();
    let (ana, ben) = tokio::join!(
        pods[0].take_over(&target, ANA),
        pods[1].take_over(&target, BEN)
    );
    assert_eq!(
        usize::from(ana.is_ok()) + usize::from(ben.is_ok()),
        1,
        "{ana:?} {ben:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_person_has_the_spirit_back_by_their_own_word() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = pod(&stores, &voice, &oracle, |builder| {
        builder.calling(Calling {
            release_phrases: vec!["bot".into(), "zurück".into()],
            ..Calling::default()
        })
    });
    taken(&weave, ANA).await;
    for (id, text) in [("1", "is this a bot?"), ("2", "bot, help")] {
        assert_eq!(
            says_and_ends(&stores, &weave, id, text).await,
            Outcome::Vigil
        );
    }
    assert_eq!(
        says_and_ends(&stores, &weave, "3", " ZURÜCK ").await,
        Outcome::Answered
    );
    let watch = weave.watch(&session("guest")).await.unwrap();
    assert_eq!(
        (watch.phase, watch.release_reason, watch.unanswered),
        (Phase::Released, Some(ReleaseReason::User), 0)
    );
    let shown = format!("{:?}", oracle.asked().pop().unwrap().turns);
    assert!(shown.contains("The person asked for you"), "{shown}");
    // A human who has all conversations keeps them.
    weave.take_over(&Target::Everyone, ANA).await.unwrap();
    assert_eq!(
        says_and_ends(&stores, &weave, "4", "bot").await,
        Outcome::Vigil
    );
}

#[tokio::test(start_paused = true)]
async fn a_takeover_of_everyone_is_marked_where_it_was_noticed_and_nowhere_else() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = pod(&stores, &voice, &oracle, |builder| builder);
    let everyone = Target::Everyone;
    weave.take_over(&everyone, ANA).await.unwrap();
    for id in ["1", "2"] {
        assert_eq!(
            says_and_ends(&stores, &weave, id, "hello?").await,
            Outcome::Vigil
        );
    }
    weave.give_back(&everyone, ANA, false).await.unwrap();
    says_and_ends(&stores, &weave, "3", "anybody?").await;
    deliver(&weave, &[pulse("4", "other", "hi")]).await.unwrap();
    stores.outcome("4").await;
    let bodies = |echoes: Vec<Echo>| echoes.into_iter().map(|echo| echo.body).collect::<Vec<_>>();
    let touched = bodies(echoes(&stores, &session("guest")).await);
    let marks: Vec<_> = touched
        .iter()
        .filter(|body| !matches!(body, EchoBody::User { .. } | EchoBody::Agent { .. }))
        .collect();
    let (by, reason) = (ANA.to_owned(), ReleaseReason::Human);
    assert_eq!(
        marks,
        [
            &EchoBody::TookOver { by: by.clone() },
            &EchoBody::GaveBack { by, reason }
        ]
    );
    assert!(matches!(touched[0], EchoBody::TookOver { .. }));
    assert!(
        matches!(touched[3], EchoBody::GaveBack { .. }),
        "before the words that the Spirit answers"
    );
    let other = bodies(echoes(&stores, &session("other")).await);
    assert!(
        other
            .iter()
            .all(|body| matches!(body, EchoBody::User { .. } | EchoBody::Agent { .. }))
    );
    let deeds = weave.deeds(&everyone, 10).await.unwrap();
    assert_eq!(deeds.len(), 2, "{deeds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_a_crash_left_out_is_made_when_the_spirit_answers_again() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = pod(&stores, &voice, &oracle, |builder| builder);
    taken(&weave, ANA).await;
    says_and_ends(&stores, &weave, "1", "hello?").await;
    // A process that dies between the store and the conversation.
    stores
        .vigil
        .release(&guest(), "", ReleaseReason::Idle, Timestamp::now())
        .await
        .unwrap();
    for id in ["2", "3"] {
        says_and_ends(&stores, &weave, id, "still there?").await;
    }
    let kept = echoes(&stores, &session("guest")).await;
    let gave_back = kept
        .iter()
        .filter(|echo| matches!(echo.body, EchoBody::GaveBack { .. }));
    assert_eq!(gave_back.count(), 1, "{kept:?}");
    let shown = format!("{:?}", oracle.asked().pop().unwrap().turns);
    assert!(shown.contains("No human colleague attends"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn where_and_when_a_person_last_wrote_is_known_whatever_became_of_it() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = pod(&stores, &voice, &oracle, |builder| builder);
    assert_eq!(weave.last_heard(&session("guest")).await.unwrap(), None);
    says_and_ends(&stores, &weave, "1", "hello").await;
    taken(&weave, ANA).await;
    says_and_ends(&stores, &weave, "2", "hello?").await;
    let heard = weave.last_heard(&session("guest")).await.unwrap().unwrap();
    assert_eq!(
        (heard.pulse.as_str(), &heard.reply_to),
        ("wa/2", &json!("guest"))
    );
}
