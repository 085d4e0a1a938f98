//! A real Kubernetes on this machine: API server, scheduler, controller manager, kubelet with
//! containerd, Services and DNS, for the tests that need pods.
//!
//! All of it lives in one set of namespaces and one folder of the cache. A cluster that is not
//! whole is replaced by a new one, so `up` works after any crash.

mod binaries;
mod node;
mod pki;
mod schemas;
pub mod settings;

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::node::Node;
use self::pki::Pki;
use crate::{images, paths, process, tools};

/// How a test reaches the cluster.
pub struct Access {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Whether this call started the cluster, so that whoever made it may end it.
    pub started: bool,
}

/// `cargo xtask cluster up|down|status`.
pub fn task(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["up"] => {
            let access = up()?;
            println!("export KUBECONFIG={}", access.kubeconfig.display());
            Ok(())
        }
        ["down"] => down(),
        ["status"] => status(),
        _ => bail!("say `cargo xtask cluster up`, `down` or `status`"),
    }
}

/// Sees to it that there is a cluster: the one of `EYWA_TEST_KUBECONFIG` if that is set, the one
/// that runs if it is whole and as this workspace wants it, else a new one.
pub fn up() -> Result<Access> {
    if let Some(kubeconfig) = theirs() {
        publish_schemas(Command::new("kubectl").arg("--kubeconfig").arg(&kubeconfig))?;
        return Ok(Access {
            kubeconfig,
            started: false,
        });
    }
    if !process::is_root() {
        bail!(
            "the test cluster makes namespaces and network devices and needs root; \
             or set EYWA_TEST_KUBECONFIG to use a cluster of your own"
        );
    }
    let bin = binaries::ensure()?;
    let _lock = paths::lock("cluster")?;
    let cluster = Cluster::at(state()?, bin);
    let plan = settings::plan(&cluster.state, &cluster.bin).to_string();
    let started = if cluster.runs_as(&plan) {
        false
    } else {
        cluster.remove()?;
        if let Err(error) = cluster.create(&plan) {
            let log = cluster.state.join("log");
            return Err(error.context(format!("no cluster; see the logs in {}", log.display())));
        }
        true
    };
    let kubeconfig = cluster.publish_kubeconfig()?;
    if started || !published("schemas").exists() {
        publish_schemas(&mut cluster.kubectl())?;
    }
    Ok(Access {
        kubeconfig,
        started,
    })
}

/// Ends the cluster of this machine and removes all of it but the cached programs and images.
pub fn down() -> Result<()> {
    let _lock = paths::lock("cluster")?;
    Cluster::at(state()?, binaries::folder()?).remove()?;
    let kubeconfig = published("kubeconfig");
    if kubeconfig.exists() {
        fs::remove_file(kubeconfig)?;
    }
    Ok(())
}

fn status() -> Result<()> {
    if let Some(kubeconfig) = theirs() {
        println!("EYWA_TEST_KUBECONFIG: {}", kubeconfig.display());
        return Ok(());
    }
    let cluster = Cluster::at(state()?, binaries::folder()?);
    let Some(node) = Node::find(&cluster.plan_file()) else {
        bail!("down: start it with `cargo xtask cluster up`");
    };
    for (name, pid) in node.programs() {
        println!("{name:24} {pid}");
    }
    println!("logs: {}", cluster.state.join("log").display());
    cluster.check(node)?;
    println!(
        "up: export KUBECONFIG={}",
        published("kubeconfig").display()
    );
    Ok(())
}

/// Loads an image's archive into the running cluster, unless it has been already.
/// Returns whether there is a cluster of ours to load it into.
pub fn load(archive: &Path) -> Result<bool> {
    let cluster = Cluster::at(state()?, binaries::folder()?);
    let Some(node) = Node::find(&cluster.plan_file()) else {
        return Ok(false);
    };
    cluster.load(node, archive)?;
    Ok(true)
}

/// Builds the cluster's programs, once, and returns their folder, `kubectl` among them. Nothing,
/// where the user's own cluster and `kubectl` do.
pub fn ensure_programs() -> Result<Option<PathBuf>> {
    if theirs().is_some() && process::which("kubectl").is_some() {
        return Ok(None);
    }
    binaries::ensure().map(Some)
}

/// The kubeconfig of the user's own cluster, if the tests are to use that.
pub fn theirs() -> Option<PathBuf> {
    std::env::var_os("EYWA_TEST_KUBECONFIG").map(PathBuf::from)
}

fn state() -> Result<PathBuf> {
    Ok(paths::cache()?.join("cluster/state"))
}

/// What tests and people look for, in this clone and not in the cache.
fn published(name: &str) -> PathBuf {
    folder().join(name)
}

fn folder() -> PathBuf {
    paths::root().join("target/cluster")
}

fn publish_schemas(kubectl: &mut Command) -> Result<()> {
    fs::create_dir_all(folder())?;
    schemas::write(kubectl, &published("schemas"))
}

