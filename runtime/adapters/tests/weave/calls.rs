//! By what the receiver of a call knows it: the same when a crash makes it again, and another for another call.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use eywa_adapters::{
    action::{InMemoryAction, Made},
    oracle::{Asked, InMemoryOracle},
    voice::InMemoryVoice,
};
use eywa_weave::{
    builtin::SwitchSpirit,
    ports::{
        Inbox as _,
        inbox::Delivery,
        oracle::{Reply, Turn},
    },
    pulse::Outcome,
    spirit::WhenBusy,
    tool::ToolCall,
};
use serde_json::{Value, json};

use crate::scene::{Stores, TTL, deliver, pulse, says, spirit, texts, until};

type Rounds = &'static [&'static [&'static str]];

fn calls(id: impl Fn(usize) -> String, of: &[(&str, Value)]) -> Reply {
    let call = |(index, (name, arguments)): (usize, &(&str, Value))| ToolCall {
        id: id(index),
        name: (*name).to_owned(),
        arguments: arguments.clone(),
        ..ToolCall::default()
    };
    Reply {
        calls: of.iter().enumerate().map(call).collect(),
        ..Reply::default()
    }
}

/// Orders these drinks, round by round, and is done. Its calls' ids are new with each reply, or those of the round before.
fn waiter(rounds: Rounds, new_ids: bool) -> Arc<InMemoryOracle> {
    let replies = AtomicUsize::new(0);
    Arc::new(InMemoryOracle::new(move |asked: Asked| {
        let reply = if new_ids {
            replies.fetch_add(1, Ordering::SeqCst)
        } else {
            0
        };
        async move {
            let done = asked.turns.iter().rev();
            let done = done.take_while(|turn| !matches!(turn, Turn::User { .. }));
            let round = done.filter(|turn| matches!(turn, Turn::Tools(_))).count();
            let Some(drinks) = rounds.get(round) else {
                return Ok(says("Done."));
            };
            let order = |drink: &&str| ("place_order", json!({"drink": drink, "cups": 1}));
            let orders: Vec<_> = drinks.iter().map(order).collect();
            Ok(calls(|index| format!("call_{reply}_{index}"), &orders))
        }
    }))
}

fn place_order<R>(make: impl Fn(Made) -> R + Send + Sync + 'static) -> Arc<InMemoryAction>
where
    R: Future<Output = ()> + Send + 'static,
{
    let action = InMemoryAction::new("place_order", json!({"type": "object"}), move |made| {
        let making = make(made);
        async move {
            making.await;
            Ok("Ordered.".to_owned())
        }
    });
    Arc::new(action.unwrap())
}

fn ids(action: &InMemoryAction) -> Vec<String> {
    action.made().into_iter().map(|made| made.id).collect()
}

fn distinct(ids: &[String]) -> usize {
    ids.iter().collect::<BTreeSet<_>>().len()
}

#[tokio::test(start_paused = true)]
async fn a_call_made_again_after_a_crash_has_the_id_that_it_had_though_the_oracle_gives_another() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = waiter(&[&["flat white"], &["flat white", "cake", "cake"]], true);
    let pod = |action: &Arc<InMemoryAction>| {
        let mut barista = spirit("barista", vec![oracle.clone()]);
        barista.actions = vec![action.clone()];
        stores.pod(barista, &voice, WhenBusy::Discard)
    };
    let first = pulse("1", "ana", "two flat whites, two cakes");
    let lease = TTL + Duration::from_millis(500);
    stores
        .inbox
        .accept(std::slice::from_ref(&first), lease)
        .await
        .unwrap();
    // It dies in the middle of the second round: the orders have reached the shop, and no answer comes.
    let made = AtomicUsize::new(0);
    let before = place_order(move |_| {
        let hangs = made.fetch_add(1, Ordering::SeqCst) > 0;
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
        }
    });
    let mortal = pod(&before);
    let life = tokio::spawn(async move { mortal.weave(Delivery::first(first)).await });
    until(async || (before.made().len() == 4).then_some(()))
        .await
        .expect("all is ordered");
    life.abort();

    let after = place_order(|_| async {});
    let heir = pod(&after);
    tokio::select! {
        () = heir.tend() => unreachable!("it tends for ever"),
        outcome = stores.outcome("1") => assert_eq!(outcome, Outcome::Answered),
    }
    assert_eq!(texts(&voice), ["Done."]);
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(distinct(&ids(&after)), 4, "each is an order of its own");
}

#[tokio::test(start_paused = true)]
async fn calls_of_two_rounds_are_two_though_the_provider_gives_both_the_same_id() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let action = place_order(|_| async {});
    let mut barista = spirit(
        "barista",
        vec![waiter(
            &[&["flat white"], &["cake"], &["flat white"]],
            false,
        )],
    );
    barista.actions = vec![action.clone()];
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    for id in ["1", "2"] {
        deliver(&weave, &[pulse(id, id, "the usual")])
            .await
            .unwrap();
        assert_eq!(stores.outcome(id).await, Outcome::Answered);
    }
    assert_eq!(
        distinct(&ids(&action)),
        6,
        "three for each Pulse: {:?}",
        ids(&action)
    );
}

#[tokio::test(start_paused = true)]
async fn what_two_spirits_of_a_turn_ask_for_are_two_calls() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let action = place_order(|_| async {});
    let order = ("place_order", json!({"drink": "flat white", "cups": 1}));
    let both = [order, ("switch_spirit", json!({"spirit": "baker"}))];
    let front = InMemoryOracle::new(move |_| {
        let reply = calls(|index| format!("call_{index}"), &both);
        async move { Ok(reply) }
    });
    let mut barista = spirit("barista", vec![Arc::new(front)]);
    let to_baker = SwitchSpirit::new(&[("baker".into(), String::new())]).unwrap();
    barista.actions = vec![action.clone(), Arc::new(to_baker)];
    let mut baker = spirit("baker", vec![waiter(&[&["flat white"]], false)]);
    baker.actions = vec![action.clone()];
    let builder = stores.builder(barista, &voice, WhenBusy::Discard);
    let weave = builder.spirit(baker).build().unwrap();
    deliver(&weave, &[pulse("1", "ana", "two flat whites")])
        .await
        .unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(ids(&action).len(), 2);
    assert_eq!(distinct(&ids(&action)), 2, "{:?}", ids(&action));
}
