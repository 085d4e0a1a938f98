//! `eywa lore`: bringing documents in, and seeing what is found.

mod place;
mod search;
mod sync;
mod telling;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::cluster::ClusterFlags;

/// Brings documents into a Spirit's Lore, and looks in it.
#[derive(Args)]
pub(crate) struct LoreArgs {
    #[command(subcommand)]
    command: LoreCommand,
}

#[derive(Subcommand)]
enum LoreCommand {
    /// Bring a folder's documents in: Markdown, text, HTML and PDF. What has not changed is not embedded again, and what is
    /// gone is removed.
    Sync(sync::SyncFolder),
    /// Show what is found for some words, with how near it is: what the Spirit would be shown.
    Search(search::SearchLore),
}

impl LoreArgs {
    /// Runs it. `before` are the options that stood before the command's name.
    pub(crate) fn run(self, before: ClusterFlags) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let done = runtime.block_on(async {
            match self.command {
                LoreCommand::Sync(sync) => sync.run(before).await,
                LoreCommand::Search(search) => search.run(before).await,
            }
        });
        // A file that is still being read is nobody's to wait for.
        runtime.shutdown_background();
        done
    }
}
