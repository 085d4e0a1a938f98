//! `lore sync`.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use eywa_lore::{
    documents::Reader,
    library::{Entry, Library as _, Shelf, files},
    sync::{Options, Rate, Sync},
};
use eywa_runtime::ingest::cut;

use super::{place::Manifest, telling};
use crate::{cluster::ClusterFlags, terminal::say};

/// Brings a folder's documents in.
#[derive(Args)]
pub(crate) struct SyncFolder {
    /// The folder of documents; those below it too.
    dir: PathBuf,
    /// The Spirit whose Lore they go to; not needed where only one has any.
    #[arg(long, value_name = "NAME")]
    spirit: Option<String>,
    #[command(flatten)]
    manifest: Manifest,
    /// The namespace in the store: one tenant's. Without it, the one that the Spirit searches. That of Kubernetes is
    /// --kube-namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// What this folder's documents are known as: those of the set that it no longer has are removed. Its own name, unless
    /// given.
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// What is known of the documents, for the Spirit's filter, such as lang=en.
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// The most passages that are embedded in a minute.
    #[arg(long, value_name = "PASSAGES")]
    rate: Option<NonZeroU32>,
    /// The most tokens that are embedded in a minute.
    #[arg(long, value_name = "TOKENS")]
    token_rate: Option<NonZeroU32>,
    /// Fail when a document was skipped.
    #[arg(long)]
    strict: bool,
    /// Let a folder without documents empty its set.
    #[arg(long)]
    allow_empty: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is written NAME=VALUE".to_owned()),
    }
}

impl SyncFolder {
    pub(super) async fn run(self, before: ClusterFlags) -> Result<()> {
        let set = match &self.set {
            Some(set) => set.clone(),
            None => self.folder_name()?,
        };
        let place = self.manifest.open(self.spirit.as_deref(), before)?;
        let namespace = self.namespace(&place.config.lore.namespace)?;
        let mut shelf = Shelf::new(Reader::of_this_program()?, place.shared.client.clone());
        let metadata: BTreeMap<String, String> = self.metadata.iter().cloned().collect();
        for (source, path) in
            files(&self.dir).with_context(|| format!("{} cannot be read", self.dir.display()))?
        {
            let entry = Entry {
                source,
                metadata: metadata.clone(),
            };
            shelf.file(entry, path);
        }
        if shelf.entries().is_empty() && !self.allow_empty {
            bail!(
                "{} has no files, so all of the set {set:?} would be removed; if that is what you want, add --allow-empty",
                self.dir.display()
            );
        }
        let sync = Sync {
            lore: place.opened.lore.as_ref(),
            embedder: place.opened.embedder.as_ref(),
            embedder_name: &place.opened.embedder_name,
            namespace: &namespace,
            set: &set,
            options: Options {
                cut: cut(&place.config.lore.chunks),
                rate: Rate {
                    texts: self.rate,
                    tokens: self.token_rate,
                },
                dry_run: self.dry_run,
                ..Options::default()
            },
        };
        let telling = telling::Telling::new(shelf.entries().len());
        let tell = |progress| telling.tell(progress);
        let ended = tokio::select! {
            ended = sync.run(&shelf, &tell) => ended,
            _ = tokio::signal::ctrl_c() => {
                telling.end();
                bail!("stopped: what was brought in stays, and the next run goes on from there");
            }
        };
        telling.end();
        let report = ended.with_context(|| {
            format!(
                "the documents of {} are not all in; run it again to go on. A store that only the cluster reaches is \
                 reached by a port-forward and --store-url",
                self.dir.display()
            )
        })?;
        say(&telling::summary(&report, &set, self.dry_run))?;
        telling::skipped(&report);
        if self.strict && !report.skipped.is_empty() {
            bail!("{} document(s) were skipped", report.skipped.len());
        }
        Ok(())
    }

    fn folder_name(&self) -> Result<String> {
        let dir = self
            .dir
            .canonicalize()
            .with_context(|| format!("there is no folder {}", self.dir.display()))?;
        let name = dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        name.with_context(|| "name the documents with --set: this folder has no name".to_owned())
    }

    /// Where to: as said, or where the Spirit searches for everybody.
    fn namespace(&self, searched: &str) -> Result<String> {
        match &self.namespace {
            Some(namespace) => Ok(namespace.clone()),
            None if searched.contains('{') => bail!(
                "the Spirit searches another namespace for each person ({searched}): say with --namespace whose documents these are"
            ),
            None => Ok(searched.to_owned()),
        }
    }
}
