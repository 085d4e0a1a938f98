//! What every Inbox does.

use std::{sync::Arc, time::Duration};

use eywa_weave::{
    PulseId,
    ports::inbox::{
        Acceptance::{Duplicate, New},
        Delivery, Due, Inbox, Speech,
    },
};
use tokio::time::Instant;

use super::{LONG, SHORT, at_once, id, pulse, until};

macro_rules! inbox_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            inbox,
            $open,
            [
                an_id_is_new_once,
                an_id_that_is_offered_by_hundreds_at_once_is_new_to_one,
                batches_that_overlap_take_each_pulse_in_once,
                a_batch_that_repeats_itself_is_told_so,
                nothing_is_accepted_of_nothing,
                a_lease_that_runs_is_not_reclaimed,
                a_pulse_whose_lease_ended_comes_again_as_it_was,
                a_pulse_is_reclaimed_by_one_of_many,
                the_oldest_are_reclaimed_first_and_no_more_than_asked_for,
                one_that_is_asked_for_is_given_when_its_lease_has_ended_and_not_before,
                one_that_hundreds_ask_for_is_given_to_one,
                one_that_is_finished_or_unknown_is_gone,
                attempts_are_counted,
                a_lease_that_is_renewed_is_not_reclaimed,
                an_earlier_attempt_cannot_renew,
                a_finished_pulse_cannot_be_renewed,
                claiming_counts_no_attempt_and_keeps_the_order,
                claiming_leases_to_the_caller,
                how_far_speaking_came_outlives_the_attempt,
                a_finished_pulse_is_gone_and_its_id_remembered,
                finishing_twice_is_allowed,
                marking_a_finished_pulse_brings_nothing_back,
                the_depth_counts_and_knows_the_oldest,
            ]
        );
    };
}
pub(crate) use inbox_suite;

async fn put(inbox: &Arc<impl Inbox>, names: &[&str], lease: Duration) {
    let pulses: Vec<_> = names.iter().map(|name| pulse(name)).collect();
    assert_eq!(
        inbox.accept(&pulses, lease).await.unwrap(),
        vec![New; names.len()]
    );
}

async fn reclaimed(inbox: &Arc<impl Inbox>, lease: Duration) -> Vec<Delivery> {
    until("a lease to end", async || {
        Some(inbox.reclaim(9, lease).await.unwrap()).filter(|found| !found.is_empty())
    })
    .await
}

fn names(found: &[Delivery]) -> Vec<PulseId> {
    found
        .iter()
        .map(|delivery| delivery.pulse.id.clone())
        .collect()
}

fn ids(names: &[&str]) -> Vec<PulseId> {
    names.iter().map(|name| id(name)).collect()
}

pub async fn an_id_is_new_once(inbox: Arc<impl Inbox>) {
    assert_eq!(
        inbox.accept(&[pulse("a"), pulse("b")], LONG).await.unwrap(),
        [New, New]
    );
    assert_eq!(
        inbox.accept(&[pulse("b"), pulse("c")], LONG).await.unwrap(),
        [Duplicate, New]
    );
    assert_eq!(inbox.depth().await.unwrap().pulses, 3);
}

pub async fn an_id_that_is_offered_by_hundreds_at_once_is_new_to_one(
    inbox: Arc<impl Inbox + 'static>,
) {
    let said = at_once((0..300).map(|_| {
        let inbox = inbox.clone();
        async move { inbox.accept(&[pulse("a")], LONG).await.unwrap() }
    }));
    assert_eq!(
        said.await
            .into_iter()
            .flatten()
            .filter(|said| *said == New)
            .count(),
        1
    );
    assert_eq!(inbox.depth().await.unwrap().pulses, 1);
}

