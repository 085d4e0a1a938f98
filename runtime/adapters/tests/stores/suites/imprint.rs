//! What every Imprint does.

use std::{sync::Arc, time::Duration};

use eywa_weave::{
    SessionKey,
    ports::imprint::{Claim, Fact, Imprint, Keeping, Lesson},
};
use jiff::Timestamp;

use super::{LONG, SHORT, ana, at_once, ben, until};

macro_rules! imprint_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            imprint,
            $open,
            [
                nothing_is_known_of_a_stranger,
                the_latest_fact_comes_first,
                a_fact_that_is_known_is_made_new,
                the_oldest_facts_are_dropped,
                what_was_not_learnt_again_for_long_is_dropped,
                a_person_of_whom_nothing_was_learnt_for_long_is_forgotten,
                what_is_to_be_forgotten_is_forgotten,
                a_fact_is_kept_as_it_was_said,
                all_of_a_person_is_forgotten_at_once,
                people_are_kept_apart,
                the_first_to_advance_begins_and_the_others_know_that_they_were_slower,
                what_is_due_is_claimed_by_one,
                a_claim_is_given_to_another_when_its_lease_has_ended,
                a_claim_that_is_put_off_comes_back_with_its_attempts_or_anew,
                what_was_read_is_known_at_the_next_claim,
                a_conversation_of_which_there_is_more_to_read_stays_due,
                a_conversation_that_is_due_again_is_nobodys_claim,
                whoever_forgets_has_the_last_word,
                what_is_due_is_claimed_in_order_and_at_most_so_many,
            ]
        );
    };
}
pub(crate) use imprint_suite;

const KEEPING: Keeping = Keeping {
    most: 9,
    max_age: Duration::from_secs(365 * 24 * 60 * 60),
};

/// A fact of so many seconds after a time not long ago.
fn fact(text: &str, at: i64) -> Fact {
    let now = Timestamp::now().as_second() - 1000;
    // One base for all facts of a test, however long it takes.
    let base = now - now % 10_000;
    Fact {
        text: text.to_owned(),
        at: Timestamp::from_second(base + at).unwrap(),
    }
}

async fn known(imprint: &Arc<impl Imprint>, of: &SessionKey) -> Vec<String> {
    let facts = imprint.facts(of).await.unwrap();
    facts.into_iter().map(|fact| fact.text).collect()
}

async fn learn(imprint: &Arc<impl Imprint>, facts: &[Fact], keeping: Keeping) {
    imprint.amend(&ana(), &[], facts, 0, keeping).await.unwrap();
}

/// These are due from now on.
async fn finish(imprint: &Arc<impl Imprint>, due: &[SessionKey]) {
    let before = imprint.progress().await.unwrap();
    let before = before.map(|before| before.reached);
    let to = before.map_or(1, |before| before + 1);
    assert!(imprint.advance(before, to, due).await.unwrap());
}

async fn claim(imprint: &Arc<impl Imprint>, token: &str, lease: Duration) -> Option<Claim> {
    imprint.claim(token, 1, lease).await.unwrap().pop()
}

fn lesson(learn: &[Fact], heard: u64) -> Lesson<'_> {
    Lesson {
        learn,
        heard,
        ..Lesson::default()
    }
}

pub async fn nothing_is_known_of_a_stranger(imprint: Arc<impl Imprint>) {
    assert_eq!(imprint.facts(&ana()).await.unwrap(), []);
    assert_eq!(imprint.erase(&ana(), 0).await.unwrap(), 0);
    assert_eq!(
        imprint
            .amend(&ana(), &["likes tea"], &[], 0, KEEPING)
            .await
            .unwrap(),
        0
    );
    assert_eq!(imprint.progress().await.unwrap(), None);
    assert_eq!(claim(&imprint, "a", LONG).await, None);
}

pub async fn the_latest_fact_comes_first(imprint: Arc<impl Imprint>) {
    learn(&imprint, &[fact("likes tea", 1)], KEEPING).await;
    let more = [fact("has a dog", 3), fact("lives in Porto", 2)];
    learn(&imprint, &more, KEEPING).await;
    let facts = imprint.facts(&ana()).await.unwrap();
    assert_eq!(
        facts,
        [
            fact("has a dog", 3),
            fact("lives in Porto", 2),
            fact("likes tea", 1)
        ]
    );
}

