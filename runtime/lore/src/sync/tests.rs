use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use eywa_adapters::{embedder::HashingEmbedder, lore::InMemoryLore};
use eywa_weave::{
    StoreError,
    ports::lore::{Match, Page, Search},
};
use tokio::time::Instant;

use super::*;
use crate::{
    documents::{Document, Section, Unread},
    library::Entry,
};

/// Documents that a test writes: a text each, a paragraph a passage; `None` for one that cannot be read.
#[derive(Default)]
struct Papers {
    entries: Vec<Entry>,
    texts: Vec<Option<String>>,
}

impl Papers {
    fn of(papers: &[(&str, &str)]) -> Self {
        let papers: Vec<_> = papers.iter().map(|(a, b)| (*a, Some(*b))).collect();
        Self::with_unread(&papers)
    }

    fn with_unread(papers: &[(&str, Option<&str>)]) -> Self {
        Self {
            entries: papers
                .iter()
                .map(|(source, _)| Entry {
                    source: (*source).to_owned(),
                    metadata: BTreeMap::new(),
                })
                .collect(),
            texts: papers
                .iter()
                .map(|(_, text)| text.map(str::to_owned))
                .collect(),
        }
    }

    fn many(count: usize) -> Self {
        let papers: Vec<(String, String)> = (0..count)
            .map(|at| (format!("{at}.md"), format!("Paper number {at}.")))
            .collect();
        let papers: Vec<(&str, &str)> = papers.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        Self::of(&papers)
    }
}

#[async_trait]
impl Library for Papers {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    async fn read(&self, at: usize) -> Result<Document, Unread> {
        let text = self.texts[at].as_ref().ok_or(Unread::TooLarge)?;
        let section = |text: &str| Section {
            text: text.to_owned(),
            ..Section::default()
        };
        Ok(Document {
            title: String::new(),
            sections: text.split("\n\n").map(section).collect(),
        })
    }
}

type Fails = Box<dyn Fn(usize, &[&str]) -> Option<Fault> + Send + std::marker::Sync>;

/// Hashes, counts the texts, and fails as a test wants.
struct Counting {
    texts: AtomicUsize,
    calls: AtomicUsize,
    fails: Fails,
}

impl Counting {
    fn new() -> Self {
        Self::failing(|_, _| None)
    }

    fn failing(
        fails: impl Fn(usize, &[&str]) -> Option<Fault> + Send + std::marker::Sync + 'static,
    ) -> Self {
        Self {
            texts: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            fails: Box::new(fails),
        }
    }

