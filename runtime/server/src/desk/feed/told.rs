//! What a feed has told of the index of conversations.

use std::collections::{HashMap, VecDeque};

use eywa_weave::{SessionKey, ports::echoes::Summary};

/// Of how many of the latest conversations it is known what was told.
pub(super) const LATEST: usize = 100;
/// How far back changes are read again, in microseconds: of two that are made at the same moment, the store may show the
/// one with the later place first.
const OVERLAP: u64 = 2_000_000;
/// The Echoes that are told of a conversation of which nothing was known before.
const FIRST_ECHOES: u64 = 5;

/// Which changes of conversations were told.
#[derive(Default)]
pub(super) struct Told {
    /// The place of the latest of them.
    place: u64,
    /// The place of the latest that is not remembered any more.
    forgotten: u64,
    /// The latest conversations, the latest last.
    latest: VecDeque<SessionKey>,
    /// The place and the length that each of them had.
    was: HashMap<SessionKey, (u64, u64)>,
}

impl Told {
    /// As if these had been told, the [`LATEST`] of all or fewer if there are no more, the latest first.
    pub(super) fn of(latest: Vec<Summary>) -> Self {
        let mut told = Self::default();
        if latest.len() >= LATEST {
            told.forgotten = latest.last().map_or(0, |oldest| oldest.place);
        }
        let latest: Vec<Summary> = latest.into_iter().rev().collect();
        told.remember(&latest);
        told
    }

    /// The place of the latest change that was told.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// The latest conversations.
    pub(super) fn latest(&self) -> &VecDeque<SessionKey> {
        &self.latest
    }

    /// After which place changes are to be read: at most [`LATEST`] of those that were told are among them.
    pub(super) fn since(&self) -> u64 {
        self.place.saturating_sub(OVERLAP).max(self.forgotten)
    }

    /// Those of the changes that were not told yet.
    pub(super) fn news<'a>(&self, changed: &'a [Summary]) -> Vec<&'a Summary> {
        let is_told = |summary: &Summary| {
            self.was.get(&summary.session) == Some(&(summary.place, summary.length))
        };
        changed.iter().filter(|summary| !is_told(summary)).collect()
    }

    /// How many of a changed conversation's Echoes, before the one of the number `length`, are to be told. Some of them may
    /// have been: one that was written late has a smaller number than was told of.
    pub(super) fn echoes(&self, summary: &Summary) -> u64 {
        match self.was.get(&summary.session) {
            Some((_, before)) if summary.length > *before => summary.length - before,
            _ => summary.length.min(FIRST_ECHOES),
        }
    }

    /// These are told now, the earliest first.
    pub(super) fn remember(&mut self, changed: &[Summary]) {
        for summary in changed {
            let (session, at) = (&summary.session, (summary.place, summary.length));
            self.latest.retain(|known| known != session);
            self.latest.push_back(session.clone());
            self.was.insert(session.clone(), at);
            self.place = self.place.max(summary.place);
        }
        while self.latest.len() > LATEST {
            let oldest = self.latest.pop_front();
            if let Some((place, _)) = oldest.and_then(|oldest| self.was.remove(&oldest)) {
                self.forgotten = self.forgotten.max(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000_000;

    fn summary(user: &str, place: u64, length: u64) -> Summary {
        Summary {
            session: SessionKey::new("wa", user),
            place,
            length,
            name: None,
            last: None,
        }
    }

    fn users(news: &[&Summary]) -> Vec<String> {
        let user = |summary: &&Summary| summary.session.user.to_string();
        news.iter().map(user).collect()
    }

    #[test]
    fn a_change_that_shows_after_a_later_one_is_told_and_nothing_is_twice() {
        let (ana, ben) = (summary("ana", NOW, 1), summary("ben", NOW - 5, 1));
        let mut told = Told::of(vec![]);
        let changed = [ana.clone()];
        assert_eq!(users(&told.news(&changed)), ["ana"]);
        told.remember(&changed);
        assert!(told.since() < ben.place, "it is read again");
        let changed = [ben.clone(), ana];
        assert_eq!(users(&told.news(&changed)), ["ben"]);
        told.remember(&changed);
        assert_eq!(told.place(), NOW, "never back");
        assert!(told.news(&changed).is_empty());
        // Echoes that were written late.
        let late = [summary("ben", NOW + 5, 1)];
        assert_eq!(told.news(&late).len(), 1);
        assert_eq!(told.echoes(&late[0]), 1);
    }

    #[test]
    fn as_many_echoes_are_told_as_there_are_new_ones() {
        let mut told = Told::of(vec![summary("ana", NOW, 10)]);
        assert_eq!(told.echoes(&summary("ana", NOW + 1, 17)), 7);
        told.remember(&[summary("ana", NOW + 1, 17)]);
        assert_eq!(told.echoes(&summary("ana", NOW + 2, 18)), 1);
        assert_eq!(told.echoes(&summary("ben", NOW + 3, 40)), FIRST_ECHOES);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_not_is_not_read_again() {
        let many = LATEST as u64 + 20;
        let changed = |number: u64| summary(&number.to_string(), NOW + number, 1);
        let all: Vec<Summary> = (0..many).map(changed).collect();
        let latest: Vec<Summary> = all.iter().rev().take(LATEST).cloned().collect();
        let begun = Told::of(latest);
        let mut followed = Told::of(vec![]);
        followed.remember(&all);
        for told in [begun, followed] {
            assert_eq!(told.latest().len(), LATEST);
            let read = all.iter().filter(|summary| summary.place > told.since());
            let read: Vec<Summary> = read.cloned().collect();
            assert!(read.len() <= LATEST);
            assert!(told.news(&read).is_empty());
        }
    }
}
