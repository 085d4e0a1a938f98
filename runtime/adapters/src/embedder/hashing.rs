//! An embedder without a model: texts are near when they share words.

use async_trait::async_trait;
use eywa_weave::ports::lore::{Embedder, EmbedderError, Embeddings, Purpose};

/// Hashes a text's words, and the triples of letters in them, into a vector: the hashing trick (Weinberger et al., 2009).
/// It knows nothing of meaning, needs no network and costs nothing; texts are near when they share words or stems.
#[derive(Clone, Copy, Debug)]
pub struct HashingEmbedder {
    dimensions: usize,
}

/// What a whole word weighs against one of its triples.
const WORD: f32 = 2.0;

impl HashingEmbedder {
    /// An embedder into vectors of 512 entries.
    #[must_use]
    pub fn new() -> Self {
        Self { dimensions: 512 }
    }

    fn vector(self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        let mut add = |feature: &[u8], weight: f32| {
            let hash = fnv1a(feature);
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            let at = hash % self.dimensions as u64;
            if let Some(entry) = usize::try_from(at).ok().and_then(|at| vector.get_mut(at)) {
                *entry += sign * weight;
            }
        };
        for word in text
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            add(word.as_bytes(), WORD);
            let edged: Vec<char> = std::iter::once('<')
                .chain(word.chars())
                .chain(std::iter::once('>'))
                .collect();
            for triple in edged.windows(3) {
                add(triple.iter().collect::<String>().as_bytes(), 1.0);
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|x| *x /= length);
        } else if let Some(first) = vector.first_mut() {
            // A text without words: some vector of unit length, the same each time.
            *first = 1.0;
        }
        vector
    }
}

impl Default for HashingEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Embedder for HashingEmbedder {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Embeddings, EmbedderError> {
        Ok(Embeddings {
            vectors: texts.iter().map(|text| self.vector(text)).collect(),
            tokens: 0,
        })
    }
}

/// FNV-1a with 64 bits (draft-eastlake-fnv): the standard library's hash may change, and stored vectors may not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &str, b: &str) -> f32 {
        let embedder = HashingEmbedder::new();
        embedder
            .vector(a)
            .iter()
            .zip(embedder.vector(b))
            .map(|(a, b)| a * b)
            .sum()
    }

    #[test]
    fn a_question_is_nearer_to_the_text_that_shares_its_words() {
        let question = "When do you open on Sundays?";
        let opening = near(question, "On Sundays we open at nine.");
        let prices = near(question, "A flat white costs four euros.");
        assert!(
            opening > prices + 0.2,
            "{opening} is not well above {prices}"
        );
    }

    #[test]
    fn another_form_of_a_word_is_still_near() {
        assert!(near("refunds", "refund") > near("refunds", "espresso") + 0.3);
    }

    #[test]
    fn every_vector_has_unit_length_and_the_same_text_the_same_vector() {
        for text in ["", "…", "a", "Olá, tudo bem?", "日本語"] {
            assert!((near(text, text) - 1.0).abs() < 1e-5, "{text:?}");
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
