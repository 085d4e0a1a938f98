//! Programs from npm, with all that they need as their lock files say.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{ensure, tool};
use crate::{paths, process};

/// A program from npm. What it is and needs is said in `xtask/npm/<name>`: versions and hashes.
pub struct NpmTool {
    name: &'static str,
    version: &'static str,
}

/// The reference server of the Model Context Protocol, which has one of everything.
pub const EVERYTHING: NpmTool = NpmTool {
    name: "server-everything",
    version: "2026.8.31",
};

/// What npm reads of a project that it installs.
const PROJECT: [&str; 3] = [".npmrc", "package.json", "package-lock.json"];

impl NpmTool {
    /// The folder of the cache that has its `node_modules`, installed into it once for each lock file.
    pub fn ensure(&self) -> Result<PathBuf> {
        let folder = paths::cache()?
            .join("tools")
            .join(format!("{}-{}", self.name, self.version));
        let project = paths::root().join("xtask/npm").join(self.name);
        let lock = fs::read_to_string(project.join("package-lock.json"))
            .with_context(|| format!("{} has no lock file", project.display()))?;
        // The lock file's text: there when all of it is installed.
        let finished = folder.join("finished");
        let is_installed = || fs::read_to_string(&finished).is_ok_and(|found| found == lock);
        if is_installed() {
            return Ok(folder);
        }
        ensure(&[tool("node", "nodejs"), tool("npm", "npm")])?;
        let _lock = paths::lock(self.name)?;
        if is_installed() {
            return Ok(folder);
        }
        fs::create_dir_all(&folder)?;
        for file in PROJECT {
            fs::copy(project.join(file), folder.join(file))?;
        }
        process::read(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(&folder),
        )?;
        fs::write(finished, lock)?;
        Ok(folder)
    }
}
