//! Bringing a library's documents in, so that Lore holds what they say and nothing else of their set.
//!
//! Passages are named by what they say, so what is there already is not embedded again: after a change, after one that was
//! stopped in the middle, and beside another that runs at the same time. What is new is put as soon as it is embedded, and
//! only then what is no longer said is removed, so that a search in between finds too much rather than too little. To be
//! stopped is to be dropped: nothing that was put is lost.

mod pace;
mod patience;
mod report;

use std::collections::BTreeSet;

use eywa_weave::ports::{
    lore::{Embedder, EmbedderError, Embeddings, Lore, LoreError, Passage, Purpose},
    oracle::Fault,
};
use futures::{StreamExt as _, stream};

use self::{
    pace::Pace,
    patience::{Failure, at_first, patiently},
};
pub use self::{
    pace::Rate,
    report::{Progress, Report, Skipped},
};
use crate::{
    chunks::{Cut, cut},
    library::Library,
    passages::{Origin, document, document_of},
};

/// How many documents are read at once.
const AT_ONCE: usize = 4;

/// The most passages of a set: their names are held in memory.
const MOST_PASSAGES: usize = 500_000;

/// How many ids are removed in one request.
const REMOVED_AT_ONCE: usize = 500;

/// What no embedder refuses that is asked rightly.
const PLAIN: &str = "text";

/// The most passages of one pass that an embedder may refuse, those that are too long aside.
const MOST_REFUSED: usize = 1000;

/// How often it looks again whether all is there, when another sync of the same set has taken something out meanwhile.
const MOST_PASSES: u32 = 3;

/// How a sync goes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How documents are cut.
    pub cut: Cut,
    /// How many texts are embedded at once.
    pub batch: usize,
    /// How fast it may be.
    pub rate: Rate,
    /// Whether it only says what it would do.
    pub dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cut: Cut::default(),
            batch: 64,
            rate: Rate::default(),
            dry_run: false,
        }
    }
}

/// A sync came to no end. What was put before stays, and the next goes on from there.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SyncError {
    /// The store cannot be used.
    #[error(transparent)]
    Lore(#[from] LoreError),
    /// The embedder cannot be used.
    #[error(transparent)]
    Embedder(#[from] EmbedderError),
    /// There is too much of it.
    #[error("there are more than {MOST_PASSAGES} passages: bring them in as several sets")]
    TooMany,
    /// Others change the same set all the time.
    #[error(
        "passages of this set are taken out while they are brought in: another sync of it, with other documents, runs at the same time"
    )]
    Contended,
}

/// Where documents are brought to, and what embeds them.
#[derive(Clone, Copy)]
pub struct Sync<'a> {
    /// The store.
    pub lore: &'a dyn Lore,
    /// The embedder.
    pub embedder: &'a dyn Embedder,
    /// What the embedder is known by: provider, model and dimensions. Another one embeds everything anew.
    pub embedder_name: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// The set: what is in it and not in the library is removed.
    pub set: &'a str,
    /// How it goes.
    pub options: Options,
}

/// What one pass over the library found.
#[derive(Default)]
struct Pass {
    /// Ids of all that the library says.
    wanted: BTreeSet<String>,
    /// Documents that could not be read, as the ids of their passages begin.
    unread: BTreeSet<String>,
    /// How many passages the embedder refused.
    refused: usize,
}

