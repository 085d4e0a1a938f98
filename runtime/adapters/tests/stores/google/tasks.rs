//! An Inbox with alarms at Cloud Tasks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eywa_adapters::{
    google::{GoogleTokens, IdTokens},
    inbox::{Alarm, InMemoryInbox, TaskEvent, TaskPushes, TaskQueue, TaskSite, TasksInbox},
};
use eywa_weave::ports::{Inbox, inbox::Acceptance};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    client,
    cloud_tasks::{ACCOUNT, CloudTasks, QUEUE},
    identity,
};
use crate::suites::{self, LONG, SHORT, id, pulse, until};

const URL: &str = "https://barista.cafe.example/tasks/barista";

fn queue(tasks: &CloudTasks, url: &str) -> TaskQueue {
    let site = TaskSite {
        base_url: tasks.url.parse().unwrap(),
        queue: QUEUE.to_owned(),
        url: url.to_owned(),
        account: ACCOUNT.to_owned(),
        audience: URL.to_owned(),
        namespace: "cafe".to_owned(),
        spirit: "barista".to_owned(),
        push_within: Duration::from_secs(150),
    };
    let tokens = GoogleTokens::of_key(&identity::key()).unwrap();
    TaskQueue::new(client(), tokens, site)
}

/// An Inbox, and what became of its alarms.
struct Opened {
    tasks: CloudTasks,
    inbox: Arc<TasksInbox>,
    events: Arc<Mutex<Vec<TaskEvent>>>,
}

async fn opened() -> Opened {
    let tasks = CloudTasks::start().await;
    let events: Arc<Mutex<Vec<TaskEvent>>> = Arc::default();
    let heard = Arc::clone(&events);
    // What goes off is told to nobody who would do anything.
    let queue = queue(&tasks, &format!("{}/nowhere", tasks.url));
    let count = move |event| heard.lock().unwrap().push(event);
    let inbox = TasksInbox::new(Arc::new(InMemoryInbox::new()), queue, count);
    Opened {
        tasks,
        inbox: Arc::new(inbox),
        events,
    }
}

impl Opened {
    /// Waits for so many events.
    async fn events(&self, count: usize) -> Vec<TaskEvent> {
        until("what becomes of the alarms", async || {
            let events = self.events.lock().unwrap().clone();
            (events.len() >= count).then_some(events)
        })
        .await
    }
}

mod in_memory {
    use super::*;

    // The stand-in lives as long as the inbox that is given to each behaviour.
    suites::inbox_suite!(async || {
        let opened = opened().await;
        let inbox = Arc::clone(&opened.inbox);
        Box::leak(Box::new(opened));
        inbox
    });
}

#[cfg(feature = "inbox-redis")]
mod redis {
    use eywa_adapters::inbox::RedisInbox;

    use super::*;

    suites::inbox_suite!(async || {
        let tasks = Box::leak(Box::new(CloudTasks::start().await));
        let record = RedisInbox::new(crate::redis::spirit().await);
        let queue = queue(tasks, &format!("{}/nowhere", tasks.url));
        Arc::new(TasksInbox::new(Arc::new(record), queue, |_| {}))
    });
}

#[tokio::test]
async fn each_pulse_has_one_alarm_that_is_due_when_its_lease_ends() {
    let tasks = CloudTasks::start().await;
    let inbox = TasksInbox::new(Arc::new(InMemoryInbox::new()), queue(&tasks, URL), |_| {});
    let offered = [pulse("5511999990000"), pulse("b"), pulse("b")];
    inbox.accept(&offered, LONG).await.unwrap();
    assert_eq!(
        inbox.accept(&offered[..1], LONG).await.unwrap(),
        [Acceptance::Duplicate]
    );
    let found = until("two alarms", async || {
        let tasks = tasks.queue().tasks.clone();
        (tasks.len() == 2).then_some(tasks)
    })
    .await;
    let found: BTreeMap<String, Value> = found
        .into_values()
        .map(|standing| {
            let body = STANDARD.decode(standing.task["httpRequest"]["body"].as_str().unwrap());
            let alarm = Alarm::read(&body.unwrap()).unwrap();
            assert_eq!(alarm.nth, 0);
            (alarm.pulse.to_string(), standing.task)
        })
        .collect();
    let task = &found["wa/5511999990000"];
    let name = task["name"].as_str().unwrap();
    assert!(!name.contains("5511") && name.ends_with("-0"), "{name}");
    let due: Timestamp = task["scheduleTime"].as_str().unwrap().parse().unwrap();
    let left = due.duration_since(Timestamp::now());
    assert!(left > SignedDuration::from_secs(570) && left <= LONG.try_into().unwrap());
    assert_eq!(task["dispatchDeadline"], "150s");
    let request = &task["httpRequest"];
    assert_eq!(
        (&request["url"], &request["httpMethod"]),
        (&json!(URL), &json!("POST"))
    );
    assert_eq!(
        request["oidcToken"],
        json!({"serviceAccountEmail": ACCOUNT, "audience": URL})
    );
    assert_eq!(tasks.queue().requests.len(), 2);
}

