//! `eywa desk`: one page in front of other desks.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    Person,
    desk::{Desk, TOKEN},
};

/// An `eywa desk` that runs. Killed when it is dropped.
struct Front {
    child: Child,
    address: String,
    code: String,
}

/// What it answers.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Front {
    fn before(desk: &Desk) -> Self {
        let mut command = Person::new().eywa(&["desk", "--listen", "127.0.0.1:0"]);
        command.args(["--local", desk.url(), "--token", TOKEN]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let link = lines
            .find_map(|line| {
                line.unwrap()
                    .split_whitespace()
                    .nth(1)
                    .filter(|word| word.starts_with("http://"))
                    .map(ToOwned::to_owned)
            })
            .unwrap();
        let (address, code) = link
            .strip_prefix("http://")
            .and_then(|link| link.split_once("/#login="))
            .unwrap();
        Self {
            child,
            address: address.to_owned(),
            code: code.to_owned(),
        }
    }

    fn login(&self) -> String {
        let answer = self.ask(
            "POST",
            "/api/login",
            "",
            &json!({"code": self.code}).to_string(),
        );
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token: Value = serde_json::from_str(&answer.body).unwrap();
        format!(
            "Authorization: Bearer {}\r\n",
            token["token"].as_str().unwrap()
        )
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        self.ask_as(&self.address, method, path, headers, body)
    }

    /// Under this name of the server.
    fn ask_as(&self, host: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = self.open(host, method, path, headers, body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    fn open(&self, host: &str, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        stream
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn two_spirits() -> Desk {
    let desk = Desk::start();
    let silenced = json!([{"spirit": "billing", "session": "*", "by": "mia"}]);
    desk.answers(
        "GET",
        "/api/me",
        200,
        json!({"user": "ana", "spirits": ["barista", "billing"], "silenced": silenced}),
    );
    desk
}

#[test]
fn only_whoever_has_the_link_gets_in_and_the_link_works_once() {
    let desk = two_spirits();
    let front = Front::before(&desk);
    assert_eq!(front.ask("GET", "/api/me", "", "").status, 401);
    let bearer = front.login();
    let again = front.ask(
        "POST",
        "/api/login",
        "",
        &json!({"code": front.code}).to_string(),
    );
    assert_eq!(again.status, 401, "{}", again.body);
    let me = front.ask("GET", "/api/me", &bearer, "");
    assert_eq!(me.status, 200, "{}", me.body);
    assert!(
        me.body.contains(r#""spirits":["barista","billing"]"#),
        "{}",
        me.body
    );
    assert_eq!(me.body.matches(r#""by":"mia""#).count(), 1, "{}", me.body);
    // The token of the desk behind it is no token here.
    let theirs = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(front.ask("GET", "/api/me", &theirs, "").status, 401);
    let elsewhere = front.ask_as("evil.example", "GET", "/api/me", &bearer, "");
    assert_eq!(elsewhere.status, 421, "{}", elsewhere.body);
    let page = front.ask("GET", "/", "", "");
    assert!(
        page.status == 200
            && page
                .head
                .contains("content-security-policy: default-src 'none'"),
        "{}",
        page.head
    );
}

#[test]
fn lists_are_put_together_and_what_concerns_one_spirit_is_passed_on_as_it_is() {
    let desk = two_spirits();
    let one = |session: &str, at: &str| json!({"conversations": [{"session": session, "phase": "Watching", "lastAt": at}]});
    desk.answers(
        "GET",
        "/api/conversations",
        200,
        one("wa/1", "2026-01-01T10:00:00Z"),
    );
    desk.answers(
        "GET",
        "/api/conversations",
        200,
        one("wa/2", "2026-01-01T11:00:00Z"),
    );
    desk.answers("GET", "/api/rites", 200, json!({"rites": [{"id": "1"}]}));
    let path = "/api/conversations/barista/wa%2F1/takeover";
    desk.answers("POST", path, 409, json!({"title": "Conflict", "by": "mia"}));
    let front = Front::before(&desk);
    let bearer = front.login();
    let listed = front.ask("GET", "/api/conversations?phase=Watching", &bearer, "");
    let listed: Value = serde_json::from_str(&listed.body).unwrap();
    let order: Vec<&Value> = listed["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["session"])
        .collect();
    assert_eq!(order, ["wa/2", "wa/1"]);
    let rites = front.ask("GET", "/api/rites", &bearer, "");
    assert_eq!(rites.body.matches("\"id\"").count(), 2, "{}", rites.body);
    let refused = front.ask("POST", path, &bearer, r#"{"reason":"x"}"#);
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("mia"), "{}", refused.body);
    assert_eq!(desk.asked("POST")[0].body, json!({"reason": "x"}));
    let unknown = front.ask(
        "POST",
        "/api/conversations/nobody/wa%2F1/takeover",
        &bearer,
        "{}",
    );
    assert_eq!(unknown.status, 502, "{}", unknown.body);
}

#[test]
fn the_events_of_all_desks_are_one_stream_and_who_comes_back_looks_afresh() {
    let desk = two_spirits();
    let front = Front::before(&desk);
    let headers = front.login() + "Last-Event-ID: 7\r\n";
    let stream = front.open(&front.address, "GET", "/api/events", &headers, "");
    desk.wait_for_stream(2);
    desk.tell("1", "echo", &json!({"spirit": "barista"}));
    let mut seen: Vec<String> = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if line.starts_with("event:") {
            seen.push(line);
        }
        if seen.len() == 3 {
            break;
        }
    }
    assert_eq!(seen, ["event: resync", "event: echo", "event: echo"]);
}
