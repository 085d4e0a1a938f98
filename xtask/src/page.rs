//! The desk's page: its own tools, its tests, and whether what is committed is what its sources give.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{paths, process};

/// Written once the packages of a lock file are installed: that lock file's text.
const INSTALLED: &str = "node_modules/.installed";

fn folder() -> PathBuf {
    paths::root().join("runtime/server/desk")
}

fn npm(arguments: &[&str]) -> Result<()> {
    process::run(
        Command::new("npm")
            .args(arguments)
            .env("CARGO_TARGET_DIR", paths::target()?)
            .current_dir(folder()),
    )
}

/// Installs what the page is built and tested with, unless it is there.
pub fn ensure_packages() -> Result<()> {
    let lock = fs::read_to_string(folder().join("package-lock.json"))?;
    let installed = folder().join(INSTALLED);
    if fs::read_to_string(&installed).is_ok_and(|found| found == lock) {
        return Ok(());
    }
    npm(&["ci", "--no-audit", "--no-fund"])?;
    fs::write(installed, lock)?;
    Ok(())
}

/// Checks the types, and that the built page is what the sources give.
pub fn check() -> Result<()> {
    ensure_packages()?;
    npm(&["run", "check"])
}

/// The page in a browser: against a stand-in of its server, then against `eywa up`.
pub fn test() -> Result<()> {
    ensure_packages()?;
    let programs = [
        "build",
        "--package=eywa",
        "--package=barista-shop",
        "--all-features",
    ];
    process::run(paths::cargo().args(programs))?;
    npm(&["test"])?;
    npm(&["run", "test:up"])
}