pub async fn a_fact_that_is_known_is_made_new(imprint: Arc<impl Imprint>) {
    let facts = [fact("likes tea", 1), fact("has a dog", 2)];
    learn(&imprint, &facts, KEEPING).await;
    learn(&imprint, &[fact("likes tea", 3)], KEEPING).await;
    assert_eq!(
        imprint.facts(&ana()).await.unwrap(),
        [fact("likes tea", 3), fact("has a dog", 2)]
    );
}

pub async fn the_oldest_facts_are_dropped(imprint: Arc<impl Imprint>) {
    let keeping = Keeping { most: 3, ..KEEPING };
    for n in 0..10 {
        learn(&imprint, &[fact(&n.to_string(), n)], keeping).await;
    }
    assert_eq!(known(&imprint, &ana()).await, ["9", "8", "7"]);
}

pub async fn what_was_not_learnt_again_for_long_is_dropped(imprint: Arc<impl Imprint>) {
    let long_ago = Fact {
        text: "likes tea".to_owned(),
        at: Timestamp::from_second(1_500_000_000).unwrap(),
    };
    let facts = [long_ago, fact("has a dog", 1)];
    learn(&imprint, &facts, KEEPING).await;
    assert_eq!(known(&imprint, &ana()).await, ["has a dog"]);
}

pub async fn a_person_of_whom_nothing_was_learnt_for_long_is_forgotten(imprint: Arc<impl Imprint>) {
    let now = Fact {
        text: "likes tea".to_owned(),
        at: Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap(),
    };
    let keeping = Keeping {
        max_age: SHORT,
        ..KEEPING
    };
    learn(&imprint, &[now], keeping).await;
    // A store may forget by itself; at the latest it does when something is written.
    until("the fact to be old", async || {
        learn(&imprint, &[], keeping).await;
        known(&imprint, &ana()).await.is_empty().then_some(())
    })
    .await;
}

pub async fn what_is_to_be_forgotten_is_forgotten(imprint: Arc<impl Imprint>) {
    let facts = [fact("a", 1), fact("b", 2), fact("c", 3)];
    learn(&imprint, &facts, KEEPING).await;
    let forget = ["a", "c", "never heard of"];
    let forgotten = imprint
        .amend(&ana(), &forget, &[fact("d", 4)], 0, KEEPING)
        .await
        .unwrap();
    assert_eq!(forgotten, 2);
    assert_eq!(known(&imprint, &ana()).await, ["d", "b"]);
}

pub async fn a_fact_is_kept_as_it_was_said(imprint: Arc<impl Imprint>) {
    let odd = fact("said \"🥐\" & 'ü' \\ % 100.0\u{0} 甲", 1);
    learn(&imprint, std::slice::from_ref(&odd), KEEPING).await;
    let kept = imprint.facts(&ana()).await.unwrap();
    assert_eq!(kept, std::slice::from_ref(&odd));
    let forget = [odd.text.as_str()];
    let forgotten = imprint.amend(&ana(), &forget, &[], 0, KEEPING).await;
    assert_eq!(forgotten.unwrap(), 1);
}

pub async fn all_of_a_person_is_forgotten_at_once(imprint: Arc<impl Imprint>) {
    finish(&imprint, &[]).await;
    learn(&imprint, &[fact("a", 1), fact("b", 2)], KEEPING).await;
    finish(&imprint, &[ana()]).await;
    assert_eq!(imprint.erase(&ana(), 7).await.unwrap(), 2);
    assert_eq!(imprint.facts(&ana()).await.unwrap(), []);
    assert_eq!(
        claim(&imprint, "a", LONG).await,
        None,
        "what was due is not any more"
    );
    finish(&imprint, &[ana()]).await;
    let claim = claim(&imprint, "b", LONG).await.unwrap();
    assert_eq!(claim.heard, 7, "old words are not drawn from again");
    assert_eq!(imprint.erase(&ana(), 7).await.unwrap(), 0);
}

