//! `eywa validate`: what the API server and the operator would say.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{cluster::ClusterFlags, load};

/// Checks the manifests of a folder.
#[derive(Args)]
pub(crate) struct Validate {
    /// The folder, or one file.
    dir: PathBuf,
    /// The namespace that the objects are for; default, unless given.
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    allow: load::Allowances,
}

impl Validate {
    /// Runs it. `before` are the options that stood before the command's name.
    pub(crate) fn run(self, before: ClusterFlags) -> ExitCode {
        let namespace = self.namespace.or(before.namespace);
        let namespace = namespace.as_deref().unwrap_or("default");
        let loaded = match load::read(&self.dir) {
            Ok(manifests) => load::compile(manifests, namespace, &self.allow.in_a_cluster(), &[]),
            Err(error) => {
                eprintln!("error: {error:#}");
                return ExitCode::FAILURE;
            }
        };
        for ignored in &loaded.manifests.ignored {
            eprintln!("note: {ignored} is not of a kind that Eywa runs; it was not checked");
        }
        if loaded.problems.is_empty() {
            let (spirits, conduits) = (
                loaded.manifests.spirits.len(),
                loaded.manifests.conduits.len(),
            );
            println!("ok: {spirits} Spirit(s) and {conduits} Conduit(s)");
            return ExitCode::SUCCESS;
        }
        for problem in &loaded.problems {
            println!("{problem}");
        }
        eprintln!("{} problem(s)", loaded.problems.len());
        ExitCode::FAILURE
    }
}
