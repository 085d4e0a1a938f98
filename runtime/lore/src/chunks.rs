//! Cutting documents into passages: as long as may be, at the end of a paragraph, a sentence or a word, never across a
//! heading.

use text_splitter::{Characters, ChunkConfig, MarkdownSplitter, TextSplitter};

use crate::documents::{Document, Section};

/// What stands between headings.
const BELOW: &str = " › ";

/// How documents are cut, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The most characters of a passage, its headings included.
    pub size: usize,
    /// How many characters of the passage before are said again, at most.
    pub overlap: usize,
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            size: 1200,
            overlap: 150,
        }
    }
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The document's title and the headings that it is below, in one line; empty when there are none.
    pub heading: String,
    /// The heading, so that it is found by it too, and what it says.
    pub text: String,
}

/// Cuts a document.
#[must_use]
pub fn cut(document: &Document, cut: Cut) -> Vec<Chunk> {
    document
        .sections
        .iter()
        .flat_map(|section| pieces(&document.title, section, cut))
        .collect()
}

fn pieces(title: &str, section: &Section, cut: Cut) -> Vec<Chunk> {
    let heading = heading(title, &section.path, cut.size / 3);
    let body = cut.size.saturating_sub(heading.chars().count() + 1).max(1);
    // Refused only when it is no less than the size: then nothing is said again.
    let config = ChunkConfig::new(body)
        .with_overlap(cut.overlap.min(body / 2))
        .unwrap_or_else(|_| ChunkConfig::new(body));
    let pieces: Vec<&str> = if section.markdown {
        split_markdown(config, &section.text)
    } else {
        TextSplitter::new(config).chunks(&section.text).collect()
    };
    pieces
        .into_iter()
        .map(|piece| Chunk {
            text: if heading.is_empty() {
                piece.to_owned()
            } else {
                format!("{heading}\n{piece}")
            },
            heading: heading.clone(),
        })
        .collect()
}

fn split_markdown(config: ChunkConfig<Characters>, text: &str) -> Vec<&str> {
    MarkdownSplitter::new(config).chunks(text).collect()
}

/// The title and the headings in one line of at most `most` characters: outer ones are left out first.
fn heading(title: &str, path: &[String], most: usize) -> String {
    let mut names: Vec<&str> = path.iter().map(String::as_str).collect();
    if !title.is_empty() && names.first() != Some(&title) {
        names.insert(0, title);
    }
    names.retain(|name| !name.is_empty());
    while names.len() > 1 && names.join(BELOW).chars().count() > most {
        names.remove(0);
    }
    let line = names.join(BELOW);
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn document(text: &str, markdown: bool) -> Document {
        Document {
            title: "Café Alma".to_owned(),
            sections: vec![Section {
                path: vec!["Café Alma".to_owned(), "Hours".to_owned()],
                text: text.to_owned(),
                markdown,
            }],
        }
    }

    #[test]
    fn a_short_section_is_one_chunk_below_its_headings() {
        let chunks = cut(&document("Nine to five.", true), Cut::default());
        let expected = Chunk {
            heading: "Café Alma › Hours".to_owned(),
            text: "Café Alma › Hours\nNine to five.".to_owned(),
        };
        assert_eq!(chunks, [expected]);
    }

    #[test]
    fn a_long_one_is_cut_where_sentences_end_and_says_the_end_again() {
        let text = "The first sentence is here. The second follows it. A third one comes. And the fourth ends.";
        let cut = cut(
            &document(text, false),
            Cut {
                size: 80,
                overlap: 30,
            },
        );
        assert!(cut.len() > 1);
        for pair in cut.windows(2) {
            assert!(pair[0].text.ends_with('.'), "{:?}", pair[0]);
            let again = pair[1].text.lines().nth(1).unwrap();
            let again = again.split('.').next().unwrap();
            assert!(pair[0].text.contains(again), "{again:?} of {pair:?}");
        }
    }

    #[test]
    fn a_heading_never_crowds_the_text_out() {
        let mut long = document("Text.", true);
        long.sections[0].path = vec!["x".repeat(5000), "y".repeat(5000)];
        let chunks = cut(
            &long,
            Cut {
                size: 300,
                overlap: 0,
            },
        );
        assert_eq!(chunks.len(), 1);
        assert!(chunks[0].text.ends_with("\nText.") && chunks[0].text.chars().count() <= 300);
    }

    proptest! {
        #[test]
        fn chunks_keep_to_the_size_and_lose_no_word(
            words in proptest::collection::vec("[a-zé]{1,12}[.!]?", 1..300),
            size in 60_usize..400,
            overlap in 0_usize..60,
            markdown: bool,
        ) {
            let text = words.join(" ");
            let chunks = cut(&document(&text, markdown), Cut { size, overlap });
            let all: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join(" ");
            for chunk in &chunks {
                prop_assert!(chunk.text.chars().count() <= size, "{chunk:?}");
            }
            for word in &words {
                let word = word.trim_end_matches(['.', '!']);
                prop_assert!(all.contains(word), "{word} is lost");
            }
        }
    }
}
