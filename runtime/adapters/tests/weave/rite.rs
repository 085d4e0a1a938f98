//! A call waits for a human's yes.

use std::{sync::Arc, time::Duration};

use eywa_adapters::{
    action::InMemoryAction, oracle::InMemoryOracle, rite::InMemoryRites, voice::InMemoryVoice,
};
use eywa_weave::{
    EchoBody, PulseId, Spirit, Weave,
    names::RiteId,
    ports::{
        Bond as _, Chronicle as _, Echoes as _, Inbox as _, Rites as _, Vigil as _,
        inbox::Speech,
        oracle::{Reply, Turn},
        rite::{Asked, Rite, RiteOutcome, Standing, Verdict},
        vigil::{Phase, ReleaseReason, Target},
    },
    pulse::Outcome,
    spirit::{RiteRule, WhenBusy},
    tool::ToolCall,
    weave::Decided,
};
use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::scene::{Stores, TTL, deliver, pulse, says, session, spirit, texts, until};

const NOTICE: &str = "I have asked a colleague.";
const MINUTES: Duration = Duration::from_secs(900);

/// A café whose refunds wait for a yes.
struct Cafe {
    stores: Stores,
    rites: Arc<InMemoryRites>,
    voice: Arc<InMemoryVoice>,
    oracle: Arc<InMemoryOracle>,
    refund: Arc<InMemoryAction>,
}

impl Cafe {
    fn new() -> Self {
        Self::with(InMemoryVoice::new(), cashier())
    }

    fn with(voice: InMemoryVoice, oracle: Arc<InMemoryOracle>) -> Self {
        let parameters = json!({
            "type": "object", "required": ["order"],
            "properties": {"order": {"type": "integer"}, "card": {"type": "string"}},
        });
        let refund = InMemoryAction::new("refund", parameters, |made| async move {
            match made.arguments["order"].as_i64() {
                Some(404) => Err(eywa_weave::ports::action::ActionError(
                    "no such order".into(),
                )),
                order => Ok(format!("refunded order {}", order.unwrap_or_default())),
            }
        });
        Self {
            stores: Stores::new(),
            rites: Arc::new(InMemoryRites::new()),
            voice: Arc::new(voice),
            oracle,
            refund: Arc::new(refund.unwrap()),
        }
    }

    fn spirit(&self, generation: i64, timeout: Duration) -> Spirit {
        Spirit {
            generation,
            actions: vec![self.refund.clone()],
            rites: vec![RiteRule {
                gates: Box::new(|name| name.starts_with("refund")),
                timeout,
                redact: vec!["/card".into()],
                notice: Some(NOTICE.into()),
            }],
            ..spirit("barista", vec![self.oracle.clone()])
        }
    }

    /// A pod that looks after the Inbox and the Rites.
    fn pod(&self) -> Weave {
        self.pod_with(self.spirit(1, MINUTES), WhenBusy::Discard)
    }

    /// A pod that does what it is told and looks after nothing.
    fn mortal(&self, spirit: Spirit, when_busy: WhenBusy) -> Weave {
        let builder = self.stores.builder(spirit, &self.voice, when_busy);
        builder.rites(self.rites.clone()).build().unwrap()
    }

    fn pod_with(&self, spirit: Spirit, when_busy: WhenBusy) -> Weave {
        let weave = self.mortal(spirit, when_busy);
        let tending = weave.clone();
        tokio::spawn(async move { tending.tend().await });
        weave
    }

    /// Ana asks for a refund, which is parked.
    async fn parked(&self, weave: &Weave) -> Rite {
        deliver(weave, &[pulse("1", "ana", "refund 7")])
            .await
            .unwrap();
        assert_eq!(self.stores.outcome("1").await, Outcome::Rite);
        let mut rites = weave.rites(Some(&session("ana"))).await.unwrap();
        assert_eq!(rites.len(), 1);
        rites.remove(0)
    }

