//! What every Lore does.

mod odd;

use std::{collections::BTreeMap, sync::Arc};

use eywa_weave::ports::lore::{Lore, LoreError, Match, PAGE, Passage, Search};

pub use self::odd::{a_filter_is_data, a_passage_comes_back_to_the_letter, namespaces_are_apart};
use super::at_once;

/// The argument gives a Lore that has no passages, and a collection for vectors of [`DIMENSIONS`] or none at all.
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
                of_two_with_one_id_the_last_stays,
                namespaces_are_apart,
                only_what_has_all_of_the_filter_is_found,
                a_passage_comes_back_to_the_letter,
                a_filter_is_data,
                every_id_of_a_set_is_on_one_page,
                pages_stay_whole_while_what_was_on_them_is_removed,
                what_is_removed_is_gone_and_nothing_else,
                what_is_prepared_again_keeps_its_passages,
                vectors_of_another_length_do_not_fit,
                many_write_and_look_at_once,
            ]
        );
    };
}
pub(crate) use lore_suite;

/// For stores that make their collections: the argument gives a Lore that has none.
macro_rules! lore_making_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            lore,
            $open,
            [
                a_missing_collection_is_said_to_be_missing,
                a_collection_is_made_once_by_many,
            ]
        );
    };
}
pub(crate) use lore_making_suite;

/// How long the suite's vectors are.
pub const DIMENSIONS: usize = 2;

const NOWHERE: &str = "";

pub fn passage(id: &str, set: &str) -> Passage {
    Passage {
        id: id.to_owned(),
        set: set.to_owned(),
        source: "docs/menu.md".to_owned(),
        text: format!("text of {id}"),
        metadata: BTreeMap::new(),
    }
}

fn tagged(id: &str, metadata: &[(&str, &str)]) -> (Passage, Vec<f32>) {
    let mut passage = passage(id, "menu");
    passage.metadata = pairs(metadata);
    (passage, vec![1.0, 0.0])
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Asks a Lore in one line.
struct Ask<'a> {
    namespace: &'a str,
    vector: &'a [f32],
    filter: &'a [(&'a str, &'a str)],
    top_k: usize,
    min_score: f32,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self {
            namespace: NOWHERE,
            vector: &[1.0, 0.1],
            filter: &[],
            top_k: 9,
            min_score: -1.0,
        }
    }
}

impl Ask<'_> {
    async fn matches(&self, lore: &impl Lore) -> Result<Vec<Match>, LoreError> {
        lore.search(Search {
            namespace: self.namespace,
            vector: self.vector,
            filter: &pairs(self.filter),
            top_k: self.top_k,
            min_score: self.min_score,
        })
        .await
    }

    async fn of(&self, lore: &impl Lore) -> Vec<String> {
        let matches = self.matches(lore).await.unwrap();
        matches.into_iter().map(|found| found.passage.id).collect()
    }
}

/// A menu in four directions of a plane, of lengths that do not matter.
async fn menu(lore: &impl Lore) {
    lore.prepare(DIMENSIONS).await.unwrap();
    let menu = [
        (passage("east", "menu"), vec![2.0, 0.0]),
        (passage("north", "menu"), vec![0.0, 3.0]),
        (passage("northeast", "hours"), vec![1.0, 1.0]),
        (passage("west", "menu"), vec![-1.0, 0.0]),
    ];
    lore.put(NOWHERE, &menu).await.unwrap();
}

/// All ids of a set, in order, and how many pages they were on.
async fn ids(lore: &impl Lore, namespace: &str, set: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut next) = (Vec::new(), 0, None);
    loop {
        let page = lore.ids(namespace, set, next.as_deref()).await.unwrap();
        assert!(page.ids.len() <= PAGE, "{} on a page", page.ids.len());
        ids.extend(page.ids);
        pages += 1;
        next = page.next;
        if next.is_none() {
            ids.sort();
            return (ids, pages);
        }
        assert!(pages < 99, "the pages do not end");
    }
}

