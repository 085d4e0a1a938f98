//! What every store of Rites does.

use std::sync::Arc;

use eywa_weave::{
    names::SpiritName,
    ports::rite::{Asked, Rites, Standing},
    tool::ToolCall,
};
use jiff::Timestamp;

use super::{ana, at_once, id};

macro_rules! rite_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            rite,
            $open,
            [
                what_was_never_parked_is_not_there,
                what_is_parked_waits_for_a_decision,
                parking_again_changes_nothing,
                the_first_decision_counts,
                of_many_who_decide_at_once_one_decides,
                a_question_lapses_and_is_not_denied,
                an_approval_is_consumed_once,
                an_approval_is_consumed_by_one_of_many,
                what_nobody_approved_is_not_consumed,
                an_approval_of_another_generation_is_void,
            ]
        );
    };
}
pub(crate) use rite_suite;

fn at(n: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + n).unwrap()
}

/// A question that lapses at 100.
fn asked(name: &str) -> Asked {
    Asked {
        id: "r1".to_owned(),
        session: ana(),
        pulse: id("a"),
        spirit: SpiritName::from("barista"),
        generation: 3,
        call: ToolCall {
            id: "c1".into(),
            name: name.into(),
            arguments: serde_json::json!({"euros": 12.5}),
        },
        expires_at: at(100),
    }
}

async fn standing(rites: &Arc<impl Rites>, n: i64) -> Option<Standing> {
    rites
        .get("r1", at(n))
        .await
        .unwrap()
        .map(|(_, standing)| standing)
}

pub async fn what_was_never_parked_is_not_there(rites: Arc<impl Rites>) {
    assert_eq!(rites.get("r1", at(0)).await.unwrap(), None);
    assert_eq!(rites.decide("r1", true, "ben", at(0)).await.unwrap(), None);
    assert!(!rites.consume("r1", 3, at(0)).await.unwrap());
}

pub async fn what_is_parked_waits_for_a_decision(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert_eq!(
        rites.get("r1", at(99)).await.unwrap(),
        Some((asked("refund"), Standing::Pending))
    );
    assert_eq!(
        rites.decide("r1", false, "ben", at(99)).await.unwrap(),
        Some(Standing::Denied)
    );
    assert_eq!(standing(&rites, 1000).await, Some(Standing::Denied));
}

pub async fn parking_again_changes_nothing(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    rites.decide("r1", true, "ben", at(1)).await.unwrap();
    rites.park(&asked("something else")).await.unwrap();
    assert_eq!(
        rites.get("r1", at(2)).await.unwrap(),
        Some((asked("refund"), Standing::Approved))
    );
}

pub async fn the_first_decision_counts(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert_eq!(
        rites.decide("r1", true, "ben", at(1)).await.unwrap(),
        Some(Standing::Approved)
    );
    assert_eq!(
        rites.decide("r1", false, "carla", at(2)).await.unwrap(),
        Some(Standing::Approved)
    );
}

pub async fn of_many_who_decide_at_once_one_decides(rites: Arc<impl Rites + 'static>) {
    rites.park(&asked("refund")).await.unwrap();
    let said = at_once((0..100).map(|n| {
        let rites = rites.clone();
        async move { rites.decide("r1", n % 2 == 0, "ben", at(1)).await.unwrap() }
    }));
    let said = said.await;
    assert!(said.iter().all(|standing| *standing == said[0]), "{said:?}");
    assert_eq!(standing(&rites, 2).await, said[0]);
}

pub async fn a_question_lapses_and_is_not_denied(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert_eq!(standing(&rites, 100).await, Some(Standing::Expired));
    assert_eq!(
        rites.decide("r1", true, "ben", at(100)).await.unwrap(),
        Some(Standing::Expired)
    );
    assert!(!rites.consume("r1", 3, at(100)).await.unwrap());
}

pub async fn an_approval_is_consumed_once(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    rites.decide("r1", true, "ben", at(1)).await.unwrap();
    assert!(rites.consume("r1", 3, at(2)).await.unwrap());
    assert!(!rites.consume("r1", 3, at(3)).await.unwrap());
    assert_eq!(standing(&rites, 4).await, Some(Standing::Consumed));
}

pub async fn an_approval_is_consumed_by_one_of_many(rites: Arc<impl Rites + 'static>) {
    rites.park(&asked("refund")).await.unwrap();
    rites.decide("r1", true, "ben", at(1)).await.unwrap();
    let taken = at_once((0..200).map(|_| {
        let rites = rites.clone();
        async move { rites.consume("r1", 3, at(2)).await.unwrap() }
    }));
    assert_eq!(taken.await.into_iter().filter(|taken| *taken).count(), 1);
}

pub async fn what_nobody_approved_is_not_consumed(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    assert!(!rites.consume("r1", 3, at(1)).await.unwrap());
    assert_eq!(standing(&rites, 1).await, Some(Standing::Pending));
    rites.decide("r1", false, "ben", at(1)).await.unwrap();
    assert!(!rites.consume("r1", 3, at(2)).await.unwrap());
}

pub async fn an_approval_of_another_generation_is_void(rites: Arc<impl Rites>) {
    rites.park(&asked("refund")).await.unwrap();
    rites.decide("r1", true, "ben", at(1)).await.unwrap();
    assert!(!rites.consume("r1", 4, at(2)).await.unwrap());
    assert_eq!(standing(&rites, 3).await, Some(Standing::Void));
    assert!(!rites.consume("r1", 3, at(4)).await.unwrap());
}
