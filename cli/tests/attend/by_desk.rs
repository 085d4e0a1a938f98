//! Against an `eywa up`'s desk.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    Person, Said,
    desk::{Desk, TOKEN},
    run, run_with_input,
};

const NASTY: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\r";

fn at(desk: &Desk, arguments: &[&str]) -> Command {
    let mut command = Person::new().eywa(arguments);
    command.args(["--local", desk.url(), "--token", TOKEN]);
    command
}

fn with_one_spirit() -> Desk {
    let desk = Desk::start();
    desk.answers(
        "GET",
        "/api/me",
        200,
        json!({"user": "you", "spirits": ["barista"]}),
    );
    desk
}

fn conversation(phase: &str, by: Option<&str>) -> Value {
    json!({
        "spirit": "barista", "session": "web/ana", "voice": "web", "user": {"id": "ana", "name": "Ana"},
        "phase": phase, "by": by, "unanswered": 2, "pendingRites": 1, "answering": false,
        "lastAt": "2020-01-01T00:00:00Z", "lastText": "hello", "lastFrom": "user",
    })
}

fn said(desk: &Desk, arguments: &[&str]) -> Said {
    run(at(desk, arguments))
}

#[test]
fn conversations_are_a_table_as_kubectl_prints_one() {
    let desk = Desk::start();
    let mut second = conversation("Requested", None);
    second["session"] = "web/bo".into();
    second["user"]["name"] = NASTY.into();
    let page = |list: Value, next: Option<&str>| json!({"conversations": list, "next": next});
    desk.answers(
        "GET",
        "/api/conversations",
        200,
        page(json!([conversation("Active", Some("mia"))]), Some("2")),
    );
    desk.answers(
        "GET",
        "/api/conversations",
        200,
        page(json!([second]), None),
    );
    let out = said(&desk, &["conversations", "--phase", "active", "-q", "é"]).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("SPIRIT    SESSION   PERSON")
            && lines[0].contains("   PHASE       BY       UNANSWERED   RITES   LAST"),
        "{out}"
    );
    assert!(
        lines[1].contains("web/bo") && lines[1].contains("Requested   <none>   2            1"),
        "{out}"
    );
    assert!(
        lines[2].contains("web/ana") && lines[2].contains("Active      mia"),
        "{out}"
    );
    assert!(out.contains(r"\x1b]0;owned\x07\x9b2J\r"), "{out}");
    assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
    let asked = desk.asked("GET");
    assert!(
        asked[0].query.contains("phase=Active") && asked[0].query.contains("q=%C3%A9"),
        "{asked:?}"
    );
    assert!(asked[1].query.contains("cursor=2"), "{asked:?}");
}

#[test]
fn programs_get_what_the_desk_says_and_no_control_characters() {
    let desk = Desk::start();
    let mut one = conversation("Active", Some("mia"));
    one["lastText"] = NASTY.into();
    desk.answers(
        "GET",
        "/api/conversations",
        200,
        json!({"conversations": [one]}),
    );
    let out = said(&desk, &["conversations", "-o", "json"]).ok();
    assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
    let read: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(read["conversations"][0], one);
    let out = said(&desk, &["-o", "yaml", "conversations"]).ok();
    assert!(out.contains("session: web/ana"), "{out}");
    assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
}

#[test]
fn an_empty_list_says_so_and_is_no_failure() {
    let desk = Desk::start();
    desk.answers(
        "GET",
        "/api/conversations",
        200,
        json!({"conversations": []}),
    );
    let said = said(&desk, &["conversations"]);
    assert_eq!(said.err, "No resources found.\n");
    assert_eq!(said.ok(), "");
}

#[test]
fn a_token_that_is_not_known_is_told() {
    let desk = with_one_spirit();
    let mut command = Person::new().eywa(&["conversations", "--local", desk.url()]);
    command.env("EYWA_TOKEN", "another");
    let told = run(command).no(1);
    assert!(told.contains("does not know you"), "{told}");
    let told = run(Person::new().eywa(&["conversations", "--local", desk.url()])).no(2);
    assert!(told.contains("--token"), "{told}");
}

