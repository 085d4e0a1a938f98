//! The documents that manifests name: brought in when they change.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
use eywa_crds::{
    manifest::Manifests,
    runtime_config::{CompiledEmbedder, IngestConfig},
};
use eywa_lore::documents::Reader;
use eywa_runtime::{
    ingest::{Documents, ingest},
    secrets::HeldSecrets,
    wiring::{Shared, lore::open},
};
use tokio::{sync::Mutex, task::JoinHandle};

use super::household::held;
use crate::terminal::safe;

/// How many documents are named of those that were skipped.
const NAMED: usize = 10;

/// Brings documents in, beside all else: the Spirits answer meanwhile.
pub(super) struct Librarian {
    reader: Reader,
    tended: BTreeMap<String, Tended>,
}

/// A Spirit's documents, as they were brought in last.
struct Tended {
    config: IngestConfig,
    documents: BTreeMap<String, BTreeMap<String, String>>,
    /// Held while they are brought in: one after another.
    turn: Arc<Mutex<()>>,
    bringing: JoinHandle<()>,
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
        for (spirit, config) in lore {
            let wanted = config.config_maps();
            let documents: BTreeMap<String, BTreeMap<String, String>> = manifests
                .config_maps
                .iter()
                .filter(|(name, _)| wanted.contains(name.as_str()))
                .map(|(name, data)| (name.clone(), data.clone()))
                .collect();
            let before = self.tended.get(&spirit);
            if before.is_some_and(|it| it.config == config && it.documents == documents) {
                continue;
            }
            if let Some(before) = before {
                // What it has put stays, and the next goes on from there.
                before.bringing.abort();
            } else if matches!(config.lore.embedder, CompiledEmbedder::Hashing) {
                println!(
                    "lore      {spirit}: the embedder hashing finds words, not meanings: it is for trying out"
                );
            }
            let turn = before.map(|it| Arc::clone(&it.turn)).unwrap_or_default();
            let bringing = tokio::spawn(bring(
                config.clone(),
                documents.clone(),
                held(config.secret_files(), &manifests.secrets),
                self.reader.clone(),
                shared.clone(),
                Arc::clone(&turn),
            ));
            let tended = Tended {
                config,
                documents,
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
async fn bring(
    config: IngestConfig,
    documents: BTreeMap<String, BTreeMap<String, String>>,
    secrets: HeldSecrets,
    reader: Reader,
    shared: Shared,
    turn: Arc<Mutex<()>>,
) {
    let _turn = turn.lock().await;
    let spirit = &config.spirit;
    let opened = match open(spirit, &config.lore, &secrets, &shared) {
        Ok(opened) => opened,
        Err(error) => return eprintln!("lore      {spirit}: {error}"),
    };
    let documents = Documents::Held(documents);
    match ingest(
        &config,
        &opened,
        &documents,
        &reader,
        &shared.client,
        &|_| {},
    )
    .await
    {
        Ok(report) if report.documents + report.removed == 0 => {}
        Ok(report) => {
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
        Err(error) => eprintln!("lore      {spirit}: its documents are not all in: {error}"),
    }
}
