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
    #[cfg(feature = "chronicle-redb")]
    crate::chronicle::redb::make(txn)?;
    #[cfg(feature = "echoes-redb")]
    crate::echoes::redb::make(txn)?;
    #[cfg(feature = "inbox-redb")]
    crate::inbox::redb::make(txn)?;
    #[cfg(feature = "memory-redb")]
    crate::memory::redb::make(txn)?;
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
        txn.table(SESSIONS)?.remove((spirit.as_str(), session.as_str()))?;
    }
    Ok(())
}
