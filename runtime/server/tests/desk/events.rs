use std::time::Duration;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    kubernetes::{ATTENDANT, Kubernetes, VIEWER},
    office::Office,
    server::RedisServer,
};

const WITHIN: Duration = Duration::from_secs(20);

/// A stream of events that is being read.
struct Events {
    bytes: futures::stream::BoxStream<'static, Vec<u8>>,
    read: String,
    last_id: Option<String>,
}

impl Events {
    async fn open(office: &Office, query: &str, last_id: Option<&str>) -> Self {
        let path = format!("/api/events{query}");
        let mut request = office.request(Method::GET, &path, VIEWER);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let bytes = response.bytes_stream().map(|part| part.unwrap().to_vec());
        Self {
            bytes: bytes.boxed(),
            read: String::new(),
            last_id: None,
        }
    }

    /// The next event; comments are passed over.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.read = rest;
                let field = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.split_once(": "));
                    lines
                        .filter(|(field, _)| *field == name)
                        .map(|(_, value)| value.to_owned())
                        .next()
                };
                if let (Some(name), Some(data)) = (field("event"), field("data")) {
                    self.last_id = field("id");
                    return (name, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let part = self.bytes.next().await.expect("the stream ended");
            self.read.push_str(&String::from_utf8(part).unwrap());
        }
    }

    /// The next event of this name for which this holds.
    async fn until(&mut self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let found = timeout(WITHIN, async {
            loop {
                let (event, data) = self.next().await;
                if event == name && holds(&data) {
                    return data;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited for {name}"))
    }
}

async fn two_on_one_redis() -> (Office, Office, RedisServer) {
    let (redis, kubernetes) = (RedisServer::start(), Kubernetes::start().await);
    let here = Office::on_redis(kubernetes.access(), &redis).await;
    let there = Office::on_redis(kubernetes.access(), &redis).await;
    (here, there, redis)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_in_one_pod_is_seen_at_the_desk_of_another() {
    let (here, there, _redis) = two_on_one_redis().await;
    here.say("ana", "0", "before").await;
    let mut events = Events::open(&there, "", None).await;
    // Until the feed follows, nothing is told.
    let mut n = 0;
    loop {
        n += 1;
        here.say("ben", &format!("b{n}"), "hi").await;
        if let Ok((name, _)) = timeout(Duration::from_secs(2), events.next()).await {
            assert!(["echo", "conversation"].contains(&name.as_str()));
            break;
        }
    }

    here.say("ana", "1", "two flat whites").await;
    let said = events
        .until("echo", |said| {
            said["session"] == "web/ana" && said["echo"]["kind"] == "user"
        })
        .await;
    assert_eq!(said["echo"]["text"], "two flat whites");
    let answered = |said: &Value| said["session"] == "web/ana" && said["echo"]["kind"] == "agent";
    events.until("echo", answered).await;
    let shown = events
        .until("conversation", |shown| {
            shown["session"] == "web/ana" && shown["lastText"] == "at once"
        })
        .await;
    assert_eq!(shown["phase"], "Watching");

    // A reply that takes its time shows as being written.
    let slow = async { here.say("ana", "2", "slow").await };
    let typing = events.until("conversation", |shown| {
        shown["session"] == "web/ana" && shown["answering"] == true
    });
    let (_, _) = tokio::join!(slow, typing);

    let path = "/api/conversations/barista/web%2Fana/takeover";
    assert_eq!(here.post(path, ATTENDANT, json!({})).await.status(), 200);
    let taken = events
        .until("conversation", |shown| {
            shown["session"] == "web/ana" && shown["phase"] == "Active"
        })
        .await;
    assert_eq!(taken["by"], "ana@cafe.example");

    let path = "/api/spirits/barista/takeover";
    assert_eq!(here.post(path, ATTENDANT, json!({})).await.status(), 200);
    events
        .until("conversation", |shown| {
            shown["session"] == "*" && shown["by"] == "ana@cafe.example"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_comes_back_is_told_what_they_missed() {
    let (here, there, _redis) = two_on_one_redis().await;
    let mut events = Events::open(&here, "?spirit=barista&session=web/ana", None).await;
    let mut n = 0;
    let last_id = loop {
        n += 1;
        here.say("ana", &format!("a{n}"), "hi").await;
        if timeout(Duration::from_secs(2), events.next()).await.is_ok() {
            break events.last_id.clone().unwrap();
        }
    };
    drop(events);
    here.say("ana", "missed", "did you hear me?").await;
    here.say("ben", "other", "somebody else").await;
    let mut events = Events::open(&there, "?session=web/ana", Some(&last_id)).await;
    let missed = events
        .until("echo", |said| {
            assert_eq!(said["session"], "web/ana", "only what was asked for");
            said["echo"]["text"] == "did you hear me?"
        })
        .await;
    assert_eq!(missed["spirit"], "barista");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_missed_too_much_is_told_to_look_afresh() {
    let (office, _) = Office::in_a_cluster().await;
    for n in 0..150 {
        office
            .heard(&format!("web/{n}"), "1", "Somebody", "hi")
            .await;
    }
    let mut events = Events::open(&office, "", Some("1")).await;
    let (name, _) = timeout(WITHIN, events.next()).await.unwrap();
    assert_eq!(name, "resync");
}
