//! What every Memory does.

use std::sync::Arc;

use eywa_weave::{
    StoreError, User,
    names::SpiritName,
    ports::{
        bond::Fence,
        memory::{Heard, Memory, Recollection, Tally},
    },
};

use jiff::Timestamp;

use super::{LONG, SHORT, ana, at_once, ben, id, until};

macro_rules! memory_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            memory,
            $open,
            [
                nothing_is_remembered_at_first,
                what_is_kept_is_recalled_and_replaced,
                what_is_kept_ends_with_its_ttl,
                an_older_bond_is_refused_and_keeps_nothing,
                an_older_bond_is_refused_after_the_ttl_too,
                sessions_are_kept_apart,
                counts_add_up,
                adding_nothing_starts_no_count,
                nothing_is_lost_when_many_count_at_once,
                nobody_is_heard_at_first,
                what_was_heard_last_is_kept,
            ]
        );
    };
}
pub(crate) use memory_suite;

fn with(spirit: &str) -> Recollection {
    let variables = [(
        "order".to_owned(),
        serde_json::json!({"cups": [1, 2.5, null], "note": "ü\0"}),
    )]
    .into();
    Recollection {
        spirit: Some(SpiritName::from(spirit)),
        variables,
    }
}

pub async fn nothing_is_remembered_at_first(memory: Arc<impl Memory>) {
    assert_eq!(
        memory.recall(&ana()).await.unwrap(),
        Recollection::default()
    );
}

pub async fn what_is_kept_is_recalled_and_replaced(memory: Arc<impl Memory>) {
    memory
        .keep(&ana(), Fence(1), &with("barista"), LONG)
        .await
        .unwrap();
    assert_eq!(memory.recall(&ana()).await.unwrap(), with("barista"));
    memory
        .keep(&ana(), Fence(1), &Recollection::default(), LONG)
        .await
        .unwrap();
    assert_eq!(
        memory.recall(&ana()).await.unwrap(),
        Recollection::default()
    );
}

pub async fn what_is_kept_ends_with_its_ttl(memory: Arc<impl Memory>) {
    memory
        .keep(&ben(), Fence(1), &with("barista"), LONG)
        .await
        .unwrap();
    memory
        .keep(&ana(), Fence(1), &with("barista"), SHORT)
        .await
        .unwrap();
    until("the TTL to pass", async || {
        (memory.recall(&ana()).await.unwrap() == Recollection::default()).then_some(())
    })
    .await;
    assert_eq!(memory.recall(&ben()).await.unwrap(), with("barista"));
}

pub async fn an_older_bond_is_refused_and_keeps_nothing(memory: Arc<impl Memory>) {
    memory
        .keep(&ana(), Fence(10), &with("new"), LONG)
        .await
        .unwrap();
    let refused = memory.keep(&ana(), Fence(9), &with("old"), LONG).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Fenced {
                offered: Fence(9),
                newest: Fence(10)
            })
        ),
        "{refused:?}"
    );
    assert_eq!(memory.recall(&ana()).await.unwrap(), with("new"));
}

pub async fn an_older_bond_is_refused_after_the_ttl_too(memory: Arc<impl Memory>) {
    memory
        .keep(&ana(), Fence(10), &with("new"), SHORT)
        .await
        .unwrap();
    until("the TTL to pass", async || {
        (memory.recall(&ana()).await.unwrap() == Recollection::default()).then_some(())
    })
    .await;
    assert!(
        memory
            .keep(&ana(), Fence(9), &with("old"), LONG)
            .await
            .is_err()
    );
}

pub async fn sessions_are_kept_apart(memory: Arc<impl Memory>) {
    memory
        .keep(&ana(), Fence(10), &with("barista"), LONG)
        .await
        .unwrap();
    memory.tally(&ana(), Tally::Tokens, 5).await.unwrap();
    assert_eq!(
        memory.recall(&ben()).await.unwrap(),
        Recollection::default()
    );
    assert_eq!(memory.tally(&ben(), Tally::Tokens, 0).await.unwrap(), 0);
    memory
        .keep(&ben(), Fence(1), &with("waiter"), LONG)
        .await
        .unwrap();
}

pub async fn counts_add_up(memory: Arc<impl Memory>) {
    assert_eq!(memory.tally(&ana(), Tally::Tokens, 5).await.unwrap(), 5);
    assert_eq!(
        memory
            .tally(&ana(), Tally::Tokens, 70_000_000_000)
            .await
            .unwrap(),
        70_000_000_005
    );
    assert_eq!(
        memory.tally(&ana(), Tally::Tokens, 0).await.unwrap(),
        70_000_000_005
    );
    assert_eq!(memory.tally(&ana(), Tally::Pulses, 1).await.unwrap(), 1);
}

pub async fn adding_nothing_starts_no_count(memory: Arc<impl Memory>) {
    assert_eq!(memory.tally(&ana(), Tally::Pulses, 0).await.unwrap(), 0);
    assert_eq!(memory.tally(&ana(), Tally::Pulses, 1).await.unwrap(), 1);
}

pub async fn nothing_is_lost_when_many_count_at_once(memory: Arc<impl Memory + 'static>) {
    let sums = at_once((0..200).map(|_| {
        let memory = memory.clone();
        async move { memory.tally(&ana(), Tally::Pulses, 1).await.unwrap() }
    }));
    let mut sums = sums.await;
    sums.sort_unstable();
    assert_eq!(sums, (1..=200).collect::<Vec<_>>());
}

fn heard(pulse: &str, at: i64) -> Heard {
    Heard {
        pulse: id(pulse),
        at: Timestamp::from_millisecond(1_700_000_000_000 + at).unwrap(),
        user: User {
            id: "551".into(),
            name: Some("Ana \"ü\"".to_owned()),
        },
        reply_to: serde_json::json!({"to": "551", "window": [1, null]}),
    }
}

pub async fn nobody_is_heard_at_first(memory: Arc<impl Memory>) {
    assert_eq!(memory.last_heard(&ana()).await.unwrap(), None);
}

pub async fn what_was_heard_last_is_kept(memory: Arc<impl Memory>) {
    memory.hear(&ana(), &heard("a", 5)).await.unwrap();
    memory.hear(&ana(), &heard("b", 7)).await.unwrap();
    // One that was overtaken, by a crash or by another pod.
    memory.hear(&ana(), &heard("a", 5)).await.unwrap();
    assert_eq!(
        memory.last_heard(&ana()).await.unwrap(),
        Some(heard("b", 7))
    );
    assert_eq!(memory.last_heard(&ben()).await.unwrap(), None);
    // What the session remembers is another thing.
    assert_eq!(
        memory.recall(&ana()).await.unwrap(),
        Recollection::default()
    );
}
