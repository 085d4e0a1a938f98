//! Each cargo feature checked alone: a workspace build hides what only works together.

use anyhow::{Result, bail};

use crate::{paths, process};

/// The crates whose features users choose from.
const CRATES: [&str; 3] = ["eywa-adapters", "eywa-guard", "eywa-runtime"];

/// `cargo xtask features`: lints each feature of those crates alone, and none.
pub fn task(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`cargo xtask features` takes no arguments");
    }
    let metadata = paths::metadata()?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if !CRATES.contains(&name) {
            continue;
        }
        check(name, None)?;
        for (feature, _) in package["features"].as_object().into_iter().flatten() {
            if feature != "default" {
                check(name, Some(feature))?;
            }
        }
    }
    Ok(())
}

fn check(package: &str, feature: Option<&str>) -> Result<()> {
    eprintln!("{package}: {}", feature.unwrap_or("no feature"));
    let mut cargo = paths::cargo();
    cargo.args(["clippy", "--quiet", "--no-default-features", "--package"]);
    cargo.arg(package);
    if let Some(feature) = feature {
        cargo.args(["--features", feature]);
    }
    process::run(cargo.args(["--", "--deny=warnings"]))
}
