//! What a sync did.

use serde::Serialize;

/// The most documents that are named of those that were skipped.
const MOST_NAMED: usize = 1000;

/// A document that was not, or not wholly, brought in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The document.
    pub source: String,
    /// Why.
    pub reason: String,
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Documents that were looked at.
    pub documents: usize,
    /// Passages that they have.
    pub passages: usize,
    /// Those that were embedded and put.
    pub embedded: usize,
    /// Those that were there.
    pub unchanged: usize,
    /// Those that no document has any more, and that were removed.
    pub removed: usize,
    /// Those that stay because their document could not be read.
    pub kept: usize,
    /// Tokens that the provider counted.
    pub tokens: u64,
    /// Documents that were not, or not wholly, brought in. Each once.
    pub skipped: Vec<Skipped>,
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Documents that were looked at.
    pub documents: usize,
    /// Of so many.
    pub of: usize,
    /// Passages that were embedded.
    pub embedded: usize,
    /// Passages that were there.
    pub unchanged: usize,
    /// Passages that were removed.
    pub removed: usize,
}

impl Report {
    pub(super) fn skips(&mut self, source: &str, reason: impl ToString) {
        let known = self.skipped.iter().any(|skipped| skipped.source == source);
        if !known && self.skipped.len() < MOST_NAMED {
            self.skipped.push(Skipped {
                source: source.to_owned(),
                reason: reason.to_string(),
            });
        }
    }

    pub(super) fn progress(&self, of: usize) -> Progress {
        Progress {
            documents: self.documents,
            of,
            embedded: self.embedded,
            unchanged: self.unchanged,
            removed: self.removed,
        }
    }

    /// With what another pass over the same documents did.
    pub(super) fn adds(&mut self, again: Self) {
        let (embedded, removed, tokens) = (self.embedded, self.removed, self.tokens);
        let first = self.documents == 0;
        let unchanged = if first {
            again.unchanged
        } else {
            self.unchanged
        };
        *self = Self {
            embedded: embedded + again.embedded,
            removed: removed + again.removed,
            tokens: tokens + again.tokens,
            unchanged,
            ..again
        };
    }

    /// This and what was done elsewhere.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.documents += other.documents;
        self.passages += other.passages;
        self.embedded += other.embedded;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.kept += other.kept;
        self.tokens += other.tokens;
        self.skipped.extend(other.skipped);
        self
    }
}
