//! The commands for the people who attend to conversations, as a person types them: against a stand-in of a desk, and
//! against a stand-in of the Kubernetes API.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod by_cluster;
mod by_desk;
mod by_front;
mod cluster;
mod completion;
mod desk;
mod imprint;

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, Output, Stdio},
};

/// A person's machine, on which no `eywa up` runs.
struct Person {
    home: tempfile::TempDir,
}

impl Person {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn eywa(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("eywa"));
        command
            .args(arguments)
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path().join("run"))
            .env("TZ", "UTC")
            .env_remove("KUBECONFIG")
            .env_remove("EYWA_TOKEN")
            .env_remove("RUST_LOG");
        command
    }

    /// As kubectl calls it for `kubectl eywa`.
    fn kubectl_eywa(&self, arguments: &[&str]) -> Command {
        self.named("kubectl-eywa", arguments)
    }

    /// The command under another name.
    fn named(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.eywa(arguments);
        command.arg0(name);
        command
    }
}

/// What a command said, and how it ended.
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }

    /// What it printed, having succeeded.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// What it complained of, having ended with this code.
    #[track_caller]
    fn no(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self.err
    }
}

fn run(mut command: Command) -> Said {
    Said::of(command.stdin(Stdio::null()).output().unwrap())
}

fn run_with_input(mut command: Command, input: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    Said::of(child.wait_with_output().unwrap())
}
