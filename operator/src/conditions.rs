//! Status conditions: set by verdicts, with a transition time that moves only when the status does.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// How much of a message is kept; the rest of a long list of problems helps nobody.
const MESSAGE_LIMIT: usize = 2048;

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// One CamelCase word for programs.
    pub reason: String,
    /// A sentence for people: what is so and, when it is bad, what to do.
    pub message: String,
}

impl Verdict {
    /// It is so.
    pub fn yes(reason: &str, message: impl Into<String>) -> Self {
        Self {
            status: "True",
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// It is not so.
    pub fn no(reason: &str, message: impl Into<String>) -> Self {
        Self {
            status: "False",
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// It cannot be told.
    pub fn unknown(reason: &str, message: impl Into<String>) -> Self {
        Self {
            status: "Unknown",
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// True when it is so.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.status == "True"
    }
}

/// The condition `type_` of a list, if it is there.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// True when the condition `type_` is there and `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// `verdicts` as conditions about `generation`. One that was in `previous` with the same status keeps its time.
#[must_use]
pub fn next(
    previous: &[Condition],
    verdicts: Vec<(&'static str, Verdict)>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    verdicts
        .into_iter()
        .map(|(type_, verdict)| {
            let since = find(previous, type_)
                .filter(|condition| condition.status == verdict.status)
                .map_or_else(
                    || Time(now),
                    |condition| condition.last_transition_time.clone(),
                );
            Condition {
                type_: type_.to_owned(),
                status: verdict.status.to_owned(),
                reason: verdict.reason,
                message: shortened(verdict.message),
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

/// Those of `next` that became false, or became false for another reason, since `previous`.
pub fn newly_false<'a>(
    previous: &'a [Condition],
    next: &'a [Condition],
) -> impl Iterator<Item = &'a Condition> {
    next.iter()
        .filter(|condition| condition.status == "False")
        .filter(|condition| {
            !find(previous, &condition.type_).is_some_and(|before| {
                before.status == "False"
                    && before.reason == condition.reason
                    && before.message == condition.message
            })
        })
}

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        let end = (0..=MESSAGE_LIMIT)
            .rev()
            .find(|&at| message.is_char_boundary(at))
            .unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let first = next(&[], vec![("Ready", Verdict::no("A", "a"))], Some(1), at(1));
        let second = next(
            &first,
            vec![("Ready", Verdict::no("B", "b"))],
            Some(2),
            at(2),
        );
        assert_eq!(second[0].last_transition_time, Time(at(1)));
        assert_eq!(
            (second[0].reason.as_str(), second[0].observed_generation),
            ("B", Some(2))
        );
        let third = next(
            &second,
            vec![("Ready", Verdict::yes("C", "c"))],
            Some(2),
            at(3),
        );
        assert_eq!(third[0].last_transition_time, Time(at(3)));
    }

    #[test]
    fn only_news_is_newly_false() {
        let bad = next(&[], vec![("Ready", Verdict::no("A", "a"))], Some(1), at(1));
        assert_eq!(newly_false(&[], &bad).count(), 1);
        assert_eq!(newly_false(&bad, &bad).count(), 0);
        let worse = next(&bad, vec![("Ready", Verdict::no("B", "b"))], Some(1), at(2));
        assert_eq!(newly_false(&bad, &worse).count(), 1);
        let good = next(
            &bad,
            vec![("Ready", Verdict::yes("C", "c"))],
            Some(1),
            at(2),
        );
        assert_eq!(newly_false(&bad, &good).count(), 0);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = next(
            &[],
            vec![("Ready", Verdict::no("A", "é".repeat(4000)))],
            None,
            at(1),
        );
        assert!(long[0].message.len() <= MESSAGE_LIMIT + '…'.len_utf8());
        assert!(long[0].message.ends_with('…'));
    }
}
