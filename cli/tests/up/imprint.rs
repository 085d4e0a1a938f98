//! The Spirit of docs/imprint.md, as its reader runs it.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Machine, WITHIN, said};

/// The page's manifests.
fn written() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/imprint.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
    let manifests = blocks.find(|block| block.contains("kind: Spirit"));
    manifests.unwrap().to_owned()
}

fn chat(machine: &Machine, message: &str) -> String {
    let output = machine
        .eywa()
        .args(["chat", "barista", "--message", message])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// `eywa imprint`, of the person who chats in the terminal.
fn imprint(machine: &Machine, verb: &str, rest: &[&str]) -> Value {
    let output = machine
        .eywa()
        .args(["imprint", verb, "barista", "web/you"])
        .args(rest)
        .args(["-o", "json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_a_person_said_is_remembered_listed_corrected_and_forgotten() {
    let machine = Machine::new();
    machine.write("parrot.yaml", &written());
    let up = machine.up();
    let asked = chat(&machine, "the usual, please");
    assert!(asked.contains("What is your usual?"), "{asked}");
    chat(&machine, "A flat white with oat milk");
    let deadline = Instant::now() + WITHIN;
    let known = loop {
        let known = imprint(&machine, "list", &[]);
        if known["facts"][0]["text"].is_string() {
            break known;
        }
        assert!(Instant::now() < deadline, "nothing was drawn: {known}");
        thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(
        known["facts"][0]["text"], "Drinks coffee with oat milk.",
        "{known}"
    );
    let usual = chat(&machine, "the usual, please");
    assert!(
        usual.contains("- They said: Drinks coffee with oat milk."),
        "{usual}"
    );

    let corrected = imprint(&machine, "correct", &["1", "Drinks tea."]);
    assert_eq!(corrected["fact"]["text"], "Drinks tea.");
    up.interrupt();
    let up = machine.up();
    let kept = imprint(&machine, "list", &[]);
    assert_eq!(kept["facts"][0]["text"], "Drinks tea.", "{kept}");
    let forgotten = imprint(&machine, "forget", &["--all", "--yes"]);
    assert_eq!(forgotten["forgotten"], 1);
    let asked = chat(&machine, "the usual, please");
    assert!(asked.contains("What is your usual?"), "{asked}");
    up.interrupt();
}
