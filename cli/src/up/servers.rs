//! The servers of Conduits, as child processes.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result};
use eywa_crds::{
    conduit::ConduitServer,
    manifest::{ManifestProblem, Manifests},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::environment::Environment;

/// The first pause before a server that ended is started again; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that ran for so long has not failed at its start.
const WELL: Duration = Duration::from_secs(10);
/// How long a server may take to end when it is asked to.
const GOODBYE: Duration = Duration::from_secs(3);

/// What a server is started from.
pub(super) type Recipe = (ConduitServer, Environment);

/// What each Conduit's server is started from, by the Conduit's name; and what is missing for that.
pub(super) fn recipes(manifests: &Manifests) -> (BTreeMap<String, Recipe>, Vec<ManifestProblem>) {
    let mut recipes = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, conduit) in &manifests.conduits {
        let Some(spec) = &conduit.spec.server else {
            continue;
        };
        match Environment::of(name, spec, manifests) {
            Ok(environment) => {
                recipes.insert(name.clone(), (spec.clone(), environment));
            }
            Err(problems) => missing.extend(problems),
        }
    }
    (recipes, missing)
}

/// A Conduit's server, which is started again whenever it ends.
pub(super) struct Server {
    pub(super) recipe: Recipe,
    pub(super) address: SocketAddr,
    stop: CancellationToken,
    keeper: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts a Conduit's server on a free port. `dir` is the folder of the manifests: the server's program may be built
    /// from a package that lies in it.
    pub(super) fn start(conduit: &str, recipe: Recipe, dir: &Path) -> Result<Self> {
        let address = free_address().context("there is no free port on loopback")?;
        let stop = CancellationToken::new();
        let (name, wanted, dir, stopped) = (
            conduit.to_owned(),
            recipe.clone(),
            dir.to_owned(),
            stop.clone(),
        );
        for name in &recipe.1.left_out {
            eprintln!(
                "[{conduit}] {name} is left out of its server's environment: eywa up has no pod to take it from; give it a value, or take it from a Secret or a ConfigMap"
            );
        }
        let keeper =
            tokio::spawn(async move { keep(&name, &wanted, &dir, address, &stopped).await });
        Ok(Self {
            recipe,
            address,
            stop,
            keeper,
        })
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = timeout(2 * GOODBYE, self.keeper).await;
    }
}

/// Runs the server until it is stopped.
async fn keep(
    conduit: &str,
    recipe: &Recipe,
    dir: &Path,
    address: SocketAddr,
    stop: &CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        match start(conduit, recipe, dir, address) {
            Ok(mut child) => {
                let status = tokio::select! {
                    status = child.wait() => status,
                    () = stop.cancelled() => return end(child).await,
                };
                let status =
                    status.map_or_else(|error| error.to_string(), |status| status.to_string());
                eprintln!("[{conduit}] its server has ended ({status}); it is started again");
            }
            Err(error) => eprintln!("[{conduit}] its server cannot be started: {error:#}"),
        }
        pause = if began.elapsed() > WELL {
            FIRST_PAUSE
        } else {
            (pause * 2).min(LONGEST_PAUSE)
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn start(
    conduit: &str,
    (spec, environment): &Recipe,
    dir: &Path,
    address: SocketAddr,
) -> Result<Child> {
    let mut words = spec.command.iter().chain(&spec.args);
    let program = words
        .next()
        .context("spec.server.command is empty, and eywa up runs no images")?;
    let mut command = match find(program, dir) {
        Some(Program::Binary(path)) => Command::new(path),
        Some(Program::Package(manifest)) => {
            println!(
                "[{conduit}] {program} is not installed; it is run from {}",
                manifest.display()
            );
            let mut cargo = Command::new("cargo");
            cargo
                .args(["run", "--release", "--quiet", "--manifest-path"])
                .arg(manifest)
                .arg("--");
            cargo
        }
        None => Command::new(program),
    };
    let mut child = command
        .args(words)
        .envs(environment.set.iter().map(|(name, value)| (name, value)))
        .env("PORT", address.port().to_string())
        .env("HOST", address.ip().to_string())
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{program} cannot be run; is it on the PATH?"))?;
    if let Some(out) = child.stdout.take() {
        tokio::spawn(relay(conduit.to_owned(), out));
    }
    if let Some(err) = child.stderr.take() {
        tokio::spawn(relay(conduit.to_owned(), err));
    }
    Ok(child)
}

/// What a server's program is.
enum Program {
    /// An executable, beside this one.
    Binary(PathBuf),
    /// A Cargo package of that name in the folder of the manifests.
    Package(PathBuf),
}

/// Looks for a program: on the `PATH` first (`None`, so that the system finds it), then beside `eywa` itself, then among
/// the Cargo packages in the folder of the manifests.
fn find(program: &str, dir: &Path) -> Option<Program> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    if program.contains('/')
        || std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
    {
        return None;
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.join(program)));
    if let Some(beside) = beside.filter(|beside| beside.is_file()) {
        return Some(Program::Binary(beside));
    }
    let packages = std::fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("Cargo.toml")));
    let named = format!("name = \"{program}\"");
    packages
        .filter(|manifest| {
            std::fs::read_to_string(manifest)
                .is_ok_and(|text| text.lines().any(|line| line == named))
        })
        .map(Program::Package)
        .next()
}

/// Asks a server to end, and makes it if it does not.
async fn end(mut child: Child) {
    // There is no signal but SIGKILL without unsafe code or another crate; a server of tools must survive it anyway.
    let _ = child.start_kill();
    let _ = timeout(GOODBYE, child.wait()).await;
}

/// Prints what a server prints, a line at a time, with its Conduit's name.
async fn relay(conduit: String, from: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        println!("[{conduit}] {line}");
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
