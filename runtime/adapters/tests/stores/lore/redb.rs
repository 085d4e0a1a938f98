//! Lore in a file.

use std::sync::{Arc, OnceLock};

use eywa_adapters::{lore::RedbLore, redb::Redb};
use eywa_weave::ports::lore::{Lore, LoreError, Passage};

use super::{nearest, number, one};
use crate::suites::{
    self,
    lore::{DIMENSIONS, passage},
};

/// A collection of a Spirit of its own, in a file that all tests share.
async fn open() -> Arc<RedbLore> {
    static FILE: OnceLock<Redb> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        // The folder goes at once; the file lives for as long as it is open.
        Redb::open(folder.path(), "shared").unwrap()
    });
    Arc::new(RedbLore::new(
        file.of(&format!("spirit-{}", number())),
        "menu",
    ))
}

suites::lore_suite!(open);
suites::lore_making_suite!(open);

#[tokio::test]
async fn passages_are_there_after_the_file_was_closed_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let redb = Redb::open(folder.path(), "barista").unwrap();
    let lore = RedbLore::new(redb.clone(), "menu");
    lore.prepare(DIMENSIONS).await.unwrap();
    lore.put("", &one("a")).await.unwrap();
    drop((lore, redb));
    let redb = Redb::open(folder.path(), "barista").unwrap();
    let lore = RedbLore::new(redb.clone(), "menu");
    lore.check(DIMENSIONS).await.unwrap();
    let found = nearest(&lore, &[1.0, 0.0], 9).await.unwrap();
    assert_eq!(found[0].passage, one("a")[0].0);
    // Another collection, and another Spirit's of the same name, have nothing of it.
    for other in [
        RedbLore::new(redb.clone(), "hours"),
        RedbLore::new(redb.of("waiter"), "menu"),
    ] {
        let missing = other.check(DIMENSIONS).await.unwrap_err();
        assert!(matches!(missing, LoreError::Missing { .. }), "{missing:?}");
        other.prepare(3).await.unwrap();
        assert!(
            nearest(&other, &[1.0, 0.0, 0.0], 9)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_thousand_passages_of_real_vectors_are_searched_whole() {
    let lore = open().await;
    lore.prepare(256).await.unwrap();
    let many: Vec<(Passage, Vec<f32>)> = (0..3000_u16)
        .map(|number| {
            let mut vector = vec![0.01; 256];
            vector[usize::from(number) % 256] = 1.0 + f32::from(number) / 3000.0;
            (passage(&format!("p{number:04}"), "menu"), vector)
        })
        .collect();
    lore.put("", &many).await.unwrap();
    let mut wanted = vec![0.01; 256];
    wanted[183] = 2.0;
    let found = nearest(&*lore, &wanted, 3).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|it| it.passage.id.as_str()).collect();
    // Those of one direction, the longest of which is turned least by the rest.
    assert_eq!(ids, ["p2999", "p2743", "p2487"]);
}