    fn count(&self) -> usize {
        self.texts.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl Embedder for Counting {
    fn dimensions(&self) -> usize {
        HashingEmbedder::new().dimensions()
    }

    async fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Embeddings, EmbedderError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(fault) = (self.fails)(call, texts) {
            return Err(EmbedderError::new("counting", fault, "as the test wants"));
        }
        tokio::task::yield_now().await;
        self.texts.fetch_add(texts.len(), Ordering::SeqCst);
        let Embeddings { vectors, .. } = HashingEmbedder::new().embed(texts, purpose).await?;
        let tokens = texts.iter().map(|text| text.len() as u64).sum();
        Ok(Embeddings { vectors, tokens })
    }
}

fn sync<'a>(lore: &'a dyn Lore, embedder: &'a dyn Embedder) -> Sync<'a> {
    Sync {
        lore,
        embedder,
        embedder_name: "counting/512",
        namespace: "tenant",
        set: "menu",
        options: Options {
            batch: 4,
            ..Options::default()
        },
    }
}

async fn run(sync: Sync<'_>, papers: &Papers) -> Result<Report, SyncError> {
    sync.run(papers, &|_| {}).await
}

/// What is there of the set, as texts.
async fn there(lore: &dyn Lore) -> BTreeSet<String> {
    let embedder = HashingEmbedder::new();
    let mut vector = vec![0.0; embedder.dimensions()];
    vector[0] = 1.0;
    let filter = BTreeMap::new();
    let all = lore.search(Search {
        namespace: "tenant",
        vector: &vector,
        filter: &filter,
        top_k: 10_000,
        min_score: -1.0,
    });
    let texts = all.await.unwrap().into_iter();
    texts.map(|found: Match| found.passage.text).collect()
}

fn texts(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_not_embedded_again() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    let first = Papers::of(&[("a.md", "Tea.\n\nCoffee."), ("b.md", "Nine to five.")]);
    let report = run(sync(&lore, &embedder), &first).await.unwrap();
    assert_eq!(
        (report.embedded, report.unchanged, report.documents),
        (3, 0, 2)
    );
    assert_eq!(report.tokens, 24);
    assert_eq!(embedder.count(), 3);

    let report = run(sync(&lore, &embedder), &first).await.unwrap();
    assert_eq!(
        (report.embedded, report.unchanged, report.removed),
        (0, 3, 0)
    );
    assert_eq!(embedder.count(), 0);

    let edited = Papers::of(&[("a.md", "Tea.\n\nCocoa."), ("b.md", "Nine to five.")]);
    let report = run(sync(&lore, &embedder), &edited).await.unwrap();
    assert_eq!(
        (report.embedded, report.unchanged, report.removed),
        (1, 2, 1)
    );
    assert_eq!(
        there(&lore).await,
        texts(&["Tea.", "Cocoa.", "Nine to five."])
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_removed_and_other_sets_are_left_alone() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    let other = Sync {
        set: "other",
        ..sync(&lore, &embedder)
    };
    run(other, &Papers::of(&[("a.md", "Kept.")])).await.unwrap();
    let papers = Papers::of(&[("a.md", "Tea."), ("b.md", "Coffee.")]);
    run(sync(&lore, &embedder), &papers).await.unwrap();
    let report = run(sync(&lore, &embedder), &Papers::of(&[("b.md", "Coffee.")]))
        .await
        .unwrap();
    assert_eq!(report.removed, 1);
    assert_eq!(there(&lore).await, texts(&["Kept.", "Coffee."]));
}

#[tokio::test(start_paused = true)]
async fn a_document_that_became_unreadable_keeps_its_passages() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    let papers = Papers::of(&[("a.pdf", "Tea.\n\nCoffee."), ("b.md", "Closed.")]);
    run(sync(&lore, &embedder), &papers).await.unwrap();
    let broken = Papers::with_unread(&[("a.pdf", None)]);
    let report = run(sync(&lore, &embedder), &broken).await.unwrap();
    assert_eq!((report.kept, report.removed), (2, 1));
    assert_eq!(report.skipped[0].source, "a.pdf");
    assert!(report.skipped[0].reason.contains("16 MiB"), "{report:?}");
    assert_eq!(there(&lore).await, texts(&["Tea.", "Coffee."]));
}

#[tokio::test(start_paused = true)]
async fn another_embedder_embeds_everything_anew_and_leaves_nothing_of_the_old() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    let papers = Papers::of(&[("a.md", "Tea.\n\nCoffee.")]);
    run(sync(&lore, &embedder), &papers).await.unwrap();
    let other = Sync {
        embedder_name: "another/512",
        ..sync(&lore, &embedder)
    };
    let report = run(other, &papers).await.unwrap();
    assert_eq!((report.embedded, report.removed), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stopped_in_the_middle_goes_on_from_there() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    let slow = Sync {
        options: Options {
            batch: 4,
            rate: Rate {
                texts: NonZeroU32::new(60),
                tokens: None,
            },
            ..Options::default()
        },
        ..sync(&lore, &embedder)
    };
    let papers = Papers::many(40);
    let stopped = tokio::time::timeout(Duration::from_secs(10), run(slow, &papers)).await;
    assert!(stopped.is_err());
    let before = there(&lore).await.len();
    assert!((4..40).contains(&before), "{before}");
    assert_eq!(embedder.count(), before);

    let report = run(sync(&lore, &embedder), &papers).await.unwrap();
    assert_eq!((report.unchanged, report.embedded), (before, 40 - before));
    assert_eq!(embedder.count(), 40 - before);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    let began = Instant::now();
    let slow = Sync {
        options: Options {
            rate: Rate {
                texts: NonZeroU32::new(60),
                tokens: None,
            },
            ..Options::default()
        },
        ..sync(&lore, &embedder)
    };
    run(slow, &Papers::many(60)).await.unwrap();
    // The last batch of ten is embedded when the fifty before it have had their minute's share.
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(50) && took < Duration::from_secs(70),
        "{took:?}"
    );
    let by_tokens = Sync {
        set: "by tokens",
        options: Options {
            batch: 10,
            rate: Rate {
                texts: None,
                tokens: NonZeroU32::new(600),
            },
            ..Options::default()
        },
        ..sync(&lore, &embedder)
    };
    let began = Instant::now();
    let report = run(by_tokens, &Papers::many(60)).await.unwrap();
    let share = Duration::from_secs(report.tokens / 10 * 50 / 60);
    assert!(
        began.elapsed() >= share,
        "{:?} for {} tokens",
        began.elapsed(),
        report.tokens
    );
}

