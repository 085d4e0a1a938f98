//! An Inbox in a file.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    Pulse, PulseId, StoreError,
    ports::inbox::{Acceptance, Delivery, Depth, Due, Inbox, REMEMBERED, Speech},
};
use redb::{ReadableTable, Table, TableDefinition};

use crate::redb::{Failed, Redb, Txn, decode, encode, millis, now};

/// Accepted Pulses by the order in which they came: when, until when they are leased (both in ms), attempt, speech, and
/// the Pulse as JSON.
const PULSES: TableDefinition<'static, (&str, u64), Waiting<'static>> =
    TableDefinition::new("inbox");
type Waiting<'a> = (u64, u64, u32, u8, &'a [u8]);

/// Ids that were accepted: their place in [`PULSES`], or [`FINISHED`].
const IDS: TableDefinition<'static, (&str, &str), u64> = TableDefinition::new("inbox_ids");
const FINISHED: u64 = 0;

/// The same ids by the time (in ms) when they are forgotten.
const FORGET: TableDefinition<'static, (u64, &str, &str), ()> =
    TableDefinition::new("inbox_forget");

/// The last place that was given out.
const LAST: TableDefinition<'static, &str, u64> = TableDefinition::new("inbox_last");

/// How many ids are forgotten at most along with one acceptance: more than come in with it, so that the table shrinks.
const FORGOTTEN_AT_ONCE: usize = 64;

/// An Inbox in a file. It survives the process; leases run by this machine's clock.
#[derive(Clone, Debug)]
pub struct RedbInbox(Redb);

impl RedbInbox {
    /// The Inbox of this Spirit.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(PULSES)?;
    txn.table(IDS)?;
    txn.table(FORGET)?;
    txn.table(LAST)?;
    Ok(())
}

fn forget(txn: &Txn<'_>, now: u64) -> Result<(), Failed> {
    let mut forget = txn.table(FORGET)?;
    let mut ids = txn.table(IDS)?;
    for _ in 0..FORGOTTEN_AT_ONCE {
        let Some(first) = forget.first()? else { break };
        let key = first.0.value();
        let (at, spirit, id) = (key.0, key.1.to_owned(), key.2.to_owned());
        drop(first);
        if at > now {
            break;
        }
        forget.remove((at, spirit.as_str(), id.as_str()))?;
        let finished = ids
            .get((spirit.as_str(), id.as_str()))?
            .is_none_or(|place| place.value() == FINISHED);
        if finished {
            ids.remove((spirit.as_str(), id.as_str()))?;
        } else {
            // Nobody has answered it in all that time. While it is here its id is known.
            forget.insert((now + millis(REMEMBERED), spirit.as_str(), id.as_str()), ())?;
        }
    }
    Ok(())
}

/// Where a Pulse is, if it is not finished.
fn place(
    ids: &impl ReadableTable<(&'static str, &'static str), u64>,
    spirit: &str,
    id: &PulseId,
) -> Result<Option<u64>, Failed> {
    Ok(ids
        .get((spirit, id.as_str()))?
        .map(|place| place.value())
        .filter(|place| *place != FINISHED))
}

/// Changes what is written beside a Pulse; gives it as it is then.
fn change(
    pulses: &mut Table<'_, (&'static str, u64), Waiting<'static>>,
    spirit: &str,
    place: u64,
    change: impl FnOnce(&mut Lease),
) -> Result<Option<Delivery>, Failed> {
    let Some(found) = pulses.get((spirit, place))? else {
        return Ok(None);
    };
    let (since, leased_until, attempt, speech, json) = found.value();
    let mut lease = Lease {
        leased_until,
        attempt,
        speech,
    };
    change(&mut lease);
    let json = json.to_vec();
    drop(found);
    pulses.insert(
        (spirit, place),
        (
            since,
            lease.leased_until,
            lease.attempt,
            lease.speech,
            json.as_slice(),
        ),
    )?;
    let pulse = decode(|| format!("inbox {spirit} {place}"), &json)?;
    Ok(Some(Delivery {
        pulse,
        attempt: lease.attempt,
        speech: read_speech(lease.speech),
    }))
}

struct Lease {
    leased_until: u64,
    attempt: u32,
    speech: u8,
}

