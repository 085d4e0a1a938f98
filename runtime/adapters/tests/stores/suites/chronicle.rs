//! What every Chronicle does.

use std::sync::Arc;

use eywa_adapters::chronicle::NEWEST;
use eywa_weave::{
    SessionKey,
    names::SpiritName,
    observe::Stage,
    ports::{
        chronicle::{Chronicle, Deed, DeedKind, Entry, Step},
        oracle::Usage,
        vigil::{ReleaseReason, Target},
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
                what_people_did_comes_back_oldest_first_and_once,
                deeds_about_everyone_are_not_a_sessions,
                many_deeds_keep_the_newest,
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
        sources: vec!["menu.md".to_owned()],
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
            cache_write: 0,
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

fn deed(about: &Target, at: i64, what: DeedKind) -> Deed {
    Deed {
        id: format!("{at}-deed"),
        about: about.clone(),
        at: Timestamp::from_millisecond(1_700_000_000_000 + at).unwrap(),
        by: "ana@cafe.example".into(),
        what,
    }
}

pub async fn what_people_did_comes_back_oldest_first_and_once(chronicle: Arc<impl Chronicle>) {
    let about = Target::Session(ana());
    assert_eq!(chronicle.deeds(&about, 10).await.unwrap(), []);
    let echo = "human-1".to_owned();
    let (rite, decision) = ("r1".to_owned(), "Approved".to_owned());
    let reason = ReleaseReason::User;
    let all = [
        deed(&about, 1, DeedKind::TookOver),
        deed(&about, 2, DeedKind::Replied { echo }),
        deed(&about, 3, DeedKind::Decided { rite, decision }),
        deed(&about, 4, DeedKind::GaveBack { reason }),
    ];
    for deed in [&all[1], &all[0], &all[3], &all[2], &all[0], &all[3]] {
        chronicle.did(deed).await.unwrap();
    }
    assert_eq!(chronicle.deeds(&about, 10).await.unwrap(), all);
    assert_eq!(chronicle.deeds(&about, 2).await.unwrap(), all[2..]);
    assert_eq!(chronicle.deeds(&about, 0).await.unwrap(), []);
}

pub async fn deeds_about_everyone_are_not_a_sessions(chronicle: Arc<impl Chronicle>) {
    let targets = [
        Target::Everyone,
        Target::Session(ana()),
        Target::Session(ben()),
    ];
    for (at, about) in (1..).zip(&targets) {
        chronicle
            .did(&deed(about, at, DeedKind::TookOver))
            .await
            .unwrap();
    }
    for (at, about) in (1..).zip(&targets) {
        let expected = [deed(about, at, DeedKind::TookOver)];
        assert_eq!(chronicle.deeds(about, 10).await.unwrap(), expected);
    }
}

pub async fn many_deeds_keep_the_newest(chronicle: Arc<impl Chronicle>) {
    let about = Target::Session(ana());
    let most = i64::try_from(NEWEST).unwrap();
    for at in 1..=most + 3 {
        chronicle
            .did(&deed(&about, at, DeedKind::TookOver))
            .await
            .unwrap();
    }
    let deeds = chronicle.deeds(&about, NEWEST + 10).await.unwrap();
    assert_eq!(deeds.len(), NEWEST);
    assert_eq!(deeds[0], deed(&about, 4, DeedKind::TookOver));
}
