//! Where things are: the workspace, the cache that outlives a build folder, and what cargo builds.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process;

/// The workspace's folder. Cargo says it at run time: the build folder may be shared by clones.
pub fn root() -> PathBuf {
    let xtask = std::env::var("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&xtask)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// The folder for what is made once and used by every clone:
/// `EYWA_CACHE`, or `eywa` in `XDG_CACHE_HOME` or `~/.cache`.
pub fn cache() -> Result<PathBuf> {
    if let Some(cache) = std::env::var_os("EYWA_CACHE") {
        return Ok(std::path::absolute(cache)?);
    }
    let caches = match std::env::var_os("XDG_CACHE_HOME") {
        Some(caches) => PathBuf::from(caches),
        None => PathBuf::from(std::env::var_os("HOME").context(
            "neither EYWA_CACHE nor XDG_CACHE_HOME nor HOME is set: set EYWA_CACHE to a folder",
        )?)
        .join(".cache"),
    };
    Ok(caches.join("eywa"))
}

/// `cargo`, to be run in the workspace.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// What `cargo metadata` says of the workspace's own crates.
pub fn metadata() -> Result<Value> {
    let text = process::read(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    Ok(serde_json::from_str(&text)?)
}

/// Where cargo puts what it builds.
pub fn target() -> Result<PathBuf> {
    let metadata = metadata()?;
    let target = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target_directory")?;
    Ok(target.into())
}

/// A name for the contents of these files, in this order. Only good for telling a change: it is
/// not cryptographic, and another toolchain may name the same contents otherwise.
pub fn fingerprint(files: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Waits until no other process holds the lock of this name, and holds it until dropped.
pub fn lock(name: &str) -> Result<File> {
    let folder = cache()?;
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the cache folder {}", folder.display()))?;
    let file = File::create(folder.join(format!("{name}.lock")))?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another run that holds {name}.lock");
        file.lock()?;
    }
    Ok(file)
}
