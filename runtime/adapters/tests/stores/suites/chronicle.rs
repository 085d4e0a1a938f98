//! What every Chronicle does.

use std::sync::Arc;

use eywa_adapters::chronicle::NEWEST;
use eywa_weave::{
    SessionKey,
    names::SpiritName,
    observe::Stage,
    ports::{
        chronicle::{Chronicle, Entry, Step},
        oracle::Usage,
    },
    pulse::Outcome,
};
use jiff::Timestamp;

use super::{ana, at_once, ben, id};

macro_rules! chronicle_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            chronicle,
            $open,
            [
                a_pulse_that_never_was_has_no_entries,
                an_entry_comes_back_as_it_was,
                a_pulse_has_every_entry_of_it_oldest_first,
                the_last_entries_of_a_session_are_read_and_no_more,
                sessions_are_kept_apart,
                nothing_is_lost_when_many_append_at_once,
                a_long_session_keeps_its_newest,
            ]
        );
    };
}
pub(crate) use chronicle_suite;

fn entry(name: &str, session: SessionKey, outcome: Outcome) -> Entry {
    let at = |micros: i64| Timestamp::from_microsecond(1_700_000_000_000_000 + micros).unwrap();
    let step = |stage, name: &str| Step {
        stage,
        name: name.to_owned(),
        outcome: String::new(),
        started_us: 7,
        took_us: u64::from(u32::MAX) + 1,
    };
    Entry {
        pulse: id(name),
        session,
        spirit: SpiritName::from("barista"),
        outcome,
        reason: "because \"…\"".to_owned(),
        received_at: at(1),
        ended_at: at(2_000_003),
        attempt: 2,
        steps: vec![step(Stage::Bond, ""), step(Stage::Oracle, "gpt-5-mini")],
        usage: Usage {
            input: 12,
            output: 3,
            cached: 4,
        },
    }
}

pub async fn a_pulse_that_never_was_has_no_entries(chronicle: Arc<impl Chronicle>) {
    assert_eq!(chronicle.of_pulse(&id("a")).await.unwrap(), []);
    assert_eq!(chronicle.of_session(&ana(), 9).await.unwrap(), []);
}

pub async fn an_entry_comes_back_as_it_was(chronicle: Arc<impl Chronicle>) {
    for outcome in Outcome::ALL {
        chronicle
            .append(&entry(outcome.as_str(), ana(), outcome))
            .await
            .unwrap();
    }
    for outcome in Outcome::ALL {
        let written = entry(outcome.as_str(), ana(), outcome);
        assert_eq!(chronicle.of_pulse(&written.pulse).await.unwrap(), [written]);
    }
}

pub async fn a_pulse_has_every_entry_of_it_oldest_first(chronicle: Arc<impl Chronicle>) {
    let outcomes = [Outcome::Answered, Outcome::Duplicate, Outcome::Duplicate];
    for outcome in outcomes {
        chronicle.append(&entry("a", ana(), outcome)).await.unwrap();
        chronicle.append(&entry("b", ana(), outcome)).await.unwrap();
    }
    let found = chronicle.of_pulse(&id("a")).await.unwrap();
    assert_eq!(
        found.iter().map(|entry| entry.outcome).collect::<Vec<_>>(),
        outcomes
    );
    assert!(found.iter().all(|entry| entry.pulse == id("a")));
}

pub async fn the_last_entries_of_a_session_are_read_and_no_more(chronicle: Arc<impl Chronicle>) {
    for n in 0..10 {
        chronicle
            .append(&entry(&n.to_string(), ana(), Outcome::Answered))
            .await
            .unwrap();
    }
    let found = chronicle.of_session(&ana(), 3).await.unwrap();
    assert_eq!(
        found
            .into_iter()
            .map(|entry| entry.pulse)
            .collect::<Vec<_>>(),
        [id("7"), id("8"), id("9")]
    );
    assert_eq!(chronicle.of_session(&ana(), 0).await.unwrap(), []);
}

pub async fn sessions_are_kept_apart(chronicle: Arc<impl Chronicle>) {
    chronicle
        .append(&entry("a", ana(), Outcome::Answered))
        .await
        .unwrap();
    assert_eq!(chronicle.of_session(&ben(), 9).await.unwrap(), []);
    chronicle
        .append(&entry("b", ben(), Outcome::Busy))
        .await
        .unwrap();
    assert_eq!(
        chronicle.of_session(&ana(), 9).await.unwrap(),
        [entry("a", ana(), Outcome::Answered)]
    );
}

pub async fn nothing_is_lost_when_many_append_at_once(chronicle: Arc<impl Chronicle + 'static>) {
    at_once((0..100).map(|n| {
        let chronicle = chronicle.clone();
        async move {
            chronicle
                .append(&entry(&n.to_string(), ana(), Outcome::Answered))
                .await
                .unwrap();
        }
    }))
    .await;
    assert_eq!(
        chronicle
            .of_session(&ana(), usize::MAX)
            .await
            .unwrap()
            .len(),
        100
    );
}

pub async fn a_long_session_keeps_its_newest(chronicle: Arc<impl Chronicle>) {
    for n in 0..NEWEST + 5 {
        chronicle
            .append(&entry(&n.to_string(), ana(), Outcome::Answered))
            .await
            .unwrap();
    }
    let kept = chronicle.of_session(&ana(), usize::MAX).await.unwrap();
    assert_eq!(kept.len(), NEWEST);
    assert_eq!(
        kept.last().map(|entry| entry.pulse.clone()),
        Some(id(&(NEWEST + 4).to_string()))
    );
}
