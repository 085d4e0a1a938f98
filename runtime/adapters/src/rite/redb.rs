//! Rites in a file.

use std::collections::BTreeMap;

use async_trait::async_trait;
use eywa_weave::{
    StoreError,
    names::{RiteId, SessionKey},
    ports::rite::{Asked, Consumption, Decision, KEPT, Rite, RiteOutcome, Rites, Verdict},
};
use jiff::Timestamp;
use redb::{ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::rules;
use crate::redb::{Failed, Redb, Txn, decode, encode, millis, now};

/// Rites as JSON, by their number: the order in which they were parked.
const RITES: TableDefinition<'static, (&str, u64), &[u8]> = TableDefinition::new("rites");

/// The number of each id.
const NUMBERS: TableDefinition<'static, (&str, &str), u64> = TableDefinition::new("rite_numbers");

/// Rites in a file.
#[derive(Clone, Debug)]
pub struct RedbRites(Redb);

/// A Rite as it is kept.
#[derive(Serialize, Deserialize)]
struct Parked {
    /// When it was parked, in milliseconds since 1970.
    since: u64,
    rite: Rite,
}

impl RedbRites {
    /// The Rites of this Spirit.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }

    /// Changes the Rite of this id, if there is one.
    async fn change<T: Send + 'static>(
        &self,
        id: &RiteId,
        change: impl FnOnce(&mut Rite) -> T + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let (spirit, id) = (self.0.spirit(), id.clone());
        self.0
            .write(move |txn| {
                let mut rites = txn.table(RITES)?;
                let numbers = txn.table(NUMBERS)?;
                let number = numbers
                    .get((&*spirit, id.as_str()))?
                    .map(|number| number.value());
                let Some(number) = number else {
                    txn.unchanged();
                    return Ok(None);
                };
                let Some(mut parked) = read(&rites, &spirit, number)? else {
                    txn.unchanged();
                    return Ok(None);
                };
                let before = parked.rite.clone();
                let given = change(&mut parked.rite);
                if parked.rite == before {
                    txn.unchanged();
                } else {
                    rites.insert((&*spirit, number), encode(&parked)?.as_slice())?;
                }
                Ok(Some(given))
            })
            .await
    }

    /// Looks through all Rites, newest first, until `take` has enough.
    async fn look<T: Default + Send + 'static>(
        &self,
        mut take: impl FnMut(&mut T, Rite) -> bool + Send + 'static,
    ) -> Result<T, StoreError> {
        let spirit = self.0.spirit();
        self.0
            .read(move |txn| {
                let rites = txn.open_table(RITES)?;
                let mut taken = T::default();
                for entry in rites.range((&*spirit, 0)..=(&*spirit, u64::MAX))?.rev() {
                    let parked: Parked = decode(|| "rites".to_owned(), entry?.1.value())?;
                    if !take(&mut taken, parked.rite) {
                        break;
                    }
                }
                Ok(taken)
            })
            .await
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(RITES)?;
    txn.table(NUMBERS)?;
    Ok(())
}

fn read(
    rites: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    spirit: &str,
    number: u64,
) -> Result<Option<Parked>, Failed> {
    match rites.get((spirit, number))? {
        Some(json) => Ok(Some(decode(|| format!("rite {number}"), json.value())?)),
        None => Ok(None),
    }
}

/// Forgets what was parked too long ago.
fn forget(txn: &Txn<'_>, spirit: &str, now: u64) -> Result<(), Failed> {
    let (mut rites, mut numbers) = (txn.table(RITES)?, txn.table(NUMBERS)?);
    let mut old = Vec::new();
    for entry in rites.range((spirit, 0)..=(spirit, u64::MAX))? {
        let (key, json) = entry?;
        let parked: Parked = decode(|| "rites".to_owned(), json.value())?;
        if parked.since + millis(KEPT) >= now {
            break;
        }
        old.push((key.value().1, parked.rite.asked.id));
    }
    for (number, id) in old {
        rites.remove((spirit, number))?;
        numbers.remove((spirit, id.as_str()))?;
    }
    Ok(())
}

