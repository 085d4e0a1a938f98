//! Comparing vectors, and choosing the nearest.

use std::{cmp::Ordering, collections::BinaryHeap};

/// Cosine similarity, -1 to 1. A vector without a direction is like nothing.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let (mut dot, mut aa, mut bb) = (0.0_f32, 0.0_f32, 0.0_f32);
    for (a, b) in a.iter().zip(b) {
        dot += a * b;
        aa += a * a;
        bb += b * b;
    }
    let lengths = aa.sqrt() * bb.sqrt();
    if lengths > 0.0 {
        (dot / lengths).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

struct Candidate<T> {
    score: f32,
    /// The order in which they were offered, which decides between equals.
    place: usize,
    what: T,
}

impl<T> Candidate<T> {
    /// `Less` is better.
    fn against(&self, other: &Self) -> Ordering {
        (other.score.total_cmp(&self.score)).then(self.place.cmp(&other.place))
    }
}

impl<T> PartialEq for Candidate<T> {
    fn eq(&self, other: &Self) -> bool {
        self.against(other).is_eq()
    }
}

impl<T> Eq for Candidate<T> {}

impl<T> PartialOrd for Candidate<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Candidate<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.against(other)
    }
}

/// The `top_k` of the highest scores that are at least `min_score`, best first, equals in the order in which they come.
/// Holds no more than these at any time.
pub(super) fn nearest<T>(
    compared: impl Iterator<Item = (f32, T)>,
    top_k: usize,
    min_score: f32,
) -> Vec<(f32, T)> {
    let mut best = BinaryHeap::new();
    for (place, (score, what)) in compared.enumerate() {
        if top_k == 0 || score.is_nan() || score < min_score {
            continue;
        }
        let candidate = Candidate { score, place, what };
        if best.len() < top_k {
            best.push(candidate);
        } else if let Some(mut worst) = best.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }
    best.into_sorted_vec()
        .into_iter()
        .map(|candidate| (candidate.score, candidate.what))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_nearest_are_those_that_sorting_all_would_give(
            scores in proptest::collection::vec(-4_i8..=4, 0..60),
            top_k in 0_usize..12,
            least in -4_i8..=4,
        ) {
            let scores: Vec<f32> = scores.into_iter().map(|score| f32::from(score) / 4.0).collect();
            let least = f32::from(least) / 4.0;
            let offered = scores.iter().copied().enumerate().map(|(place, score)| (score, place));
            let chosen = nearest(offered, top_k, least);
            let mut all: Vec<(f32, usize)> = scores.iter().copied().zip(0..).collect();
            all.retain(|(score, _)| *score >= least);
            all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
            all.truncate(top_k);
            prop_assert_eq!(chosen, all);
        }
    }

    #[test]
    fn what_has_no_direction_is_like_nothing_and_nothing_is_nearer_than_the_same() {
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 0.0);
        assert_eq!(cosine(&[0.1, 0.3], &[0.1, 0.3]), 1.0);
        assert_eq!(cosine(&[0.1, 0.3], &[-0.2, -0.6]), -1.0);
        assert!(nearest([(f32::NAN, ())].into_iter(), 9, -1.0).is_empty());
    }
}
