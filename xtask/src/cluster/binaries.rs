//! The cluster's programs, built from the Go module in `tests/cluster` and kept in the cache.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{paths, process};

/// Also in `tests/cluster/go.mod`.
pub const KUBERNETES: &str = "1.35.4";

/// The names that the one Kubernetes binary answers to.
const NAMES: [&str; 7] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];

/// The folder of the cluster's programs, whether or not they are built yet. It is named by what
/// they are built from, so that a change of that makes new ones and clones do not disturb each
/// other.
pub fn folder() -> Result<PathBuf> {
    let module = paths::root().join("tests/cluster");
    let mut sources = vec![module.join("go.mod"), module.join("go.sum")];
    for program in ["coredns", "kube", "node", "pause"] {
        sources.push(module.join(program).join("main.go"));
    }
    let name = paths::fingerprint(&sources)?;
    Ok(paths::cache()?.join("cluster").join(name).join("bin"))
}

/// Builds the cluster's programs unless the cache has them, and returns their folder.
///
/// The folder appears whole or not at all, and two runs at once build once.
pub fn ensure() -> Result<PathBuf> {
    let folder = folder()?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let _lock = paths::lock("cluster-build")?;
    if folder.is_dir() {
        return Ok(folder);
    }
    if process::which("go").is_none() {
        bail!(
            "the test cluster is built from source and needs Go 1.25 or newer (https://go.dev/dl), \
             or set EYWA_TEST_KUBECONFIG to use a cluster of your own"
        );
    }
    eprintln!("building Kubernetes {KUBERNETES} for the test cluster: once, 5 to 10 minutes");
    let started = Instant::now();
    let parent = folder.parent().context("the cache has no parent folder")?;
    let unfinished = parent.join("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    build(&unfinished)?;
    fs::rename(&unfinished, &folder)?;
    eprintln!(
        "built Kubernetes {KUBERNETES} in {} s",
        started.elapsed().as_secs()
    );
    Ok(folder)
}

/// Removes what earlier states of the module were built into. To be called when no cluster runs;
/// Go's own cache makes them again in seconds.
pub fn forget_others(bin: &Path) -> Result<()> {
    let Some(current) = bin.parent() else {
        return Ok(());
    };
    let cluster = paths::cache()?.join("cluster");
    for entry in fs::read_dir(cluster)? {
        let folder = entry?.path();
        if folder != current && folder.join("bin").is_dir() {
            fs::remove_dir_all(folder)?;
        }
    }
    Ok(())
}

fn build(into: &Path) -> Result<()> {
    let minor = KUBERNETES.split('.').nth(1).unwrap_or_default();
    let version = "k8s.io/component-base/version";
    let flags = format!(
        "-s -w -X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor=1 -X {version}.gitMinor={minor}"
    );
    process::run(
        Command::new("go")
            .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
            .arg(into)
            .arg("./...")
            .env("CGO_ENABLED", "0")
            .current_dir(paths::root().join("tests/cluster")),
    )?;
    for name in NAMES {
        symlink("kube", into.join(name))?;
    }
    Ok(())
}