pub async fn batches_that_overlap_take_each_pulse_in_once(inbox: Arc<impl Inbox + 'static>) {
    let said = at_once((0..100).map(|n| {
        let inbox = inbox.clone();
        // Task n offers n to n + 9: each of 109 ids comes up to ten times.
        let pulses: Vec<_> = (n..n + 10).map(|name| pulse(&name.to_string())).collect();
        async move { inbox.accept(&pulses, LONG).await.unwrap() }
    }));
    assert_eq!(
        said.await
            .into_iter()
            .flatten()
            .filter(|said| *said == New)
            .count(),
        109
    );
    assert_eq!(inbox.depth().await.unwrap().pulses, 109);
}

pub async fn a_batch_that_repeats_itself_is_told_so(inbox: Arc<impl Inbox>) {
    let batch = [pulse("a"), pulse("b"), pulse("a")];
    assert_eq!(
        inbox.accept(&batch, LONG).await.unwrap(),
        [New, New, Duplicate]
    );
}

pub async fn nothing_is_accepted_of_nothing(inbox: Arc<impl Inbox>) {
    assert_eq!(inbox.accept(&[], LONG).await.unwrap(), []);
    assert!(inbox.claim(&[], LONG).await.unwrap().is_empty());
    assert!(inbox.reclaim(0, LONG).await.unwrap().is_empty());
    inbox.finish(&[]).await.unwrap();
}

pub async fn a_lease_that_runs_is_not_reclaimed(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a"], LONG).await;
    put(&inbox, &["b"], SHORT).await;
    let start = Instant::now();
    let found = reclaimed(&inbox, LONG).await;
    assert_eq!(names(&found), ids(&["b"]));
    assert!(start.elapsed() + Duration::from_millis(2) < LONG);
}

pub async fn a_pulse_whose_lease_ended_comes_again_as_it_was(inbox: Arc<impl Inbox>) {
    let start = Instant::now();
    put(&inbox, &["a"], SHORT).await;
    let found = reclaimed(&inbox, LONG).await;
    assert!(
        start.elapsed() + Duration::from_millis(2) >= SHORT,
        "the lease ended after {:?}",
        start.elapsed()
    );
    let [delivery] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(
        (&delivery.pulse, delivery.attempt, delivery.speech),
        (&pulse("a"), 2, Speech::Silent)
    );
}

pub async fn a_pulse_is_reclaimed_by_one_of_many(inbox: Arc<impl Inbox + 'static>) {
    let all: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    put(
        &inbox,
        &all.iter().map(String::as_str).collect::<Vec<_>>(),
        SHORT,
    )
    .await;
    let found = at_once((0..40).map(|_| {
        let inbox = inbox.clone();
        async move {
            let mut found = Vec::new();
            let start = Instant::now();
            while start.elapsed() < SHORT * 3 {
                found.append(&mut inbox.reclaim(3, LONG).await.unwrap());
                tokio::task::yield_now().await;
            }
            found
        }
    }));
    let mut found = names(&found.await.concat());
    found.sort();
    assert_eq!(found.len(), 50, "some came twice, or not at all");
    found.dedup();
    assert_eq!(found.len(), 50, "some came twice");
}

pub async fn the_oldest_are_reclaimed_first_and_no_more_than_asked_for(inbox: Arc<impl Inbox>) {
    put(&inbox, &["d", "b"], SHORT).await;
    put(&inbox, &["c"], SHORT).await;
    put(&inbox, &["a"], SHORT).await;
    // With a lease of nothing, what is reclaimed can be reclaimed again at once.
    until("all leases to end", async || {
        let found = inbox.reclaim(9, Duration::ZERO).await.unwrap();
        (found.len() == 4).then(|| assert_eq!(names(&found), ids(&["d", "b", "c", "a"])))
    })
    .await;
    let first = until("two leases to end", async || {
        let found = inbox.reclaim(2, LONG).await.unwrap();
        assert!(found.len() <= 2);
        (!found.is_empty()).then_some(names(&found))
    });
    assert_eq!(first.await, ids(&["d", "b"]));
    assert_eq!(names(&reclaimed(&inbox, LONG).await), ids(&["c", "a"]));
}