fn write_speech(speech: Speech) -> u8 {
    match speech {
        Speech::Silent => 0,
        Speech::Unknown => 1,
        Speech::Spoken => 2,
    }
}

fn read_speech(speech: u8) -> Speech {
    match speech {
        0 => Speech::Silent,
        2 => Speech::Spoken,
        // The careful reading of what only another version could have written.
        _ => Speech::Unknown,
    }
}

#[async_trait]
impl Inbox for RedbInbox {
    async fn accept(
        &self,
        pulses: &[Pulse],
        lease: Duration,
    ) -> Result<Vec<Acceptance>, StoreError> {
        let spirit = self.0.spirit();
        let offered: Vec<(PulseId, Vec<u8>)> = pulses
            .iter()
            .map(|pulse| Ok((pulse.id.clone(), encode(pulse)?)))
            .collect::<Result<_, Failed>>()?;
        self.0
            .write(move |txn| {
                let now = now();
                forget(txn, now)?;
                let (mut waiting, mut ids, mut by_age, mut last) = (
                    txn.table(PULSES)?,
                    txn.table(IDS)?,
                    txn.table(FORGET)?,
                    txn.table(LAST)?,
                );
                let mut place = last.get(&*spirit)?.map_or(FINISHED, |last| last.value());
                let mut said = Vec::with_capacity(offered.len());
                for (id, json) in &offered {
                    if ids.get((&*spirit, id.as_str()))?.is_some() {
                        said.push(Acceptance::Duplicate);
                        continue;
                    }
                    place += 1;
                    waiting.insert(
                        (&*spirit, place),
                        (
                            now,
                            now + millis(lease),
                            1,
                            write_speech(Speech::Silent),
                            json.as_slice(),
                        ),
                    )?;
                    ids.insert((&*spirit, id.as_str()), place)?;
                    by_age.insert((now + millis(REMEMBERED), &*spirit, id.as_str()), ())?;
                    said.push(Acceptance::New);
                }
                last.insert(&*spirit, place)?;
                Ok(said)
            })
            .await
    }

    async fn reclaim(&self, most: usize, lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        let spirit = self.0.spirit();
        self.0
            .write(move |txn| {
                let now = now();
                let mut waiting = txn.table(PULSES)?;
                let mut lapsed = Vec::new();
                for entry in waiting.range((&*spirit, 0)..=(&*spirit, u64::MAX))? {
                    if lapsed.len() == most {
                        break;
                    }
                    let (key, value) = entry?;
                    if value.value().1 <= now {
                        lapsed.push(key.value().1);
                    }
                }
                if lapsed.is_empty() {
                    txn.unchanged();
                }
                let again = |held: &mut Lease| {
                    held.leased_until = now + millis(lease);
                    held.attempt = held.attempt.saturating_add(1);
                };
                lapsed
                    .into_iter()
                    .filter_map(|place| change(&mut waiting, &spirit, place, again).transpose())
                    .collect()
            })
            .await
    }

    async fn reclaim_one(&self, id: &PulseId, lease: Duration) -> Result<Due, StoreError> {
        let (spirit, id) = (self.0.spirit(), id.clone());
        self.0
            .write(move |txn| {
                let now = now();
                let (mut waiting, ids) = (txn.table(PULSES)?, txn.table(IDS)?);
                let Some(place) = place(&ids, &spirit, &id)? else {
                    txn.unchanged();
                    return Ok(Due::Gone);
                };
                let leased_until = waiting
                    .get((&*spirit, place))?
                    .map_or(0, |found| found.value().1);
                if leased_until > now {
                    txn.unchanged();
                    return Ok(Due::Leased(Duration::from_millis(leased_until - now)));
                }
                let found = change(&mut waiting, &spirit, place, |held| {
                    held.leased_until = now + millis(lease);
                    held.attempt = held.attempt.saturating_add(1);
                })?;
                Ok(found.map_or(Due::Gone, |found| Due::Yours(Box::new(found))))
            })
            .await
    }

    async fn claim(&self, ids: &[PulseId], lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        let (spirit, wanted) = (self.0.spirit(), ids.to_vec());
        self.0
            .write(move |txn| {
                let until = now() + millis(lease);
                let (mut waiting, ids) = (txn.table(PULSES)?, txn.table(IDS)?);
                let mut claimed = Vec::with_capacity(wanted.len());
                for id in &wanted {
                    if let Some(place) = place(&ids, &spirit, id)? {
                        claimed.extend(change(&mut waiting, &spirit, place, |held| {
                            held.leased_until = until;
                        })?);
                    }
                }
                Ok(claimed)
            })
            .await
    }