#[test]
fn a_refusal_names_the_permission_and_the_role_that_has_it() {
    let desk = Desk::start();
    let refusal = json!({"title": "Forbidden", "detail": "no", "permission": "update vigils.eywa.dev in namespace cafe"});
    desk.answers(
        "POST",
        "/api/conversations/barista/web%2Fana/reply",
        403,
        refusal,
    );
    let told = said(&desk, &["reply", "web/ana", "hello", "--spirit", "barista"]).no(3);
    assert!(
        told.contains("missing permission: update vigils.eywa.dev in namespace cafe")
            && told.contains("eywa-attendant"),
        "{told}"
    );
}

#[test]
fn a_takeover_waits_until_the_agent_is_silent() {
    let desk = with_one_spirit();
    let path = "/api/conversations/barista/web%2Fana";
    desk.answers(
        "POST",
        &format!("{path}/takeover"),
        200,
        conversation("TakingOver", Some("you")),
    );
    desk.answers(
        "GET",
        path,
        200,
        json!({"conversation": conversation("TakingOver", Some("you"))}),
    );
    desk.answers(
        "GET",
        path,
        200,
        json!({"conversation": conversation("Active", Some("you"))}),
    );
    let out = said(
        &desk,
        &["takeover", "web/ana", "--reason", "an order went wrong"],
    )
    .ok();
    assert!(out.starts_with("web/ana of barista is yours: "), "{out}");
    assert!(
        out.contains("eywa release --spirit barista 'web/ana'"),
        "{out}"
    );
    assert_eq!(
        desk.asked("POST")[0].body,
        json!({"reason": "an order went wrong"})
    );
}

#[test]
fn the_second_who_takes_a_conversation_is_told_who_has_it() {
    let desk = with_one_spirit();
    let conflict = json!({"title": "Conflict", "detail": "taken", "by": "mia", "since": "2026-01-01T10:00:00Z"});
    desk.answers(
        "POST",
        "/api/conversations/barista/web%2Fana/takeover",
        409,
        conflict,
    );
    let told = said(&desk, &["takeover", "web/ana"]).no(3);
    assert!(
        told.contains("mia has web/ana of barista since 2026-01-01T10:00:00Z"),
        "{told}"
    );
}

#[test]
fn a_whole_spirit_is_silenced_only_when_that_is_meant_and_one_command_lifts_it() {
    let desk = with_one_spirit();
    desk.answers(
        "POST",
        "/api/spirits/barista/takeover",
        200,
        json!({"phase": "Active"}),
    );
    desk.answers(
        "POST",
        "/api/spirits/barista/release",
        200,
        json!({"phase": "Released"}),
    );
    let told = said(&desk, &["takeover", "*"]).no(2);
    assert!(told.contains("--yes"), "{told}");
    assert!(desk.asked("POST").is_empty());
    let out = said(&desk, &["takeover", "*", "--yes"]).ok();
    assert!(
        out.starts_with("every conversation of barista is yours"),
        "{out}"
    );
    let out = said(&desk, &["release", "*"]).ok();
    assert_eq!(out, "every conversation of barista is the agent's again\n");
}

#[test]
fn anothers_conversation_is_given_back_only_by_force() {
    let desk = with_one_spirit();
    let path = "/api/conversations/barista/web%2Fana/release";
    desk.answers("POST", path, 409, json!({"detail": "taken", "by": "mia"}));
    desk.answers("POST", path, 200, conversation("Released", None));
    let told = said(&desk, &["release", "web/ana"]).no(3);
    assert!(
        told.contains("mia has web/ana") && told.contains("--force"),
        "{told}"
    );
    said(&desk, &["release", "web/ana", "--force"]).ok();
    assert_eq!(desk.asked("POST")[1].body, json!({"force": true}));
}

