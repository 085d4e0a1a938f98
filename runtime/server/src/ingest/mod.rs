//! Bringing the documents that a Spirit's manifest names into its Lore: once, by a Job in a cluster, or whenever they change,
//! by `eywa up`.

mod command;
mod outcome;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use eywa_crds::{
    runtime_config::{CompiledDocuments, CompiledLoreSource, IngestConfig},
    spirit::ChunkSettings,
};
use eywa_guard::GuardedClient;
use eywa_lore::{
    chunks::Cut,
    documents::Reader,
    library::{Entry, Shelf, files},
    sync::{Options, Progress, Report, Sync as LoreSync, SyncError},
};

pub use self::{command::IngestOptions, outcome::Outcome};
use crate::wiring::{WireError, lore::Opened};

/// Where the ConfigMaps of documents are.
#[derive(Clone, Debug)]
pub enum Documents {
    /// Mounted, as `<folder>/<ConfigMap>/<key>`.
    Mounted(PathBuf),
    /// Held, by the ConfigMap's name and key.
    Held(BTreeMap<String, BTreeMap<String, Vec<u8>>>),
}

/// Documents could not be brought in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The configuration cannot be run.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A source cannot be found at all.
    #[error("the source {source_name}: {reason}")]
    Source {
        /// Its name.
        source_name: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// It came to no end.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// The set that holds a Spirit's documents: nothing else's is touched, wherever it is kept.
#[must_use]
pub fn set(namespace: &str, spirit: &str) -> String {
    format!("{namespace}/{spirit}")
}

/// How documents are cut.
#[must_use]
pub fn cut(settings: &ChunkSettings) -> Cut {
    let characters = |of| usize::try_from(of).unwrap_or(usize::MAX);
    Cut {
        size: characters(settings.size),
        overlap: characters(settings.overlap),
    }
}

/// Brings all sources of a Spirit in, a namespace after another. What no source of a namespace has any more is removed;
/// without any source, all of the Spirit's is, where it is searched.
///
/// # Errors
/// [`IngestError`]. A document that cannot be read is none: it is in the report.
pub async fn ingest(
    config: &IngestConfig,
    opened: &Opened,
    documents: &Documents,
    reader: &Reader,
    client: &GuardedClient,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, IngestError> {
    let set = set(&config.namespace, &config.spirit);
    let mut report = Report::default();
    let mut shelves = Vec::new();
    // All are found before the first is brought in.
    for (namespace, sources) in by_namespace(config) {
        let mut shelf = Shelf::new(reader.clone(), client.clone());
        for source in sources {
            fill(&mut shelf, source, documents).map_err(|reason| IngestError::Source {
                source_name: source.name.clone(),
                reason,
            })?;
        }
        shelves.push((namespace, shelf));
    }
    for (namespace, shelf) in shelves {
        let sync = LoreSync {
            lore: opened.lore.as_ref(),
            embedder: opened.embedder.as_ref(),
            embedder_name: &opened.embedder_name,
            namespace,
            set: &set,
            options: Options {
                cut: cut(&config.lore.chunks),
                ..Options::default()
            },
        };
        report = report.and(sync.run(&shelf, tell).await?);
    }
    Ok(report)
}

/// The sources by the namespace that they go to. The one that is searched is among them, unless it differs by person.
fn by_namespace(config: &IngestConfig) -> BTreeMap<&str, Vec<&CompiledLoreSource>> {
    let mut namespaces: BTreeMap<&str, Vec<&CompiledLoreSource>> = BTreeMap::new();
    let searched = config.lore.namespace.as_str();
    if !searched.contains('{') {
        namespaces.insert(searched, Vec::new());
    }
    for source in &config.lore.sources {
        namespaces
            .entry(&source.namespace)
            .or_default()
            .push(source);
    }
    namespaces
}

fn fill(
    shelf: &mut Shelf,
    source: &CompiledLoreSource,
    documents: &Documents,
) -> Result<(), String> {
    let entry = |name: String| Entry {
        source: name,
        metadata: source.metadata.clone(),
    };
    let named = |key: &str| entry(format!("{}/{key}", source.name));
    match (&source.documents, documents) {
        (CompiledDocuments::Urls(urls), _) => {
            for url in urls {
                let at = url
                    .parse()
                    .map_err(|error| format!("{url:?} is no URL: {error}"))?;
                shelf.web(entry(url.clone()), at);
            }
        }
        (CompiledDocuments::ConfigMap(name), Documents::Held(config_maps)) => {
            let held = config_maps.get(name).ok_or_else(|| missing(name))?;
            for (key, bytes) in held {
                shelf.held(named(key), bytes.as_slice());
            }
        }
        (CompiledDocuments::ConfigMap(name), Documents::Mounted(folder)) => {
            for (key, path) in mounted(folder, name)? {
                shelf.file(named(&key), path);
            }
        }
    }
    Ok(())
}

/// The keys of a mounted ConfigMap. Kubernetes keeps its own names, which begin with two dots, beside them.
fn mounted(folder: &Path, config_map: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let folder = folder.join(config_map);
    if !folder.is_dir() {
        return Err(missing(config_map));
    }
    files(&folder).map_err(|error| error.to_string())
}

fn missing(config_map: &str) -> String {
    format!("there is no ConfigMap {config_map:?}: create it, with a key for each document")
}

#[cfg(test)]
mod tests;