fn numbered(numbers: impl IntoIterator<Item = usize>, set: &str) -> Vec<(Passage, Vec<f32>)> {
    let numbers = numbers.into_iter();
    numbers
        .map(|number| (passage(&format!("p{number:04}"), set), vec![1.0, 0.5]))
        .collect()
}

fn names(passages: &[(Passage, Vec<f32>)]) -> Vec<String> {
    let mut names: Vec<String> = passages.iter().map(|(it, _)| it.id.clone()).collect();
    names.sort();
    names
}

pub async fn an_empty_collection_finds_nothing(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    lore.check(DIMENSIONS).await.unwrap();
    assert_eq!(Ask::default().matches(&*lore).await.unwrap(), []);
    assert_eq!(ids(&*lore, NOWHERE, "menu").await, (vec![], 1));
    lore.put(NOWHERE, &[]).await.unwrap();
    lore.remove(NOWHERE, &[]).await.unwrap();
    lore.remove(NOWHERE, &["nobody"]).await.unwrap();
}

pub async fn the_nearest_come_first(lore: Arc<impl Lore>) {
    menu(&*lore).await;
    let matches = Ask::default().matches(&*lore).await.unwrap();
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
    menu(&*lore).await;
    let asked = |top_k, min_score| Ask {
        top_k,
        min_score,
        ..Ask::default()
    };
    assert_eq!(asked(2, -1.0).of(&*lore).await, ["east", "northeast"]);
    assert_eq!(asked(9, 0.9).of(&*lore).await, ["east"]);
    assert_eq!(asked(9, 0.0).of(&*lore).await.len(), 3);
    assert_eq!(asked(0, -1.0).of(&*lore).await.len(), 0);
    assert_eq!(asked(9, 0.999).of(&*lore).await.len(), 0);
}

pub async fn equals_come_in_the_order_of_their_ids(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    for id in ["c", "a", "d", "b"] {
        lore.put(NOWHERE, &[(passage(id, "menu"), vec![0.0, 1.0])])
            .await
            .unwrap();
    }
    let two = Ask {
        vector: &[0.0, 1.0],
        top_k: 2,
        ..Ask::default()
    };
    assert_eq!(two.of(&*lore).await, ["a", "b"]);
}

pub async fn a_passage_of_the_same_id_is_replaced(lore: Arc<impl Lore>) {
    menu(&*lore).await;
    let mut replaced = passage("east", "hours");
    replaced.text = "closed".to_owned();
    replaced.metadata = pairs(&[("day", "monday")]);
    lore.put(NOWHERE, &[(replaced.clone(), vec![-1.0, 0.01])])
        .await
        .unwrap();
    let matches = Ask::default().matches(&*lore).await.unwrap();
    let found: Vec<&str> = matches.iter().map(|it| it.passage.id.as_str()).collect();
    assert_eq!(found, ["northeast", "north", "east", "west"]);
    assert_eq!(matches[2].passage, replaced);
    assert_eq!(ids(&*lore, NOWHERE, "menu").await.0, ["north", "west"]);
    assert_eq!(ids(&*lore, NOWHERE, "hours").await.0, ["east", "northeast"]);

    // What it no longer has is not found any more.
    lore.put(NOWHERE, &[(passage("east", "menu"), vec![1.0, 0.0])])
        .await
        .unwrap();
    let on_mondays = Ask {
        filter: &[("day", "monday")],
        ..Ask::default()
    };
    assert!(on_mondays.of(&*lore).await.is_empty());
}

pub async fn of_two_with_one_id_the_last_stays(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    let (mut first, mut last) = (passage("a", "menu"), passage("a", "menu"));
    first.text = "first".to_owned();
    last.text = "last".to_owned();
    lore.put(
        NOWHERE,
        &[(first, vec![1.0, 0.0]), (last.clone(), vec![0.0, 1.0])],
    )
    .await
    .unwrap();
    let matches = Ask::default().matches(&*lore).await.unwrap();
    assert_eq!(matches.len(), 1, "{matches:?}");
    assert_eq!(matches[0].passage, last);
    assert!(matches[0].score < 0.5, "{matches:?}");
}

