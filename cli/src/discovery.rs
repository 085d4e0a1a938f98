//! How `eywa chat` finds the `eywa up` of the same person: a file that only they can read.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// A running `eywa up`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Its process.
    pub(crate) pid: u32,
    /// Where its webhooks are, such as `http://127.0.0.1:8080`.
    pub(crate) url: String,
    /// Its Spirits that can be talked to over HTTP.
    pub(crate) spirits: BTreeMap<String, Reach>,
}

/// How to talk to a Spirit.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// The http voice.
    pub(crate) voice: String,
    /// Its signing key.
    pub(crate) key: String,
}

/// Writes the file; it goes when this is dropped.
pub(crate) struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Lets `eywa chat` find this process.
pub(crate) fn announce(running: &Running) -> Result<Announced> {
    let file = file();
    let write = || -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let next = file.with_extension("next");
        let _ = fs::remove_file(&next);
        let mut open = fs::OpenOptions::new();
        let mut written = open.write(true).create_new(true).mode(0o600).open(&next)?;
        written.write_all(&serde_json::to_vec(running)?)?;
        fs::rename(&next, &file)?;
        Ok(())
    };
    write().with_context(|| format!("{} cannot be written, and eywa chat needs it", file.display()))?;
    Ok(Announced(file))
}

/// The `eywa up` that runs, if one does.
pub(crate) fn find() -> Option<Running> {
    let running: Running = serde_json::from_slice(&fs::read(file()).ok()?).ok()?;
    PathBuf::from(format!("/proc/{}", running.pid)).exists().then_some(running)
}

/// Where the file is: in the person's runtime folder, or where they keep state.
fn file() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"))
    });
    folder.unwrap_or_else(std::env::temp_dir).join("eywa/up.json")
}