impl Sync<'_> {
    /// Brings all documents in. `tell` is called often, and is quick.
    ///
    /// # Errors
    /// [`SyncError`]. A document that cannot be read is none: it is in the report, and its passages stay as they were.
    pub async fn run(
        self,
        library: &dyn Library,
        tell: &(dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Result<Report, SyncError> {
        self.prepare().await?;
        let mut report = Report::default();
        let mut pace = Pace::new(self.options.rate);
        for _ in 0..MOST_PASSES {
            let before = self.ids().await?;
            let mut done = Report::default();
            let pass = self
                .bring(library, &before, &mut pace, &mut done, tell)
                .await?;
            let gone: Vec<&String> = before
                .iter()
                .filter(|id| !pass.wanted.contains(*id))
                .collect();
            let (kept, gone): (Vec<&String>, Vec<&String>) = gone
                .into_iter()
                .partition(|id| pass.unread.contains(document_of(id)));
            done.kept = kept.len();
            self.remove(&gone, &mut done, tell).await?;
            let changed = done.embedded + done.removed > 0;
            report.adds(done);
            if self.options.dry_run || !changed || self.all_there(&pass.wanted).await? {
                return Ok(report);
            }
        }
        Err(SyncError::Contended)
    }

    async fn prepare(self) -> Result<(), SyncError> {
        let dimensions = self.embedder.dimensions();
        let prepare = || async move {
            if self.options.dry_run {
                return match self.lore.check(dimensions).await {
                    // It would be made.
                    Err(LoreError::Missing { .. }) => Ok(()),
                    checked => checked,
                };
            }
            self.lore.prepare(dimensions).await
        };
        Ok(at_first(prepare).await?)
    }

    /// The ids of the set that are there.
    async fn ids(self) -> Result<BTreeSet<String>, SyncError> {
        let mut ids = BTreeSet::new();
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref();
            let page =
                patiently(|| async move { self.lore.ids(self.namespace, self.set, from).await })
                    .await;
            let page = match page {
                Err(LoreError::Missing { .. }) if self.options.dry_run => return Ok(ids),
                page => page?,
            };
            ids.extend(page.ids);
            if ids.len() > 2 * MOST_PASSAGES {
                return Err(SyncError::TooMany);
            }
            match page.next {
                // A store that gives the same page again would never end.
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(ids),
            }
        }
    }

    /// Reads every document, and puts what is not there.
    async fn bring(
        self,
        library: &dyn Library,
        there: &BTreeSet<String>,
        pace: &mut Pace,
        report: &mut Report,
        tell: &(dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Result<Pass, SyncError> {
        let entries = library.entries();
        let mut pass = Pass::default();
        let mut waiting = Vec::new();
        let batch = pace.batch(self.options.batch);
        let mut reads =
            stream::iter((0..entries.len()).map(|at| library.read(at))).buffered(AT_ONCE);
        for entry in entries {
            let Some(read) = reads.next().await else {
                break;
            };
            report.documents += 1;
            let source = entry.source.as_str();
            match read {
                Err(reason) => {
                    pass.unread.insert(document(self.set, source));
                    report.skips(source, reason);
                }
                Ok(document) => {
                    let origin = Origin {
                        set: self.set,
                        embedder: self.embedder_name,
                        source,
                        metadata: &entry.metadata,
                    };
                    let passages = origin.passages(cut(&document, self.options.cut));
                    if passages.is_empty() {
                        report.skips(source, "it holds no text");
                    }
                    for passage in passages {
                        report.passages += 1;
                        pass.wanted.insert(passage.id.clone());
                        if there.contains(&passage.id) {
                            report.unchanged += 1;
                        } else {
                            waiting.push(passage);
                        }
                    }
                }
            }
            if pass.wanted.len() > MOST_PASSAGES {
                return Err(SyncError::TooMany);
            }
            tell(report.progress(entries.len()));
            while waiting.len() >= batch {
                let rest = waiting.split_off(batch);
                self.put(waiting, pace, &mut pass, report).await?;
                waiting = rest;
                tell(report.progress(entries.len()));
            }
        }
        self.put(waiting, pace, &mut pass, report).await?;
        tell(report.progress(entries.len()));
        Ok(pass)
    }

    /// Embeds passages, and puts them.
    async fn put(
        self,
        passages: Vec<Passage>,
        pace: &mut Pace,
        pass: &mut Pass,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        if self.options.dry_run {
            report.embedded += passages.len();
            return Ok(());
        }
        // The embedder judges a batch as a whole: one that it does not take is halved until the text is found.
        let mut waiting = vec![passages];
        while let Some(mut passages) = waiting.pop() {
            if passages.is_empty() {
                continue;
            }
            let texts: Vec<&str> = passages.iter().map(|it| it.text.as_str()).collect();
            let embeddings = match (self.embed(&texts, pace).await, passages.as_slice()) {
                (Ok(embeddings), _) => embeddings,
                (Err(error), _) if !is_of_a_text(error.fault) => return Err(error.into()),
                (Err(error), [passage]) => {
                    self.leave_out(passage, error, pace, pass, report).await?;
                    continue;
                }
                (Err(_), _) => {
                    let half = passages.split_off(passages.len() / 2);
                    waiting.extend([half, passages]);
                    continue;
                }
            };
            let count = passages.len();
            let vectors = passages.into_iter().zip(embeddings.vectors);
            let together: Vec<(Passage, Vec<f32>)> = vectors.collect();
            let together = together.as_slice();
            patiently(|| async move { self.lore.put(self.namespace, together).await }).await?;
            report.embedded += count;
            report.tokens += embeddings.tokens;
        }
        Ok(())
    }

    /// Leaves out what the embedder does not take; fails if it takes nothing at all, since then it is asked wrongly.
    async fn leave_out(
        self,
        passage: &Passage,
        error: EmbedderError,
        pace: &mut Pace,
        pass: &mut Pass,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        let characters = passage.text.chars().count();
        let reason = if error.fault == Fault::TooLong {
            format!(
                "a passage of {characters} characters is too long for the embedder: cut into smaller ones"
            )
        } else {
            report.tokens += self.embed(&[PLAIN], pace).await?.tokens;
            pass.refused += 1;
            if pass.refused > MOST_REFUSED {
                return Err(error.into());
            }
            let said = error.message;
            format!("a passage of {characters} characters is refused by the embedder: {said}")
        };
        report.skips(&passage.source, reason);
        pass.wanted.remove(&passage.id);
        Ok(())
    }

    async fn embed(self, texts: &[&str], pace: &mut Pace) -> Result<Embeddings, EmbedderError> {
        pace.turn().await;
        let embed = || async move { self.embedder.embed(texts, Purpose::Document).await };
        let embeddings = patiently(embed).await?;
        pace.took(texts, embeddings.tokens);
        if embeddings.vectors.len() == texts.len() {
            return Ok(embeddings);
        }
        Err(EmbedderError::new(
            "embedder",
            Fault::Malformed,
            "it gave another number of vectors than there were texts",
        ))
    }

    async fn remove(
        self,
        ids: &[&String],
        report: &mut Report,
        tell: &(dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Result<(), SyncError> {
        for ids in ids.chunks(REMOVED_AT_ONCE) {
            let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            let ids = ids.as_slice();
            if !self.options.dry_run {
                patiently(|| async move { self.lore.remove(self.namespace, ids).await }).await?;
            }
            report.removed += ids.len();
            tell(report.progress(report.documents));
        }
        Ok(())
    }

    /// Whether nobody has taken out what belongs there. A store that needs a moment to show what was put has it.
    async fn all_there(self, wanted: &BTreeSet<String>) -> Result<bool, SyncError> {
        for wait in patience::LOOKS {
            tokio::time::sleep(wait).await;
            if wanted.is_subset(&self.ids().await?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether another text may be taken.
fn is_of_a_text(fault: Fault) -> bool {
    matches!(fault, Fault::TooLong | Fault::Malformed | Fault::Refused)
}

impl Failure for LoreError {
    fn again(&self) -> Option<Option<std::time::Duration>> {
        use eywa_weave::StoreError;

        matches!(self, Self::Store(StoreError::Unavailable { .. })).then_some(None)
    }

    fn late() -> Self {
        eywa_weave::StoreError::unavailable("the store", "it did not answer in time").into()
    }
}

impl Failure for EmbedderError {
    fn again(&self) -> Option<Option<std::time::Duration>> {
        match self.fault {
            Fault::RateLimited(hint) => Some(hint),
            fault => fault.may_pass().then_some(None),
        }
    }

    fn late() -> Self {
        Self::new("embedder", Fault::TimedOut, "it did not answer in time")
    }
}

#[cfg(test)]
mod tests;
