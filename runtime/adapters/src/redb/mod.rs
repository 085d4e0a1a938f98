//! Stores in one file on this machine, for one process: what `eywa up` keeps between runs.
//!
//! A [`Redb`] opens the file once; every store is made from a clone of it. What a store says is done is on the disk: it
//! survives `kill -9` and, as far as the disk keeps its word, a power failure. One thread writes, and writes together
//! whatever is waiting, so that many at once share one flush.
//!
//! There is one process, so a Bond's fencing numbers, and permits to speak, end with it: they are kept beside the file,
//! not in it. A process that starts anew counts its Bonds from the beginning.

mod per_session;
mod sweep;
mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use eywa_weave::StoreError;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase};
use serde::{Serialize, de::DeserializeOwned};

use self::writer::Writer;
pub(crate) use self::{
    per_session::{Newest, PerSession},
    sweep::touch,
    writer::{Failed, Txn},
};

/// The name in errors and logs.
pub(crate) const STORE: &str = "redb";

/// The file in the folder.
const FILE: &str = "eywa.redb";

/// The most memory that is used to cache the file, in bytes.
const CACHE: usize = 16 * 1024 * 1024;

/// The stores' folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process: stop that, or use another folder", .0.display())]
    InUse(PathBuf),
    /// The folder cannot be made, read or written.
    #[error("{} cannot be opened: {reason}", .folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// What the system or the store said.
        reason: String,
    },
}

/// The stores of one Spirit in a folder. Cheap to clone; clones share the file, which is closed with the last of them.
#[derive(Clone)]
pub struct Redb {
    shared: Arc<Shared>,
    spirit: Arc<str>,
}

struct Shared {
    database: Arc<Database>,
    writer: Writer,
    beside: Arc<Beside>,
}

/// What ends with the process.
#[derive(Default)]
pub(crate) struct Beside {
    #[cfg(feature = "echoes-redb")]
    pub(crate) echoes: PerSession<Newest>,
    #[cfg(feature = "memory-redb")]
    pub(crate) memory: PerSession<Newest>,
    #[cfg(feature = "vigil-redb")]
    pub(crate) speaking: PerSession<crate::vigil::redb::Speaking>,
}

impl Redb {
    /// Opens the stores of `spirit` in `folder`, which is made if there is none. Forgets what nobody has touched for
    /// long. Reads and writes the disk: not for an async task.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be read or written.
    pub fn open(folder: &Path, spirit: &str) -> Result<Self, OpenError> {
        let unusable = |reason: String| OpenError::Unusable {
            folder: folder.to_owned(),
            reason,
        };
        fs::create_dir_all(folder).map_err(|error| unusable(error.to_string()))?;
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create(folder.join(FILE))
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(folder.to_owned()),
                other => unusable(other.to_string()),
            })?;
        sweep::prepare(&database, now()).map_err(|error| unusable(error.to_string()))?;
        let database = Arc::new(database);
        let writer = Writer::start(database.clone())
            .map_err(|error: io::Error| unusable(error.to_string()))?;
        let shared = Arc::new(Shared {
            database,
            writer,
            beside: Arc::default(),
        });
        Ok(Self {
            shared,
            spirit: spirit.into(),
        })
    }

    /// The stores of another Spirit in the same file.
    #[must_use]
    pub fn of(&self, spirit: &str) -> Self {
        Self {
            shared: self.shared.clone(),
            spirit: spirit.into(),
        }
    }

    pub(crate) fn spirit(&self) -> Arc<str> {
        self.spirit.clone()
    }

    /// Changes the file, and is done when that is on the disk. Changes are made one after another. A job checks first and
    /// changes then: what it changed before it fails as [`Failed::Store`] stays.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Txn<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.shared.writer.run(job).await
    }

    /// Looks at the file as it was last written.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = self.shared.database.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let txn = database
                .begin_read()
                .map_err(|error| StoreError::unavailable(STORE, error))?;
            look(&txn).map_err(StoreError::from)
        });
        looking
            .await
            .map_err(|error| StoreError::unavailable(STORE, error))?
    }

    /// Beside the file. Whoever changes it does so in a [`write`](Self::write), where there is one at a time.
    pub(crate) fn beside(&self) -> Arc<Beside> {
        self.shared.beside.clone()
    }
}

impl std::fmt::Debug for Redb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redb")
            .field("spirit", &self.spirit)
            .finish_non_exhaustive()
    }
}

/// Milliseconds since 1970 by this machine's clock: what is on the disk outlives the process, and so do its times.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// As it is kept.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, Failed> {
    serde_json::to_vec(value)
        .map_err(|error| Failed::Store(StoreError::unreadable(STORE, "a new value", error)))
}

/// As it was before.
pub(crate) fn decode<T: DeserializeOwned>(
    key: impl FnOnce() -> String,
    bytes: &[u8],
) -> Result<T, Failed> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failed::Store(StoreError::unreadable(STORE, key(), error)))
}
