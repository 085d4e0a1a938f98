//! Every suite, and all that must pass before a change is merged.

use std::ffi::OsString;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Result, anyhow, bail};

use crate::{cluster, features, generate, images, page, paths, process, tools};

/// What takes minutes to build and is not Rust, being built beside what is.
type Programs = JoinHandle<Result<OsString>>;

/// Servers that the tests of adapters call, being fetched.
type Servers = JoinHandle<Result<()>>;

/// `cargo xtask test`: every suite.
pub fn test(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`cargo xtask test` takes no arguments; for some tests, `cargo test` does");
    }
    phase("tools", tools::ensure_distribution)?;
    let servers = thread::spawn(tools::ensure_servers);
    every_suite(servers, thread::spawn(build_programs))
}

/// `cargo xtask ci`: all that must pass.
pub fn ci(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`cargo xtask ci` takes no arguments");
    }
    phase("format", || {
        process::run(paths::cargo().args(["fmt", "--all", "--check"]))
    })?;
    phase("tools", tools::ensure_distribution)?;
    let servers = thread::spawn(tools::ensure_servers);
    let programs = thread::spawn(build_programs);
    phase("lints", || {
        process::run(
            paths::cargo()
                .args(["clippy", "--workspace", "--all-targets", "--all-features"])
                .args(["--", "--deny=warnings"]),
        )
    })?;
    phase("each feature alone", || features::task(&[]))?;
    phase("generated files", || {
        generate::task(&["--check".into()])?;
        page::check()
    })?;
    every_suite(servers, programs)
}

fn every_suite(servers: Servers, programs: Programs) -> Result<()> {
    phase("servers for the tests", || {
        servers
            .join()
            .map_err(|_panic| anyhow!("fetching the tests' servers panicked"))?
    })?;
    phase("tests of each crate", || {
        // Adapters are tested where their features are on; the suite on the cluster comes later.
        let every = [
            "test",
            "--workspace",
            "--all-features",
            "--exclude=eywa-e2e",
        ];
        process::run(paths::cargo().args(every))
    })?;
    phase("the desk's page", page::test)?;
    phase("images", || images::task(&[]))?;
    let path = phase("programs for the cluster", || {
        programs
            .join()
            .map_err(|_panic| anyhow!("building the cluster's programs panicked"))?
    })?;
    let access = phase("cluster", cluster::up)?;
    let result = phase("tests on the cluster", || {
        process::run(
            paths::cargo()
                .args(["test", "--package=eywa-e2e", "--features=cluster"])
                .env("KUBECONFIG", &access.kubeconfig)
                .env("PATH", path),
        )
    });
    if access.started {
        phase("cluster down", cluster::down)?;
    }
    result
}

/// Builds what the suite on the cluster calls, and returns a PATH on which that comes first.
fn build_programs() -> Result<OsString> {
    // A cluster of the developer's own still needs kubectl, but not all the rest.
    let mut folders: Vec<PathBuf> = cluster::ensure_programs()?.into_iter().collect();
    folders.push(tools::HELM.ensure()?);
    folders.push(tools::KUBECONFORM.ensure()?);
    folders.push(tools::WEAVIATE.ensure()?);
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    Ok(std::env::join_paths(folders)?)
}

/// Says when a part of a run begins and how long it took.
fn phase<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("== {name}");
    let started = Instant::now();
    let result = run();
    let took = started.elapsed().as_secs_f32();
    let end = if result.is_ok() { "done" } else { "failed" };
    eprintln!("== {name}: {end} in {took:.1} s");
    result
}
