//! Attachments in a file.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::attachments::{Attachments, MOST_BYTES},
    pulse::Media,
};
use redb::{ReadableTable, TableDefinition};

use crate::redb::{Failed, Redb, Txn, millis, now};

/// A file's Spirit, its session, and the channel's id of it.
type Key<'a> = (&'a str, &'a str, &'a str);

/// Until when and since when a file is kept (in ms), its length, its media type and its name, empty for none.
type About<'a> = (u64, u64, u64, &'a str, &'a str);

/// What is known of files.
const ABOUT: TableDefinition<'static, Key<'static>, About<'static>> =
    TableDefinition::new("attachments");

/// Their bytes, apart, so that a look at a session's files does not read them.
const BYTES: TableDefinition<'static, Key<'static>, &[u8]> =
    TableDefinition::new("attachment-bytes");

/// Sorts after every id: no text has this character.
const LAST: &str = "\u{10FFFF}";

/// Attachments in a file. TTLs run by this machine's clock.
#[derive(Clone, Debug)]
pub struct RedbAttachments(Redb);

impl RedbAttachments {
    /// The Attachments of this Spirit.
    #[must_use]
    pub fn new(redb: Redb) -> Self {
        Self(redb)
    }
}

pub(crate) fn make(txn: &Txn<'_>) -> Result<(), Failed> {
    txn.table(ABOUT)?;
    txn.table(BYTES)?;
    Ok(())
}

/// Forgets what has had its time.
pub(crate) fn expire(txn: &Txn<'_>, now: u64) -> Result<(), Failed> {
    let mut old = Vec::new();
    for entry in txn.table(ABOUT)?.iter()? {
        let (key, about) = entry?;
        if about.value().0 <= now {
            let (spirit, session, id) = key.value();
            old.push((spirit.to_owned(), session.to_owned(), id.to_owned()));
        }
    }
    for (spirit, session, id) in &old {
        drop_one(txn, spirit, session, id)?;
    }
    Ok(())
}

fn drop_one(txn: &Txn<'_>, spirit: &str, session: &str, id: &str) -> Result<(), Failed> {
    txn.table(ABOUT)?.remove((spirit, session, id))?;
    txn.table(BYTES)?.remove((spirit, session, id))?;
    Ok(())
}

#[async_trait]
impl Attachments for RedbAttachments {
    async fn keep(
        &self,
        session: &SessionKey,
        id: &str,
        media: &Media,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        if media.bytes.len() > MOST_BYTES {
            return Ok(());
        }
        let (spirit, session, id) = (self.0.spirit(), session.to_string(), id.to_owned());
        let media = media.clone();
        self.0
            .write(move |txn| {
                let now = now();
                let until = now.saturating_add(millis(ttl));
                let length = media.bytes.len() as u64;
                let key = (&*spirit, session.as_str(), id.as_str());
                // Those that were kept before: their ends move with the new one's.
                let mut before: Vec<(u64, u64, String, String, String)> = Vec::new();
                let session_files =
                    (&*spirit, session.as_str(), "")..(&*spirit, session.as_str(), LAST);
                for entry in txn.table(ABOUT)?.range(session_files)? {
                    let (found, about) = entry?;
                    let (ends, since, length, kind, name) = about.value();
                    if ends > now && found.value().2 != id {
                        before.push((
                            since,
                            length,
                            found.value().2.to_owned(),
                            kind.to_owned(),
                            name.to_owned(),
                        ));
                    }
                }
                before.sort_unstable();
                let mut room = MOST_BYTES as u64 - length;
                let mut kept = true;
                for (since, length, known, kind, name) in before.iter().rev() {
                    kept = kept && *length <= room;
                    if kept {
                        room -= length;
                        txn.table(ABOUT)?.insert(
                            (&*spirit, session.as_str(), known.as_str()),
                            (until, *since, *length, kind.as_str(), name.as_str()),
                        )?;
                    } else {
                        drop_one(txn, &spirit, &session, known)?;
                    }
                }
                let name = media.file_name.as_deref().unwrap_or_default();
                txn.table(ABOUT)?
                    .insert(key, (until, now, length, media.media_type.as_str(), name))?;
                txn.table(BYTES)?.insert(key, &*media.bytes)?;
                Ok(())
            })
            .await
    }

    async fn load(&self, session: &SessionKey, id: &str) -> Result<Option<Media>, StoreError> {
        let (spirit, session, id) = (self.0.spirit(), session.to_string(), id.to_owned());
        self.0
            .read(move |txn| {
                let key = (&*spirit, session.as_str(), id.as_str());
                let about = txn.open_table(ABOUT)?;
                let Some(found) = about.get(key)? else {
                    return Ok(None);
                };
                let (until, _, _, kind, name) = found.value();
                if until <= now() {
                    return Ok(None);
                }
                let bytes = txn.open_table(BYTES)?;
                Ok(bytes.get(key)?.map(|bytes| Media {
                    media_type: kind.to_owned(),
                    file_name: Some(name.to_owned()).filter(|name| !name.is_empty()),
                    bytes: bytes.value().into(),
                }))
            })
            .await
    }
}
