//! Contacts in a file.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    PulseId, StoreError, UserId, VoiceName,
    ports::contacts::{Contacts, IDS_REMEMBERED, MESSAGES_REMEMBERED, Pace, Progress},
};
use redb::{ReadableTable, TableDefinition};

use crate::redb::{Failed, Redb, Txn, millis, now};

/// Ids of people, `voice/id`: until when (in ms), and the id that their session goes by.
const PEOPLE: TableDefinition<'static, (&str, &str), (u64, &str)> = TableDefinition::new("people");

/// Ids that were ever seen with others, `voice/id`: until when (in ms).
const WITH_OTHERS: TableDefinition<'static, (&str, &str), u64> =
    TableDefinition::new("people-with-others");

/// Messages that were sent, `voice/message`: until when (in ms), how far they have come, and the Pulse they answered.
const MESSAGES: TableDefinition<'static, (&str, &str), (u64, u8, &str)> =
    TableDefinition::new("messages");

/// When each person, `voice/id`, may be written to again, had there been no burst: in ms since 1970.
const PACES: TableDefinition<'static, (&str, &str), u64> = TableDefinition::new("paces");

/// Contacts in a file. Times run by this machine's clock.
#[derive(Clone, Debug)]
pub struct RedbContacts(Redb);

impl RedbContacts {
    /// The Contacts of this Spirit.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(PEOPLE)?;
    txn.table(WITH_OTHERS)?;
    txn.table(MESSAGES)?;
    txn.table(PACES)?;
    Ok(())
}

/// Forgets what has had its time.
pub(crate) fn expire(txn: &Txn<'_>, now: u64) -> Result<(), Failed> {
    txn.table(PEOPLE)?.retain(|_, (until, _)| until > now)?;
    txn.table(WITH_OTHERS)?.retain(|_, until| until > now)?;
    txn.table(MESSAGES)?
        .retain(|_, (until, _, _)| until > now)?;
    txn.table(PACES)?.retain(|_, until| until > now)?;
    Ok(())
}

fn place(voice: &VoiceName, of: &str) -> String {
    format!("{voice}/{of}")
}

#[async_trait]
impl Contacts for RedbContacts {
    async fn identify(
        &self,
        voice: &VoiceName,
        id: &UserId,
        also: &[UserId],
    ) -> Result<UserId, StoreError> {
        let spirit = self.0.spirit();
        let keys: Vec<String> = std::iter::once(id)
            .chain(also)
            .map(|id| place(voice, id.as_str()))
            .collect();
        let (id, new) = (id.clone(), also.first().cloned());
        self.0
            .write(move |txn| {
                let now = now();
                let mut people = txn.table(PEOPLE)?;
                let mut with_others = txn.table(WITH_OTHERS)?;
                let known_as = |key: &String| match people.get((&*spirit, key.as_str()))? {
                    Some(found) if found.value().0 > now => Ok(Some(UserId::from(found.value().1))),
                    _ => Ok::<_, Failed>(None),
                };
                let mut known = None;
                for key in &keys[1..] {
                    known = known_as(key)?;
                    if known.is_some() {
                        break;
                    }
                }
                let own = (&*spirit, keys[0].as_str());
                if known.is_none() {
                    let seen = with_others
                        .get(own)?
                        .is_some_and(|until| until.value() > now);
                    known = match (known_as(&keys[0])?, &new) {
                        // It was seen with others than these: somebody else has it now.
                        (Some(_), Some(new)) if seen => Some(new.clone()),
                        (known, _) => known,
                    };
                }
                let known = known.unwrap_or(id);
                let until = now.saturating_add(millis(IDS_REMEMBERED));
                for key in &keys {
                    people.insert((&*spirit, key.as_str()), (until, known.as_str()))?;
                }
                if new.is_some() {
                    with_others.insert(own, until)?;
                }
                Ok(known)
            })
            .await
    }

    async fn sent(
        &self,
        voice: &VoiceName,
        message: &str,
        pulse: &PulseId,
    ) -> Result<(), StoreError> {
        let (spirit, key, pulse) = (self.0.spirit(), place(voice, message), pulse.clone());
        self.0
            .write(move |txn| {
                let mut messages = txn.table(MESSAGES)?;
                let key = (&*spirit, key.as_str());
                let rank = messages.get(key)?.map_or(0, |found| found.value().1);
                let until = now().saturating_add(millis(MESSAGES_REMEMBERED));
                messages.insert(key, (until, rank, pulse.as_str()))?;
                Ok(())
            })
            .await
    }

    async fn pulse_of(
        &self,
        voice: &VoiceName,
        message: &str,
    ) -> Result<Option<PulseId>, StoreError> {
        let (spirit, key) = (self.0.spirit(), place(voice, message));
        self.0
            .read(move |txn| {
                let messages = txn.open_table(MESSAGES)?;
                let found = messages.get((&*spirit, key.as_str()))?;
                Ok(found.and_then(|found| {
                    let (until, _, pulse) = found.value();
                    (until > now() && !pulse.is_empty()).then(|| PulseId::from(pulse))
                }))
            })
            .await
    }

    async fn advance(
        &self,
        voice: &VoiceName,
        message: &str,
        progress: Progress,
    ) -> Result<bool, StoreError> {
        let (spirit, key) = (self.0.spirit(), place(voice, message));
        self.0
            .write(move |txn| {
                let mut messages = txn.table(MESSAGES)?;
                let key = (&*spirit, key.as_str());
                let (rank, pulse) = messages
                    .get(key)?
                    .map(|found| (found.value().1, found.value().2.to_owned()))
                    .unwrap_or_default();
                if progress.rank() <= rank {
                    txn.unchanged();
                    return Ok(false);
                }
                let until = now().saturating_add(millis(MESSAGES_REMEMBERED));
                messages.insert(key, (until, progress.rank(), pulse.as_str()))?;
                Ok(true)
            })
            .await
    }

    async fn pace(
        &self,
        voice: &VoiceName,
        user: &UserId,
        messages: u32,
        pace: Pace,
    ) -> Result<Duration, StoreError> {
        let (spirit, key) = (self.0.spirit(), place(voice, user.as_str()));
        self.0
            .write(move |txn| {
                let now = now();
                let mut paces = txn.table(PACES)?;
                let key = (&*spirit, key.as_str());
                let until = paces.get(key)?.map_or(now, |found| found.value().max(now));
                let next = until.saturating_add(millis(pace.interval * messages));
                let wait = (next - now).saturating_sub(millis(pace.interval * pace.burst));
                let wait = Duration::from_millis(wait);
                if wait > pace.longest_wait {
                    txn.unchanged();
                } else {
                    paces.insert(key, next)?;
                }
                Ok(wait)
            })
            .await
    }
}
