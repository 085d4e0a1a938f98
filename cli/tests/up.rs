//! `eywa up`, `eywa chat` and `eywa validate`, as a person runs them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

#[path = "up/imprint.rs"]
mod imprint;
#[path = "up/servers.rs"]
mod servers;
#[path = "up/validate.rs"]
mod validate;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const WITHIN: Duration = Duration::from_secs(60);

const SPIRIT: &str = r#"
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata: {name: parrot}
spec:
  persona: {text: You are a parrot.}
  oracle:
    provider: scripted
    script: {rules: [{when: {text: "hello"}, reply: {text: "Hello yourself."}}], default: {text: "Squawk."}}
  voices: [{name: web, http: {secretRef: {name: web, key: signing-key}}}]
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {signing-key: whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxl}
"#;

const VIGIL: &str = r#"
apiVersion: eywa.dev/v1alpha1
kind: Vigil
metadata: {name: ana}
spec: {spiritRef: {name: parrot}, session: web/you, takeover: true, by: ana@cafe.example}
"#;

/// A person's machine: a folder of manifests, a home, and what they run.
struct Machine {
    home: tempfile::TempDir,
}

/// A running `eywa up`. Killed when it is dropped.
struct Up {
    child: Child,
    /// The line with the desk's link.
    desk: String,
    lines: mpsc::Receiver<String>,
}

