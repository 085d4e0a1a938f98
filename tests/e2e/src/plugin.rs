//! The `eywa` command, called as kubectl calls its plugin, by people with ServiceAccounts.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    kubectl::{Kubectl, Said, run},
    wait::eventually,
};

/// How long a desk may take to print its link.
const LINK_WITHIN: Duration = Duration::from_secs(30);

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

    /// Who they prove to be.
    pub fn token(&self) -> &str {
        &self.token
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

    /// `kubectl eywa desk`, for as long as what is given is kept, logged in to by its link.
    ///
    /// # Panics
    /// When it cannot be started, or its link does not work.
    pub async fn desk(&self) -> ServedDesk {
        let mut command = Command::new(self.program());
        command
            .args(self.arguments(&["desk", "--listen", "127.0.0.1:0"]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("the command cannot be run: {error}"));
        let out = child
            .stdout
            .take()
            .unwrap_or_else(|| panic!("it has no output"));
        let mut lines = BufReader::new(out).lines();
        let link = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, link)) = line.split_once("Open ") {
                    return link.split(' ').next().unwrap_or_default().to_owned();
                }
            }
            String::new()
        };
        let link = timeout(LINK_WITHIN, link).await.unwrap_or_default();
        let (url, code) = link
            .split_once("/#login=")
            .unwrap_or_else(|| panic!("it printed no link, but {link:?}"));
        let client = reqwest::Client::new();
        let login = client
            .post(format!("{url}/api/login"))
            .json(&json!({"code": code}))
            .send()
            .await
            .unwrap_or_else(|error| panic!("the link does not work: {error}"));
        let login: Value = login.json().await.unwrap_or_default();
        ServedDesk {
            url: url.to_owned(),
            token: login["token"].as_str().unwrap_or_default().to_owned(),
            client,
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

/// A desk that is being served.
pub struct ServedDesk {
    url: String,
    token: String,
    client: reqwest::Client,
    _child: Child,
}

impl ServedDesk {
    /// What it says: the status, and the body as JSON.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.answer(self.client.get(format!("{}{path}", self.url)))
            .await
    }

    /// What it says to an order.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn post(&self, path: &str) -> (u16, Value) {
        self.answer(self.client.post(format!("{}{path}", self.url)))
            .await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request
            .bearer_auth(&self.token)
            .send()
            .await
            .unwrap_or_else(|error| panic!("the desk does not answer: {error}"));
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
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
