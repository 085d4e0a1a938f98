//! What names a passage: what it says, where it is from, and what embedded it.

use std::collections::{BTreeMap, BTreeSet};

use eywa_weave::ports::lore::Passage;
use sha2::{Digest, Sha256};

use crate::chunks::Chunk;

/// The metadata that a passage's headings are under.
pub const HEADING: &str = "heading";

/// Where passages are from, and what embeds them.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The set that they are of.
    pub set: &'a str,
    /// What embeds them: the provider, the model and the dimensions. Another gives other ids, so that a change of it
    /// embeds anew.
    pub embedder: &'a str,
    /// The document.
    pub source: &'a str,
    /// What is known of the document.
    pub metadata: &'a BTreeMap<String, String>,
}

impl Origin<'_> {
    /// The passages of a document's chunks. Chunks that say the same are one passage.
    pub fn passages(self, chunks: Vec<Chunk>) -> Vec<Passage> {
        let mut seen = BTreeSet::new();
        chunks
            .into_iter()
            .filter_map(|chunk| {
                let mut metadata = self.metadata.clone();
                if !chunk.heading.is_empty() {
                    metadata.entry(HEADING.to_owned()).or_insert(chunk.heading);
                }
                let id = self.id(&chunk.text, &metadata);
                seen.insert(id.clone()).then(|| Passage {
                    id,
                    set: self.set.to_owned(),
                    source: self.source.to_owned(),
                    text: chunk.text,
                    metadata,
                })
            })
            .collect()
    }

    fn id(self, text: &str, metadata: &BTreeMap<String, String>) -> String {
        let pairs = metadata
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let said = [self.set, self.source, self.embedder, text];
        format!(
            "{}-{}",
            document(self.set, self.source),
            hash(said.into_iter().chain(pairs))
        )
    }
}

/// What the ids of all passages of one document begin with.
#[must_use]
pub fn document(set: &str, source: &str) -> String {
    let mut hash = hash([set, source].into_iter());
    hash.truncate(32);
    hash
}

/// The document that a passage of this id is of, as [`document`] writes it.
#[must_use]
pub fn document_of(id: &str) -> &str {
    id.split_once('-').map_or(id, |(document, _)| document)
}

/// SHA-256 over texts, each with its length before it, so that none can pass for two.
fn hash<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use eywa_weave::ports::lore::LONGEST_ID;

    use super::*;

    fn passages(origin: Origin<'_>, texts: &[&str]) -> Vec<Passage> {
        let chunks = texts.iter().map(|text| Chunk {
            heading: "Menu".to_owned(),
            text: (*text).to_owned(),
        });
        origin.passages(chunks.collect())
    }

    #[test]
    fn an_id_changes_with_all_that_it_is_made_of_and_with_nothing_else() {
        let (none, some) = (
            BTreeMap::new(),
            BTreeMap::from([("lang".into(), "en".into())]),
        );
        let origin = Origin {
            set: "menu",
            embedder: "openai/m/256",
            source: "a.md",
            metadata: &none,
        };
        let id = |origin, text: &str| passages(origin, &[text]).remove(0).id;
        let first = id(origin, "tea");
        assert_eq!(id(origin, "tea"), first);
        let others = [
            id(origin, "coffee"),
            id(
                Origin {
                    set: "other",
                    ..origin
                },
                "tea",
            ),
            id(
                Origin {
                    source: "b.md",
                    ..origin
                },
                "tea",
            ),
            id(
                Origin {
                    embedder: "openai/m/512",
                    ..origin
                },
                "tea",
            ),
            id(
                Origin {
                    metadata: &some,
                    ..origin
                },
                "tea",
            ),
        ];
        let different: BTreeSet<&String> = others.iter().chain([&first]).collect();
        assert_eq!(different.len(), 6);
        assert!(first.len() <= LONGEST_ID && first.is_ascii());
    }

    #[test]
    fn an_id_tells_which_document_it_is_of() {
        let metadata = BTreeMap::new();
        let origin = Origin {
            set: "menu",
            embedder: "hashing/512",
            source: "a.md",
            metadata: &metadata,
        };
        for passage in passages(origin, &["tea", "coffee"]) {
            assert_eq!(document_of(&passage.id), document("menu", "a.md"));
        }
    }

    #[test]
    fn what_is_said_twice_is_kept_once() {
        let metadata = BTreeMap::new();
        let origin = Origin {
            set: "menu",
            embedder: "hashing/512",
            source: "a.md",
            metadata: &metadata,
        };
        assert_eq!(passages(origin, &["tea", "tea", "coffee"]).len(), 2);
    }
}
