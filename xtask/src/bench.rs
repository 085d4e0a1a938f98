//! `cargo xtask bench`: what a Pulse costs.

use anyhow::{Result, bail};

use crate::{paths, process, tools};

/// Builds the runtime and the load in release, and compares the runtime with its floor.
pub fn task(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`cargo xtask bench` takes no arguments");
    }
    tools::ensure_distribution()?;
    let build = [
        "build",
        "--release",
        "--package=eywa-runtime",
        "--package=eywa-load",
    ];
    process::run(paths::cargo().args(build))?;
    let programs = paths::target()?.join("release");
    let mut compare = std::process::Command::new(programs.join("eywa-load"));
    process::run(compare.arg("compare").arg(programs.join("eywa-runtime")))
}