impl Machine {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("spirits")).unwrap();
        let machine = Self { home };
        machine.write("parrot.yaml", SPIRIT);
        machine
    }

    fn spirits(&self) -> PathBuf {
        self.home.path().join("spirits")
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.spirits().join(file), text).unwrap();
    }

    fn eywa(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("eywa"));
        command
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path().join("run"));
        command
            .env_remove("XDG_STATE_HOME")
            .env_remove("KUBECONFIG")
            .env_remove("RUST_LOG");
        command
    }

    fn up(&self) -> Up {
        let mut child = self
            .eywa()
            .args(["up", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--desk", "127.0.0.1:0"])
            .arg(self.spirits())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let told = send.clone();
        thread::spawn(move || relay(out, &told));
        thread::spawn(move || relay(err, &send));
        let mut up = Up {
            child,
            desk: String::new(),
            lines,
        };
        up.desk = up.says("#login=");
        up.says("Ctrl-C stops");
        up
    }

    fn chat(&self, message: &str) -> String {
        let output = self
            .eywa()
            .args(["chat", "parrot", "--message", message])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    }
}

impl Up {
    /// Waits until it prints a line with this in it; gives the line.
    fn says(&self, what: &str) -> String {
        let (deadline, mut before) = (Instant::now() + WITHIN, Vec::new());
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) if line.contains(what) => return line,
                Ok(line) => before.push(line),
                Err(_) => panic!("it never said {what:?}, but:\n{}", before.join("\n")),
            }
        }
    }

    /// Ctrl-C.
    fn interrupt(mut self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.says("stopped");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request to a server of this machine, and gives the whole answer.
fn request(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Tells every line, until nobody listens or there are no more.
fn relay(from: impl Read, to: &mpsc::Sender<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if to.send(line).is_err() {
            return;
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_folder_is_run_and_talked_to_and_stopped() {
    let machine = Machine::new();
    let up = machine.up();
    assert_eq!(machine.chat("hello"), "parrot: Hello yourself.\n");
    up.interrupt();
    let nobody = machine
        .eywa()
        .args(["chat", "parrot", "-m", "hello"])
        .output()
        .unwrap();
    assert!(!nobody.status.success());
    assert!(said(&nobody).contains("eywa up"), "{}", said(&nobody));
}

#[test]
fn an_edit_takes_effect_and_a_wrong_one_leaves_what_ran_before() {
    let machine = Machine::new();
    let up = machine.up();
    machine.write(
        "parrot.yaml",
        &SPIRIT.replace("Hello yourself.", "Good day."),
    );
    up.says("runs as edited");
    assert_eq!(machine.chat("hello"), "parrot: Good day.\n");

    machine.write(
        "parrot.yaml",
        &SPIRIT.replace("provider: scripted", "provder: scripted"),
    );
    let told = up.says("provder");
    assert!(
        told.contains("parrot.yaml:") && told.contains("did you mean"),
        "{told}"
    );
    up.says("what ran before the edit goes on");
    assert_eq!(machine.chat("hello"), "parrot: Good day.\n");
}

#[test]
fn a_vigil_in_the_folder_silences_the_spirit_and_chat_says_so() {
    let machine = Machine::new();
    let up = machine.up();
    machine.write("vigil.yaml", VIGIL);
    up.says("Active");
    assert!(
        machine
            .chat("hello")
            .starts_with("A human has this conversation.")
    );
    machine.write(
        "vigil.yaml",
        &VIGIL.replace("takeover: true", "takeover: false"),
    );
    up.says("Released");
    assert_eq!(machine.chat("hello"), "parrot: Hello yourself.\n");
}

#[test]
fn a_takeover_outlives_a_process_that_is_killed() {
    let machine = Machine::new();
    machine.write("vigil.yaml", VIGIL);
    let up = machine.up();
    up.says("Active");
    drop(up);
    fs::remove_file(machine.spirits().join("vigil.yaml")).unwrap();
    let _up = machine.up();
    assert!(
        machine
            .chat("hello")
            .starts_with("A human has this conversation.")
    );
}

#[test]
fn the_desk_s_link_opens_it_once_and_on_this_machine_alone() {
    let machine = Machine::new();
    let up = machine.up();
    assert_eq!(machine.chat("hello"), "parrot: Hello yourself.\n");
    let link = up.desk.split_once("http://").unwrap().1;
    let (address, code) = link.split_once("/#login=").unwrap();
    let code = code.split_whitespace().next().unwrap();
    let head = |what: &str, host: &str| format!("{what} HTTP/1.1\r\nhost: {host}");
    let login = || {
        let body = format!(r#"{{"code": "{code}"}}"#);
        request(address, &head("POST /api/login", address), &body)
    };
    let answer = login();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let token = answer.rsplit_once(r#""token":""#).unwrap().1;
    let token = token.split('"').next().unwrap();
    assert!(login().starts_with("HTTP/1.1 401"), "a code works once");
    up.says("#login=");

    let list = |host: &str| {
        let head = head("GET /api/conversations", host);
        request(
            address,
            &format!("{head}\r\nauthorization: Bearer {token}"),
            "",
        )
    };
    let listed = list(address);
    assert!(listed.contains("Hello yourself."), "{listed}");
    assert!(list("evil.example").starts_with("HTTP/1.1 421"));

    let elsewhere = machine
        .eywa()
        .args(["up", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--desk", "0.0.0.0:0"])
        .arg(machine.spirits())
        .output()
        .unwrap();
    assert!(!elsewhere.status.success());
    assert!(
        said(&elsewhere).contains("loopback"),
        "{}",
        said(&elsewhere)
    );
}

#[test]
fn two_at_a_time_on_one_folder_are_told_apart() {
    let machine = Machine::new();
    let _up = machine.up();
    let second = machine
        .eywa()
        .args(["up", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--desk", "127.0.0.1:0"])
        .arg(machine.spirits())
        .output();
    let second = second.unwrap();
    assert!(!second.status.success());
    assert!(
        said(&second).contains("in use by another process"),
        "{}",
        said(&second)
    );
}

#[test]
fn validate_says_file_line_and_fix_and_fails() {
    let machine = Machine::new();
    let validate = |dir: &Path| machine.eywa().arg("validate").arg(dir).output().unwrap();
    let sound = validate(&machine.spirits());
    assert!(sound.status.success(), "{}", said(&sound));

    machine.write(
        "parrot.yaml",
        &SPIRIT.replace(
            "name: web, key: signing-key}}",
            "name: web, key: signing-kee}}",
        ),
    );
    let unsound = validate(&machine.spirits());
    let told = said(&unsound);
    assert_eq!(unsound.status.code(), Some(1), "{told}");
    assert!(
        told.contains("parrot.yaml:") && told.contains("signing-kee"),
        "{told}"
    );
}

#[test]
fn the_barista_of_the_examples_is_sound() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/barista");
    let checked = Machine::new()
        .eywa()
        .arg("validate")
        .arg(examples)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", said(&checked));
}

#[test]
fn a_person_attends_to_a_conversation_with_commands_alone() {
    let machine = Machine::new();
    let _up = machine.up();
    let attends = |arguments: &[&str]| machine.eywa().args(arguments).output().unwrap();
    assert_eq!(machine.chat("hello"), "parrot: Hello yourself.\n");

    let taken = attends(&["takeover", "web/you"]);
    assert!(
        said(&taken).starts_with("web/you of parrot is yours"),
        "{}",
        said(&taken)
    );
    assert!(
        machine
            .chat("my coffee is cold")
            .starts_with("A human has this conversation.")
    );
    let listed = said(&attends(&["conversations", "--phase", "active"]));
    let row = listed.lines().nth(1).unwrap_or_default();
    assert!(
        row.starts_with("parrot   web/you   you      Active"),
        "{listed}"
    );
    let refused = attends(&["reply", "web/you", "A new one is coming."]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(said(&refused).contains("no replyUrl"), "{}", said(&refused));

    let released = attends(&["release", "web/you"]);
    assert_eq!(said(&released), "web/you of parrot is the agent's again\n");
    assert_eq!(machine.chat("hello"), "parrot: Hello yourself.\n");
    let not_yours = attends(&["reply", "web/you", "still me"]);
    assert_eq!(not_yours.status.code(), Some(3), "{}", said(&not_yours));

    let pulses = said(&attends(&["conversations", "-o", "json"]));
    assert!(pulses.contains("\"lastFrom\": \"agent\""), "{pulses}");
    let unheard_of = attends(&["trace", "web/unheard-of"]);
    assert_eq!(unheard_of.status.code(), Some(1), "{}", said(&unheard_of));
}
