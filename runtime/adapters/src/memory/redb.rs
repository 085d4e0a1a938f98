//! A Memory in a file.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::{
        bond::Fence,
        memory::{Heard, Memory, Recollection, Tally},
    },
};
use redb::{ReadableTable, TableDefinition};

use crate::redb::{Failed, Redb, Txn, decode, encode, millis, now, touch};

/// What a session remembers: until when (in ms), and the whole as JSON.
const KEPT: TableDefinition<'static, (&str, &str), (u64, &[u8])> = TableDefinition::new("memory");

/// Counts: until when (in ms), and the sum.
const TALLIES: TableDefinition<'static, (&str, &str, &str), (u64, u64)> =
    TableDefinition::new("tallies");

/// When a person last wrote (in ms), and the rest as JSON. Forgotten with the session.
const HEARD: TableDefinition<'static, (&str, &str), (i64, &[u8])> = TableDefinition::new("heard");

/// A Memory in a file. TTLs and windows run by this machine's clock.
#[derive(Clone, Debug)]
pub struct RedbMemory(Redb);

impl RedbMemory {
    /// The Memory of this Spirit.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(KEPT)?;
    txn.table(TALLIES)?;
    txn.table(HEARD)?;
    Ok(())
}

/// Forgets what a session remembered.
pub(crate) fn forget(txn: &Txn<'_>, spirit: &str, session: &str) -> Result<(), Failed> {
    txn.table(KEPT)?.remove((spirit, session))?;
    txn.table(HEARD)?.remove((spirit, session))?;
    for tally in [Tally::Pulses, Tally::Tokens] {
        txn.table(TALLIES)?
            .remove((spirit, session, tally.as_str()))?;
    }
    Ok(())
}

#[async_trait]
impl Memory for RedbMemory {
    async fn recall(&self, session: &SessionKey) -> Result<Recollection, StoreError> {
        let (spirit, session) = (self.0.spirit(), session.to_string());
        self.0
            .read(move |txn| {
                let kept = txn.open_table(KEPT)?;
                match kept.get((&*spirit, session.as_str()))? {
                    Some(found) if found.value().0 > now() => {
                        decode(|| format!("memory {session}"), found.value().1)
                    }
                    _ => Ok(Recollection::default()),
                }
            })
            .await
    }

    async fn keep(
        &self,
        session: &SessionKey,
        fence: Fence,
        recollection: &Recollection,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let (spirit, beside, session) = (self.0.spirit(), self.0.beside(), session.clone());
        let json = encode(recollection)?;
        self.0
            .write(move |txn| {
                beside
                    .memory
                    .with(&spirit, &session, |newest| newest.pass(fence))?;
                let (session, now) = (session.to_string(), now());
                let until = now.saturating_add(millis(ttl));
                txn.table(KEPT)?
                    .insert((&*spirit, session.as_str()), (until, json.as_slice()))?;
                touch(txn, &spirit, &session, now)
            })
            .await
    }

    async fn hear(&self, session: &SessionKey, heard: &Heard) -> Result<(), StoreError> {
        let (spirit, session) = (self.0.spirit(), session.to_string());
        let (at, json) = (heard.at.as_millisecond(), encode(heard)?);
        self.0
            .write(move |txn| {
                let mut kept = txn.table(HEARD)?;
                let key = (&*spirit, session.as_str());
                if kept.get(key)?.is_some_and(|before| before.value().0 > at) {
                    txn.unchanged();
                    return Ok(());
                }
                kept.insert(key, (at, json.as_slice()))?;
                touch(txn, &spirit, &session, now())
            })
            .await
    }

    async fn last_heard(&self, session: &SessionKey) -> Result<Option<Heard>, StoreError> {
        let (spirit, session) = (self.0.spirit(), session.to_string());
        self.0
            .read(move |txn| {
                let kept = txn.open_table(HEARD)?;
                kept.get((&*spirit, session.as_str()))?
                    .map(|found| decode(|| format!("heard {session}"), found.value().1))
                    .transpose()
            })
            .await
    }

    async fn tally(&self, session: &SessionKey, tally: Tally, add: u64) -> Result<u64, StoreError> {
        let (spirit, session) = (self.0.spirit(), session.to_string());
        self.0
            .write(move |txn| {
                let now = now();
                let mut tallies = txn.table(TALLIES)?;
                let key = (&*spirit, session.as_str(), tally.as_str());
                let running = tallies
                    .get(key)?
                    .map(|found| found.value())
                    .filter(|(until, _)| *until > now);
                if add == 0 {
                    txn.unchanged();
                    return Ok(running.map_or(0, |(_, sum)| sum));
                }
                let (until, so_far) = running.unwrap_or((now + millis(tally.window()), 0));
                let sum = so_far.saturating_add(add);
                tallies.insert(key, (until, sum))?;
                touch(txn, &spirit, &session, now)?;
                Ok(sum)
            })
            .await
    }
}
