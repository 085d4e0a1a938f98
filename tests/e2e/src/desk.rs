//! The desk's page, in a headless browser, by a port-forward as people open it.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    kubectl::{Said, run},
    plugin::Person,
    spirit,
};

/// How long a port-forward may take to begin.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// Where the page and its tests are.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runtime/server/desk");

/// A way to the desk of the concierge, for as long as it is kept.
pub struct Desk {
    url: String,
    _forward: Child,
}

impl Desk {
    /// Opens it.
    ///
    /// # Panics
    /// When kubectl does not forward the port.
    pub async fn open(namespace: &str) -> Self {
        let service = format!("service/{}-runtime", spirit::NAME);
        let mut forward = Command::new("kubectl")
            .args(["--namespace", namespace, "port-forward", &service, ":8081"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("kubectl cannot be run: {error}"));
        let out = forward.stdout.take();
        let out = out.unwrap_or_else(|| panic!("kubectl has no output"));
        let mut lines = BufReader::new(out).lines();
        let first = timeout(OPEN_WITHIN, lines.next_line()).await;
        let Ok(Ok(Some(first))) = first else {
            panic!("kubectl port-forward {service} said nothing: {first:?}");
        };
        // What it says later must be read, or it waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let port = first
            .strip_prefix("Forwarding from 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_else(|| panic!("kubectl port-forward said {first:?}"));
        Self {
            url: format!("http://127.0.0.1:{port}/"),
            _forward: forward,
        }
    }

    /// Lets somebody sit down at it, open this session and do these steps.
    ///
    /// # Panics
    /// When a step cannot be done.
    pub async fn attend(&self, person: &Person, session: &str, steps: &[&str]) {
        let script = Path::new(PAGE).join("tests/at-desk.mjs");
        assert!(
            Path::new(PAGE).join("node_modules").is_dir(),
            "the page's tests are not installed: run `npm ci` in runtime/server/desk"
        );
        let script = script.to_string_lossy();
        let token = format!("EYWA_DESK_TOKEN={}", person.token());
        let node = node();
        let arguments = [&*token, &node, &script, &self.url, spirit::NAME, session];
        let said: Said = run("env", &[&arguments[..], steps].concat(), None).await;
        assert!(said.ok, "{steps:?} failed:\n{}{}", said.out, said.err);
    }
}

/// Node.js: the first `node` of the PATH that has a version. The test cluster has a program of that name too.
fn node() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("node"))
        .find(|node| {
            let version = std::process::Command::new(node).arg("--version").output();
            version.is_ok_and(|version| version.stdout.starts_with(b"v"))
        })
        .unwrap_or_else(|| panic!("there is no Node.js: install the Debian package nodejs"))
        .to_string_lossy()
        .into_owned()
}