pub async fn people_are_kept_apart(imprint: Arc<impl Imprint>) {
    finish(&imprint, &[]).await;
    learn(&imprint, &[fact("a", 1)], KEEPING).await;
    assert_eq!(imprint.facts(&ben()).await.unwrap(), []);
    finish(&imprint, &[ana(), ben()]).await;
    imprint.erase(&ben(), 0).await.unwrap();
    assert_eq!(known(&imprint, &ana()).await, ["a"]);
    let claims = imprint.claim("a", 9, LONG).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].session, ana());
}

pub async fn the_first_to_advance_begins_and_the_others_know_that_they_were_slower(
    imprint: Arc<impl Imprint + 'static>,
) {
    let before = Timestamp::now().as_millisecond();
    assert!(
        !imprint.advance(Some(1), 5, &[ana()]).await.unwrap(),
        "nobody has begun"
    );
    assert!(imprint.advance(None, 5, &[]).await.unwrap());
    assert!(!imprint.advance(None, 6, &[ana()]).await.unwrap());
    let progress = imprint.progress().await.unwrap().unwrap();
    assert_eq!((progress.reached, progress.waiting), (5, 0));
    // A store on this machine may tell the time a little differently.
    assert!((before - 1000..before + 60_000).contains(&progress.since.as_millisecond()));
    let large = 1_795_401_000_123_457;
    let raced = at_once((0..8).map(|_| {
        let imprint = Arc::clone(&imprint);
        async move { imprint.advance(Some(5), large, &[ana()]).await.unwrap() }
    }))
    .await;
    assert_eq!(raced.into_iter().filter(|won| *won).count(), 1);
    let after = imprint.progress().await.unwrap().unwrap();
    assert_eq!((after.reached, after.waiting), (large, 1));
    assert_eq!(after.since, progress.since);
}

pub async fn what_is_due_is_claimed_by_one(imprint: Arc<impl Imprint + 'static>) {
    finish(&imprint, &[]).await;
    finish(&imprint, &[ana()]).await;
    let claims = at_once((0..8).map(|pod| {
        let imprint = Arc::clone(&imprint);
        async move { imprint.claim(&pod.to_string(), 9, LONG).await.unwrap() }
    }))
    .await;
    let claims: Vec<Claim> = claims.into_iter().flatten().collect();
    assert_eq!(claims.len(), 1);
    let facts = [fact("likes tea", 1)];
    let concluded = imprint.conclude(&claims[0], lesson(&facts, 3), KEEPING);
    assert!(concluded.await.unwrap());
    assert_eq!(known(&imprint, &ana()).await, ["likes tea"]);
    assert_eq!(imprint.progress().await.unwrap().unwrap().waiting, 0);
    let facts = [fact("x", 2)];
    let again = imprint.conclude(&claims[0], lesson(&facts, 3), KEEPING);
    assert!(!again.await.unwrap(), "it is over");
    assert_eq!(known(&imprint, &ana()).await, ["likes tea"]);
}

pub async fn a_claim_is_given_to_another_when_its_lease_has_ended(imprint: Arc<impl Imprint>) {
    finish(&imprint, &[]).await;
    finish(&imprint, &[ana()]).await;
    let dead = claim(&imprint, "dead", SHORT).await.unwrap();
    assert_eq!(dead.attempt, 1);
    let other = until("the lease to end", async || {
        claim(&imprint, "other", LONG).await
    })
    .await;
    assert_eq!(other.attempt, 2);
    let facts = [fact("late", 1)];
    let late = imprint.conclude(&dead, lesson(&facts, 3), KEEPING);
    assert!(!late.await.unwrap());
    assert!(!imprint.put_off(&dead, LONG, false).await.unwrap());
    assert_eq!(imprint.facts(&ana()).await.unwrap(), []);
    assert!(
        imprint
            .conclude(&other, lesson(&[], 3), KEEPING)
            .await
            .unwrap()
    );
}

pub async fn a_claim_that_is_put_off_comes_back_with_its_attempts_or_anew(
    imprint: Arc<impl Imprint>,
) {
    finish(&imprint, &[]).await;
    finish(&imprint, &[ana()]).await;
    let first = claim(&imprint, "a", LONG).await.unwrap();
    assert!(imprint.put_off(&first, SHORT, false).await.unwrap());
    let late = imprint.conclude(&first, lesson(&[], 3), KEEPING).await;
    assert!(!late.unwrap(), "it was given back");
    let second = until("it to be due", async || claim(&imprint, "b", LONG).await).await;
    assert_eq!(second.attempt, 2);
    assert!(imprint.put_off(&second, SHORT, true).await.unwrap());
    let third = until("it to be due", async || claim(&imprint, "c", LONG).await).await;
    assert_eq!(third.attempt, 1);
    assert!(imprint.put_off(&third, LONG, true).await.unwrap());
    assert_eq!(claim(&imprint, "d", LONG).await, None);
}

