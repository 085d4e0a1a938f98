//! What stores keep is shared by pods of two releases while one replaces the other: what one has written the other reads,
//! and loses nothing that it has to know. Fields may be added, and no field goes.

use std::fmt::Debug;

use eywa_weave::{
    Echo, Pulse,
    echo::EchoBody,
    ports::{
        chronicle::{Deed, Entry},
        echoes::Glimpse,
        imprint::Fact,
        memory::{Heard, Recollection},
        rite::Rite,
        vigil::Watch,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// As 0.1 writes it. A change that makes this fail needs a release in between that reads both.
fn written_by_0_1<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &Value) -> T {
    let read = |value: &Value| {
        serde_json::from_value::<T>(value.clone())
            .unwrap_or_else(|error| panic!("{error}: {value}"))
    };
    let known = read(value);
    let rewritten = serde_json::to_value(&known).unwrap_or_else(|error| panic!("{error}: {value}"));
    assert_eq!(
        &rewritten, value,
        "a pod of 0.1 would miss something, or read it otherwise"
    );

    let mut newer = value.clone();
    newer["added_by_the_next_release"] = json!({"deep": [1, 2]});
    assert_eq!(read(&newer), known, "{newer}");
    known
}

const AT: &str = "2026-01-02T03:04:05.678Z";

fn pulse() -> Value {
    json!({
        "id": "wa/wamid.1",
        "session": "wa/5511999990000",
        "user": {"id": "5511999990000", "name": "Ana"},
        "content": {
            "text": "a flat white, please",
            "attachments": [{"id": "media.1", "media_type": "image/jpeg", "file_name": "cup.jpg"}],
            "quotes": "wamid.0",
        },
        "received_at": AT,
        "reply_to": {"to": "5511999990000", "message": "wamid.1"},
    })
}

fn result() -> Value {
    json!({"call": "call.1", "name": "order", "content": "ordered", "failed": true})
}

#[test]
fn a_pulse() {
    let read: Pulse = written_by_0_1(&pulse());
    assert_eq!(read.content.attachments[0].media, None);
    let mut resumed = pulse();
    resumed["resumes"] = json!("rite-1");
    written_by_0_1::<Pulse>(&resumed);
}

#[test]
fn an_echo_of_every_kind() {
    for body in [
        json!({
            "kind": "user", "name": "Ana", "text": "hi",
            "attachments": [{"id": "media.1", "media_type": "image/jpeg"}],
            "findings": [{"scout": "menu", "text": "Cortado: 3.20"}],
        }),
        json!({
            "kind": "agent", "spirit": "barista", "text": "one moment",
            "calls": [{"id": "call.1", "name": "order", "arguments": {"what": "cortado"}, "sealed": "c2VhbA=="}],
        }),
        json!({"kind": "tools", "results": [result()]}),
        json!({"kind": "human", "by": "ana@cafe.example", "text": "hello"}),
        json!({
            "kind": "rite", "rite": "rite-1", "standing": "Denied", "by": "ana@cafe.example", "comment": "not today",
            "result": result(),
        }),
        json!({"kind": "took_over", "by": "ana@cafe.example"}),
        json!({"kind": "gave_back", "by": "", "reason": "Idle"}),
    ] {
        let mut echo = json!({"id": "wa/wamid.1#1", "at": AT, "pulse": "wa/wamid.1"});
        echo.as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        let echo: Echo = written_by_0_1(&echo);
        assert!(!matches!(echo.body, EchoBody::Newer), "{echo:?}");
    }
}

/// The conversation goes on without it, in a pod that does not know it.
#[test]
fn an_echo_of_a_kind_that_the_next_release_adds() {
    let echo = json!({"id": "wa/wamid.1#2", "at": AT, "kind": "danced", "steps": [{"left": 1}], "text": 7});
    let echo: Echo = serde_json::from_value(echo).unwrap();
    assert_eq!(
        (echo.id.as_str(), &echo.body),
        ("wa/wamid.1#2", &EchoBody::Newer)
    );
    let turns = eywa_weave::weave::history::Turns::of(std::slice::from_ref(&echo));
    assert!(turns.as_slice().is_empty());
    assert!(
        serde_json::to_value(&echo).is_err(),
        "it would be written as less than it was"
    );
}

#[test]
fn an_entry_of_the_chronicle_and_a_deed() {
    written_by_0_1::<Entry>(&json!({
        "pulse": "wa/wamid.1", "session": "wa/5511999990000", "spirit": "barista", "outcome": "answered",
        "reason": "the first model was busy", "received_at": AT, "ended_at": AT, "attempt": 1,
        "steps": [{
            "stage": "scout", "name": "lore", "outcome": "found", "started_us": 12, "took_us": 34, "sources": ["menu.md"],
        }],
        "usage": {"input": 10, "output": 2, "cached": 3, "cache_write": 1},
    }));
    for what in [
        json!({"deed": "took_over"}),
        json!({"deed": "replied", "echo": "reply-1"}),
        json!({"deed": "gave_back", "reason": "Human"}),
        json!({"deed": "decided", "rite": "rite-1", "decision": "Approved"}),
    ] {
        let mut deed = json!({"id": "deed-1", "about": "wa/5511999990000", "at": AT, "by": "ana@cafe.example"});
        deed.as_object_mut()
            .unwrap()
            .extend(what.as_object().unwrap().clone());
        written_by_0_1::<Deed>(&deed);
    }
}

#[test]
fn what_is_known_of_a_session_and_a_person() {
    written_by_0_1::<Recollection>(
        &json!({"spirit": "barista", "variables": {"milk": "oat", "cups": 2}}),
    );
    written_by_0_1::<Heard>(&json!({
        "pulse": "wa/wamid.1", "at": AT, "user": {"id": "5511999990000"}, "reply_to": {"to": "5511999990000"},
    }));
    written_by_0_1::<Fact>(&json!({"text": "drinks oat milk", "at": AT}));
    written_by_0_1::<Glimpse>(&json!({"at": AT, "from": "agent", "text": "one moment"}));
}

#[test]
fn a_vigil_and_a_rite() {
    written_by_0_1::<Watch>(&json!({
        "phase": "Released", "by": "ana@cafe.example", "since": AT, "requested_at": AT, "request_reason": "a refund",
        "last_pulse_at": AT, "unanswered": 2, "released_at": AT, "released_by": "ana@cafe.example", "release_reason": "User",
    }));
    written_by_0_1::<Rite>(&json!({
        "asked": {
            "id": "rite-1", "session": "wa/5511999990000", "pulse": pulse(), "spirit": "barista", "generation": 3,
            "call": {"id": "call.1", "name": "order", "arguments": {"what": "cortado"}}, "key": "key-1",
            "redact": ["/card"], "asked_at": AT, "expires_at": AT,
        },
        "standing": "Consumed",
        "verdict": {"approved": true, "by": "ana@cafe.example", "comment": "", "at": AT},
        "outcome": "Succeeded",
        "settled_at": AT,
    }));
}
