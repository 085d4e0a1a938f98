//! A Chronicle in a file.

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        chronicle::{Chronicle, Deed, Entry},
        vigil::Target,
    },
};
use redb::{ReadableTable, TableDefinition};

use super::NEWEST;
use crate::redb::{Failed, Redb, Txn, decode, encode, now, touch};

/// Entries of a session by their number, as JSON. Numbers leave no gap.
const ENTRIES: TableDefinition<'static, (&str, &str, u64), &[u8]> =
    TableDefinition::new("chronicle");

/// The same entries by Pulse: their session's name and their number there. An id belongs to one session.
const BY_PULSE: TableDefinition<'static, (&str, &str, u64), &str> =
    TableDefinition::new("chronicle_pulses");

/// What people did with a target, by its time (in ms) and its id, as JSON.
const DEEDS: TableDefinition<'static, (&str, &str, i64, &str), &[u8]> =
    TableDefinition::new("deeds");

/// A Chronicle in a file. Keeps the newest [`NEWEST`] entries of a session for 90 days after the last.
#[derive(Clone, Debug)]
pub struct RedbChronicle(Redb);

impl RedbChronicle {
    /// The Chronicle of this Spirit.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(ENTRIES)?;
    txn.table(BY_PULSE)?;
    txn.table(DEEDS)?;
    Ok(())
}

/// All deeds about a target, oldest first: time, id and JSON of each.
fn whole_deeds(
    deeds: &impl ReadableTable<(&'static str, &'static str, i64, &'static str), &'static [u8]>,
    spirit: &str,
    about: &str,
) -> Result<Vec<(i64, String, Vec<u8>)>, Failed> {
    let mut found = Vec::new();
    for deed in deeds.range((spirit, about, i64::MIN, "")..)? {
        let (key, json) = deed?;
        let (of, target, at, id) = key.value();
        if (of, target) != (spirit, about) {
            break;
        }
        found.push((at, id.to_owned(), json.value().to_vec()));
    }
    Ok(found)
}

/// Forgets what was done in a session.
pub(crate) fn forget(txn: &Txn<'_>, spirit: &str, session: &str) -> Result<(), Failed> {
    let (mut entries, mut by_pulse) = (txn.table(ENTRIES)?, txn.table(BY_PULSE)?);
    let mut old = Vec::new();
    for entry in entries.range((spirit, session, 0)..=(spirit, session, u64::MAX))? {
        let (key, json) = entry?;
        old.push((key.value().2, read(session, json.value())?.pulse));
    }
    for (number, pulse) in old {
        entries.remove((spirit, session, number))?;
        by_pulse.remove((spirit, pulse.as_str(), number))?;
    }
    let mut deeds = txn.table(DEEDS)?;
    for (at, id, _) in whole_deeds(&deeds, spirit, session)? {
        deeds.remove((spirit, session, at, id.as_str()))?;
    }
    Ok(())
}

fn read(session: &str, json: &[u8]) -> Result<Entry, Failed> {
    decode(|| format!("chronicle {session}"), json)
}

#[async_trait]
impl Chronicle for RedbChronicle {
    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let (spirit, session, pulse) = (
            self.0.spirit(),
            entry.session.to_string(),
            entry.pulse.clone(),
        );
        let json = encode(entry)?;
        self.0
            .write(move |txn| {
                let (mut entries, mut by_pulse) = (txn.table(ENTRIES)?, txn.table(BY_PULSE)?);
                let whole =
                    (&*spirit, session.as_str(), 0)..=(&*spirit, session.as_str(), u64::MAX);
                let (oldest, next) = {
                    let mut known = entries.range(whole)?;
                    let oldest = known.next().transpose()?.map(|(key, _)| key.value().2);
                    let newest = known
                        .next_back()
                        .transpose()?
                        .map(|(key, _)| key.value().2)
                        .or(oldest);
                    (oldest.unwrap_or(0), newest.map_or(0, |newest| newest + 1))
                };
                entries.insert((&*spirit, session.as_str(), next), json.as_slice())?;
                by_pulse.insert((&*spirit, pulse.as_str(), next), session.as_str())?;
                if next + 1 - oldest > NEWEST as u64 {
                    let old = entries.remove((&*spirit, session.as_str(), oldest))?;
                    let old = old.map(|json| read(&session, json.value())).transpose()?;
                    if let Some(entry) = old {
                        by_pulse.remove((&*spirit, entry.pulse.as_str(), oldest))?;
                    }
                }
                touch(txn, &spirit, &session, now())
            })
            .await
    }

    async fn did(&self, deed: &Deed) -> Result<(), StoreError> {
        let (spirit, about) = (self.0.spirit(), deed.about.to_string());
        let (at, id, json) = (deed.at.as_millisecond(), deed.id.clone(), encode(deed)?);
        self.0
            .write(move |txn| {
                let mut deeds = txn.table(DEEDS)?;
                deeds.insert((&*spirit, about.as_str(), at, id.as_str()), json.as_slice())?;
                let known: Vec<(i64, String)> = whole_deeds(&deeds, &spirit, &about)?
                    .into_iter()
                    .map(|(at, id, _)| (at, id))
                    .collect();
                for (at, id) in known.iter().take(known.len().saturating_sub(NEWEST)) {
                    deeds.remove((&*spirit, about.as_str(), *at, id.as_str()))?;
                }
                touch(txn, &spirit, &about, now())
            })
            .await
    }

    async fn deeds(&self, about: &Target, most: usize) -> Result<Vec<Deed>, StoreError> {
        let (spirit, about) = (self.0.spirit(), about.to_string());
        self.0
            .read(move |txn| {
                let all = whole_deeds(&txn.open_table(DEEDS)?, &spirit, &about)?;
                all[all.len().saturating_sub(most)..]
                    .iter()
                    .map(|(_, _, json)| decode(|| format!("deeds {about}"), json))
                    .collect()
            })
            .await
    }

    async fn of_pulse(&self, id: &PulseId) -> Result<Vec<Entry>, StoreError> {
        let (spirit, id) = (self.0.spirit(), id.clone());
        self.0
            .read(move |txn| {
                let (entries, by_pulse) = (txn.open_table(ENTRIES)?, txn.open_table(BY_PULSE)?);
                let mut found = Vec::new();
                for known in by_pulse
                    .range((&*spirit, id.as_str(), 0)..=(&*spirit, id.as_str(), u64::MAX))?
                {
                    let (key, session) = known?;
                    let session = session.value();
                    if let Some(json) = entries.get((&*spirit, session, key.value().2))? {
                        found.push(read(session, json.value())?);
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn of_session(
        &self,
        session: &SessionKey,
        most: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (spirit, session) = (self.0.spirit(), session.to_string());
        self.0
            .read(move |txn| {
                let entries = txn.open_table(ENTRIES)?;
                let whole =
                    (&*spirit, session.as_str(), 0)..=(&*spirit, session.as_str(), u64::MAX);
                let newest = entries.range(whole)?.rev().take(most);
                let mut found = newest
                    .map(|entry| read(&session, entry?.1.value()))
                    .collect::<Result<Vec<_>, Failed>>()?;
                found.reverse();
                Ok(found)
            })
            .await
    }
}