pub async fn only_what_has_all_of_the_filter_is_found(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    lore.put(
        NOWHERE,
        &[
            tagged("both", &[("lang", "de"), ("kind", "menu"), ("more", "yes")]),
            tagged("lang", &[("lang", "de")]),
            tagged("kind", &[("kind", "menu"), ("lang", "en")]),
            tagged("swapped", &[("de", "lang"), ("menu", "kind")]),
            tagged("none", &[]),
        ],
    )
    .await
    .unwrap();
    let by = async |filter: &[(&str, &str)]| {
        let asked = Ask {
            filter,
            ..Ask::default()
        };
        asked.of(&*lore).await
    };
    assert_eq!(by(&[("lang", "de"), ("kind", "menu")]).await, ["both"]);
    assert_eq!(by(&[("lang", "de")]).await, ["both", "lang"]);
    assert_eq!(by(&[("kind", "menu")]).await, ["both", "kind"]);
    assert_eq!(by(&[]).await.len(), 5);
    for nobody in [
        ("lang", "fr"),
        ("lang", "DE"),
        ("lang", "d"),
        ("lang", ""),
        ("unknown", "de"),
    ] {
        assert!(by(&[nobody]).await.is_empty(), "{nobody:?}");
    }
}

pub async fn every_id_of_a_set_is_on_one_page(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    let kept = numbered(0..2 * PAGE + 50, "menu");
    lore.put("cafe", &kept).await.unwrap();
    let full = numbered(1000..1000 + PAGE, "full");
    lore.put("cafe", &full).await.unwrap();
    lore.put("shop", &numbered(2000..2003, "menu"))
        .await
        .unwrap();
    let (listed, pages) = ids(&*lore, "cafe", "menu").await;
    assert_eq!(listed, names(&kept));
    assert!(pages >= 3, "{pages}");
    assert_eq!(ids(&*lore, "cafe", "full").await.0, names(&full));
    assert_eq!(ids(&*lore, "shop", "menu").await.0.len(), 3);
    assert_eq!(ids(&*lore, "shop", "full").await.0.len(), 0);
    assert_eq!(ids(&*lore, "cafe", "men").await.0.len(), 0);
}

pub async fn pages_stay_whole_while_what_was_on_them_is_removed(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    let kept = numbered(0..2 * PAGE + 50, "menu");
    lore.put(NOWHERE, &kept).await.unwrap();
    let (mut seen, mut next) = (Vec::new(), None);
    loop {
        let page = lore.ids(NOWHERE, "menu", next.as_deref()).await.unwrap();
        let listed: Vec<&str> = page.ids.iter().map(String::as_str).collect();
        lore.remove(NOWHERE, &listed).await.unwrap();
        seen.extend(page.ids);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, names(&kept));
    assert_eq!(ids(&*lore, NOWHERE, "menu").await.0.len(), 0);
}

pub async fn what_is_removed_is_gone_and_nothing_else(lore: Arc<impl Lore>) {
    menu(&*lore).await;
    let many = numbered(0..2 * PAGE + 50, "many");
    lore.put(NOWHERE, &many).await.unwrap();
    lore.put("elsewhere", &[(passage("east", "menu"), vec![1.0, 0.0])])
        .await
        .unwrap();
    let mut gone = names(&many);
    gone.extend(["east".to_owned(), "nobody".to_owned(), "east".to_owned()]);
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    lore.remove(NOWHERE, &gone).await.unwrap();
    assert_eq!(
        Ask::default().of(&*lore).await,
        ["northeast", "north", "west"]
    );
    assert_eq!(ids(&*lore, NOWHERE, "many").await.0.len(), 0);
    assert_eq!(ids(&*lore, NOWHERE, "menu").await.0, ["north", "west"]);
    assert_eq!(ids(&*lore, "elsewhere", "menu").await.0, ["east"]);
}

