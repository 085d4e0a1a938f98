//! What every Imprint does.

use std::sync::Arc;

use eywa_weave::ports::imprint::{Fact, Imprint};
use jiff::Timestamp;

use super::{ana, ben};

macro_rules! imprint_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            imprint,
            $open,
            [
                nothing_is_known_of_a_stranger,
                the_latest_fact_comes_first,
                a_fact_that_is_known_is_made_new,
                the_oldest_facts_are_dropped,
                what_is_to_be_forgotten_is_forgotten,
                all_is_forgotten_when_nothing_is_named,
                people_are_kept_apart,
            ]
        );
    };
}
pub(crate) use imprint_suite;

fn fact(text: &str, at: i64) -> Fact {
    Fact {
        text: text.to_owned(),
        at: Timestamp::from_second(1_700_000_000 + at).unwrap(),
    }
}

async fn known(imprint: &Arc<impl Imprint>) -> Vec<String> {
    imprint
        .facts(&ana())
        .await
        .unwrap()
        .into_iter()
        .map(|fact| fact.text)
        .collect()
}

pub async fn nothing_is_known_of_a_stranger(imprint: Arc<impl Imprint>) {
    assert_eq!(imprint.facts(&ana()).await.unwrap(), []);
    assert_eq!(imprint.forget(&ana(), &[]).await.unwrap(), 0);
}

pub async fn the_latest_fact_comes_first(imprint: Arc<impl Imprint>) {
    imprint
        .learn(&ana(), &[fact("likes tea", 1)], 9)
        .await
        .unwrap();
    imprint
        .learn(
            &ana(),
            &[fact("has a dog", 3), fact("lives in Porto", 2)],
            9,
        )
        .await
        .unwrap();
    let facts = imprint.facts(&ana()).await.unwrap();
    assert_eq!(
        facts,
        [
            fact("has a dog", 3),
            fact("lives in Porto", 2),
            fact("likes tea", 1)
        ]
    );
}

pub async fn a_fact_that_is_known_is_made_new(imprint: Arc<impl Imprint>) {
    imprint
        .learn(&ana(), &[fact("likes tea", 1), fact("has a dog", 2)], 9)
        .await
        .unwrap();
    imprint
        .learn(&ana(), &[fact("likes tea", 3)], 9)
        .await
        .unwrap();
    assert_eq!(
        imprint.facts(&ana()).await.unwrap(),
        [fact("likes tea", 3), fact("has a dog", 2)]
    );
}

pub async fn the_oldest_facts_are_dropped(imprint: Arc<impl Imprint>) {
    for n in 0..10 {
        imprint
            .learn(&ana(), &[fact(&n.to_string(), n)], 3)
            .await
            .unwrap();
    }
    assert_eq!(known(&imprint).await, ["9", "8", "7"]);
}

pub async fn what_is_to_be_forgotten_is_forgotten(imprint: Arc<impl Imprint>) {
    imprint
        .learn(&ana(), &[fact("a", 1), fact("b", 2), fact("c", 3)], 9)
        .await
        .unwrap();
    assert_eq!(
        imprint
            .forget(&ana(), &["a", "c", "never heard of"])
            .await
            .unwrap(),
        2
    );
    assert_eq!(known(&imprint).await, ["b"]);
}

pub async fn all_is_forgotten_when_nothing_is_named(imprint: Arc<impl Imprint>) {
    imprint
        .learn(&ana(), &[fact("a", 1), fact("b", 2)], 9)
        .await
        .unwrap();
    assert_eq!(imprint.forget(&ana(), &[]).await.unwrap(), 2);
    assert_eq!(imprint.facts(&ana()).await.unwrap(), []);
}

pub async fn people_are_kept_apart(imprint: Arc<impl Imprint>) {
    imprint.learn(&ana(), &[fact("a", 1)], 9).await.unwrap();
    assert_eq!(imprint.facts(&ben()).await.unwrap(), []);
    imprint.forget(&ben(), &[]).await.unwrap();
    assert_eq!(known(&imprint).await, ["a"]);
}
