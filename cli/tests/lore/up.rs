//! Documents that manifests name, while `eywa up` runs.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use wiremock::{Mock, ResponseTemplate, matchers};

use super::{Machine, said};

const WITHIN: Duration = Duration::from_secs(60);

/// A Spirit whose documents are in its manifests, and at a URL that leads elsewhere.
const SPIRIT: &str = r#"
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata: {name: parrot}
spec:
  persona: {text: You are a parrot.}
  oracle: {provider: scripted, script: {rules: [{reply: {text: "Squawk."}}]}}
  voices: [{name: web, http: {secretRef: {name: web, key: signing-key}}}]
  lore:
    store: {qdrant: {url: "http://qdrant.default.svc:6333", collection: menu}}
    embedder: {provider: hashing}
    minScore: 0.1
    sources: [{name: house, configMap: {name: house}}, {name: cloud, urls: ["ELSEWHERE"]}]
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {signing-key: whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxl}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: house}
data: {seeds.md: "Parrots like sunflower seeds."}
binaryData: {cage.md: VGhlIGNhZ2UgaXMgb3Blbi4=}
"#;

/// A running `eywa up`. Killed when it is dropped.
struct Up {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Up {
    fn start(machine: &Machine, folder: &str) -> Self {
        let mut child = machine
            .eywa()
            .args([
                "up",
                folder,
                "--http",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
            ])
            .args(["--desk", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let told = send.clone();
        thread::spawn(move || relay(out, &told));
        thread::spawn(move || relay(err, &send));
        Self { child, lines }
    }

    /// Waits until it prints a line with this in it; gives the line.
    fn says(&self, what: &str) -> String {
        let (deadline, mut before) = (Instant::now() + WITHIN, Vec::new());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(what) => return line,
                Ok(line) => before.push(line),
                Err(_) => panic!("it never said {what:?}, but:\n{}", before.join("\n")),
            }
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn relay(from: impl Read, to: &mpsc::Sender<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if to.send(line).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_a_manifest_names_are_brought_in_whenever_they_change() {
    let machine = Machine::new().await;
    let away = ResponseTemplate::new(302)
        .insert_header("location", "http://169.254.169.254/latest/user-data.md");
    Mock::given(matchers::path("/away.md"))
        .respond_with(away)
        .mount(&machine.embedder)
        .await;
    let spirit = SPIRIT.replace("ELSEWHERE", &format!("{}/away.md", machine.embedder.uri()));
    machine.write("birds/parrot.yaml", &spirit);
    let up = Up::start(&machine, "birds");
    up.says("finds words, not meanings");
    up.says("3 document(s) in 2 passage(s), 2 of them new, 0 removed");
    // A manifest that names it is refused; one that is led there is at run time.
    let refused = up.says("169.254.169.254");
    assert!(refused.contains("never reached"), "{refused}");

    let edited = spirit.replace("sunflower seeds", "pumpkin seeds");
    machine.write("birds/parrot.yaml", edited);
    up.says("1 of them new, 1 removed");

    let mut chat = machine.eywa();
    chat.args(["chat", "parrot", "-m", "Do parrots like pumpkin seeds?"]);
    assert!(said(&chat.output().unwrap()).contains("Squawk."));

    let mut sync = machine.eywa();
    sync.args(["lore", "sync", "docs", "-f", "birds", "--local"]);
    let locked = said(&sync.output().unwrap());
    assert!(locked.contains("spec.lore.sources"), "{locked}");
    drop(up);

    let mut search = machine.eywa();
    search.args([
        "lore", "search", "parrot", "pumpkin", "-f", "birds", "--local",
    ]);
    let found = said(&search.output().unwrap());
    assert!(
        found.contains("house/seeds.md") && found.contains("pumpkin"),
        "{found}"
    );
}

/// The Spirit of the machine, with a document, and its key.
fn shelved(machine: &Machine, key: &str) -> String {
    let spirit = machine.spirit();
    let (spirit, secret) = spirit.split_once("---").unwrap();
    format!(
        "{spirit}    sources: [{{name: house, configMap: {{name: house}}}}]\n---{secret}---\n\
         {{apiVersion: v1, kind: ConfigMap, metadata: {{name: house}}, data: {{milk.md: There is milk.}}}}\n---\n\
         {{apiVersion: v1, kind: Secret, metadata: {{name: openai}}, stringData: {{api-key: {key}}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_corrected_brings_the_documents_in() {
    let machine = Machine::new().await;
    machine.write("cafe/barista.yaml", shelved(&machine, "not-that-key"));
    let up = Up::start(&machine, "cafe");
    up.says("not all in: the embedder openai failed: HTTP 401");
    machine.write("cafe/barista.yaml", shelved(&machine, "not-a-real-key"));
    up.says("1 document(s) in 1 passage(s), 1 of them new");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_could_not_be_brought_in_are_tried_again() {
    let machine = Machine::new().await;
    Mock::given(matchers::path("/v1/embeddings"))
        .respond_with(ResponseTemplate::new(400))
        .with_priority(1)
        .up_to_n_times(2)
        .mount(&machine.embedder)
        .await;
    machine.write("cafe/barista.yaml", shelved(&machine, "not-a-real-key"));
    let up = Up::start(&machine, "cafe");
    up.says("not all in: the embedder openai failed: HTTP 400 (tried again in");
    up.says("1 document(s) in 1 passage(s), 1 of them new");
}
