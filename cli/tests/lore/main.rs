//! `eywa lore`, as a person runs it, against an embedder that speaks OpenAI's format.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod up;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

const PRICES: &[u8] = include_bytes!("papers/prices.pdf");

/// A PDF whose page draws a form that draws itself: reading it ends in a stack overflow.
const ENDLESS: &[u8] = include_bytes!("papers/endless.pdf");

/// OpenAI's embeddings ("Create embeddings" of its API reference), for texts about three things.
struct Embeddings;

const ABOUT: [&str; 3] = ["milk", "sunday", "bean"];

impl Respond for Embeddings {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if request
            .headers
            .get("authorization")
            .is_none_or(|it| it != "Bearer not-a-real-key")
        {
            let error = json!({"error": {"message": "Incorrect API key provided: not-…", "code": "invalid_api_key"}});
            return ResponseTemplate::new(401).set_body_json(error);
        }
        let asked: Value = request.body_json().unwrap();
        let data: Vec<Value> = asked["input"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let text = text.as_str().unwrap().to_lowercase();
                let mut vector: Vec<f32> = ABOUT
                    .iter()
                    .map(|about| if text.contains(about) { 1.0 } else { 0.0 })
                    .collect();
                vector.push(0.1);
                json!({"object": "embedding", "index": index, "embedding": vector})
            })
            .collect();
        let tokens = 5 * data.len();
        ResponseTemplate::new(200).set_body_json(json!({
            "object": "list", "data": data, "model": "test-embedding",
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }))
    }
}

/// A person's machine: manifests, documents, and an embedder that they reach.
pub(crate) struct Machine {
    home: tempfile::TempDir,
    embedder: MockServer,
}

