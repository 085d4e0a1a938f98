//! The files that are generated from the code and committed.

use anyhow::{Result, bail};

use crate::{paths, process};

/// `cargo xtask generate`: writes them all; with `--check` it only says whether one is stale.
pub fn task(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut cargo = paths::cargo();
    cargo.args(["run", "--quiet", "--package=eywa-crds", "--bin=crdgen"]);
    match words[..] {
        [] => {}
        ["--check"] => {
            cargo.args(["--", "--check"]);
        }
        _ => bail!("say `cargo xtask generate` or `cargo xtask generate --check`"),
    }
    process::run(&mut cargo)
}