    /// The Rite, once its conversation has heard what became of it and its turn is over.
    async fn settled(&self, id: &RiteId) -> Rite {
        until(async || {
            let rite = self.rites.get(id, Timestamp::now()).await.unwrap()?;
            let resumed = PulseId::from(format!("rite:{id}"));
            let over = !self
                .stores
                .chronicle
                .of_pulse(&resumed)
                .await
                .unwrap()
                .is_empty();
            (rite.settled_at.is_some() && over).then_some(rite)
        })
        .await
        .expect("it is settled")
    }

    /// How the resumption ended, and why.
    async fn account(&self, id: &RiteId) -> (Outcome, String) {
        let resumed = PulseId::from(format!("rite:{id}"));
        let entries = self.stores.chronicle.of_pulse(&resumed).await.unwrap();
        assert_eq!(entries.len(), 1, "{entries:?}");
        (entries[0].outcome, entries[0].reason.clone())
    }

    async fn rite_echoes(&self) -> Vec<EchoBody> {
        let echoes = self
            .stores
            .echoes
            .recent(&session("ana"), 50)
            .await
            .unwrap();
        let bodies = echoes.into_iter().map(|echo| echo.body);
        bodies
            .filter(|body| matches!(body, EchoBody::Rite { .. }))
            .collect()
    }

    async fn taken_over(&self, target: &Target) {
        let vigil = &self.stores.vigil;
        vigil
            .take_over(target, "ben", Timestamp::now())
            .await
            .unwrap();
        until(async || {
            let watch = vigil.settle(target, Timestamp::now()).await.unwrap();
            (watch.phase == Phase::Active).then_some(())
        })
        .await
        .expect("the takeover became Active");
    }
}

fn calls(call: &str, arguments: serde_json::Value) -> Reply {
    Reply {
        calls: vec![ToolCall {
            id: call.to_owned(),
            name: "refund".to_owned(),
            arguments,
            ..ToolCall::default()
        }],
        ..Reply::default()
    }
}

/// What the model makes of the last turn: a refund that is asked for, a note or a result that is passed on, or an echo.
fn answer(turns: &[Turn]) -> Reply {
    match turns.last() {
        Some(Turn::User { text, .. }) => {
            let last = text.lines().last().unwrap_or_default();
            match last.strip_prefix("refund ").map(str::parse::<i64>) {
                Some(Ok(order)) => {
                    let arguments = json!({"order": order, "card": "4111"});
                    calls(&format!("c{}", turns.len()), arguments)
                }
                Some(Err(_)) => calls("c", json!({"order": "seven"})),
                None => says(text),
            }
        }
        Some(Turn::Tools(results)) => says(&results[0].content),
        _ => says("?"),
    }
}

fn cashier() -> Arc<InMemoryOracle> {
    Arc::new(InMemoryOracle::new(|asked| async move {
        Ok(answer(&asked.turns))
    }))
}