struct Cluster {
    state: PathBuf,
    bin: PathBuf,
}

impl Cluster {
    fn at(state: PathBuf, bin: PathBuf) -> Self {
        Self { state, bin }
    }

    fn plan_file(&self) -> PathBuf {
        self.state.join("plan.json")
    }

    /// Written last: a cluster without it was left half made.
    fn made_file(&self) -> PathBuf {
        self.state.join("made")
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.join("pki/admin.kubeconfig")
    }

    /// Whether a cluster with this plan runs. One with a program that just died is given the time
    /// to heal.
    fn runs_as(&self, plan: &str) -> bool {
        let Some(node) = Node::find(&self.plan_file()) else {
            return false;
        };
        if !self.made_file().exists() {
            eprintln!("replacing the cluster, which was left half made");
        } else if fs::read_to_string(self.plan_file()).is_ok_and(|running| running == plan) {
            match process::eventually("the cluster", Duration::from_secs(30), || self.check(node)) {
                Ok(()) => return true,
                Err(error) => eprintln!("replacing the cluster, which is not whole: {error:#}"),
            }
        } else {
            eprintln!("replacing the cluster, which was made with other settings");
        }
        false
    }

    fn create(&self, plan: &str) -> Result<()> {
        let started = Instant::now();
        tools::ensure(&tools::CLUSTER)?;
        binaries::forget_others(&self.bin)?;
        for folder in ["etc", "lib", "log", "run"] {
            fs::create_dir_all(self.state.join(folder))?;
        }
        let pki = Pki::create(self.state.join("pki"))?;
        settings::write(&self.state.join("etc"), &pki)?;
        fs::write(self.plan_file(), plan)?;
        let archives = images::for_new_cluster(&self.bin)?;

        let log = File::create(self.state.join("log/node.log"))?;
        let node = Node::start(&self.bin.join("node"), &self.plan_file(), log)?;
        process::eventually("containerd", Duration::from_secs(30), || {
            process::read(node.command("ctr").arg("version"))
        })?;
        for archive in archives {
            self.load(node, &archive)?;
        }
        process::eventually("the API server", Duration::from_secs(90), || {
            process::feed(
                self.kubectl()
                    .args(["apply", "--server-side", "--validate=false", "-f", "-"]),
                include_str!("bootstrap.yaml"),
            )
        })?;
        process::eventually("the cluster", Duration::from_secs(90), || self.check(node))?;
        fs::write(self.made_file(), "")?;
        eprintln!("cluster up in {:.1} s", started.elapsed().as_secs_f32());
        Ok(())
    }

    /// An error says which part of the cluster is not as it should be.
    fn check(&self, node: Node) -> Result<()> {
        let running = node.programs();
        let plan = settings::plan(&self.state, &self.bin);
        for program in plan["programs"].as_array().into_iter().flatten() {
            let name = program["name"].as_str().unwrap_or_default();
            if !running.iter().any(|(program, _)| program == name) {
                bail!("{name} does not run");
            }
        }
        process::read(self.kubectl().args(["get", "--raw=/readyz"]))?;
        let ready = process::read(self.kubectl().args([
            "get",
            "node",
            settings::NODE_NAME,
            "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}",
        ]))?;
        if ready != "True" {
            bail!("the node is not Ready");
        }
        // Made by the controller manager; a pod needs it.
        process::read(self.kubectl().args([
            "get",
            "serviceaccount/default",
            "--namespace=default",
        ]))?;
        let dns = format!("{}:53", settings::NODE_IP).parse()?;
        TcpStream::connect_timeout(&dns, Duration::from_secs(1)).context("no DNS")?;
        Ok(())
    }

    fn load(&self, node: Node, archive: &Path) -> Result<()> {
        let stamp = images::stamp(archive)?;
        let name = archive.file_name().context("an archive has a name")?;
        let loaded = self.state.join("images").join(name);
        if fs::read_to_string(&loaded).is_ok_and(|text| text == stamp) {
            return Ok(());
        }
        process::feed(
            node.command("ctr")
                .args(["--namespace=k8s.io", "images", "import"])
                .arg(archive),
            "",
        )?;
        fs::create_dir_all(self.state.join("images"))?;
        Ok(fs::write(loaded, stamp)?)
    }

    fn remove(&self) -> Result<()> {
        if let Some(node) = Node::find(&self.plan_file()) {
            node.stop()?;
        }
        if self.state.exists() {
            node::remove_traces(&self.state.join("run"))?;
            fs::remove_dir_all(&self.state)
                .with_context(|| format!("cannot remove {}", self.state.display()))?;
        }
        Ok(())
    }

    fn publish_kubeconfig(&self) -> Result<PathBuf> {
        let kubeconfig = published("kubeconfig");
        fs::create_dir_all(folder())?;
        fs::copy(self.kubeconfig(), &kubeconfig)?;
        Ok(kubeconfig)
    }

    fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(self.bin.join("kubectl"));
        kubectl
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .arg("--request-timeout=5s");
        kubectl
    }
}
