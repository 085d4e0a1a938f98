//! What this command was called as: `eywa`, or `kubectl-eywa`, which kubectl runs for `kubectl eywa`.

use std::path::PathBuf;

/// How the command is called, for usage lines and for commands to type next.
pub(crate) fn command() -> &'static str {
    if is_plugin() { "kubectl eywa" } else { "eywa" }
}

/// Whether kubectl runs it. It then means a cluster, even where `eywa up` runs.
pub(crate) fn is_plugin() -> bool {
    called_as("kubectl-eywa")
}

/// Whether kubectl asks it to complete a word.
pub(crate) fn is_completing_for_kubectl() -> bool {
    called_as("kubectl_complete-eywa")
}

fn called_as(name: &str) -> bool {
    let path = std::env::args_os().next().map(PathBuf::from);
    path.as_deref()
        .and_then(std::path::Path::file_stem)
        .is_some_and(|stem| stem == name)
}
