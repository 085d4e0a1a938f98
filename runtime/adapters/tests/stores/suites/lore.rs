//! What every Lore does.

use std::sync::Arc;

use eywa_weave::ports::lore::{Lore, Passage};

macro_rules! lore_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            lore,
            $open,
            [
                an_empty_collection_finds_nothing,
                the_nearest_come_first,
                no_more_are_found_than_asked_for_and_none_below_the_score,
                equals_come_in_the_order_of_their_ids,
                a_passage_of_the_same_id_is_replaced,
                a_source_is_removed_with_all_its_passages,
            ]
        );
    };
}
pub(crate) use lore_suite;

fn passage(id: &str, source: &str) -> Passage {
    Passage {
        id: id.to_owned(),
        source: source.to_owned(),
        text: format!("text of {id}"),
    }
}

/// A menu in four directions of a plane, of lengths that do not matter.
async fn menu(lore: &Arc<impl Lore>) {
    lore.put(&[
        (passage("east", "menu"), vec![2.0, 0.0]),
        (passage("north", "menu"), vec![0.0, 3.0]),
        (passage("northeast", "hours"), vec![1.0, 1.0]),
        (passage("west", "menu"), vec![-1.0, 0.0]),
    ])
    .await
    .unwrap();
}

async fn found(lore: &Arc<impl Lore>, vector: &[f32], top_k: usize, min_score: f32) -> Vec<String> {
    lore.search(vector, top_k, min_score)
        .await
        .unwrap()
        .into_iter()
        .map(|found| found.passage.id)
        .collect()
}

pub async fn an_empty_collection_finds_nothing(lore: Arc<impl Lore>) {
    assert_eq!(lore.search(&[1.0, 0.0], 9, -1.0).await.unwrap(), []);
    assert_eq!(lore.remove("menu").await.unwrap(), 0);
}

pub async fn the_nearest_come_first(lore: Arc<impl Lore>) {
    menu(&lore).await;
    let matches = lore.search(&[1.0, 0.1], 9, -1.0).await.unwrap();
    let ids: Vec<&str> = matches
        .iter()
        .map(|found| found.passage.id.as_str())
        .collect();
    assert_eq!(ids, ["east", "northeast", "north", "west"]);
    assert_eq!(matches[0].passage, passage("east", "menu"));
    for (found, score) in matches.iter().zip([0.995, 0.774, 0.0995, -0.995]) {
        assert!(
            (found.score - score).abs() < 1e-3,
            "{found:?} should score {score}"
        );
    }
}

pub async fn no_more_are_found_than_asked_for_and_none_below_the_score(lore: Arc<impl Lore>) {
    menu(&lore).await;
    assert_eq!(
        found(&lore, &[1.0, 0.1], 2, -1.0).await,
        ["east", "northeast"]
    );
    assert_eq!(found(&lore, &[1.0, 0.1], 9, 0.9).await, ["east"]);
    assert!(found(&lore, &[1.0, 0.1], 0, -1.0).await.is_empty());
}

pub async fn equals_come_in_the_order_of_their_ids(lore: Arc<impl Lore>) {
    for id in ["c", "a", "b"] {
        lore.put(&[(passage(id, "menu"), vec![0.0, 1.0])])
            .await
            .unwrap();
    }
    assert_eq!(found(&lore, &[0.0, 1.0], 2, 0.0).await, ["a", "b"]);
}

pub async fn a_passage_of_the_same_id_is_replaced(lore: Arc<impl Lore>) {
    menu(&lore).await;
    lore.put(&[(passage("east", "hours"), vec![-1.0, 0.01])])
        .await
        .unwrap();
    assert_eq!(
        found(&lore, &[1.0, 0.1], 9, -1.0).await,
        ["northeast", "north", "east", "west"]
    );
    assert_eq!(lore.remove("hours").await.unwrap(), 2);
}

pub async fn a_source_is_removed_with_all_its_passages(lore: Arc<impl Lore>) {
    menu(&lore).await;
    assert_eq!(lore.remove("menu").await.unwrap(), 3);
    assert_eq!(found(&lore, &[1.0, 0.0], 9, -1.0).await, ["northeast"]);
}
