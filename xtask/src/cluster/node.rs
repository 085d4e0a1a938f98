//! The node: one process in namespaces of its own, under which all of the cluster lives.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::settings::{
    HOST_IP, HOST_LINK, NODE_IP, NODE_LINK, NODE_PREFIX, POD_NETWORK, SERVICE_NETWORK,
};
use crate::process::{eventually, feed, read};

/// A node that runs, by the process that made its namespaces.
///
/// It is found by its command line, which names the plan file of its cluster, and not by a file
/// with its process id: there is nothing to be stale after a crash or a restart of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// `unshare`, outside the namespaces. It ends after everything inside has.
    outer: u32,
    /// The first process inside, which is process 1 there.
    inner: u32,
}

impl Node {
    /// The node of the cluster whose plan this file is, if it runs.
    pub fn find(plan: &Path) -> Option<Self> {
        let plan = plan.to_str()?;
        fs::read_dir("/proc")
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&pid| {
                let argv = argv(pid);
                argv.first().is_some_and(|program| program == "unshare")
                    && argv.last().is_some_and(|last| last == plan)
            })
            .find_map(|outer| {
                let inner = *children(outer).first()?;
                Some(Self { outer, inner })
            })
    }

    /// Starts the node in new namespaces, connects its network to the machine's and lets it go on.
    /// It outlives this process, unless this process dies before all of that is done.
    pub fn start(program: &Path, plan: &Path, log: File) -> Result<Self> {
        let mut unshare = Command::new("unshare")
            .args(["--fork", "--kill-child", "--mount-proc"])
            .args(["--pid", "--mount", "--net"])
            .args([program, plan])
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Out of reach of a Ctrl-C that is meant for us.
            .process_group(0)
            .current_dir("/")
            .spawn()
            .context("cannot start unshare (package util-linux)")?;
        let node = eventually("the node's first process", Duration::from_secs(10), || {
            if let Some(status) = unshare.try_wait()? {
                bail!(
                    "unshare ended with {status}: new namespaces need a machine that permits them"
                );
            }
            let node = Self::find(plan).context("not there yet")?;
            if argv(node.inner).first().map(Path::new) != Some(program) {
                bail!("not in its namespaces yet");
            }
            Ok(node)
        })?;
        node.connect()?;
        let mut stdin = unshare.stdin.take().context("the node's stdin is gone")?;
        stdin.write_all(b"go\n")?;
        Ok(node)
    }

    fn connect(self) -> Result<()> {
        let namespace = self.inner.to_string();
        let address = format!("{HOST_IP}/{NODE_PREFIX}");
        let steps: [&[&str]; 5] = [
            &[
                "link", "add", HOST_LINK, "type", "veth", "peer", "name", NODE_LINK, "netns",
                &namespace,
            ],
            &["address", "add", &address, "dev", HOST_LINK],
            &["link", "set", HOST_LINK, "up"],
            &["route", "replace", POD_NETWORK, "via", NODE_IP],
            &["route", "replace", SERVICE_NETWORK, "via", NODE_IP],
        ];
        for step in steps {
            feed(Command::new("ip").args(step), "")?;
        }
        Ok(())
    }

    /// The programs that the node keeps running, with their process ids.
    pub fn programs(self) -> Vec<(String, u32)> {
        children(self.inner)
            .into_iter()
            .filter_map(|pid| {
                let argv = argv(pid);
                let name = argv.first()?.rsplit('/').next()?.to_owned();
                Some((name, pid))
            })
            .collect()
    }

    /// A command that runs inside the node's namespaces.
    pub fn command(self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.inner.to_string()])
            .args(["--mount", "--net", "--pid", "--"])
            .arg(program);
        command
    }

    /// Ends the node, all programs and all containers, and waits until the last is gone.
    pub fn stop(self) -> Result<()> {
        // The kernel ends all of a PID namespace with its first process, and only then reports
        // the end of that to its parent. An error means that it is gone already.
        let _gone = feed(
            Command::new("kill").args(["-KILL", &self.inner.to_string()]),
            "",
        );
        eventually("the end of the node", Duration::from_secs(30), || {
            // A zombie has no command line any more: whoever started it has yet to notice.
            if argv(self.outer).is_empty() {
                Ok(())
            } else {
                bail!("process {} is still there", self.outer)
            }
        })
    }
}

/// Removes what outlives the node: its end of the link, if it was not connected yet, and the
/// cgroups of its containers, which containerd kept by their ids in `run`.
pub fn remove_traces(run: &Path) -> Result<()> {
    if read(Command::new("ip").args(["link", "show", HOST_LINK])).is_ok() {
        feed(Command::new("ip").args(["link", "delete", HOST_LINK]), "")?;
    }
    let ids = names(&run.join("containerd/io.containerd.runtime.v2.task/k8s.io"));
    // Version 2 has one hierarchy, version 1 a folder for each.
    let cgroups = Path::new("/sys/fs/cgroup");
    let hierarchies = names(cgroups).into_iter().map(|name| cgroups.join(name));
    for hierarchy in hierarchies.chain([cgroups.to_path_buf()]) {
        let group = hierarchy.join("k8s.io");
        for group in ids.iter().map(|id| group.join(id)) {
            if group.is_dir() {
                eventually("an empty cgroup", Duration::from_secs(10), || {
                    remove_group(&group)
                })?;
            }
        }
        // Fails, as it should, where another containerd of the machine has containers too.
        let _in_use = fs::remove_dir(group);
    }
    Ok(())
}

/// What is in a folder; nothing, if there is no such folder.
fn names(folder: &Path) -> Vec<OsString> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect()
}

/// A cgroup's files cannot be removed and need not be: only folders, the innermost first.
fn remove_group(group: &Path) -> Result<()> {
    for name in names(group) {
        let path = group.join(name);
        if path.is_dir() {
            remove_group(&path)?;
        }
    }
    fs::remove_dir(group).with_context(|| format!("cannot remove {}", group.display()))
}

/// A process's command line; empty for one that is gone or a zombie.
fn argv(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn children(pid: u32) -> Vec<u32> {
    // A child is listed under the thread that started it.
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|pids| {
            pids.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
