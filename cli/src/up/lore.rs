//! The documents that manifests name: brought in when they change, and again when that failed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use eywa_crds::{
    manifest::Manifests,
    runtime_config::{CompiledEmbedder, IngestConfig},
};
use eywa_lore::{documents::Reader, sync::Report};
use eywa_runtime::{
    ingest::{Documents, IngestError, ingest},
    secrets::HeldSecrets,
    wiring::{Shared, lore::open},
};
use tokio::{sync::Mutex, task::JoinHandle, time::sleep};

use super::household::{held, same};
use crate::terminal::safe;

/// How many documents are named of those that were skipped.
const NAMED: usize = 10;

/// How often it is tried to bring documents in: within an hour.
const MOST_TRIES: u32 = 12;

/// The first pause between two tries and the longest. Each is twice the one before, and up to a quarter longer by chance.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Brings documents in, beside all else: the Spirits answer meanwhile.
pub(super) struct Librarian {
    reader: Reader,
    tended: BTreeMap<String, Tended>,
}

/// A Spirit's documents, as they were brought in last.
struct Tended {
    task: Task,
    /// Held while they are brought in: one after another.
    turn: Arc<Mutex<()>>,
    bringing: JoinHandle<()>,
}

/// What documents are brought in from.
#[derive(Clone)]
struct Task {
    config: IngestConfig,
    documents: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    secrets: HeldSecrets,
}

impl Task {
    fn of(config: IngestConfig, manifests: &Manifests) -> Self {
        let keys = |name: &str| {
            let texts = manifests.config_maps.get(name)?.iter();
            let mut keys: BTreeMap<String, Vec<u8>> = texts
                .map(|(key, text)| (key.clone(), text.clone().into_bytes()))
                .collect();
            keys.extend(manifests.binary.get(name).cloned().unwrap_or_default());
            Some((name.to_owned(), keys))
        };
        Self {
            documents: config.config_maps().into_iter().filter_map(keys).collect(),
            secrets: held(config.secret_files(), &manifests.secrets),
            config,
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.config == other.config
            && self.documents == other.documents
            && same(&self.secrets, &other.secrets)
    }
}

impl Librarian {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            reader: Reader::of_this_program()?,
            tended: BTreeMap::new(),
        })
    }

    /// The Lore of the Spirits is this now. What has changed is brought in.
    pub(super) fn keep(
        &mut self,
        lore: BTreeMap<String, IngestConfig>,
        manifests: &Manifests,
        shared: &Shared,
    ) {
        self.tended.retain(|spirit, tended| {
            let stays = lore.contains_key(spirit);
            if !stays {
                tended.bringing.abort();
            }
            stays
        });
        for (spirit, config) in lore {
            let task = Task::of(config, manifests);
            let before = self.tended.get(&spirit);
            if before.is_some_and(|it| it.task.is(&task)) {
                continue;
            }
            if let Some(before) = before {
                // What it has put stays, and the next goes on from there.
                before.bringing.abort();
            } else if matches!(task.config.lore.embedder, CompiledEmbedder::Hashing) {
                println!(
                    "lore      {spirit}: the embedder hashing finds words, not meanings: it is for trying out"
                );
            }
            let turn = before.map(|it| Arc::clone(&it.turn)).unwrap_or_default();
            let bringing = tokio::spawn(bring(
                task.clone(),
                self.reader.clone(),
                shared.clone(),
                Arc::clone(&turn),
            ));
            let tended = Tended {
                task,
                turn,
                bringing,
            };
            self.tended.insert(spirit, tended);
        }
    }

    /// Brings nothing more in.
    pub(super) fn stop(&mut self) {
        for tended in std::mem::take(&mut self.tended).into_values() {
            tended.bringing.abort();
        }
    }
}

/// Brings a Spirit's documents in, and says how it went.
async fn bring(task: Task, reader: Reader, shared: Shared, turn: Arc<Mutex<()>>) {
    let _turn = turn.lock().await;
    let (config, documents) = (task.config, Documents::Held(task.documents));
    let spirit = &config.spirit;
    let opened = match open(spirit, &config.lore, &task.secrets, &shared) {
        Ok(opened) => opened,
        Err(error) => return eprintln!("lore      {spirit}: {error}"),
    };
    let mut pause = FIRST_PAUSE;
    for left in (0..MOST_TRIES).rev() {
        let client = &shared.client;
        let error = match ingest(&config, &opened, &documents, &reader, client, &|_| {}).await {
            Ok(report) => return tell(spirit, &report),
            Err(error) => error,
        };
        let failed = format!("lore      {spirit}: its documents are not all in: {error}");
        if left == 0 || !matches!(error, IngestError::Sync(_)) {
            return eprintln!("{failed} (tried again after an edit, or at the next start)");
        }
        let wait = pause.mul_f64(rand::random_range(1.0..1.25));
        let seconds = wait.as_secs();
        eprintln!("{failed} (tried again in {seconds} s, or at once after an edit)");
        sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn tell(spirit: &str, report: &Report) {
    if report.documents + report.removed == 0 {
        return;
    }
    println!(
        "lore      {spirit}: {} document(s) in {} passage(s), {} of them new, {} removed",
        report.documents, report.passages, report.embedded, report.removed
    );
    for skipped in report.skipped.iter().take(NAMED) {
        println!(
            "lore      {spirit}: skipped {}: {}",
            safe::line(&skipped.source),
            safe::line(&skipped.reason)
        );
    }
}