#[test]
fn a_reply_is_tried_again_under_the_same_id() {
    let desk = with_one_spirit();
    let path = "/api/conversations/barista/web%2Fana/reply";
    desk.answers(
        "POST",
        path,
        503,
        json!({"detail": "another reply is being sent"}),
    );
    desk.answers("POST", path, 200, json!({"echo": {"id": "human-1"}}));
    let out = run_with_input(
        at(&desk, &["reply", "web/ana"]),
        "Sorry about that.\nIt is on us.\n",
    )
    .ok();
    assert_eq!(out, "said in web/ana of barista\n");
    let asked = desk.asked("POST");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].body["text"], "Sorry about that.\nIt is on us.");
    assert_eq!(asked[0].body["id"], asked[1].body["id"]);
}

#[test]
fn a_reply_that_cannot_be_said_says_why() {
    let desk = with_one_spirit();
    let path = "/api/conversations/barista/web%2Fana/reply";
    desk.answers("POST", path, 409, json!({"detail": "mia has it"}));
    desk.answers(
        "POST",
        path,
        422,
        json!({"detail": "the 24 hours are over\u{1b}[2J"}),
    );
    let told = said(&desk, &["reply", "web/ana", "hello"]).no(3);
    assert!(
        told.contains("mia has it") && told.contains("eywa takeover"),
        "{told}"
    );
    let told = said(&desk, &["reply", "web/ana", "hello"]).no(3);
    assert!(told.contains("the 24 hours are over\\x1b[2J"), "{told:?}");
    let told = run_with_input(at(&desk, &["reply", "web/ana"]), "\n").no(2);
    assert!(told.contains("nothing to say"), "{told}");
}

#[test]
fn a_rite_is_decided_once() {
    let desk = Desk::start();
    let rite = json!({
        "spirit": "barista", "id": "0a1b2c3d4e5f", "session": "web/ana", "action": "refund",
        "arguments": {"order": 7}, "phase": "Pending", "expiresAt": "2099-01-01T00:00:00Z",
    });
    desk.answers("GET", "/api/rites", 200, json!({"rites": [rite]}));
    let path = "/api/rites/barista/0a1b2c3d4e5f/decision";
    desk.answers("POST", path, 200, rite.clone());
    desk.answers("POST", path, 409, json!({"phase": "Consumed", "by": "mia"}));
    let listed = said(&desk, &["rites", "-o", "wide"]).ok();
    assert!(
        listed.contains("0a1b2c3d4e5f   barista") && listed.contains(r#"{"order":7}"#),
        "{listed}"
    );
    let out = said(&desk, &["approve", "0a1b2c3d4e5f", "--comment", "fine"]).ok();
    assert_eq!(out, "0a1b2c3d4e5f approved: refund of barista\n");
    assert_eq!(
        desk.asked("POST")[0].body,
        json!({"decision": "Approved", "comment": "fine"})
    );
    let told = said(&desk, &["deny", "barista-0a1b2c3d4e5f"]).no(3);
    assert!(told.contains("it is Consumed already, by mia"), "{told}");
    let told = said(&desk, &["deny", "nobody"]).no(1);
    assert!(told.contains("no Rite"), "{told}");
}

#[test]
fn a_trace_shows_the_steps_with_their_times() {
    let desk = with_one_spirit();
    let entry = json!({
        "pulse": "web/chat-7", "session": "web/ana", "spirit": "barista", "outcome": "answered",
        "received_at": "2026-01-01T10:00:00Z", "ended_at": "2026-01-01T10:00:01.25Z", "attempt": 1,
        "steps": [{"stage": "oracle", "name": "scripted", "started_us": 2100, "took_us": 1_200_000}],
    });
    desk.answers(
        "GET",
        "/api/pulses/barista/web%2Fchat-7",
        200,
        json!({"entries": [entry]}),
    );
    let out = said(&desk, &["trace", "web/chat-7"]).ok();
    assert!(
        out.contains("Outcome:  answered") && out.contains("+2.1ms   1.20s   oracle   scripted"),
        "{out}"
    );
    let told = said(&desk, &["trace", "web/unheard-of"]).no(1);
    assert!(told.contains("no Pulse"), "{told}");
}

/// A `watch` that runs. Killed when it is dropped.
struct Watching {
    child: Child,
    lines: mpsc::Receiver<String>,
    notes: mpsc::Receiver<String>,
}

impl Watching {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let notes = lines_of(child.stderr.take().unwrap());
        Self {
            child,
            lines,
            notes,
        }
    }

    #[track_caller]
    fn says(&self, wanted: &str) {
        let line = self.lines.recv_timeout(Duration::from_secs(20));
        assert_eq!(line.as_deref(), Ok(wanted));
    }

    /// On the other stream: which of two streams is read first is nobody's promise.
    #[track_caller]
    fn notes(&self, wanted: &str) {
        let note = self.notes.recv_timeout(Duration::from_secs(20));
        assert_eq!(note.as_deref(), Ok(wanted));
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (told, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = told.send(line);
        }
    });
    lines
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn echo(id: &str, kind: &str, text: &str) -> Value {
    json!({
        "spirit": "barista", "session": "web/ana",
        "echo": {"id": id, "at": "2026-01-01T10:00:00Z", "kind": kind, "spirit": "barista", "by": "mia", "text": text},
    })
}

