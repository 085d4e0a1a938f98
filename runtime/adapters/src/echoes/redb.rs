//! An Echo store in a file.

use async_trait::async_trait;
use eywa_weave::{
    Echo, SessionKey, StoreError,
    ports::{
        bond::Fence,
        echoes::{Echoes, Glimpse, Stretch, Summary, name_in},
    },
};
use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable, TableDefinition};

use super::NEWEST;
use crate::redb::{Failed, Redb, Txn, decode, encode, now, touch};

/// Echoes of a session by their number, as JSON. Numbers leave no gap.
const ECHOES: TableDefinition<'static, (&str, &str, u64), &[u8]> = TableDefinition::new("echoes");

/// The ids of the same Echoes: their numbers.
const IDS: TableDefinition<'static, (&str, &str, &str), u64> = TableDefinition::new("echo_ids");

/// What a list of conversations shows of each, as JSON.
const SUMMARIES: TableDefinition<'static, (&str, &str), &[u8]> =
    TableDefinition::new("conversations");

/// The same conversations by their place.
const PLACES: TableDefinition<'static, (&str, u64), &str> =
    TableDefinition::new("conversation_places");

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
    txn.table(SUMMARIES)?;
    txn.table(PLACES)?;
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
    let (mut summaries, mut places) = (txn.table(SUMMARIES)?, txn.table(PLACES)?);
    let listed = summaries.remove((spirit, session))?;
    let place = listed
        .map(|json| summary(session, json.value()))
        .transpose()?
        .map(|summary| summary.place);
    if let Some(place) = place {
        places.remove((spirit, place))?;
    }
    Ok(())
}

fn summary(session: &str, json: &[u8]) -> Result<Summary, Failed> {
    decode(|| format!("conversations {session}"), json)
}

/// Moves a conversation before all others, with what was said last.
fn advance(
    txn: &Txn<'_>,
    spirit: &str,
    session: &SessionKey,
    length: u64,
    (name, last): (Option<String>, Option<Glimpse>),
) -> Result<(), Failed> {
    let key = session.to_string();
    let (mut summaries, mut places) = (txn.table(SUMMARIES)?, txn.table(PLACES)?);
    let before = match summaries.get((spirit, key.as_str()))? {
        Some(json) => Some(summary(&key, json.value())?),
        None => None,
    };
    let newest = places
        .range((spirit, 0)..=(spirit, u64::MAX))?
        .next_back()
        .transpose()?
        .map_or(0, |(key, _)| key.value().1);
    let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
    let place = now.max(newest + 1);
    let (mut known_name, mut known_last) = (None, None);
    if let Some(before) = before {
        places.remove((spirit, before.place))?;
        (known_name, known_last) = (before.name, before.last);
    }
    let now = Summary {
        session: session.clone(),
        place,
        length,
        name: name.or(known_name),
        last: last.or(known_last),
    };
    places.insert((spirit, place), key.as_str())?;
    summaries.insert((spirit, key.as_str()), encode(&now)?.as_slice())?;
    Ok(())
}

/// The conversations of these places.
fn listed<'a>(
    txn: &ReadTransaction,
    spirit: &str,
    places: impl Iterator<
        Item = Result<
            (
                redb::AccessGuard<'a, (&'static str, u64)>,
                redb::AccessGuard<'a, &'static str>,
            ),
            redb::StorageError,
        >,
    >,
) -> Result<Vec<Summary>, Failed> {
    let summaries = txn.open_table(SUMMARIES)?;
    let mut listed = Vec::new();
    for place in places {
        let (_, session) = place?;
        if let Some(json) = summaries.get((spirit, session.value()))? {
            listed.push(summary(session.value(), json.value())?);
        }
    }
    Ok(listed)
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
        let shown = (name_in(echoes).map(str::to_owned), Glimpse::of(echoes));
        self.0
            .write(move |txn| {
                if let Some(offered) = fence {
                    beside
                        .echoes
                        .with(&spirit, &session, |newest| newest.pass(offered))?;
                }
                let key = session;
                let session = key.to_string();
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
                let before = next;
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
                if next > before {
                    advance(txn, &spirit, &key, next, shown)?;
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

    async fn stretch(
        &self,
        session: &SessionKey,
        before: Option<u64>,
        most: usize,
    ) -> Result<Stretch, StoreError> {
        let (spirit, session) = (self.0.spirit(), session.to_string());
        self.0
            .read(move |txn| {
                let echoes = txn.open_table(ECHOES)?;
                let (spirit, session) = (&*spirit, session.as_str());
                let stop = (spirit, session, before.unwrap_or(u64::MAX));
                let mut earlier = echoes.range((spirit, session, 0)..stop)?.rev();
                let mut stretch = Stretch::default();
                let mut first = None;
                for entry in earlier.by_ref().take(most) {
                    let (key, json) = entry?;
                    first = Some(key.value().2);
                    stretch.echoes.push(read(session, json.value())?);
                }
                stretch.echoes.reverse();
                if earlier.next().transpose()?.is_some() {
                    stretch.older = first.or(before);
                }
                Ok(stretch)
            })
            .await
    }

    async fn latest(&self, before: Option<u64>, most: usize) -> Result<Vec<Summary>, StoreError> {
        let spirit = self.0.spirit();
        self.0
            .read(move |txn| {
                let places = txn.open_table(PLACES)?;
                let found = places.range((&*spirit, 0)..(&*spirit, before.unwrap_or(u64::MAX)))?;
                listed(txn, &spirit, found.rev().take(most))
            })
            .await
    }

    async fn changed(&self, after: u64, most: usize) -> Result<Vec<Summary>, StoreError> {
        let spirit = self.0.spirit();
        self.0
            .read(move |txn| {
                let places = txn.open_table(PLACES)?;
                let from = after.saturating_add(1);
                let found = places.range((&*spirit, from)..=(&*spirit, u64::MAX))?;
                listed(txn, &spirit, found.take(most))
            })
            .await
    }

    async fn known(&self, sessions: &[SessionKey]) -> Result<Vec<Option<Summary>>, StoreError> {
        let spirit = self.0.spirit();
        let sessions: Vec<String> = sessions.iter().map(ToString::to_string).collect();
        self.0
            .read(move |txn| {
                let summaries = txn.open_table(SUMMARIES)?;
                let one = |session: &String| match summaries.get((&*spirit, session.as_str()))? {
                    Some(json) => summary(session, json.value()).map(Some),
                    None => Ok(None),
                };
                sessions.iter().map(one).collect()
            })
            .await
    }
}
