use std::time::Instant;

use eywa_weave::ports::vigil::Target;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    kubernetes::VIEWER,
    office::{Office, in_memory},
};

async fn list(office: &Office, query: &str) -> (Vec<String>, Option<String>) {
    let listing = office
        .read(&format!("/api/conversations?{query}"), VIEWER)
        .await;
    let sessions = listing["conversations"].as_array().unwrap().iter();
    (
        sessions
            .map(|one| one["session"].as_str().unwrap().to_owned())
            .collect(),
        listing["next"]
            .as_str()
            .map(|next| next.replace(' ', "%20")),
    )
}

fn target(session: &str) -> Target {
    session.parse().unwrap()
}

#[tokio::test]
async fn who_asks_for_a_human_comes_first_then_who_has_one_then_the_latest() {
    let (office, _) = Office::in_a_cluster().await;
    for name in ["a", "b", "c", "d", "e"] {
        let session = format!("web/{name}");
        office
            .heard(&session, "1", &name.to_uppercase(), "hi")
            .await;
    }
    let (vigil, now) = (&office.stores.vigil, Timestamp::now());
    vigil.request(&target("web/a"), "lost", now).await.unwrap();
    vigil.take_over(&target("web/b"), "ben", now).await.unwrap();
    vigil
        .request(&target("web/nobody-yet"), "", now)
        .await
        .unwrap();
    let (all, next) = list(&office, "").await;
    assert_eq!(
        all,
        [
            "web/a",
            "web/nobody-yet",
            "web/b",
            "web/e",
            "web/d",
            "web/c"
        ]
    );
    assert_eq!(next, None);

    // Page by page it is the same.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = list(&office, &format!("limit=2&cursor={cursor}")).await;
        assert!(page.len() <= 2);
        paged.extend(page);
        match next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(paged, all);

    for (phase, expected) in [
        ("Requested", vec!["web/a", "web/nobody-yet"]),
        ("Active", vec!["web/b"]),
        ("Watching", vec!["web/e", "web/d", "web/c"]),
        ("Released", vec![]),
    ] {
        assert_eq!(
            list(&office, &format!("phase={phase}")).await.0,
            expected,
            "{phase}"
        );
    }
}

#[tokio::test]
async fn a_conversation_is_shown_with_who_has_it_and_what_was_said_last() {
    let (office, _) = Office::in_a_cluster().await;
    assert_eq!(
        office.say("ana", "1", "two flat whites").await["text"],
        "at once"
    );
    let listing = office.read("/api/conversations", VIEWER).await;
    let shown = &listing["conversations"][0];
    assert_eq!(shown["session"], "web/ana");
    assert_eq!(
        shown["user"],
        json!({"id": "ana", "name": "ana of the cafe"})
    );
    assert_eq!(
        (&shown["phase"], &shown["voice"]),
        (&json!("Watching"), &json!("web"))
    );
    assert_eq!(
        (&shown["lastText"], &shown["lastFrom"]),
        (&json!("at once"), &json!("agent"))
    );
    assert_eq!(
        (&shown["answering"], &shown["pendingRites"]),
        (&json!(false), &json!(0))
    );

    let opened = office
        .read("/api/conversations/barista/web%2Fana", VIEWER)
        .await;
    assert_eq!(opened["conversation"], *shown);
    let kinds: Vec<&str> = opened["echoes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|echo| echo["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["user", "agent"]);
    let pulse = opened["echoes"][0]["pulse"]
        .as_str()
        .unwrap()
        .replace('/', "%2F");
    let told = office
        .read(&format!("/api/pulses/barista/{pulse}"), VIEWER)
        .await;
    assert_eq!(told["outcome"], "answered");
    assert!(!told["steps"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_long_conversation_is_read_backwards() {
    let (office, _) = Office::in_a_cluster().await;
    for n in 0..25 {
        office.heard("web/ana", &n.to_string(), "Ana", "hi").await;
    }
    let path = "/api/conversations/barista/web%2Fana";
    let ids = |page: &Value| -> Vec<String> {
        let echoes = page["echoes"].as_array().unwrap().iter();
        echoes
            .map(|echo| echo["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = office.read(&format!("{path}?limit=10"), VIEWER).await;
    let mut read = ids(&first);
    let mut older = first["older"].as_str().map(str::to_owned);
    while let Some(before) = older {
        let page = office
            .read(&format!("{path}/echoes?before={before}&limit=10"), VIEWER)
            .await;
        read.splice(0..0, ids(&page));
        older = page["older"].as_str().map(str::to_owned);
    }
    let expected: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn ten_thousand_conversations_are_listed_and_searched_quickly() {
    let kubernetes = crate::kubernetes::Kubernetes::start().await;
    let office = Office::open(kubernetes.access(), in_memory()).await;
    for n in 0..10_000 {
        let (session, name) = (format!("web/{n:05}"), format!("Person {n}"));
        office.heard(&session, "1", &name, "hello").await;
    }
    let began = Instant::now();
    let (page, next) = list(&office, "limit=50").await;
    assert_eq!((page.len(), page[0].as_str()), (50, "web/09999"));
    let (second, _) = list(&office, &format!("limit=50&cursor={}", next.unwrap())).await;
    assert_eq!(second[0], "web/09949");
    assert_eq!(list(&office, "q=web/00007").await.0, ["web/00007"]);
    assert_eq!(
        list(&office, "q=PERSON%2042").await.0.len(),
        50,
        "by name, in any case"
    );
    assert_eq!(list(&office, "q=nobody").await, (vec![], None));
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
