//! Each cargo feature checked alone: a workspace build hides what only works together.

use std::iter;

use anyhow::{Result, bail};

use crate::{paths, process};

/// The crates whose features users choose from.
const CRATES: [&str; 3] = ["eywa-adapters", "eywa-guard", "eywa-runtime"];

/// `cargo xtask features`: lints each feature of those crates alone, and none. It goes through
/// them all; the error names those that failed.
pub fn task(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`cargo xtask features` takes no arguments");
    }
    let metadata = paths::metadata()?;
    let mut failed = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if !CRATES.contains(&name) {
            continue;
        }
        let features = package["features"].as_object().into_iter().flatten();
        let alone = features
            .map(|(feature, _)| feature.as_str())
            .filter(|feature| *feature != "default");
        for features in iter::once("").chain(alone) {
            let what = format!("{name} with {features:?}");
            eprintln!("{what}");
            if let Err(error) = check(name, features) {
                eprintln!("{error:#}");
                failed.push(what);
            }
        }
    }
    if !failed.is_empty() {
        bail!("does not pass alone: {}", failed.join(", "));
    }
    Ok(())
}

fn check(package: &str, features: &str) -> Result<()> {
    process::run(
        paths::cargo()
            .args(["clippy", "--quiet", "--no-default-features"])
            .args(["--package", package, "--features", features])
            .args(["--", "--deny=warnings"]),
    )
}