/// The Pulse, once its lease has ended.
async fn due(inbox: &Arc<impl Inbox>, name: &str, lease: Duration) -> Delivery {
    until("its lease to end", async || {
        match inbox.reclaim_one(&id(name), lease).await.unwrap() {
            Due::Yours(delivery) => Some(*delivery),
            Due::Leased(left) => {
                assert!(left > Duration::ZERO && left <= SHORT, "{left:?}");
                None
            }
            Due::Gone => panic!("{name} is gone"),
        }
    })
    .await
}

pub async fn one_that_is_asked_for_is_given_when_its_lease_has_ended_and_not_before(
    inbox: Arc<impl Inbox>,
) {
    let start = Instant::now();
    put(&inbox, &["a", "b"], SHORT).await;
    inbox.mark(&id("b"), Speech::Unknown).await.unwrap();
    let found = due(&inbox, "b", LONG).await;
    assert!(start.elapsed() + Duration::from_millis(2) >= SHORT);
    assert_eq!(
        (&found.pulse, found.attempt, found.speech),
        (&pulse("b"), 2, Speech::Unknown)
    );
    let again = inbox.reclaim_one(&id("b"), LONG).await.unwrap();
    assert!(
        matches!(again, Due::Leased(left) if left > SHORT && left <= LONG),
        "{again:?}"
    );
    assert!(!inbox.renew(&id("b"), 1, LONG).await.unwrap());
    assert!(inbox.renew(&id("b"), 2, LONG).await.unwrap());
    // The other was left where it was.
    assert_eq!(names(&reclaimed(&inbox, LONG).await), ids(&["a"]));
}