#[async_trait]
impl Rites for RedbRites {
    async fn park(&self, asked: &Asked) -> Result<(), StoreError> {
        let (spirit, asked) = (self.0.spirit(), asked.clone());
        self.0
            .write(move |txn| {
                let since = now();
                forget(txn, &spirit, since)?;
                let (mut rites, mut numbers) = (txn.table(RITES)?, txn.table(NUMBERS)?);
                if numbers.get((&*spirit, asked.id.as_str()))?.is_some() {
                    return Ok(());
                }
                let number = {
                    let mut known = rites.range((&*spirit, 0)..=(&*spirit, u64::MAX))?;
                    let last = known.next_back().transpose()?;
                    last.map_or(0, |(key, _)| key.value().1 + 1)
                };
                numbers.insert((&*spirit, asked.id.as_str()), number)?;
                let rite = rules::parked(asked);
                let json = encode(&Parked { since, rite })?;
                rites.insert((&*spirit, number), json.as_slice())?;
                Ok(())
            })
            .await
    }

    async fn get(&self, id: &RiteId, now: Timestamp) -> Result<Option<Rite>, StoreError> {
        let (spirit, id) = (self.0.spirit(), id.clone());
        self.0
            .read(move |txn| {
                let numbers = txn.open_table(NUMBERS)?;
                let number = numbers
                    .get((&*spirit, id.as_str()))?
                    .map(|number| number.value());
                let Some(number) = number else {
                    return Ok(None);
                };
                let parked = read(&txn.open_table(RITES)?, &spirit, number)?;
                Ok(parked.map(|parked| rules::at(parked.rite, now)))
            })
            .await
    }

    async fn list(
        &self,
        session: Option<&SessionKey>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Rite>, StoreError> {
        let session = session.cloned();
        self.look(move |taken: &mut Vec<Rite>, rite| {
            if taken.len() >= most {
                return false;
            }
            if session
                .as_ref()
                .is_none_or(|session| rite.asked.session == *session)
            {
                taken.push(rules::at(rite, now));
            }
            true
        })
        .await
    }

    async fn decide(&self, id: &RiteId, verdict: &Verdict) -> Result<Option<Decision>, StoreError> {
        let verdict = verdict.clone();
        self.change(id, move |rite| rules::decide(rite, &verdict))
            .await
    }

    async fn void(&self, id: &RiteId, now: Timestamp) -> Result<Option<Rite>, StoreError> {
        self.change(id, move |rite| {
            rules::void(rite, now);
            rite.clone()
        })
        .await
    }

    async fn consume(
        &self,
        id: &RiteId,
        generation: i64,
        now: Timestamp,
    ) -> Result<Option<Consumption>, StoreError> {
        self.change(id, move |rite| Consumption {
            granted: rules::consume(rite, generation, now),
            rite: rite.clone(),
        })
        .await
    }

    async fn conclude(&self, id: &RiteId, outcome: RiteOutcome) -> Result<(), StoreError> {
        let change = move |rite: &mut Rite| rules::conclude(rite, outcome);
        self.change(id, change).await.map(drop)
    }

    async fn settle(&self, id: &RiteId, now: Timestamp) -> Result<(), StoreError> {
        let change = move |rite: &mut Rite| rules::settle(rite, now);
        self.change(id, change).await.map(drop)
    }

    async fn due(&self, most: usize, now: Timestamp) -> Result<Vec<Rite>, StoreError> {
        let due = self
            .look(move |due: &mut BTreeMap<(Timestamp, RiteId), Rite>, rite| {
                if let Some(since) = rules::due_from(&rite).filter(|since| *since <= now) {
                    due.insert((since, rite.asked.id.clone()), rules::at(rite, now));
                }
                true
            })
            .await?;
        Ok(due.into_values().take(most).collect())
    }
}
