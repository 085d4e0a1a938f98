//! An Echo store in a file.

use async_trait::async_trait;
use eywa_weave::{
    Echo, SessionKey, StoreError,
    ports::{bond::Fence, echoes::Echoes},
};
use redb::{ReadableTable, TableDefinition};

use super::NEWEST;
use crate::redb::{Failed, Redb, Txn, decode, encode, now, touch};

/// Echoes of a session by their number, as JSON. Numbers leave no gap.
const ECHOES: TableDefinition<'static, (&str, &str, u64), &[u8]> = TableDefinition::new("echoes");

/// The ids of the same Echoes: their numbers.
const IDS: TableDefinition<'static, (&str, &str, &str), u64> = TableDefinition::new("echo_ids");

/// An Echo store in a file. Keeps the newest [`NEWEST`] Echoes of a session for 90 days after the last.
#[derive(Clone, Debug)]
pub struct RedbEchoes(Redb);

impl RedbEchoes {
    /// The conversations of this Spirit.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(ECHOES)?;
    txn.table(IDS)?;
    Ok(())
}

/// Forgets a conversation.
pub(crate) fn forget(txn: &Txn<'_>, spirit: &str, session: &str) -> Result<(), Failed> {
    let (mut echoes, mut ids) = (txn.table(ECHOES)?, txn.table(IDS)?);
    let mut old = Vec::new();
    for entry in echoes.range((spirit, session, 0)..=(spirit, session, u64::MAX))? {
        let (key, json) = entry?;
        old.push((key.value().2, id_of(session, json.value())?));
    }
    for (number, id) in old {
        echoes.remove((spirit, session, number))?;
        ids.remove((spirit, session, id.as_str()))?;
    }
    Ok(())
}

fn read(session: &str, json: &[u8]) -> Result<Echo, Failed> {
    decode(|| format!("echoes {session}"), json)
}

fn id_of(session: &str, json: &[u8]) -> Result<String, Failed> {
    Ok(read(session, json)?.id)
}

#[async_trait]
impl Echoes for RedbEchoes {
    async fn append(
        &self,
        session: &SessionKey,
        fence: Option<Fence>,
        echoes: &[Echo],
    ) -> Result<(), StoreError> {
        let (spirit, beside, session) = (self.0.spirit(), self.0.beside(), session.clone());
        let said: Vec<(String, Vec<u8>)> = echoes
            .iter()
            .map(|echo| Ok((echo.id.clone(), encode(echo)?)))
            .collect::<Result<_, Failed>>()?;
        self.0
            .write(move |txn| {
                if let Some(offered) = fence {
                    beside
                        .echoes
                        .with(&spirit, &session, |newest| newest.pass(offered))?;
                }
                let session = session.to_string();
                let (mut echoes, mut ids) = (txn.table(ECHOES)?, txn.table(IDS)?);
                let whole =
                    (&*spirit, session.as_str(), 0)..=(&*spirit, session.as_str(), u64::MAX);
                let (mut oldest, mut next) = {
                    let mut known = echoes.range(whole)?;
                    let oldest = known.next().transpose()?.map(|(key, _)| key.value().2);
                    let newest = known
                        .next_back()
                        .transpose()?
                        .map(|(key, _)| key.value().2)
                        .or(oldest);
                    (oldest.unwrap_or(0), newest.map_or(0, |newest| newest + 1))
                };
                for (id, json) in &said {
                    if ids
                        .get((&*spirit, session.as_str(), id.as_str()))?
                        .is_some()
                    {
                        continue;
                    }
                    echoes.insert((&*spirit, session.as_str(), next), json.as_slice())?;
                    ids.insert((&*spirit, session.as_str(), id.as_str()), next)?;
                    next += 1;
                    if next - oldest > NEWEST as u64 {
                        let old = echoes.remove((&*spirit, session.as_str(), oldest))?;
                        let old = old.map(|json| id_of(&session, json.value())).transpose()?;
                        if let Some(id) = old {
                            ids.remove((&*spirit, session.as_str(), id.as_str()))?;
                        }
                        oldest += 1;
                    }
                }
                touch(txn, &spirit, &session, now())
            })
            .await
    }

    async fn recent(&self, session: &SessionKey, most: usize) -> Result<Vec<Echo>, StoreError> {
        let (spirit, session) = (self.0.spirit(), session.to_string());
        self.0
            .read(move |txn| {
                let echoes = txn.open_table(ECHOES)?;
                let whole =
                    (&*spirit, session.as_str(), 0)..=(&*spirit, session.as_str(), u64::MAX);
                let newest = echoes.range(whole)?.rev().take(most);
                let mut recent = newest
                    .map(|entry| read(&session, entry?.1.value()))
                    .collect::<Result<Vec<_>, Failed>>()?;
                recent.reverse();
                Ok(recent)
            })
            .await
    }
}