pub async fn one_that_hundreds_ask_for_is_given_to_one(inbox: Arc<impl Inbox + 'static>) {
    put(&inbox, &["a"], Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let found = at_once((0..200).map(|_| {
        let inbox = inbox.clone();
        async move { inbox.reclaim_one(&id("a"), LONG).await.unwrap() }
    }));
    let given = found.await;
    let given = given.iter().filter(|found| matches!(found, Due::Yours(_)));
    assert_eq!(given.count(), 1);
}

pub async fn one_that_is_finished_or_unknown_is_gone(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a"], Duration::from_millis(1)).await;
    inbox.finish(&ids(&["a"])).await.unwrap();
    for name in ["a", "never heard of"] {
        let found = inbox.reclaim_one(&id(name), LONG).await.unwrap();
        assert!(matches!(found, Due::Gone), "{found:?}");
    }
    assert_eq!(inbox.depth().await.unwrap().pulses, 0);
}

pub async fn attempts_are_counted(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a"], Duration::from_millis(1)).await;
    for attempt in 2..=5 {
        let found = reclaimed(&inbox, Duration::from_millis(1)).await;
        assert_eq!(found[0].attempt, attempt);
    }
}

pub async fn a_lease_that_is_renewed_is_not_reclaimed(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a", "b"], SHORT).await;
    assert!(inbox.renew(&id("a"), 1, LONG).await.unwrap());
    assert_eq!(names(&reclaimed(&inbox, LONG).await), ids(&["b"]));
    assert!(inbox.reclaim(9, LONG).await.unwrap().is_empty());
}

pub async fn an_earlier_attempt_cannot_renew(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a"], SHORT).await;
    reclaimed(&inbox, LONG).await;
    assert!(!inbox.renew(&id("a"), 1, LONG).await.unwrap());
    assert!(inbox.renew(&id("a"), 2, LONG).await.unwrap());
}

pub async fn a_finished_pulse_cannot_be_renewed(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a"], LONG).await;
    inbox.finish(&ids(&["a"])).await.unwrap();
    assert!(!inbox.renew(&id("a"), 1, LONG).await.unwrap());
    assert!(!inbox.renew(&id("never heard of"), 1, LONG).await.unwrap());
    assert_eq!(inbox.depth().await.unwrap().pulses, 0);
}

pub async fn claiming_counts_no_attempt_and_keeps_the_order(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a", "b", "c"], SHORT).await;
    inbox.finish(&ids(&["b"])).await.unwrap();
    inbox.mark(&id("c"), Speech::Unknown).await.unwrap();
    let found = inbox
        .claim(&ids(&["c", "b", "x", "a"]), LONG)
        .await
        .unwrap();
    assert_eq!(names(&found), ids(&["c", "a"]));
    assert!(
        found.iter().all(|delivery| delivery.attempt == 1),
        "{found:?}"
    );
    assert_eq!(
        (found[0].speech, found[1].speech),
        (Speech::Unknown, Speech::Silent)
    );
    assert_eq!(found[1].pulse, pulse("a"));
}

pub async fn claiming_leases_to_the_caller(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a", "b"], SHORT).await;
    inbox.claim(&ids(&["a"]), LONG).await.unwrap();
    assert_eq!(names(&reclaimed(&inbox, LONG).await), ids(&["b"]));
    assert_eq!(inbox.claim(&ids(&["b"]), LONG).await.unwrap()[0].attempt, 2);
}

pub async fn how_far_speaking_came_outlives_the_attempt(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a"], Duration::from_millis(1)).await;
    for speech in [Speech::Unknown, Speech::Spoken, Speech::Silent] {
        inbox.mark(&id("a"), speech).await.unwrap();
        assert_eq!(
            reclaimed(&inbox, Duration::from_millis(1)).await[0].speech,
            speech
        );
    }
}

pub async fn a_finished_pulse_is_gone_and_its_id_remembered(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a", "b"], Duration::from_millis(1)).await;
    inbox.finish(&ids(&["a"])).await.unwrap();
    assert_eq!(names(&reclaimed(&inbox, LONG).await), ids(&["b"]));
    assert!(inbox.claim(&ids(&["a"]), LONG).await.unwrap().is_empty());
    assert_eq!(
        inbox.accept(&[pulse("a")], LONG).await.unwrap(),
        [Duplicate]
    );
    assert_eq!(inbox.depth().await.unwrap().pulses, 1);
}

pub async fn finishing_twice_is_allowed(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a", "b"], LONG).await;
    inbox.finish(&ids(&["a"])).await.unwrap();
    inbox
        .finish(&ids(&["a", "never heard of", "b"]))
        .await
        .unwrap();
    assert_eq!(inbox.depth().await.unwrap().pulses, 0);
}

pub async fn marking_a_finished_pulse_brings_nothing_back(inbox: Arc<impl Inbox>) {
    put(&inbox, &["a"], Duration::from_millis(1)).await;
    inbox.finish(&ids(&["a"])).await.unwrap();
    inbox.mark(&id("a"), Speech::Spoken).await.unwrap();
    assert_eq!(inbox.depth().await.unwrap().pulses, 0);
    assert!(inbox.claim(&ids(&["a"]), LONG).await.unwrap().is_empty());
}

pub async fn the_depth_counts_and_knows_the_oldest(inbox: Arc<impl Inbox>) {
    assert_eq!(inbox.depth().await.unwrap(), Default::default());
    put(&inbox, &["a"], LONG).await;
    until("the oldest to grow old", async || {
        let oldest = inbox.depth().await.unwrap().oldest;
        assert!(oldest < LONG, "{oldest:?}");
        (oldest >= SHORT).then_some(())
    })
    .await;
    let before = Instant::now();
    put(&inbox, &["b"], LONG).await;
    assert_eq!(inbox.depth().await.unwrap().pulses, 2);
    inbox.finish(&ids(&["a"])).await.unwrap();
    let depth = inbox.depth().await.unwrap();
    assert_eq!(depth.pulses, 1);
    let at_most = before.elapsed() + Duration::from_millis(2);
    assert!(
        depth.oldest <= at_most,
        "the younger one is {:?} old, and was put {at_most:?} ago",
        depth.oldest
    );
}
