//! The one thread that writes.

use std::{cell::RefCell, io, sync::Arc, thread};

use eywa_weave::StoreError;
use redb::{
    Database, Key, StorageError, Table, TableDefinition, TableError, Value, WriteTransaction,
};
use tokio::sync::{mpsc, oneshot};

use super::STORE;

/// How many changes may wait; whoever has one more waits to be let in.
const WAITING: usize = 1024;

/// The most changes that are written together.
const TOGETHER: usize = 128;

/// Why a change, or a look, came to nothing.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The file failed. Nothing of what was being written stays.
    Database(redb::Error),
    /// The store says no.
    Store(StoreError),
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Database(error.into())
    }
}

impl From<TableError> for Failed {
    fn from(error: TableError) -> Self {
        Self::Database(error.into())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Database(error) => Self::unavailable(STORE, error),
            Failed::Store(error) => error,
        }
    }
}

/// The transaction that a change is part of.
pub(crate) struct Txn<'a> {
    inner: &'a WriteTransaction,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    unchanged: bool,
    broken: Option<String>,
}

impl<'a> Txn<'a> {
    pub(crate) fn new(inner: &'a WriteTransaction) -> Self {
        Self {
            inner,
            state: RefCell::default(),
        }
    }

    pub(crate) fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Table<'_, K, V>, Failed> {
        Ok(self.inner.open_table(table)?)
    }

    /// This job has only looked. A batch of such jobs costs no flush.
    pub(crate) fn unchanged(&self) {
        self.state.borrow_mut().unchanged = true;
    }
}

/// Waits to be told what became of the batch, and passes it on.
type Told = Box<dyn FnOnce(Result<(), StoreError>)>;
type Job = Box<dyn FnOnce(&Txn<'_>) -> Told + Send>;

/// The thread, which ends when this is dropped. What was let in before is written.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(database: Arc<Database>) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel(WAITING);
        let thread = thread::Builder::new()
            .name("eywa-redb".to_owned())
            .spawn(move || write(&database, jobs))?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Txn<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::unavailable(STORE, "the thread that writes has stopped");
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |txn| {
            let result = job(txn);
            if let Err(Failed::Database(error)) = &result {
                txn.state.borrow_mut().broken = Some(error.to_string());
            }
            Box::new(move |written: Result<(), StoreError>| {
                let _ = sender.send(written.and_then(|()| result.map_err(StoreError::from)));
            })
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Until the thread has let go of the file, nobody else can open it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(database: &Database, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while jobs.blocking_recv_many(&mut batch, TOGETHER) > 0 {
        let mut waiting = Vec::with_capacity(batch.len());
        let written = write_together(database, batch.drain(..), &mut waiting);
        for told in waiting {
            told(written.clone());
        }
    }
}

fn write_together(
    database: &Database,
    batch: impl Iterator<Item = Job>,
    waiting: &mut Vec<Told>,
) -> Result<(), StoreError> {
    let inner = database
        .begin_write()
        .map_err(|error| StoreError::unavailable(STORE, error))?;
    let mut changed = false;
    let mut broken = None;
    for job in batch {
        let txn = Txn::new(&inner);
        waiting.push(job(&txn));
        let state = txn.state.into_inner();
        changed |= !state.unchanged;
        broken = broken.or(state.broken);
    }
    if let Some(reason) = broken {
        // Half a change must not stay; the others are offered again by whoever made them.
        let _ = inner.abort();
        return Err(StoreError::unavailable(STORE, reason));
    }
    if changed {
        inner
            .commit()
            .map_err(|error| StoreError::unavailable(STORE, error))
    } else {
        inner
            .abort()
            .map_err(|error| StoreError::unavailable(STORE, error))
    }
}
