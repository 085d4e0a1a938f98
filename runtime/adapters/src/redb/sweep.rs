//! What is done when the file is opened: its tables are made, and what nobody has touched for long is forgotten.

use std::time::Duration;

use redb::{Database, ReadableTable, TableDefinition};

use super::writer::{Failed, Txn};

/// When a session of a Spirit was last written to.
const SESSIONS: TableDefinition<'static, (&str, &str), u64> = TableDefinition::new("sessions");

/// How long a session is kept after it was last written to.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A session is written to.
pub(crate) fn touch(txn: &Txn<'_>, spirit: &str, session: &str, now: u64) -> Result<(), Failed> {
    txn.table(SESSIONS)?.insert((spirit, session), now)?;
    Ok(())
}

/// Makes what tables are missing, so that a reader finds them, and forgets old sessions.
pub(super) fn prepare(database: &Database, now: u64) -> Result<(), redb::Error> {
    let inner = database.begin_write()?;
    let swept = sweep(&Txn::new(&inner), now.saturating_sub(super::millis(KEPT)));
    match swept {
        Ok(()) => Ok(inner.commit()?),
        Err(Failed::Database(error)) => Err(error),
        Err(Failed::Store(error)) => Err(redb::Error::Corrupted(error.to_string())),
    }
}

fn sweep(txn: &Txn<'_>, before: u64) -> Result<(), Failed> {
    #[cfg(feature = "attachments-redb")]
    {
        crate::attachments::redb::make(txn)?;
        crate::attachments::redb::expire(txn, super::now())?;
    }
    #[cfg(feature = "chronicle-redb")]
    crate::chronicle::redb::make(txn)?;
    #[cfg(feature = "contacts-redb")]
    {
        crate::contacts::redb::make(txn)?;
        crate::contacts::redb::expire(txn, super::now())?;
    }
    #[cfg(feature = "echoes-redb")]
    crate::echoes::redb::make(txn)?;
    #[cfg(feature = "imprint-redb")]
    {
        crate::imprint::redb::make(txn)?;
        crate::imprint::redb::expire(txn, super::now())?;
    }
    #[cfg(feature = "inbox-redb")]
    crate::inbox::redb::make(txn)?;
    #[cfg(feature = "lore-redb")]
    crate::lore::redb::make(txn)?;
    #[cfg(feature = "memory-redb")]
    crate::memory::redb::make(txn)?;
    #[cfg(feature = "rite-redb")]
    crate::rite::redb::make(txn)?;
    #[cfg(feature = "vigil-redb")]
    crate::vigil::redb::make(txn)?;
    let mut old = Vec::new();
    for entry in txn.table(SESSIONS)?.iter()? {
        let (key, touched) = entry?;
        if touched.value() < before {
            let (spirit, session) = key.value();
            old.push((spirit.to_owned(), session.to_owned()));
        }
    }
    for (spirit, session) in &old {
        #[cfg(feature = "chronicle-redb")]
        crate::chronicle::redb::forget(txn, spirit, session)?;
        #[cfg(feature = "echoes-redb")]
        crate::echoes::redb::forget(txn, spirit, session)?;
        #[cfg(feature = "memory-redb")]
        crate::memory::redb::forget(txn, spirit, session)?;
        #[cfg(feature = "vigil-redb")]
        crate::vigil::redb::forget(txn, spirit, session)?;
        txn.table(SESSIONS)?
            .remove((spirit.as_str(), session.as_str()))?;
    }
    Ok(())
}

#[cfg(all(
    test,
    feature = "chronicle-redb",
    feature = "echoes-redb",
    feature = "memory-redb",
    feature = "vigil-redb"
))]
mod tests {
    use eywa_weave::{
        Echo, EchoBody, SessionKey,
        ports::{
            Echoes, Memory, Vigil,
            memory::Tally,
            vigil::{Phase, Target},
        },
    };
    use jiff::Timestamp;

    use super::*;
    use crate::{
        echoes::RedbEchoes,
        memory::RedbMemory,
        redb::{Redb, millis, now},
        vigil::RedbVigil,
    };

    #[tokio::test]
    async fn a_session_that_nobody_touched_for_long_is_forgotten_unless_a_human_has_it() {
        let before = now();
        let folder = tempfile::tempdir().unwrap();
        let redb = Redb::open(folder.path(), "barista").unwrap();
        let (echoes, memory, vigil) = (
            RedbEchoes::new(redb.clone()),
            RedbMemory::new(redb.clone()),
            RedbVigil::new(redb.clone()),
        );
        let (ana, at) = (SessionKey::new("wa", "ana"), Timestamp::UNIX_EPOCH);
        let body = EchoBody::Human {
            by: "ben".into(),
            text: "hello".into(),
        };
        let said = [Echo {
            id: "a".into(),
            at,
            pulse: None,
            body,
        }];
        echoes.append(&ana, None, &said).await.unwrap();
        memory.tally(&ana, Tally::Tokens, 40).await.unwrap();
        vigil
            .take_over(&Target::Session(ana.clone()), "ben", at)
            .await
            .unwrap();

        redb.write(move |txn| sweep(txn, before)).await.unwrap();
        assert_eq!(echoes.recent(&ana, 9).await.unwrap(), said);

        let long_after = now() + millis(KEPT);
        redb.write(move |txn| sweep(txn, long_after)).await.unwrap();
        assert_eq!(echoes.recent(&ana, 9).await.unwrap(), []);
        assert_eq!(memory.tally(&ana, Tally::Tokens, 0).await.unwrap(), 0);
        assert_eq!(vigil.watch(&ana).await.unwrap().phase, Phase::TakingOver);
        echoes.append(&ana, None, &said).await.unwrap();
        assert_eq!(
            echoes.recent(&ana, 9).await.unwrap(),
            said,
            "its id is forgotten too"
        );
    }
}