#[tokio::test]
async fn the_alarm_of_a_finished_pulse_is_taken_back() {
    let opened = opened().await;
    opened.inbox.accept(&[pulse("a")], LONG).await.unwrap();
    assert_eq!(opened.events(1).await, [TaskEvent::Created]);
    opened.inbox.finish(&[id("a")]).await.unwrap();
    assert_eq!(opened.events(2).await[1], TaskEvent::Deleted);
    assert!(opened.tasks.queue().tasks.is_empty());
    // Finishing twice costs nothing more.
    opened
        .inbox
        .finish(&[id("a"), id("never heard of")])
        .await
        .unwrap();
    assert_eq!(opened.tasks.queue().requests.len(), 2);
}

#[tokio::test]
async fn a_pulse_that_is_finished_while_its_alarm_is_set_leaves_none() {
    let opened = opened().await;
    // Nothing has been sent when this returns: that is for a task of its own.
    opened.inbox.accept(&[pulse("a")], LONG).await.unwrap();
    opened.inbox.finish(&[id("a")]).await.unwrap();
    assert_eq!(
        opened.events(2).await,
        [TaskEvent::Created, TaskEvent::Deleted]
    );
    assert!(opened.tasks.queue().tasks.is_empty());
}

#[tokio::test]
async fn an_alarm_that_went_off_is_not_asked_for_again() {
    let opened = opened().await;
    opened.inbox.accept(&[pulse("a")], SHORT).await.unwrap();
    until("the alarm to go off", async || {
        (!opened.tasks.queue().pushes.is_empty()).then_some(())
    })
    .await;
    opened.inbox.finish(&[id("a")]).await.unwrap();
    assert_eq!(opened.events(1).await, [TaskEvent::Created]);
    assert_eq!(opened.tasks.queue().requests.len(), 1);
}

#[tokio::test]
async fn a_pulse_whose_alarm_cannot_be_set_is_accepted_and_a_sweep_sets_it() {
    let opened = opened().await;
    opened.tasks.queue().failures.extend([
        (503, "UNAVAILABLE"),
        (429, "RESOURCE_EXHAUSTED"),
        (403, "PERMISSION_DENIED"),
    ]);
    let said = opened.inbox.accept(&[pulse("a")], LONG).await.unwrap();
    assert_eq!(said, [Acceptance::New]);
    let events = until("the alarm to be set", async || {
        assert!(opened.inbox.reclaim(9, LONG).await.unwrap().is_empty());
        let events = opened.events.lock().unwrap().clone();
        (events.last() == Some(&TaskEvent::Created)).then_some(events)
    })
    .await;
    assert_eq!(events[..3], [TaskEvent::Failed; 3]);
    assert_eq!(events.len(), 4);
    // Pauses grow: the sweeps of these seconds have asked four times, not hundreds.
    assert_eq!(opened.tasks.queue().requests.len(), 4);
}

#[tokio::test]
async fn nobody_waits_for_google() {
    let opened = opened().await;
    opened.tasks.queue().deaf = true;
    let asked = std::time::Instant::now();
    for n in 0..100 {
        let name = n.to_string();
        opened.inbox.accept(&[pulse(&name)], LONG).await.unwrap();
        opened.inbox.reclaim(9, LONG).await.unwrap();
        opened.inbox.finish(&[id(&name)]).await.unwrap();
    }
    assert!(asked.elapsed() < Duration::from_secs(2));
    // No more than a few ask at a time.
    assert!(opened.tasks.queue().requests.len() <= 32);
}

#[tokio::test]
async fn setting_the_next_alarm_twice_is_fine_and_a_refusal_says_what_to_do() {
    let tasks = CloudTasks::start().await;
    let queue = queue(&tasks, URL);
    let keys = format!("{}/certs", tasks.url).parse().unwrap();
    let pushes = TaskPushes::new(IdTokens::new(client(), keys, ACCOUNT, URL), queue);
    let alarm = Alarm {
        pulse: id("a"),
        nth: 0,
    };
    pushes.again(&alarm, LONG).await.unwrap();
    pushes.again(&alarm, LONG).await.unwrap();
    let names: Vec<String> = tasks.queue().tasks.keys().cloned().collect();
    assert!(names.len() == 1 && names[0].ends_with("-1"), "{names:?}");
    for (status, name, says) in [
        (403, "PERMISSION_DENIED", "roles/cloudtasks.enqueuer"),
        (404, "NOT_FOUND", "is there a queue"),
        (401, "UNAUTHENTICATED", "credentials"),
        (400, "INVALID_ARGUMENT", "belong together"),
        (503, "UNAVAILABLE", "HTTP 503"),
    ] {
        tasks.queue().failures.push_back((status, name));
        let error = pushes.again(&alarm, LONG).await.unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(name), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
    let header = format!("Bearer {}", tasks.token(URL));
    assert_eq!(pushes.check(Some(&header)).await, Ok(()));
    let elsewhere = format!("Bearer {}", tasks.token("https://elsewhere.example"));
    assert!(pushes.check(Some(&elsewhere)).await.is_err());
}

#[tokio::test]
async fn a_burst_of_pulses_gets_all_its_alarms_without_a_sweep() {
    let opened = opened().await;
    let pulses: Vec<_> = (0..300).map(|n| pulse(&n.to_string())).collect();
    opened.inbox.accept(&pulses, LONG).await.unwrap();
    let events = opened.events(300).await;
    assert!(events.iter().all(|event| *event == TaskEvent::Created));
    assert_eq!(opened.tasks.queue().tasks.len(), 300);
}
