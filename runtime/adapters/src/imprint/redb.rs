//! An Imprint in a file.

use std::{cmp::Reverse, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::imprint::{
        Claim, Fact, HEARD_REMEMBERED, Imprint, Keeping, Lesson, PROGRESS_REMEMBERED, Progress,
    },
};
use jiff::Timestamp;
use redb::{ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::redb::{Failed, Redb, STORE, Txn, decode, encode, millis, now};

/// What is known of a person, and how far they were heard: a [`Person`] as JSON.
const PEOPLE: TableDefinition<'static, (&str, &str), &[u8]> = TableDefinition::new("imprints");

/// Conversations that are due: when (in ms), how often they were claimed, and under which token they are now.
const DUE: TableDefinition<'static, (&str, &str), (u64, u32, &str)> =
    TableDefinition::new("imprints_due");

/// Of each Spirit: since when (in ms), how far, and until when that is remembered (in ms).
const PROGRESS: TableDefinition<'static, &str, (u64, u64, u64)> =
    TableDefinition::new("imprints_progress");

/// An Imprint in a file. Times run by this machine's clock.
#[derive(Clone, Debug)]
pub struct RedbImprint(Redb);

impl RedbImprint {
    /// What is known of this Spirit's people.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(PEOPLE)?;
    txn.table(DUE)?;
    txn.table(PROGRESS)?;
    Ok(())
}

/// Forgets what has had its time.
pub(crate) fn expire(txn: &Txn<'_>, now: u64) -> Result<(), Failed> {
    txn.table(PROGRESS)?
        .retain(|_, (_, _, until)| until > now)?;
    let mut over = Vec::new();
    for entry in txn.table(PEOPLE)?.iter()? {
        let (key, json) = entry?;
        let (spirit, session) = key.value();
        let person = read(session, json.value())?;
        if person.until <= now && person.heard_until <= now {
            over.push((spirit.to_owned(), session.to_owned()));
        }
    }
    for (spirit, session) in over {
        txn.table(PEOPLE)?
            .remove((spirit.as_str(), session.as_str()))?;
    }
    Ok(())
}

/// A person. Times in ms.
#[derive(Default, Serialize, Deserialize)]
struct Person {
    /// The latest first.
    facts: Vec<Fact>,
    /// Until when the facts are kept.
    until: u64,
    heard: u64,
    heard_until: u64,
}

impl Person {
    fn hear(&mut self, heard: u64, now: u64) {
        self.heard = heard;
        self.heard_until = now.saturating_add(millis(HEARD_REMEMBERED));
    }

    fn change(&mut self, change: &Change, keeping: Keeping, now: u64) -> u64 {
        let before = self.facts.len();
        self.facts
            .retain(|fact| !change.forget.contains(&fact.text));
        let forgotten = before - self.facts.len();
        for fact in &change.learn {
            self.facts.retain(|known| known.text != fact.text);
            self.facts.insert(0, fact.clone());
        }
        let max_age = millis(keeping.max_age);
        self.facts
            .retain(|fact| learnt(fact).saturating_add(max_age) >= now);
        // Stable, so that of two facts learnt at the same time the later one comes first.
        self.facts.sort_by_key(|fact| Reverse(fact.at));
        self.facts.truncate(keeping.most);
        let latest = self.facts.first().map_or(0, learnt);
        self.until = latest.saturating_add(max_age);
        forgotten as u64
    }
}

/// What is to change, owned by the job that writes it.
struct Change {
    forget: Vec<String>,
    learn: Vec<Fact>,
}

impl Change {
    fn of(forget: &[&str], learn: &[Fact]) -> Self {
        Self {
            forget: forget.iter().map(ToString::to_string).collect(),
            learn: learn.to_vec(),
        }
    }
}

fn learnt(fact: &Fact) -> u64 {
    u64::try_from(fact.at.as_millisecond()).unwrap_or_default()
}

fn read(session: &str, json: &[u8]) -> Result<Person, Failed> {
    decode(|| format!("imprints {session}"), json)
}

fn person(txn: &Txn<'_>, spirit: &str, session: &str) -> Result<Person, Failed> {
    match txn.table(PEOPLE)?.get((spirit, session))? {
        Some(json) => read(session, json.value()),
        None => Ok(Person::default()),
    }
}

fn keep(txn: &Txn<'_>, spirit: &str, session: &str, person: &Person) -> Result<(), Failed> {
    let json = encode(person)?;
    txn.table(PEOPLE)?
        .insert((spirit, session), json.as_slice())?;
    Ok(())
}

/// How often it was claimed, if this is the claim that holds.
fn held(txn: &Txn<'_>, spirit: &str, claim: &Claim) -> Result<Option<u32>, Failed> {
    let session = claim.session.to_string();
    let due = txn.table(DUE)?;
    let found = due.get((spirit, session.as_str()))?;
    Ok(found.and_then(|found| {
        let (_, attempts, token) = found.value();
        (token == claim.token).then_some(attempts)
    }))
}

#[async_trait]
impl Imprint for RedbImprint {
    async fn facts(&self, of: &SessionKey) -> Result<Vec<Fact>, StoreError> {
        let (spirit, session) = (self.0.spirit(), of.to_string());
        self.0
            .read(move |txn| {
                let people = txn.open_table(PEOPLE)?;
                match people.get((&*spirit, session.as_str()))? {
                    Some(json) => Ok(read(&session, json.value())?.facts),
                    None => Ok(Vec::new()),
                }
            })
            .await
    }

    async fn amend(
        &self,
        of: &SessionKey,
        forget: &[&str],
        learn: &[Fact],
        heard: u64,
        keeping: Keeping,
    ) -> Result<u64, StoreError> {
        let (spirit, session) = (self.0.spirit(), of.to_string());
        let change = Change::of(forget, learn);
        self.0
            .write(move |txn| {
                let now = now();
                txn.table(DUE)?.remove((&*spirit, session.as_str()))?;
                let mut person = person(txn, &spirit, &session)?;
                person.hear(heard, now);
                let forgotten = person.change(&change, keeping, now);
                keep(txn, &spirit, &session, &person)?;
                Ok(forgotten)
            })
            .await
    }

    async fn erase(&self, of: &SessionKey, heard: u64) -> Result<u64, StoreError> {
        let (spirit, session) = (self.0.spirit(), of.to_string());
        self.0
            .write(move |txn| {
                txn.table(DUE)?.remove((&*spirit, session.as_str()))?;
                let known = person(txn, &spirit, &session)?.facts.len();
                let mut nobody = Person::default();
                nobody.hear(heard, now());
                keep(txn, &spirit, &session, &nobody)?;
                Ok(known as u64)
            })
            .await
    }

    async fn progress(&self) -> Result<Option<Progress>, StoreError> {
        let spirit = self.0.spirit();
        self.0
            .write(move |txn| {
                let now = now();
                let mut progress = txn.table(PROGRESS)?;
                let known = progress.get(&*spirit)?.map(|found| found.value());
                let Some((since, reached, until)) = known.filter(|(_, _, until)| *until > now)
                else {
                    txn.unchanged();
                    return Ok(None);
                };
                // It is asked for every few seconds, and need not be written each time.
                let remembered = millis(PROGRESS_REMEMBERED);
                if until - now < remembered / 2 {
                    progress.insert(&*spirit, (since, reached, now + remembered))?;
                } else {
                    txn.unchanged();
                }
                let due = txn.table(DUE)?;
                let waiting = due.range((&*spirit, "")..)?.take_while(|entry| {
                    let entry = entry.as_ref();
                    entry.is_ok_and(|(key, _)| key.value().0 == &*spirit)
                });
                let waiting = waiting.count() as u64;
                let since = i64::try_from(since).ok();
                let since = since.and_then(|ms| Timestamp::from_millisecond(ms).ok());
                Ok(Some(Progress {
                    since: since.ok_or_else(|| {
                        StoreError::unreadable(STORE, "imprints_progress", "no time")
                    })?,
                    reached,
                    waiting,
                }))
            })
            .await
    }

    async fn advance(
        &self,
        from: Option<u64>,
        to: u64,
        due: &[SessionKey],
    ) -> Result<bool, StoreError> {
        let spirit = self.0.spirit();
        let sessions: Vec<String> = due.iter().map(ToString::to_string).collect();
        self.0
            .write(move |txn| {
                let now = now();
                let mut progress = txn.table(PROGRESS)?;
                let known = progress.get(&*spirit)?.map(|found| found.value());
                let before = known.filter(|(_, _, until)| *until > now);
                if before.map(|(_, reached, _)| reached) != from {
                    txn.unchanged();
                    return Ok(false);
                }
                let since = before.map_or(now, |(since, _, _)| since);
                let until = now.saturating_add(millis(PROGRESS_REMEMBERED));
                progress.insert(&*spirit, (since, to, until))?;
                let mut due = txn.table(DUE)?;
                for session in &sessions {
                    let key = (&*spirit, session.as_str());
                    let attempts = due.get(key)?.map_or(0, |found| found.value().1);
                    due.insert(key, (now, attempts, ""))?;
                }
                Ok(true)
            })
            .await
    }

    async fn claim(
        &self,
        token: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError> {
        let (spirit, token) = (self.0.spirit(), token.to_owned());
        self.0
            .write(move |txn| {
                let now = now();
                let mut due = txn.table(DUE)?;
                let mut ready = Vec::new();
                for entry in due.range((&*spirit, "")..)? {
                    let (key, value) = entry?;
                    let ((of, session), (at, attempts, _)) = (key.value(), value.value());
                    if of != &*spirit {
                        break;
                    }
                    if at <= now {
                        ready.push((at, session.to_owned(), attempts));
                    }
                }
                if ready.is_empty() {
                    txn.unchanged();
                }
                ready.sort();
                ready.truncate(most);
                let mut claims = Vec::with_capacity(ready.len());
                for (_, session, attempts) in ready {
                    let until = now.saturating_add(millis(lease));
                    due.insert(
                        (&*spirit, session.as_str()),
                        (until, attempts + 1, token.as_str()),
                    )?;
                    let person = person(txn, &spirit, &session)?;
                    claims.push(Claim {
                        heard: if person.heard_until > now {
                            person.heard
                        } else {
                            0
                        },
                        session: session.parse().map_err(|error| {
                            StoreError::unreadable(STORE, format!("imprints_due {session}"), error)
                        })?,
                        token: token.clone(),
                        attempt: attempts + 1,
                    });
                }
                Ok(claims)
            })
            .await
    }

    async fn put_off(
        &self,
        claim: &Claim,
        until: Duration,
        anew: bool,
    ) -> Result<bool, StoreError> {
        let (spirit, claim) = (self.0.spirit(), claim.clone());
        self.0
            .write(move |txn| {
                let Some(attempts) = held(txn, &spirit, &claim)? else {
                    txn.unchanged();
                    return Ok(false);
                };
                let attempts = if anew { 0 } else { attempts };
                let session = claim.session.to_string();
                let at = now().saturating_add(millis(until));
                txn.table(DUE)?
                    .insert((&*spirit, session.as_str()), (at, attempts, ""))?;
                Ok(true)
            })
            .await
    }

    async fn conclude(
        &self,
        claim: &Claim,
        lesson: Lesson<'_>,
        keeping: Keeping,
    ) -> Result<bool, StoreError> {
        let (spirit, claim) = (self.0.spirit(), claim.clone());
        let change = Change::of(lesson.forget, lesson.learn);
        let (heard, more) = (lesson.heard, lesson.more);
        self.0
            .write(move |txn| {
                if held(txn, &spirit, &claim)?.is_none() {
                    txn.unchanged();
                    return Ok(false);
                }
                let (now, session) = (now(), claim.session.to_string());
                let key = (&*spirit, session.as_str());
                if more {
                    txn.table(DUE)?.insert(key, (now, 0, ""))?;
                } else {
                    txn.table(DUE)?.remove(key)?;
                }
                let mut person = person(txn, &spirit, &session)?;
                person.hear(heard, now);
                person.change(&change, keeping, now);
                keep(txn, &spirit, &session, &person)?;
                Ok(true)
            })
            .await
    }
}
