//! What every store of Rites does.

use std::sync::Arc;

use eywa_weave::{
    names::{RiteId, SpiritName},
    ports::rite::{Asked, Decision, Rite, RiteOutcome, Rites, Standing, Verdict},
    tool::ToolCall,
};
use jiff::Timestamp;

use super::{ana, at_once, ben, pulse};

macro_rules! rite_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            rite,
            $open,
            [
                what_was_never_parked_is_not_there,
                what_is_parked_waits_for_a_decision,
                parking_again_changes_nothing,
                the_first_decision_counts_and_who_made_it_is_kept,
                of_many_who_decide_at_once_one_decides,
                a_question_lapses_and_is_not_denied,
                a_question_that_lapsed_by_one_clock_has_lapsed_by_all,
                an_approval_is_consumed_once,
                an_approval_is_consumed_by_one_of_many,
                what_nobody_approved_is_not_consumed,
                an_approval_of_another_generation_is_void,
                what_is_void_cannot_be_decided_nor_consumed,
                what_is_over_does_not_become_void,
                the_first_outcome_stays_and_only_of_what_was_consumed,
                what_was_decided_or_has_lapsed_is_due_until_it_is_settled,
                those_of_a_session_are_listed_newest_first,
            ]
        );
    };
}
pub(crate) use rite_suite;

fn at(n: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + n).unwrap()
}

fn r1() -> RiteId {
    RiteId::from("r1")
}

/// A question of Ana's that lapses at 100.
pub fn asked(name: &str) -> Asked {
    Asked {
        id: r1(),
        session: ana(),
        pulse: pulse("a"),
        spirit: SpiritName::from("barista"),
        generation: 1_152_921_504_606_846_975,
        call: ToolCall {
            id: "c1".into(),
            name: name.into(),
            arguments: serde_json::json!({"euros": 12.5, "card": "4111"}),
            ..ToolCall::default()
        },
        key: "wa/a#0#c1".to_owned(),
        redact: vec!["/card".to_owned()],
        asked_at: at(0),
        expires_at: at(100),
    }
}

const GENERATION: i64 = 1_152_921_504_606_846_975;

fn pending(asked: Asked) -> Rite {
    Rite {
        asked,
        standing: Standing::Pending,
        verdict: None,
        outcome: None,
        settled_at: None,
    }
}

fn verdict(approved: bool, by: &str, n: i64) -> Verdict {
    Verdict {
        approved,
        by: by.to_owned(),
        comment: "as \"agreed\"\n…".to_owned(),
        at: at(n),
    }
}

async fn decide(rites: &Arc<impl Rites>, approved: bool, by: &str, n: i64) -> (bool, Standing) {
    match rites
        .decide(&r1(), &verdict(approved, by, n))
        .await
        .unwrap()
    {
        Some(Decision::Counted(rite)) => (true, rite.standing),
        Some(Decision::TooLate(rite)) => (false, rite.standing),
        None => panic!("it is not parked"),
    }
}

async fn consume(rites: &Arc<impl Rites>, generation: i64, n: i64) -> (bool, Standing) {
    let consumption = rites.consume(&r1(), generation, at(n)).await.unwrap();
    let consumption = consumption.expect("it is parked");
    (consumption.granted, consumption.rite.standing)
}

async fn standing(rites: &Arc<impl Rites>, n: i64) -> Standing {
    rites
        .get(&r1(), at(n))
        .await
        .unwrap()
        .expect("it is parked")
        .standing
}

async fn due(rites: &Arc<impl Rites>, n: i64) -> Vec<(RiteId, Standing)> {
    let due = rites.due(10, at(n)).await.unwrap();
    due.into_iter()
        .map(|rite| (rite.asked.id, rite.standing))
        .collect()
}

pub async fn what_was_never_parked_is_not_there(rites: Arc<impl Rites>) {
    assert_eq!(rites.get(&r1(), at(0)).await.unwrap(), None);
    assert_eq!(
        rites.decide(&r1(), &verdict(true, "ben", 0)).await.unwrap(),
        None
    );
    assert_eq!(rites.consume(&r1(), 3, at(0)).await.unwrap(), None);
    assert_eq!(rites.void(&r1(), at(0)).await.unwrap(), None);
    rites.conclude(&r1(), RiteOutcome::Succeeded).await.unwrap();
    rites.settle(&r1(), at(0)).await.unwrap();
    assert_eq!(
        rites.get(&r1(), at(0)).await.unwrap(),
        None,
        "nothing came of that"
    );
    assert_eq!(rites.list(None, 10, at(0)).await.unwrap(), []);
    assert_eq!(rites.due(10, at(1000)).await.unwrap(), []);
}