impl Machine {
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let embedder = MockServer::start().await;
        Mock::given(matchers::path("/v1/embeddings"))
            .respond_with(Embeddings)
            .mount(&embedder)
            .await;
        let machine = Self { home, embedder };
        fs::create_dir(machine.at("cafe")).unwrap();
        machine.write("cafe/barista.yaml", machine.spirit());
        machine.write("docs/hours.md", "# Hours\nOn Sundays we open at nine.\n");
        machine.write("docs/menu/milk.txt", "There is oat milk.");
        machine
    }

    fn spirit(&self) -> String {
        format!(
            r#"
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata: {{name: barista}}
spec:
  persona: {{text: You serve coffee.}}
  oracle: {{provider: scripted, script: {{rules: [{{reply: {{text: "hello"}}}}]}}}}
  voices: [{{name: web, http: {{secretRef: {{name: web, key: signing-key}}}}}}]
  lore:
    store: {{qdrant: {{url: "http://qdrant.default.svc:6333", collection: menu}}}}
    embedder:
      provider: openai
      model: test-embedding
      dimensions: 4
      baseUrl: {}/v1
      apiKey: {{secretRef: {{name: openai, key: api-key}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: web}}
stringData: {{signing-key: whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxl}}
"#,
            self.embedder.uri()
        )
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.at(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn eywa(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("eywa"));
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.at("run"))
            .env("EYWA_SECRET_OPENAI_API_KEY", "not-a-real-key")
            .env_remove("XDG_STATE_HOME")
            .env_remove("KUBECONFIG")
            .env_remove("RUST_LOG");
        command
    }

    async fn lore(&self, arguments: &[&str]) -> Output {
        let mut command = self.eywa();
        command
            .arg("lore")
            .args(arguments)
            .args(["-f", "cafe", "--local"]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// How many texts the embedder has been asked for.
    async fn embedded(&self) -> usize {
        let asked = self.embedder.received_requests().await.unwrap();
        let texts = asked.iter().map(|asked| {
            let body: Value = asked.body_json().unwrap();
            body["input"].as_array().unwrap().len()
        });
        texts.sum()
    }
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_brought_in_and_found_in_and_only_changes_are_embedded() {
    let machine = Machine::new().await;
    let first = machine.lore(&["sync", "docs"]).await;
    assert_eq!(
        said(&first),
        "docs: 2 document(s), 2 passage(s): 2 embedded, 0 unchanged, 0 removed; 10 tokens\n"
    );
    assert_eq!(machine.embedded().await, 2);

    machine.write(
        "docs/beans.html",
        "<h1>Beans</h1><p>Our beans are from far away.</p>",
    );
    fs::remove_file(machine.at("docs/hours.md")).unwrap();
    let dry = said(&machine.lore(&["sync", "docs", "--dry-run"]).await);
    assert!(
        dry.contains("1 would be embedded, 1 unchanged, 1 would be removed"),
        "{dry}"
    );
    let second = said(&machine.lore(&["sync", "docs"]).await);
    assert!(
        second.contains("1 embedded, 1 unchanged, 1 removed"),
        "{second}"
    );
    assert_eq!(machine.embedded().await, 3);

    let found = said(
        &machine
            .lore(&["search", "barista", "which milk is there?"])
            .await,
    );
    let (shown, not_shown) = found.split_once("below minScore").unwrap();
    assert!(
        shown.contains("menu/milk.txt") && shown.contains("oat milk"),
        "{found}"
    );
    assert!(not_shown.contains("beans.html"), "{found}");
    assert!(!found.contains("hours.md"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_read_is_told_and_keeps_what_was_there() {
    let machine = Machine::new().await;
    machine.write("docs/prices.pdf", PRICES);
    machine.write("docs/photo.png", b"\x89PNG");
    let first = machine.lore(&["sync", "docs"]).await;
    assert!(first.status.success(), "{}", said(&first));
    assert!(
        said(&first).contains("skipped photo.png: .png is not read"),
        "{}",
        said(&first)
    );
    let found = said(&machine.lore(&["search", "barista", "milk"]).await);
    assert!(
        found.contains("page 1") && found.contains("forty cents"),
        "{found}"
    );

    for hostile in [ENDLESS, b"%PDF-1.7\nnot one".as_slice()] {
        machine.write("docs/prices.pdf", hostile);
        let second = machine.lore(&["sync", "docs", "--strict"]).await;
        let told = said(&second);
        assert_eq!(second.status.code(), Some(1), "{told}");
        assert!(
            told.contains("skipped prices.pdf") && told.contains("1 kept"),
            "{told}"
        );
        assert!(
            !told.contains("panicked") && !told.contains("overflow"),
            "{told}"
        );
    }
    let found = said(&machine.lore(&["search", "barista", "milk"]).await);
    assert!(found.contains("forty cents"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_what_to_do() {
    let machine = Machine::new().await;
    fs::create_dir(machine.at("empty")).unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["sync", "nowhere"], "nowhere"),
        (&["sync", "empty"], "--allow-empty"),
        (&["sync", "docs", "--spirit", "nobody"], "there are barista"),
        (&["sync", "docs", "--metadata", "lang"], "NAME=VALUE"),
    ];
    for (arguments, hint) in cases {
        let output = machine.lore(arguments).await;
        assert!(
            !output.status.success() && said(&output).contains(hint),
            "{}",
            said(&output)
        );
    }
    let mut keyless = machine.eywa();
    keyless
        .env_remove("EYWA_SECRET_OPENAI_API_KEY")
        .args(["lore", "sync", "docs", "-f", "cafe", "--local"]);
    let told = said(&keyless.output().unwrap());
    assert!(
        told.contains("\"openai\"") && told.contains("barista.yaml:"),
        "{told}"
    );
    let mut refused = machine.eywa();
    refused
        .env("EYWA_SECRET_OPENAI_API_KEY", "wrong-key")
        .args(["lore", "sync", "docs", "-f", "cafe", "--local"]);
    let told = tokio::task::spawn_blocking(move || said(&refused.output().unwrap()))
        .await
        .unwrap();
    assert!(
        told.contains("invalid_api_key") && !told.contains("wrong-key"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_s_documents_go_to_the_namespace_that_is_named() {
    let machine = Machine::new().await;
    let templated = machine.spirit().replace(
        "  lore:\n",
        "  lore:\n    namespace: \"user/{{ user.id }}\"\n",
    );
    machine.write("cafe/barista.yaml", templated);
    let unnamed = said(&machine.lore(&["sync", "docs"]).await);
    assert!(unnamed.contains("--namespace"), "{unnamed}");
    let named = machine
        .lore(&["sync", "docs", "--namespace", "user/ana"])
        .await;
    assert!(named.status.success(), "{}", said(&named));
    let search = async |namespace: &str| {
        said(
            &machine
                .lore(&["search", "barista", "milk", "--namespace", namespace])
                .await,
        )
    };
    assert!(search("user/ana").await.contains("oat milk"));
    assert!(search("user/bob").await.contains("nothing is found"));
}

/// Runs `eywa … lore search barista milk -f cafe …` with the store where the manifest says.
async fn searched(machine: &Machine, before: &[&str], after: &[&str]) -> String {
    let mut command = machine.eywa();
    command.args(before);
    command.args(["lore", "search", "barista", "milk", "-f", "cafe"]);
    command.args(after);
    tokio::task::spawn_blocking(move || said(&command.output().unwrap()))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_cluster_alone_reaches_is_reached_at_the_url_that_is_named() {
    let machine = Machine::new().await;
    let store = MockServer::start().await;
    let spirit = machine.spirit();
    for written in ["http://10.1.2.3:6333", "http://qdrant.elsewhere.svc:6333"] {
        let private = spirit.replace("http://qdrant.default.svc:6333", written);
        machine.write("cafe/barista.yaml", private);
        let refused = searched(&machine, &[], &[]).await;
        assert!(
            refused.contains("AddressNotAllowed") && refused.contains("--allow-host"),
            "{refused}"
        );
        let url = store.uri();
        let told = searched(&machine, &[], &["--store-url", &url]).await;
        assert!(!told.contains("AddressNotAllowed"), "{told}");
    }
    let asked = store.received_requests().await.unwrap();
    assert!(asked.len() >= 2, "the store was asked each time");
    for (url, told) in [
        ("http://169.254.169.254/", "never reached"),
        ("127.0.0.1:6333", "--store-url"),
        ("ftp://127.0.0.1/", "only http and https"),
    ] {
        let refused = searched(&machine, &[], &["--store-url", url]).await;
        assert!(refused.contains(told), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_and_what_the_cluster_allows_are_told_to_lore() {
    let machine = Machine::new().await;
    // With a namespace for each person, nothing is asked before it is named.
    let spirit = machine
        .spirit()
        .replace("qdrant.default.svc", "qdrant.cafe.svc")
        .replace(
            "  lore:\n",
            "  lore:\n    namespace: \"user/{{ user.id }}\"\n",
        );
    machine.write("cafe/barista.yaml", spirit);
    let sound = "say with --namespace whose";
    for (before, after, told) in [
        (&[] as &[&str], &[] as &[&str], "another namespace"),
        (&["-n", "cafe"], &[], sound),
        (&[], &["--kube-namespace", "cafe"], sound),
        (
            &["-n", "cafe"],
            &["--kube-namespace", "bar"],
            "another namespace",
        ),
        (&[], &["--allow-host", "*.cafe.svc"], sound),
    ] {
        let said = searched(&machine, before, after).await;
        assert!(said.contains(told), "{before:?} {after:?}: {said}");
    }
}