#[tokio::test(start_paused = true)]
async fn an_embedder_that_is_out_of_breath_is_given_the_time_that_it_asks_for() {
    let lore = InMemoryLore::new();
    let hint = Duration::from_secs(20);
    let embedder = Counting::failing(move |call, _| match call {
        0 => Some(Fault::RateLimited(Some(hint))),
        1 => Some(Fault::Overloaded),
        _ => None,
    });
    let began = Instant::now();
    let report = run(sync(&lore, &embedder), &Papers::many(3)).await.unwrap();
    assert_eq!(report.embedded, 3);
    let took = began.elapsed();
    assert!(took >= hint && took < Duration::from_secs(60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_embedder_that_refuses_ends_it_and_one_that_never_recovers_does_in_time() {
    let lore = InMemoryLore::new();
    let refusing = Counting::failing(|_, _| Some(Fault::Unauthorized));
    let began = Instant::now();
    let error = run(sync(&lore, &refusing), &Papers::many(3))
        .await
        .unwrap_err();
    assert!(
        matches!(error, SyncError::Embedder(_)) && began.elapsed().is_zero(),
        "{error}"
    );

    let tired = Counting::failing(|_, _| Some(Fault::Overloaded));
    assert!(run(sync(&lore, &tired), &Papers::many(3)).await.is_err());
    assert_eq!(tired.calls.load(Ordering::SeqCst), 8);
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_too_long_is_told_and_the_rest_of_its_batch_is_embedded() {
    let lore = InMemoryLore::new();
    let embedder = Counting::failing(|_, texts| {
        let long = texts.iter().any(|text| text.contains("long"));
        long.then_some(Fault::TooLong)
    });
    let papers = Papers::of(&[
        ("a.md", "Tea.\n\nA long one.\n\nCoffee."),
        ("b.md", "Open."),
    ]);
    let report = run(sync(&lore, &embedder), &papers).await.unwrap();
    assert_eq!(there(&lore).await, texts(&["Tea.", "Coffee.", "Open."]));
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(report.skipped[0].source, "a.md");
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_refused_is_told_time_and_again_and_all_others_are_embedded() {
    let lore = InMemoryLore::new();
    let embedder = Counting::failing(|_, texts| {
        let odd = texts.iter().any(|text| text.contains("odd"));
        odd.then_some(Fault::Malformed)
    });
    let papers = Papers::of(&[
        ("a.md", "Tea.\n\nAn odd one.\n\nCoffee."),
        ("b.md", "Open."),
    ]);
    let began = Instant::now();
    for embedded in [3, 0] {
        let report = run(sync(&lore, &embedder), &papers).await.unwrap();
        assert_eq!(report.embedded, embedded);
        assert_eq!(there(&lore).await, texts(&["Tea.", "Coffee.", "Open."]));
        assert_eq!(report.skipped.len(), 1);
        assert_eq!(report.skipped[0].source, "a.md");
        let reason = &report.skipped[0].reason;
        assert!(reason.contains("as the test wants"), "{reason}");
    }
    assert!(began.elapsed().is_zero(), "it looked for what is left out");
}

#[tokio::test(start_paused = true)]
async fn an_embedder_that_refuses_every_text_is_one_error_and_few_requests() {
    let lore = InMemoryLore::new();
    let refusing = Counting::failing(|_, _| Some(Fault::Malformed));
    let ended = run(sync(&lore, &refusing), &Papers::many(1000)).await;
    let told = ended.unwrap_err().to_string();
    assert!(told.contains("as the test wants"), "{told}");
    // Four texts, two, one, and one that nobody refuses.
    assert_eq!(refusing.calls.load(Ordering::SeqCst), 4);

    let picky = Counting::failing(|_, texts| {
        let theirs = texts.iter().any(|text| text.contains("Paper"));
        theirs.then_some(Fault::Malformed)
    });
    let papers = Papers::many(MOST_REFUSED + 50);
    let ended = run(sync(&lore, &picky), &papers).await;
    assert!(matches!(ended, Err(SyncError::Embedder(_))), "{ended:?}");
    let calls = picky.calls.load(Ordering::SeqCst);
    assert!(calls <= 3 * (MOST_REFUSED + 2), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    run(sync(&lore, &embedder), &Papers::of(&[("a.md", "Tea.")]))
        .await
        .unwrap();
    embedder.count();
    let dry = Sync {
        options: Options {
            dry_run: true,
            ..Options::default()
        },
        ..sync(&lore, &embedder)
    };
    let report = run(dry, &Papers::of(&[("b.md", "Coffee.")])).await.unwrap();
    assert_eq!((report.embedded, report.removed), (1, 1));
    assert_eq!(embedder.count(), 0);
    assert_eq!(there(&lore).await, texts(&["Tea."]));
}

#[tokio::test(start_paused = true)]
async fn two_of_the_same_documents_at_once_end_as_one() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    let (one, two) = (Papers::many(30), Papers::many(30));
    let (one, two) = tokio::join!(
        run(sync(&lore, &embedder), &one),
        run(sync(&lore, &embedder), &two)
    );
    one.unwrap();
    two.unwrap();
    assert_eq!(there(&lore).await.len(), 30);
    let again = run(sync(&lore, &embedder), &Papers::many(30))
        .await
        .unwrap();
    assert_eq!((again.embedded, again.unchanged, again.removed), (0, 30, 0));
}

/// A store to which something happens.
struct Eventful<'a> {
    lore: &'a InMemoryLore,
    /// Another sync, with these documents, is done whole right before something is removed.
    other: Mutex<Option<Papers>>,
    /// How it fails when something is put.
    failure: Option<LoreError>,
    puts: AtomicUsize,
}

impl<'a> Eventful<'a> {
    fn new(lore: &'a InMemoryLore) -> Self {
        Self {
            lore,
            other: Mutex::new(None),
            failure: None,
            puts: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Lore for Eventful<'_> {
    async fn check(&self, dimensions: usize) -> Result<(), LoreError> {
        self.lore.check(dimensions).await
    }

    async fn prepare(&self, dimensions: usize) -> Result<(), LoreError> {
        self.lore.prepare(dimensions).await
    }

    async fn search(&self, search: Search<'_>) -> Result<Vec<Match>, LoreError> {
        self.lore.search(search).await
    }

    async fn put(
        &self,
        namespace: &str,
        passages: &[(Passage, Vec<f32>)],
    ) -> Result<(), LoreError> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => self.lore.put(namespace, passages).await,
        }
    }

    async fn ids(
        &self,
        namespace: &str,
        set: &str,
        after: Option<&str>,
    ) -> Result<Page, LoreError> {
        self.lore.ids(namespace, set, after).await
    }

    async fn remove(&self, namespace: &str, ids: &[&str]) -> Result<(), LoreError> {
        let other = self.other.lock().unwrap().take();
        if let Some(papers) = other {
            let embedder = Counting::new();
            run(sync(self.lore, &embedder), &papers).await.unwrap();
        }
        self.lore.remove(namespace, ids).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_for_good_ends_it_at_once_and_one_that_is_away_is_asked_again() {
    let lore = InMemoryLore::new();
    let (store, reason) = ("a store", "HTTP 400, the text is too large".to_owned());
    for (failure, asked) in [
        (
            LoreError::Rejected {
                store,
                reason: reason.clone(),
            },
            1,
        ),
        (StoreError::unavailable(store, &reason).into(), 8),
    ] {
        let failing = Eventful {
            failure: Some(failure),
            ..Eventful::new(&lore)
        };
        let embedder = Counting::new();
        let ended = run(sync(&failing, &embedder), &Papers::many(3)).await;
        let told = ended.unwrap_err().to_string();
        assert!(told.contains(&reason), "{told}");
        assert_eq!(failing.puts.load(Ordering::SeqCst), asked, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_of_different_documents_at_once_end_as_the_last_of_them() {
    let (lore, embedder) = (InMemoryLore::new(), Counting::new());
    let before = Papers::of(&[("a.md", "Before.")]);
    run(sync(&lore, &embedder), &before).await.unwrap();
    let interrupted = Eventful {
        other: Mutex::new(Some(Papers::of(&[
            ("a.md", "The other."),
            ("b.md", "Both."),
        ]))),
        ..Eventful::new(&lore)
    };
    let mine = Papers::of(&[("a.md", "Mine."), ("b.md", "Both.")]);
    run(sync(&interrupted, &embedder), &mine).await.unwrap();
    // The other took "Mine." out while it ran; this one ended last, so it is back.
    assert!(there(&lore).await.is_superset(&texts(&["Mine.", "Both."])));
    run(sync(&lore, &embedder), &mine).await.unwrap();
    assert_eq!(there(&lore).await, texts(&["Mine.", "Both."]));
}