pub async fn what_was_read_is_known_at_the_next_claim(imprint: Arc<impl Imprint>) {
    finish(&imprint, &[]).await;
    finish(&imprint, &[ana()]).await;
    let first = claim(&imprint, "a", LONG).await.unwrap();
    assert_eq!(first.heard, 0);
    let heard = 12_345_678_901;
    let concluded = imprint.conclude(&first, lesson(&[], heard), KEEPING).await;
    assert!(concluded.unwrap());
    finish(&imprint, &[ana()]).await;
    let second = claim(&imprint, "b", LONG).await.unwrap();
    assert_eq!((second.heard, second.attempt), (heard, 1));
}

pub async fn a_conversation_of_which_there_is_more_to_read_stays_due(imprint: Arc<impl Imprint>) {
    finish(&imprint, &[]).await;
    finish(&imprint, &[ana()]).await;
    let first = claim(&imprint, "a", LONG).await.unwrap();
    let facts = [fact("a", 1)];
    let more = Lesson {
        more: true,
        ..lesson(&facts, 5)
    };
    assert!(imprint.conclude(&first, more, KEEPING).await.unwrap());
    let second = claim(&imprint, "b", LONG).await.unwrap();
    assert_eq!((second.heard, second.attempt), (5, 1));
    let forget = Lesson {
        forget: &["a"],
        ..lesson(&[], 6)
    };
    assert!(imprint.conclude(&second, forget, KEEPING).await.unwrap());
    assert_eq!(imprint.facts(&ana()).await.unwrap(), []);
}

pub async fn a_conversation_that_is_due_again_is_nobodys_claim(imprint: Arc<impl Imprint>) {
    finish(&imprint, &[]).await;
    finish(&imprint, &[ana()]).await;
    let first = claim(&imprint, "a", LONG).await.unwrap();
    finish(&imprint, &[ana()]).await;
    let facts = [fact("a", 1)];
    let late = imprint.conclude(&first, lesson(&facts, 5), KEEPING);
    assert!(!late.await.unwrap(), "more was said than it has read");
    let second = claim(&imprint, "b", LONG).await.unwrap();
    assert_eq!(second.heard, 0);
}

pub async fn whoever_forgets_has_the_last_word(imprint: Arc<impl Imprint>) {
    finish(&imprint, &[]).await;
    for (token, erase) in [("a", true), ("b", false)] {
        finish(&imprint, &[ana()]).await;
        let drawing = claim(&imprint, token, LONG).await.unwrap();
        if erase {
            imprint.erase(&ana(), 9).await.unwrap();
        } else {
            imprint
                .amend(&ana(), &["x"], &[], 9, KEEPING)
                .await
                .unwrap();
        }
        let facts = [fact("a", 1)];
        let late = imprint.conclude(&drawing, lesson(&facts, 5), KEEPING);
        assert!(!late.await.unwrap());
        assert_eq!(imprint.facts(&ana()).await.unwrap(), []);
        assert_eq!(claim(&imprint, "later", LONG).await, None);
    }
}

pub async fn what_is_due_is_claimed_in_order_and_at_most_so_many(imprint: Arc<impl Imprint>) {
    finish(&imprint, &[]).await;
    let people: Vec<SessionKey> = (0..5)
        .map(|n| SessionKey::new("wa", format!("p{n}")))
        .collect();
    for person in &people {
        finish(&imprint, std::slice::from_ref(person)).await;
        // Times are whole milliseconds.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let claims = imprint.claim("a", 3, LONG).await.unwrap();
    let claimed: Vec<&SessionKey> = claims.iter().map(|claim| &claim.session).collect();
    assert_eq!(claimed, [&people[0], &people[1], &people[2]]);
    let rest = imprint.claim("b", 9, LONG).await.unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(imprint.progress().await.unwrap().unwrap().waiting, 5);
}
