//! How other commands find the `eywa up` of the same person: a file that only they can read.

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
    /// Its desk.
    #[serde(default)]
    pub(crate) desk: Option<DeskReach>,
}

/// How to reach the desk.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeskReach {
    /// Where it is, such as `http://127.0.0.1:8081`.
    pub(crate) url: String,
    /// A session's token for it.
    pub(crate) token: String,
}

/// How to talk to a Spirit.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// The http voice.
    pub(crate) voice: String,
    /// Its signing key.
    pub(crate) key: String,
}

/// This process can be found. When this is dropped it no longer can.
pub(crate) struct Announced(());

impl Drop for Announced {
    fn drop(&mut self) {
        // The file of an eywa up that was started later stays.
        if find().is_some_and(|running| running.pid == std::process::id()) {
            let _ = fs::remove_file(file());
        }
    }
}

impl Announced {
    /// What can be reached is this now.
    pub(crate) fn update(&self, running: &Running) -> Result<()> {
        write(running)
    }
}

/// Lets `eywa chat` find this process.
pub(crate) fn announce(running: &Running) -> Result<Announced> {
    write(running)?;
    Ok(Announced(()))
}

fn write(running: &Running) -> Result<()> {
    let file = file();
    let written = || -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let next = file.with_extension("next");
        let _ = fs::remove_file(&next);
        let mut open = fs::OpenOptions::new();
        let mut opened = open.write(true).create_new(true).mode(0o600).open(&next)?;
        opened.write_all(&serde_json::to_vec(running)?)?;
        fs::rename(&next, &file)?;
        Ok(())
    };
    written().with_context(|| {
        format!(
            "{} cannot be written, and eywa chat needs it",
            file.display()
        )
    })
}

/// The `eywa up` that runs, if one does.
pub(crate) fn find() -> Option<Running> {
    let running: Running = serde_json::from_slice(&fs::read(file()).ok()?).ok()?;
    PathBuf::from(format!("/proc/{}", running.pid))
        .exists()
        .then_some(running)
}

/// Where the file is: in the person's runtime folder, or where they keep state.
fn file() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    folder
        .unwrap_or_else(std::env::temp_dir)
        .join("eywa/up.json")
}