fn verdict(approved: bool, by: &str) -> Verdict {
    Verdict {
        approved,
        by: by.to_owned(),
        comment: String::new(),
        at: Timestamp::now(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_gated_call_is_parked_and_the_session_stays_usable() {
    let cafe = Cafe::new();
    let weave = cafe.pod();
    let rite = cafe.parked(&weave).await;
    assert_eq!(rite.standing, Standing::Pending);
    assert_eq!(
        rite.asked.call.arguments,
        json!({"order": 7, "card": "4111"})
    );
    assert_eq!(
        rite.asked.shown_arguments(),
        json!({"order": 7, "card": "[redacted]"})
    );
    assert!(cafe.refund.made().is_empty());
    assert_eq!(texts(&cafe.voice), [NOTICE]);

    deliver(&weave, &[pulse("2", "ana", "and the weather?")])
        .await
        .unwrap();
    assert_eq!(cafe.stores.outcome("2").await, Outcome::Answered);
    assert_eq!(texts(&cafe.voice)[1], "and the weather?");
    let asked = cafe.oracle.asked();
    let waits = asked.last().unwrap().turns.iter().any(|turn| {
        matches!(turn, Turn::Tools(results) if results[0].content.contains("waits for a human's yes") && !results[0].failed)
    });
    assert!(
        waits,
        "the call is closed, and says that it waits: {asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_yes_makes_exactly_that_call_and_the_person_hears() {
    let cafe = Cafe::new();
    let weave = cafe.pod();
    let rite = cafe.parked(&weave).await;
    let decided = weave
        .decide(&rite.asked.id, verdict(true, "ben"))
        .await
        .unwrap();
    assert!(matches!(decided, Decided::Counted(_)), "{decided:?}");
    let rite = cafe.settled(&rite.asked.id).await;
    assert_eq!(
        (rite.standing, rite.outcome),
        (Standing::Consumed, Some(RiteOutcome::Succeeded))
    );

    let made = cafe.refund.made();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].arguments, json!({"order": 7, "card": "4111"}));
    assert_eq!(made[0].id, rite.asked.key);
    assert_eq!(made[0].pulse.id, PulseId::from("wa/1"));
    let said = texts(&cafe.voice);
    assert_eq!(said.len(), 2);
    assert!(
        said[1].contains("ben") && said[1].contains("refunded order 7"),
        "{said:?}"
    );
    let (outcome, reason) = cafe.account(&rite.asked.id).await;
    assert_eq!(outcome, Outcome::Answered);
    assert!(
        reason.contains("approved by ben") && reason.contains("succeeded"),
        "{reason}"
    );
    let about = Target::Session(session("ana"));
    let deeds = cafe.stores.chronicle.deeds(&about, 10).await.unwrap();
    assert_eq!((deeds.len(), deeds[0].by.as_str()), (1, "ben"), "{deeds:?}");
    let echoes = cafe
        .stores
        .echoes
        .recent(&session("ana"), 50)
        .await
        .unwrap();
    let people = echoes
        .iter()
        .filter(|echo| matches!(echo.body, EchoBody::User { .. }));
    assert_eq!(people.count(), 1, "nobody wrote a decision: {echoes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_has_the_key_that_it_would_have_had_without_waiting() {
    let gated = Cafe::new();
    let key = gated.parked(&gated.pod()).await.asked.key;
    let other_ids = Arc::new(InMemoryOracle::new(|asked| async move {
        let mut reply = answer(&asked.turns);
        for call in &mut reply.calls {
            call.id.push_str("-anew");
        }
        Ok(reply)
    }));
    let free = Cafe::with(InMemoryVoice::new(), other_ids);
    let spirit = Spirit {
        rites: Vec::new(),
        ..free.spirit(1, MINUTES)
    };
    let weave = free.pod_with(spirit, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "ana", "refund 7")])
        .await
        .unwrap();
    assert_eq!(free.stores.outcome("1").await, Outcome::Answered);
    assert_eq!(free.refund.made()[0].id, key);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_is_told_as_failed() {
    let cafe = Cafe::new();
    let weave = cafe.pod();
    deliver(&weave, &[pulse("1", "ana", "refund 404")])
        .await
        .unwrap();
    cafe.stores.outcome("1").await;
    let id = weave.rites(None).await.unwrap()[0].asked.id.clone();
    weave.decide(&id, verdict(true, "ben")).await.unwrap();
    let rite = cafe.settled(&id).await;
    assert_eq!(
        (rite.standing, rite.outcome),
        (Standing::Consumed, Some(RiteOutcome::Failed))
    );
    let said = texts(&cafe.voice);
    assert!(
        said[1].contains("did not succeed") && said[1].contains("no such order"),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_decision_given_often_and_to_every_pod_has_one_effect() {
    let cafe = Cafe::new();
    let pods: Vec<Weave> = (0..4).map(|_| cafe.pod()).collect();
    let id = cafe.parked(&pods[0]).await.asked.id;
    let deciding = (0..40).map(|n| {
        let (weave, id) = (pods[n % 4].clone(), id.clone());
        tokio::spawn(async move { weave.decide(&id, verdict(true, "ben")).await.unwrap() })
    });
    let mut counted = 0;
    for decided in deciding.collect::<Vec<_>>() {
        match decided.await.unwrap() {
            Decided::Counted(_) => counted += 1,
            Decided::Repeated(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(counted, 1);
    cafe.settled(&id).await;
    let late = pods[3].decide(&id, verdict(false, "carla")).await.unwrap();
    assert!(
        matches!(&late, Decided::TooLate(rite) if rite.verdict.as_ref().unwrap().by == "ben"),
        "{late:?}"
    );
    tokio::time::sleep(4 * TTL).await;
    assert_eq!(cafe.refund.made().len(), 1);
    assert_eq!(texts(&cafe.voice).len(), 2);
    assert_eq!(cafe.rite_echoes().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_decision_whose_pod_died_is_carried_out_by_another() {
    let cafe = Cafe::new();
    let mortal = cafe.mortal(cafe.spirit(1, MINUTES), WhenBusy::Discard);
    let id = cafe.parked(&mortal).await.asked.id;
    // All that the dead pod came to do.
    cafe.rites.decide(&id, &verdict(true, "ben")).await.unwrap();
    let _heir = cafe.pod();
    cafe.settled(&id).await;
    assert_eq!(cafe.refund.made().len(), 1);
    assert_eq!(texts(&cafe.voice).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_edited_spirit_makes_the_approval_void_and_says_so() {
    let cafe = Cafe::new();
    let before = cafe.mortal(cafe.spirit(1, MINUTES), WhenBusy::Discard);
    let id = cafe.parked(&before).await.asked.id;
    let edited = cafe.pod_with(cafe.spirit(2, MINUTES), WhenBusy::Discard);
    edited.decide(&id, verdict(true, "ben")).await.unwrap();
    let rite = cafe.settled(&id).await;
    assert_eq!(rite.standing, Standing::Void);
    assert!(cafe.refund.made().is_empty());
    assert!(
        texts(&cafe.voice)[1].contains("void"),
        "{:?}",
        texts(&cafe.voice)
    );
    let (_, reason) = cafe.account(&id).await;
    assert!(reason.contains("approved by ben; void"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_no_silence_and_a_yes_are_told_in_words_of_their_own() {
    let denied = Cafe::new();
    let weave = denied.pod();
    let id = denied.parked(&weave).await.asked.id;
    weave.decide(&id, verdict(false, "ben")).await.unwrap();
    assert_eq!(denied.settled(&id).await.standing, Standing::Denied);
    assert!(
        texts(&denied.voice)[1].contains("said no"),
        "{:?}",
        texts(&denied.voice)
    );
    assert_eq!(
        denied.account(&id).await.1,
        format!("refund (Rite {id}): denied by ben")
    );

    let lapsed = Cafe::new();
    let weave = lapsed.pod_with(
        lapsed.spirit(1, Duration::from_millis(1)),
        WhenBusy::Discard,
    );
    let id = lapsed.parked(&weave).await.asked.id;
    assert_eq!(
        lapsed.settled(&id).await.standing,
        Standing::Expired,
        "nobody had to ask"
    );
    assert!(
        texts(&lapsed.voice)[1].contains("Nobody decided in time"),
        "{:?}",
        texts(&lapsed.voice)
    );
    let late = weave.decide(&id, verdict(true, "ben")).await.unwrap();
    assert!(matches!(late, Decided::TooLate(_)), "{late:?}");
    for cafe in [&denied, &lapsed] {
        assert!(cafe.refund.made().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_takeover_the_approved_call_is_made_and_nothing_is_said() {
    for target in [Target::Session(session("ana")), Target::Everyone] {
        let cafe = Cafe::new();
        let weave = cafe.pod();
        let id = cafe.parked(&weave).await.asked.id;
        cafe.taken_over(&target).await;
        weave.decide(&id, verdict(true, "ben")).await.unwrap();
        let rite = cafe.settled(&id).await;
        assert_eq!(rite.outcome, Some(RiteOutcome::Succeeded));
        assert_eq!(cafe.refund.made().len(), 1);
        assert_eq!(cafe.voice.tried().len(), 1, "only the notice, from before");
        assert_eq!(cafe.account(&id).await.0, Outcome::Vigil);
        let state = cafe.stores.vigil.state(&target).await.unwrap();
        assert_eq!(state.unanswered, 0, "nobody wrote");
        assert_eq!(
            cafe.rite_echoes().await.len(),
            1,
            "the human sees what came of it"
        );

        let (by, now) = ("ben", Timestamp::now());
        let vigil = &cafe.stores.vigil;
        vigil
            .release(&target, by, ReleaseReason::Human, now)
            .await
            .unwrap();
        deliver(&weave, &[pulse("2", "ana", "and now?")])
            .await
            .unwrap();
        cafe.stores.outcome("2").await;
        let said = texts(&cafe.voice);
        assert!(
            said[1].contains("refunded order 7"),
            "the Spirit knows of it: {said:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_decision_makes_the_spirit_talk_over_a_human_whenever_they_take_over() {
    for _ in 0..100 {
        let cafe = Cafe::with(
            InMemoryVoice::with(|_| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(())
            }),
            Arc::new(InMemoryOracle::new(|asked| async move {
                tokio::time::sleep(Duration::from_millis(30)).await;
                Ok(answer(&asked.turns))
            })),
        );
        let weave = cafe.pod();
        let id = cafe.parked(&weave).await.asked.id;
        weave.decide(&id, verdict(true, "ben")).await.unwrap();
        let moment = rand::rng().random_range(0..120);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        cafe.taken_over(&Target::Session(session("ana"))).await;
        let tried = cafe.voice.tried().len();
        cafe.settled(&id).await;
        tokio::time::sleep(3 * TTL).await;
        assert_eq!(
            cafe.voice.tried().len(),
            tried,
            "taken over after {moment} ms"
        );
        assert_eq!(cafe.refund.made().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_waits_for_a_busy_session_and_is_never_discarded() {
    let gate = Arc::new(Semaphore::new(100));
    let opened = Arc::clone(&gate);
    let oracle = InMemoryOracle::new(move |asked| {
        let opened = Arc::clone(&opened);
        async move {
            opened.acquire().await.expect("the gate stays").forget();
            Ok(answer(&asked.turns))
        }
    });
    let cafe = Cafe::with(InMemoryVoice::new(), Arc::new(oracle));
    let weave = cafe.pod();
    let id = cafe.parked(&weave).await.asked.id;
    gate.forget_permits(100);
    deliver(&weave, &[pulse("2", "ana", "a long story")])
        .await
        .unwrap();
    until(async || (cafe.oracle.asked().len() == 2).then_some(()))
        .await
        .unwrap();
    weave.decide(&id, verdict(true, "ben")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(
        cafe.refund.made().is_empty(),
        "one active turn a conversation"
    );
    gate.add_permits(100);
    cafe.settled(&id).await;
    assert_eq!(cafe.stores.outcome("2").await, Outcome::Answered);
    assert_eq!(texts(&cafe.voice).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn with_merge_a_decision_and_what_was_written_meanwhile_get_one_answer() {
    let gate = Arc::new(Semaphore::new(100));
    let opened = Arc::clone(&gate);
    let oracle = InMemoryOracle::new(move |asked| {
        let opened = Arc::clone(&opened);
        async move {
            opened.acquire().await.expect("the gate stays").forget();
            Ok(answer(&asked.turns))
        }
    });
    let cafe = Cafe::with(InMemoryVoice::new(), Arc::new(oracle));
    let merge = WhenBusy::Merge {
        quiet: Duration::from_millis(10),
        cap: Duration::from_millis(50),
    };
    let weave = cafe.pod_with(cafe.spirit(1, MINUTES), merge);
    let id = cafe.parked(&weave).await.asked.id;
    gate.forget_permits(100);
    deliver(&weave, &[pulse("2", "ana", "a long story")])
        .await
        .unwrap();
    until(async || (cafe.oracle.asked().len() == 2).then_some(()))
        .await
        .unwrap();
    deliver(&weave, &[pulse("3", "ana", "is it there?")])
        .await
        .unwrap();
    weave.decide(&id, verdict(true, "ben")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    gate.add_permits(100);
    cafe.settled(&id).await;
    assert_eq!(cafe.stores.outcome("3").await, Outcome::Answered);
    let said = cafe.voice.said();
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!(said[2].pulse, PulseId::from("wa/3"));
    assert!(
        said[2].text.contains("refunded order 7") && said[2].text.ends_with("is it there?"),
        "{said:?}"
    );
    assert_eq!(cafe.refund.made().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_taking_the_approval_and_telling_of_it_makes_no_second_call() {
    let cafe = Cafe::new();
    let id = cafe.parked(&cafe.pod()).await.asked.id;
    // What a pod leaves that died as it was about to call.
    let (now, rites) = (Timestamp::now(), &cafe.rites);
    rites.decide(&id, &verdict(true, "ben")).await.unwrap();
    rites.consume(&id, 1, now).await.unwrap();
    let rite = cafe.settled(&id).await;
    assert_eq!(
        (rite.standing, rite.outcome),
        (Standing::Consumed, Some(RiteOutcome::Failed))
    );
    assert!(cafe.refund.made().is_empty());
    let said = texts(&cafe.voice);
    assert!(
        said[1].contains("not known whether it took effect"),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_parking_does_not_ask_twice() {
    let cafe = Cafe::new();
    let first = pulse("1", "ana", "refund 7");
    let lease = TTL + Duration::from_millis(500);
    cafe.stores
        .inbox
        .accept(std::slice::from_ref(&first), lease)
        .await
        .unwrap();
    cafe.stores
        .bond
        .acquire(&session("ana"), TTL)
        .await
        .unwrap()
        .expect("nobody has it");
    cafe.stores
        .inbox
        .mark(&first.id, Speech::Silent)
        .await
        .unwrap();
    let now = Timestamp::now();
    let asked = Asked {
        id: RiteId::random(),
        session: session("ana"),
        pulse: first,
        spirit: "barista".into(),
        generation: 1,
        call: calls("c1", json!({"order": 7})).calls.remove(0),
        key: "wa/1#0#c1".into(),
        redact: Vec::new(),
        asked_at: now,
        expires_at: now + MINUTES,
    };
    cafe.rites.park(&asked).await.unwrap();
    let heir = cafe.pod();
    assert_eq!(cafe.stores.outcome("1").await, Outcome::Rite);
    assert!(cafe.oracle.asked().is_empty(), "it had been asked");
    assert_eq!(heir.rites(None).await.unwrap().len(), 1);
    heir.decide(&asked.id, verdict(true, "ben")).await.unwrap();
    cafe.settled(&asked.id).await;
    assert_eq!(cafe.refund.made().len(), 1);
    let turns = &cafe.oracle.asked()[0].turns;
    assert!(
        matches!(&turns[1], Turn::Agent { calls, .. } if calls[0].id == "c1"),
        "the call is in the history: {turns:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_very_same_call_is_not_parked_twice() {
    let cafe = Cafe::new();
    let weave = cafe.pod();
    cafe.parked(&weave).await;
    deliver(&weave, &[pulse("2", "ana", "refund 7")])
        .await
        .unwrap();
    assert_eq!(cafe.stores.outcome("2").await, Outcome::Answered);
    assert!(texts(&cafe.voice)[1].contains("waits for a human's yes already"));
    deliver(&weave, &[pulse("3", "ana", "refund 8")])
        .await
        .unwrap();
    assert_eq!(cafe.stores.outcome("3").await, Outcome::Rite);
    assert_eq!(weave.rites(None).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_about_a_call_that_could_not_be_made() {
    let cafe = Cafe::new();
    let weave = cafe.pod();
    deliver(&weave, &[pulse("1", "ana", "refund seven")])
        .await
        .unwrap();
    assert_eq!(cafe.stores.outcome("1").await, Outcome::Answered);
    assert!(weave.rites(None).await.unwrap().is_empty());
    assert!(texts(&cafe.voice)[0].contains("do not fit the tool's schema"));
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_the_rites_of_a_process_hears_of_each_change() {
    let cafe = Cafe::new();
    let weave = cafe.pod();
    let mut changes = weave.rite_changes();
    let id = cafe.parked(&weave).await.asked.id;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    weave.decide(&id, verdict(false, "ben")).await.unwrap();
    assert!(changes.has_changed().unwrap());
}
