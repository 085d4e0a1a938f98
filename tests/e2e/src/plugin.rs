//! The `eywa` command, called as kubectl calls its plugin, by people with ServiceAccounts.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    kubectl::{Kubectl, Said, run},
    wait::eventually,
};

/// A person, who may what a ClusterRole of the chart lets them.
pub struct Person {
    /// Who they are to the cluster.
    pub user: String,
    namespace: String,
    token: String,
    folder: tempfile::TempDir,
}

impl Person {
    /// Makes a ServiceAccount and binds the role to it.
    ///
    /// # Panics
    /// When the cluster refuses.
    pub async fn with_role(kubectl: &Kubectl, namespace: &str, name: &str, role: &str) -> Self {
        kubectl.run(&["create", "serviceaccount", name]).await;
        let account = format!("--serviceaccount={namespace}:{name}");
        let role = format!("--clusterrole={role}");
        kubectl
            .run(&["create", "rolebinding", name, &role, &account])
            .await;
        let token = kubectl.run(&["create", "token", name]).await;
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        std::os::unix::fs::symlink(binary(), folder.path().join("kubectl-eywa"))
            .unwrap_or_else(|error| panic!("no link: {error}"));
        Self {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            namespace: namespace.to_owned(),
            token: token.trim().to_owned(),
            folder,
        }
    }

    /// `kubectl eywa …`, whatever comes of it.
    pub async fn attempt(&self, arguments: &[&str]) -> Said {
        run(&self.program(), &self.arguments(arguments), None).await
    }

    /// `kubectl eywa …`.
    ///
    /// # Panics
    /// When it fails.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let what = format!("kubectl eywa {}", arguments.join(" "));
        self.attempt(arguments).await.expect_ok(&what)
    }

    /// `kubectl eywa …`, which must be refused: what it says then.
    ///
    /// # Panics
    /// When it succeeds.
    pub async fn refused(&self, arguments: &[&str]) -> String {
        let said = self.attempt(arguments).await;
        assert!(!said.ok, "it was not refused: {}", said.out);
        said.err
    }

    /// `kubectl eywa watch …`, for as long as what is given is kept.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn watch(&self, arguments: &[&str]) -> Watching {
        let mut command = Command::new(self.program());
        command
            .args(self.arguments(&[&["watch"], arguments].concat()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("the command cannot be run: {error}"));
        let seen = Arc::new(Mutex::new(String::new()));
        if let Some(out) = child.stdout.take() {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut lines = BufReader::new(out).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push_str(&line);
                    seen.push('\n');
                }
            });
        }
        Watching {
            seen,
            _child: child,
        }
    }

    fn program(&self) -> String {
        let program: PathBuf = self.folder.path().join("kubectl-eywa");
        program.to_string_lossy().into_owned()
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let own = ["--namespace", &self.namespace, "--token", &self.token];
        let (command, rest) = arguments.split_first().unwrap_or((&"help", &[]));
        std::iter::once(*command)
            .chain(own)
            .chain(rest.iter().copied())
            .map(ToOwned::to_owned)
            .collect()
    }
}

/// A transcript that is being followed.
pub struct Watching {
    seen: Arc<Mutex<String>>,
    _child: Child,
}

impl Watching {
    /// Waits until this was shown.
    ///
    /// # Panics
    /// When it is not shown in time.
    pub async fn wait_for(&self, words: &str, within: Duration) {
        eventually(&format!("{words:?} is shown"), within, || async {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.contains(words) {
                Ok(())
            } else {
                Err(seen.clone())
            }
        })
        .await;
    }
}

/// The command, which the tests of each crate have built beside this program.
fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_else(|error| panic!("no program: {error}"));
    let built = own
        .parent()
        .and_then(std::path::Path::parent)
        .map(|folder| folder.join("eywa"));
    match built {
        Some(built) if built.is_file() => built,
        _ => panic!(
            "the eywa command is not built beside {}: cargo build -p eywa",
            own.display()
        ),
    }
}