#[test]
fn a_conversation_is_followed_across_a_lost_connection_and_nothing_is_shown_twice() {
    let desk = with_one_spirit();
    let past = |echoes: &[&Value]| {
        let echoes: Vec<&Value> = echoes.iter().map(|echo| &echo["echo"]).collect();
        json!({"conversation": conversation("Watching", None), "echoes": echoes})
    };
    let (first, second, third) = (
        echo("1", "user", "hello\u{1b}[2J"),
        echo("2", "agent", "Hello yourself."),
        echo("3", "human", "I am here."),
    );
    let path = "/api/conversations/barista/web%2Fana";
    desk.answers("GET", path, 200, past(&[&first]));
    desk.answers("GET", path, 200, past(&[&first, &second, &third]));
    let watching = Watching::start(at(&desk, &["watch", "web/ana"]));
    watching.says("10:00:00 ana: hello\\x1b[2J");
    desk.wait_for_stream(1);
    desk.tell("41", "echo", &first);
    desk.tell("42", "echo", &second);
    watching.says("10:00:00 barista: Hello yourself.");

    desk.hang_up();
    watching.notes("note: the connection is lost (the desk ended it); trying again");
    watching.says("10:00:00 mia: I am here.");
    watching.notes("note: the connection is back");
    desk.wait_for_stream(2);
    desk.tell("43", "echo", &echo("4", "took_over", ""));
    watching.says("10:00:00   — mia took the conversation —");
    let streams: Vec<_> = desk
        .asked("GET")
        .into_iter()
        .filter(|one| one.path == "/api/events")
        .collect();
    assert_eq!(streams[0].query, "spirit=barista&session=web%2Fana");
    assert_eq!(streams[1].last_event_id.as_deref(), Some("42"));
}

#[test]
fn all_conversations_are_followed_as_lines_of_json() {
    let desk = with_one_spirit();
    let watching = Watching::start(at(&desk, &["watch", "-o", "json"]));
    desk.wait_for_stream(1);
    let told = echo("1", "user", "hello");
    desk.tell("1", "echo", &told);
    let line = watching
        .lines
        .recv_timeout(Duration::from_secs(20))
        .unwrap();
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&read["type"], &read["echo"]),
        (&json!("echo"), &told["echo"])
    );
    desk.tell("2", "conversation", &conversation("Requested", None));
    let line = watching
        .lines
        .recv_timeout(Duration::from_secs(20))
        .unwrap();
    assert!(line.contains(r#""phase":"Requested""#), "{line}");
}

#[test]
fn a_watch_that_is_refused_ends_and_says_why() {
    let desk = with_one_spirit();
    let command = Person::new().eywa(&["watch", "--local", desk.url(), "--token", "another"]);
    let told = run(command).no(1);
    assert!(told.contains("does not know you"), "{told}");
}