pub async fn what_is_parked_waits_for_a_decision(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert_eq!(
        rites.get(&r1(), at(99)).await.unwrap(),
        Some(pending(asked("refund")))
    );
    assert_eq!(
        decide(&rites, false, "ben", 99).await,
        (true, Standing::Denied)
    );
    assert_eq!(standing(&rites, 1000).await, Standing::Denied);
}

pub async fn parking_again_changes_nothing(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    decide(&rites, true, "ben", 1).await;
    rites.park(&asked("something else")).await.unwrap();
    let rite = rites.get(&r1(), at(2)).await.unwrap().unwrap();
    assert_eq!(rite.asked, asked("refund"));
    assert_eq!(rite.standing, Standing::Approved);
    assert_eq!(rites.list(None, 10, at(2)).await.unwrap().len(), 1);
}

pub async fn the_first_decision_counts_and_who_made_it_is_kept(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert_eq!(
        decide(&rites, true, "ben", 1).await,
        (true, Standing::Approved)
    );
    assert_eq!(
        decide(&rites, false, "carla", 2).await,
        (false, Standing::Approved)
    );
    let rite = rites.get(&r1(), at(3)).await.unwrap().unwrap();
    assert_eq!(rite.verdict, Some(verdict(true, "ben", 1)));
}

pub async fn of_many_who_decide_at_once_one_decides(rites: Arc<impl Rites + 'static>) {
    rites.park(&asked("refund")).await.unwrap();
    let said = at_once((0..100).map(|n| {
        let rites = rites.clone();
        async move { decide(&rites, n % 2 == 0, "ben", 1).await }
    }));
    let said = said.await;
    assert_eq!(said.iter().filter(|(counted, _)| *counted).count(), 1);
    assert!(
        said.iter().all(|(_, standing)| *standing == said[0].1),
        "{said:?}"
    );
    assert_eq!(standing(&rites, 2).await, said[0].1);
}

pub async fn a_question_lapses_and_is_not_denied(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert_eq!(standing(&rites, 100).await, Standing::Expired);
    assert_eq!(
        decide(&rites, true, "ben", 100).await,
        (false, Standing::Expired)
    );
    assert_eq!(
        consume(&rites, GENERATION, 100).await,
        (false, Standing::Expired)
    );
}

pub async fn a_question_that_lapsed_by_one_clock_has_lapsed_by_all(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert_eq!(
        consume(&rites, GENERATION, 101).await,
        (false, Standing::Expired)
    );
    assert_eq!(
        decide(&rites, true, "ben", 98).await,
        (false, Standing::Expired)
    );
    assert_eq!(standing(&rites, 98).await, Standing::Expired);
}

pub async fn an_approval_is_consumed_once(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    decide(&rites, true, "ben", 1).await;
    // However long after it was given: it was given in time.
    assert_eq!(
        consume(&rites, GENERATION, 200).await,
        (true, Standing::Consumed)
    );
    assert_eq!(
        consume(&rites, GENERATION, 300).await,
        (false, Standing::Consumed)
    );
    assert_eq!(standing(&rites, 400).await, Standing::Consumed);
}

pub async fn an_approval_is_consumed_by_one_of_many(rites: Arc<impl Rites + 'static>) {
    rites.park(&asked("refund")).await.unwrap();
    decide(&rites, true, "ben", 1).await;
    let taken = at_once((0..200).map(|_| {
        let rites = rites.clone();
        async move { consume(&rites, GENERATION, 2).await.0 }
    }));
    assert_eq!(taken.await.into_iter().filter(|taken| *taken).count(), 1);
}

pub async fn what_nobody_approved_is_not_consumed(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert_eq!(
        consume(&rites, GENERATION, 1).await,
        (false, Standing::Pending)
    );
    decide(&rites, false, "ben", 1).await;
    assert_eq!(
        consume(&rites, GENERATION, 2).await,
        (false, Standing::Denied)
    );
}

