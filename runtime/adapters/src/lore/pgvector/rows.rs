//! Passages as rows.

use std::collections::HashMap;

use ::pgvector::Vector;
use eywa_weave::{
    StoreError,
    ports::lore::{LoreError, Match, Passage},
};
use sqlx::{Row, postgres::PgRow};

use super::STORE;

/// The most rows that go into one statement, and about how many bytes.
const MOST_ROWS: usize = 200;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The columns of some rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) ids: Vec<String>,
    pub(super) sets: Vec<String>,
    pub(super) sources: Vec<String>,
    pub(super) texts: Vec<String>,
    pub(super) metadata: Vec<String>,
    pub(super) embeddings: Vec<Vector>,
    bytes: usize,
}

impl Rows {
    /// All passages, the last of each id, as rows for some statements. In the order of ids: two statements that change the
    /// same rows in different orders would wait for each other.
    pub(super) fn of(passages: &[(Passage, Vec<f32>)]) -> Vec<Self> {
        let last: HashMap<&str, &(Passage, Vec<f32>)> = (passages.iter())
            .map(|both| (both.0.id.as_str(), both))
            .collect();
        let mut last: Vec<_> = last.into_values().collect();
        last.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        let mut all: Vec<Self> = Vec::new();
        for (passage, vector) in last {
            let full = |rows: &Self| rows.ids.len() == MOST_ROWS || rows.bytes >= MOST_BYTES;
            if all.last().is_none_or(full) {
                all.push(Self::default());
            }
            if let Some(rows) = all.last_mut() {
                rows.push(passage, vector);
            }
        }
        all
    }

    fn push(&mut self, passage: &Passage, vector: &[f32]) {
        let metadata: serde_json::Map<String, serde_json::Value> = passage
            .metadata
            .iter()
            .map(|(key, value)| (storable(key), storable(value).into()))
            .collect();
        self.bytes += passage.text.len() + 4 * vector.len();
        self.ids.push(passage.id.clone());
        self.sets.push(passage.set.clone());
        self.sources.push(storable(&passage.source));
        self.texts.push(storable(&passage.text));
        self.metadata
            .push(serde_json::Value::from(metadata).to_string());
        self.embeddings.push(Vector::from(vector.to_vec()));
    }
}

/// Without the character that PostgreSQL has not.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

/// A row that was found.
pub(super) fn found(row: &PgRow) -> Result<Match, LoreError> {
    let read = || -> Result<_, sqlx::Error> {
        let score: f64 = row.try_get("score")?;
        let metadata: String = row.try_get("metadata")?;
        let passage = Passage {
            id: row.try_get("id")?,
            set: row.try_get("set")?,
            source: row.try_get("source")?,
            text: row.try_get("text")?,
            ..Passage::default()
        };
        Ok((passage, metadata, score))
    };
    let (mut passage, metadata, score) =
        read().map_err(|error| StoreError::unreadable(STORE, "a row", error))?;
    passage.metadata = serde_json::from_str(&metadata)
        .map_err(|error| StoreError::unreadable(STORE, &passage.id, error))?;
    #[expect(clippy::cast_possible_truncation, reason = "a score has few digits")]
    let score = (score as f32).clamp(-1.0, 1.0);
    Ok(Match { passage, score })
}