    async fn renew(&self, id: &PulseId, attempt: u32, lease: Duration) -> Result<bool, StoreError> {
        let (spirit, id): (Arc<str>, _) = (self.0.spirit(), id.clone());
        self.0
            .write(move |txn| {
                let (mut waiting, ids) = (txn.table(PULSES)?, txn.table(IDS)?);
                let Some(place) = place(&ids, &spirit, &id)? else {
                    txn.unchanged();
                    return Ok(false);
                };
                let mut held_by_caller = false;
                change(&mut waiting, &spirit, place, |held| {
                    held_by_caller = held.attempt == attempt;
                    if held_by_caller {
                        held.leased_until = now() + millis(lease);
                    }
                })?;
                Ok(held_by_caller)
            })
            .await
    }

    async fn mark(&self, id: &PulseId, speech: Speech) -> Result<(), StoreError> {
        let (spirit, id) = (self.0.spirit(), id.clone());
        self.0
            .write(move |txn| {
                let (mut waiting, ids) = (txn.table(PULSES)?, txn.table(IDS)?);
                if let Some(place) = place(&ids, &spirit, &id)? {
                    change(&mut waiting, &spirit, place, |held| {
                        held.speech = write_speech(speech);
                    })?;
                }
                Ok(())
            })
            .await
    }

    async fn finish(&self, ids: &[PulseId]) -> Result<(), StoreError> {
        let (spirit, done) = (self.0.spirit(), ids.to_vec());
        self.0
            .write(move |txn| {
                let (mut waiting, mut ids) = (txn.table(PULSES)?, txn.table(IDS)?);
                for id in &done {
                    if let Some(place) = place(&ids, &spirit, id)? {
                        waiting.remove((&*spirit, place))?;
                        ids.insert((&*spirit, id.as_str()), FINISHED)?;
                    }
                }
                Ok(())
            })
            .await
    }

    async fn depth(&self) -> Result<Depth, StoreError> {
        let spirit = self.0.spirit();
        self.0
            .read(move |txn| {
                let waiting = txn.open_table(PULSES)?;
                let mut depth = Depth::default();
                for entry in waiting.range((&*spirit, 0)..=(&*spirit, u64::MAX))? {
                    if depth.pulses == 0 {
                        depth.oldest =
                            Duration::from_millis(now().saturating_sub(entry?.1.value().0));
                    }
                    depth.pulses += 1;
                }
                Ok(depth)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use eywa_weave::{Content, SessionKey, User};
    use jiff::Timestamp;

    use super::*;

    fn pulse(id: &str) -> Pulse {
        Pulse {
            id: id.into(),
            session: SessionKey::new("wa", "ana"),
            user: User {
                id: "ana".into(),
                name: None,
            },
            content: Content::text("hello"),
            received_at: Timestamp::UNIX_EPOCH,
            reply_to: serde_json::Value::Null,
            resumes: None,
        }
    }

    #[tokio::test]
    async fn an_id_is_forgotten_in_time_but_not_while_its_pulse_waits() {
        let folder = tempfile::tempdir().unwrap();
        let redb = Redb::open(folder.path(), "barista").unwrap();
        let inbox = RedbInbox::new(redb.clone());
        let offered = [pulse("wa/finished"), pulse("wa/waiting")];
        let lease = Duration::from_secs(60);
        inbox.accept(&offered, lease).await.unwrap();
        inbox.finish(&["wa/finished".into()]).await.unwrap();

        let just_before = now() + millis(REMEMBERED) - 60_000;
        redb.write(move |txn| forget(txn, just_before))
            .await
            .unwrap();
        let said = inbox.accept(&offered, lease).await.unwrap();
        assert_eq!(said, [Acceptance::Duplicate, Acceptance::Duplicate]);

        let after = now() + millis(REMEMBERED) + 60_000;
        redb.write(move |txn| forget(txn, after)).await.unwrap();
        let said = inbox.accept(&offered, lease).await.unwrap();
        assert_eq!(said, [Acceptance::New, Acceptance::Duplicate]);
    }
}