pub async fn what_is_prepared_again_keeps_its_passages(lore: Arc<impl Lore>) {
    menu(&*lore).await;
    lore.prepare(DIMENSIONS).await.unwrap();
    lore.check(DIMENSIONS).await.unwrap();
    assert_eq!(Ask::default().of(&*lore).await.len(), 4);
}

fn unfit<T: std::fmt::Debug>(given: Result<T, LoreError>) {
    assert!(matches!(given, Err(LoreError::Unfit { .. })), "{given:?}");
}

pub async fn vectors_of_another_length_do_not_fit(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    unfit(lore.check(3).await);
    unfit(lore.prepare(3).await);
    let longer = Ask {
        vector: &[1.0, 0.0, 0.0],
        ..Ask::default()
    };
    let put = async |length| {
        let longer = [(passage("long", "menu"), vec![1.0; length])];
        lore.put(NOWHERE, &longer).await
    };
    // As the first there is, when some stores do not know their length yet, and after others.
    unfit(put(3).await);
    unfit(longer.matches(&*lore).await);
    menu(&*lore).await;
    unfit(put(3).await);
    unfit(put(1).await);
    unfit(longer.matches(&*lore).await);
    assert_eq!(Ask::default().of(&*lore).await.len(), 4);
    let said = lore.check(3).await.unwrap_err().to_string();
    assert!(said.contains("2 dimensions"), "{said}");
    assert!(said.contains("3 dimensions"), "{said}");
}

pub async fn many_write_and_look_at_once(lore: Arc<impl Lore + 'static>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    let writers = (0..6).map(|writer| {
        let lore = lore.clone();
        async move {
            // Each shares half of its ids with the next.
            lore.put(NOWHERE, &numbered(writer * 30..writer * 30 + 60, "menu"))
                .await
                .unwrap();
            let found = Ask::default().of(&*lore).await;
            assert_eq!(found.len(), 9);
            let own = [(passage(&format!("own{writer}"), "own"), vec![0.0, 1.0])];
            lore.put(NOWHERE, &own).await.unwrap();
            let gone = format!("p{:04}", writer * 30);
            lore.remove(NOWHERE, &[&gone]).await.unwrap();
        }
    });
    at_once(writers).await;
    let listed = ids(&*lore, NOWHERE, "menu").await.0;
    // The first of each writer is removed by it, and may have been put again by the one before.
    let sure = names(&numbered((0..210).filter(|it| it % 30 != 0), "menu"));
    assert!(sure.iter().all(|id| listed.contains(id)), "{listed:?}");
    assert!(!listed.contains(&"p0000".to_owned()));
    assert_eq!(ids(&*lore, NOWHERE, "own").await.0.len(), 6);
}

fn missing<T: std::fmt::Debug>(given: Result<T, LoreError>) {
    assert!(matches!(given, Err(LoreError::Missing { .. })), "{given:?}");
}

pub async fn a_missing_collection_is_said_to_be_missing(lore: Arc<impl Lore>) {
    missing(lore.check(DIMENSIONS).await);
    missing(Ask::default().matches(&*lore).await);
    missing(lore.ids(NOWHERE, "menu", None).await);
    missing(lore.remove(NOWHERE, &["east"]).await);
    missing(lore.put(NOWHERE, &numbered(0..1, "menu")).await);
    missing(lore.check(DIMENSIONS).await);
    menu(&*lore).await;
    lore.check(DIMENSIONS).await.unwrap();
    assert_eq!(Ask::default().of(&*lore).await.len(), 4);
}

pub async fn a_collection_is_made_once_by_many(lore: Arc<impl Lore + 'static>) {
    let makers = (0..8).map(|_| {
        let lore = lore.clone();
        async move { lore.prepare(DIMENSIONS).await }
    });
    for made in at_once(makers).await {
        made.unwrap();
    }
    menu(&*lore).await;
    assert_eq!(Ask::default().of(&*lore).await.len(), 4);
}
