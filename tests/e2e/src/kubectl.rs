//! Programs, called as a person types them.

use std::{
    ffi::OsStr,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

/// How long a program may take, unless it was told how long to wait.
const TIMEOUT: Duration = Duration::from_secs(240);

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it succeeded.
    pub ok: bool,
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

impl Said {
    /// What it printed.
    ///
    /// # Panics
    /// When it failed.
    pub fn expect_ok(self, what: &str) -> String {
        assert!(self.ok, "{what} failed:\n{}{}", self.out, self.err);
        self.out
    }
}

/// Runs a program to its end, with this input.
///
/// # Panics
/// When it cannot be run, or does not end.
pub async fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S], input: Option<&str>) -> Said {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let running = async {
        let mut child = command.spawn()?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            stdin.write_all(input.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let Output {
        status,
        stdout,
        stderr,
    } = match timeout(TIMEOUT, running).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => panic!(
            "{program} cannot be run: {error}. Is it on PATH? `cargo xtask test` puts it there"
        ),
        Err(_) => panic!("{program} did not end within {TIMEOUT:?}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        ok: status.success(),
        out: text(&stdout),
        err: text(&stderr),
    }
}

/// `kubectl` in one namespace.
#[derive(Clone, Debug)]
pub struct Kubectl {
    namespace: String,
}

impl Kubectl {
    /// In this namespace.
    pub fn of(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
        }
    }

    /// Runs it, whatever comes of it.
    pub async fn attempt(&self, arguments: &[&str]) -> Said {
        self.with_input(arguments, None).await
    }

    /// Runs it.
    ///
    /// # Panics
    /// When it fails.
    pub async fn run(&self, arguments: &[&str]) -> String {
        self.attempt(arguments)
            .await
            .expect_ok(&format!("kubectl {}", arguments.join(" ")))
    }

    /// `kubectl apply -f -`.
    pub async fn attempt_apply(&self, manifests: &[&Value]) -> Said {
        let input: Vec<String> = manifests.iter().map(ToString::to_string).collect();
        self.with_input(&["apply", "-f", "-"], Some(&input.join("\n---\n")))
            .await
    }

    /// `kubectl apply -f -`.
    ///
    /// # Panics
    /// When it fails.
    pub async fn apply(&self, manifests: &[&Value]) {
        self.attempt_apply(manifests)
            .await
            .expect_ok("kubectl apply");
    }

    /// `kubectl get … -o json`.
    ///
    /// # Panics
    /// When there is no such object. A list may be empty.
    pub async fn get(&self, what: &[&str]) -> Value {
        let out = self.run(&[&["get", "-o", "json"], what].concat()).await;
        serde_json::from_str(&out)
            .unwrap_or_else(|error| panic!("kubectl printed no JSON: {error}: {out}"))
    }

    /// `kubectl wait --for=…`.
    ///
    /// # Panics
    /// When it does not come true in time.
    pub async fn wait(&self, what: &str, condition: &str, seconds: u32) {
        self.run(&[
            "wait",
            &format!("--for={condition}"),
            what,
            &format!("--timeout={seconds}s"),
        ])
        .await;
    }

    async fn with_input(&self, arguments: &[&str], input: Option<&str>) -> Said {
        run(
            "kubectl",
            &[&["--namespace", &self.namespace], arguments].concat(),
            input,
        )
        .await
    }
}

/// The condition of an object, as `(status, reason, message)`.
pub fn condition(object: &Value, kind: &str) -> Option<(String, String, String)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}