pub async fn an_approval_of_another_generation_is_void(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    decide(&rites, true, "ben", 1).await;
    // One that a floating point number could not tell apart.
    assert_eq!(
        consume(&rites, GENERATION - 1, 2).await,
        (false, Standing::Void)
    );
    assert_eq!(
        consume(&rites, GENERATION, 4).await,
        (false, Standing::Void)
    );
    let rite = rites.get(&r1(), at(5)).await.unwrap().unwrap();
    assert_eq!(
        rite.verdict,
        Some(verdict(true, "ben", 1)),
        "who decided stays known"
    );
}

pub async fn what_is_void_cannot_be_decided_nor_consumed(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    let void = rites.void(&r1(), at(1)).await.unwrap().unwrap();
    assert_eq!(void.standing, Standing::Void);
    assert_eq!(
        decide(&rites, true, "ben", 2).await,
        (false, Standing::Void)
    );
    assert_eq!(
        consume(&rites, GENERATION, 3).await,
        (false, Standing::Void)
    );
    assert_eq!(due(&rites, 4).await, [(r1(), Standing::Void)]);
}

pub async fn what_is_over_does_not_become_void(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    decide(&rites, false, "ben", 1).await;
    let denied = rites.void(&r1(), at(2)).await.unwrap().unwrap();
    assert_eq!(denied.standing, Standing::Denied);
    let late = Asked {
        id: "r2".into(),
        ..asked("refund")
    };
    rites.park(&late).await.unwrap();
    let lapsed = rites.void(&late.id, at(100)).await.unwrap().unwrap();
    assert_eq!(lapsed.standing, Standing::Expired);
}

pub async fn the_first_outcome_stays_and_only_of_what_was_consumed(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    decide(&rites, true, "ben", 1).await;
    rites.conclude(&r1(), RiteOutcome::Succeeded).await.unwrap();
    assert_eq!(
        rites.get(&r1(), at(2)).await.unwrap().unwrap().outcome,
        None
    );
    consume(&rites, GENERATION, 2).await;
    rites.conclude(&r1(), RiteOutcome::Succeeded).await.unwrap();
    rites.conclude(&r1(), RiteOutcome::Failed).await.unwrap();
    let rite = rites.get(&r1(), at(3)).await.unwrap().unwrap();
    assert_eq!(rite.outcome, Some(RiteOutcome::Succeeded));
}

pub async fn what_was_decided_or_has_lapsed_is_due_until_it_is_settled(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    for (id, expires_at) in [("r2", at(50)), ("r3", at(1000))] {
        let other = Asked {
            id: id.into(),
            expires_at,
            ..asked("refund")
        };
        rites.park(&other).await.unwrap();
    }
    assert_eq!(due(&rites, 9).await, []);
    decide(&rites, true, "ben", 10).await;
    let (first, second) = ((r1(), Standing::Approved), ("r2".into(), Standing::Expired));
    assert_eq!(due(&rites, 10).await, std::slice::from_ref(&first));
    assert_eq!(due(&rites, 60).await, [first, second.clone()]);
    assert_eq!(rites.due(1, at(60)).await.unwrap().len(), 1);

    consume(&rites, GENERATION, 61).await;
    assert_eq!(
        due(&rites, 62).await,
        [(r1(), Standing::Consumed), second.clone()]
    );
    rites.settle(&r1(), at(63)).await.unwrap();
    rites.settle(&r1(), at(64)).await.unwrap();
    assert_eq!(due(&rites, 65).await, [second]);
    let rite = rites.get(&r1(), at(65)).await.unwrap().unwrap();
    assert_eq!(rite.settled_at, Some(at(63)));
}

pub async fn those_of_a_session_are_listed_newest_first(rites: Arc<impl Rites>) {
    for (id, session) in [("r1", ana()), ("r2", ben()), ("r3", ana()), ("r4", ana())] {
        let asked = Asked {
            id: id.into(),
            session,
            ..asked("refund")
        };
        rites.park(&asked).await.unwrap();
        // A store may order by the millisecond.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let ids = async |session: Option<eywa_weave::SessionKey>, most| -> Vec<String> {
        let listed = rites.list(session.as_ref(), most, at(1)).await.unwrap();
        listed
            .into_iter()
            .map(|rite| rite.asked.id.to_string())
            .collect()
    };
    assert_eq!(ids(Some(ana()), 10).await, ["r4", "r3", "r1"]);
    assert_eq!(ids(Some(ana()), 2).await, ["r4", "r3"]);
    assert_eq!(ids(None, 10).await, ["r4", "r3", "r2", "r1"]);
}
