//! `imprint`, against a stand-in of a desk.

use serde_json::{Value, json};

use crate::{
    Person, Said,
    desk::{Desk, TOKEN},
    run,
};

const PATH: &str = "/api/conversations/barista/wa%2F551/imprint";

fn said(desk: &Desk, verb: &str, rest: &[&str]) -> Said {
    let mut command = Person::new().eywa(&["imprint", verb, "barista", "wa/551"]);
    command.args(rest);
    command.args(["--local", desk.url(), "--token", TOKEN]);
    run(command)
}

fn knowing() -> (Desk, Value) {
    let desk = Desk::start();
    let known = json!({
        "spirit": "barista", "session": "wa/551", "enabled": true,
        "facts": [
            {"number": 1, "text": "Likes tea.\u{1b}[2J", "at": "2020-01-01T00:00:00Z"},
            {"number": 2, "text": "Lives in Porto", "at": "2020-01-01T00:00:00Z"},
        ],
    });
    desk.answers("GET", PATH, 200, known.clone());
    (desk, known)
}

#[test]
fn what_is_known_is_a_table_with_numbers_or_a_document_to_hand_out() {
    let (desk, known) = knowing();
    let table = said(&desk, "list", &[]).ok();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("NUMBER   LEARNT"), "{table}");
    assert!(lines[1].ends_with("Likes tea.\\x1b[2J"), "{table}");
    assert!(lines[2].starts_with("2 ") && lines[2].ends_with("Lives in Porto"));
    let document = said(&desk, "list", &["-o", "json"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&document).unwrap(), known);
}

#[test]
fn a_number_is_sent_as_the_text_that_it_stands_for() {
    let (desk, _) = knowing();
    desk.answers(
        "POST",
        &format!("{PATH}/forget"),
        200,
        json!({"forgotten": 2}),
    );
    let out = said(&desk, "forget", &["2", "Likes tea.\u{1b}[2J"]).ok();
    assert_eq!(out, "2 fact(s) forgotten of wa/551 of barista\n");
    let asked = desk.asked("POST");
    assert_eq!(
        asked[0].body,
        json!({"texts": ["Lives in Porto", "Likes tea.\u{1b}[2J"]})
    );
    let told = said(&desk, "forget", &["3"]).no(2);
    assert!(told.contains("nothing is remembered under \"3\""), "{told}");
    assert_eq!(desk.asked("POST").len(), 1);
}

#[test]
fn all_is_forgotten_only_when_somebody_says_yes() {
    let (desk, _) = knowing();
    let path = format!("{PATH}/forget");
    desk.answers("POST", &path, 200, json!({"forgotten": 7}));
    let told = said(&desk, "forget", &["--all"]).no(2);
    assert!(told.contains("--yes"), "{told}");
    said(&desk, "forget", &["1", "--all", "--yes"]).no(2);
    said(&desk, "forget", &[]).no(2);
    assert!(desk.asked("POST").is_empty());
    let out = said(&desk, "forget", &["--all", "--yes"]).ok();
    assert!(out.starts_with("7 fact(s) forgotten"), "{out}");
    assert_eq!(desk.asked("POST")[0].body, json!({"all": true}));
}

#[test]
fn a_fact_is_corrected_and_what_the_desk_refuses_is_told() {
    let (desk, _) = knowing();
    let path = format!("{PATH}/correct");
    let fact = json!({"fact": {"text": "Lives in Lisbon", "at": "2026-01-01T00:00:00Z"}});
    desk.answers("POST", &path, 200, fact);
    let refusal = json!({"detail": "a fact is one line, without control characters."});
    desk.answers("POST", &path, 422, refusal);
    desk.answers(
        "POST",
        &path,
        403,
        json!({"permission": "update vigils.eywa.dev in namespace cafe"}),
    );
    let out = said(&desk, "correct", &["2", "Lives in Lisbon"]).ok();
    assert!(out.ends_with("from now on: Lives in Lisbon\n"), "{out}");
    assert_eq!(
        desk.asked("POST")[0].body,
        json!({"text": "Lives in Porto", "correct": "Lives in Lisbon"})
    );
    let told = said(&desk, "correct", &["2", "x\ny"]).no(1);
    assert!(told.contains("a fact is one line"), "{told}");
    let told = said(&desk, "correct", &["2", "Lives in Faro"]).no(3);
    assert!(told.contains("update vigils.eywa.dev"), "{told}");
}

#[test]
fn half_a_session_is_refused_before_anybody_is_asked() {
    let desk = Desk::start();
    let mut command = Person::new().eywa(&["imprint", "list", "barista", "551"]);
    command.args(["--local", desk.url(), "--token", TOKEN]);
    let told = run(command).no(2);
    assert!(told.contains("voice/sender"), "{told}");
}
