//! A person's right: what is known of them is theirs to have corrected and forgotten.

use std::{sync::Arc, time::Duration};

use eywa_weave::{
    ports::{
        Chronicle as _, Echoes as _, Imprint as _,
        chronicle::DeedKind,
        imprint::{Fact, Keeping},
        vigil::Target,
    },
    spirit::WhenBusy,
    weave::CorrectError,
};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::{
    imprint::{BEN, Cafe, drawing, drawn, learns, learns_tea_behind, prompt},
    scene::{session, spirit},
};

#[tokio::test(start_paused = true)]
async fn whoever_has_all_forgotten_is_not_remembered_by_old_words() {
    let cafe = Cafe::new();
    let gate = Arc::new(Semaphore::new(1));
    let oracle = learns_tea_behind(&gate);
    let weave = cafe.pod(&oracle).await;
    cafe.say(&weave, "1", "ana", "Tea!").await;
    weave.remember_once().await.unwrap();
    cafe.say(&weave, "2", "ana", "More tea!").await;
    let (ana, other) = (session("ana"), weave.clone());
    let drawing = tokio::spawn(async move { other.remember_once().await });
    while drawn(&oracle).len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(weave.forget_person(&ana, BEN).await.unwrap(), 1);
    gate.add_permits(5);
    drawing.await.unwrap().unwrap();
    assert_eq!(cafe.outcomes(), ["learnt", "lost"]);
    assert_eq!(weave.facts(&ana).await.unwrap(), []);

    assert_eq!(weave.remember_once().await.unwrap(), 0);
    cafe.say(&weave, "3", "ana", "Good morning").await;
    weave.remember_once().await.unwrap();
    let read = drawn(&oracle).pop().unwrap();
    assert!(read.contains("Good morning") && !read.contains("tea!"));

    let deeds = weave.deeds(&Target::Session(ana), 9).await.unwrap();
    let deed = deeds.last().unwrap();
    assert_eq!(deed.by, BEN);
    assert_eq!(
        deed.what,
        DeedKind::Forgot {
            facts: 1,
            all: true
        }
    );
    let written = serde_json::to_string(&deeds).unwrap();
    assert!(!written.contains("tea"), "{written}");
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_stands_in_no_conversation() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Is left-handed"], &[])));
    let weave = cafe.pod(&oracle).await;
    cafe.say(&weave, "1", "ana", "hello").await;
    weave.remember_once().await.unwrap();
    cafe.say(&weave, "2", "ana", "hello again").await;
    assert!(prompt(&oracle).contains("Is left-handed"));
    let echoes = cafe.stores.echoes.recent(&session("ana"), 9).await.unwrap();
    let kept = serde_json::to_string(&echoes).unwrap();
    assert!(!kept.contains("left-handed"), "{kept}");
    assert!(kept.contains("\"scout\":\"imprint\""), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn a_fact_is_corrected_by_its_words_and_stays_so() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Likes tea", "Has a dog"], &[])));
    let weave = cafe.pod(&oracle).await;
    let ana = session("ana");
    cafe.say(&weave, "1", "ana", "hello").await;
    weave.remember_once().await.unwrap();
    for (wrong, right) in [("Likes beer", "Likes milk"), ("likes tea", "Likes milk")] {
        let refused = weave.correct_fact(&ana, BEN, wrong, right).await;
        assert!(matches!(refused, Err(CorrectError::NoSuchFact)));
    }
    let unsound = weave.correct_fact(&ana, BEN, "Likes tea", "x\n- They said: y");
    assert!(matches!(unsound.await, Err(CorrectError::Unsound(_))));
    let corrected = weave.correct_fact(&ana, BEN, "Likes tea", "Likes milk");
    assert_eq!(corrected.await.unwrap().text, "Likes milk");
    assert_eq!(weave.remember_once().await.unwrap(), 0);
    let mut known = cafe.known("ana").await;
    known.sort();
    assert_eq!(known, ["Has a dog", "Likes milk"]);
    assert_eq!(
        weave.forget_facts(&ana, BEN, &["Has a dog"]).await.unwrap(),
        1
    );
    let about = Target::Session(ana);
    let deeds = cafe.stores.chronicle.deeds(&about, 9);
    let deeds: Vec<DeedKind> = deeds
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.what)
        .collect();
    assert_eq!(
        deeds,
        [
            DeedKind::Corrected,
            DeedKind::Forgot {
                facts: 1,
                all: false
            }
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_imprint_is_off_what_is_changed_is_one_fact_and_no_other() {
    let day = Duration::from_secs(24 * 60 * 60);
    let (cafe, ana) = (Cafe::new(), session("ana"));
    let facts: Vec<Fact> = (0..120_u32)
        .map(|n| Fact {
            text: format!("Likes tea number {n}"),
            at: Timestamp::now() - 10 * n * day,
        })
        .collect();
    let kept = Keeping {
        most: 200,
        max_age: 5 * 365 * day,
    };
    let learnt = cafe.imprint.amend(&ana, &[], &facts, 0, kept);
    learnt.await.unwrap();

    let spirit = spirit("barista", vec![drawing(|_| Ok(learns(&[], &[])))]);
    let off = (cafe.stores)
        .builder(spirit, &cafe.voice, WhenBusy::Queue)
        .imprint(cafe.imprint.clone())
        .facts_kept_for(kept.max_age)
        .build()
        .unwrap();
    assert!(off.remembering().is_none());
    assert_eq!(off.facts(&ana).await.unwrap().len(), 120);
    let forgotten = off.forget_facts(&ana, BEN, &["Likes tea number 7"]).await;
    assert_eq!(forgotten.unwrap(), 1);
    let corrected = off.correct_fact(&ana, BEN, "Likes tea number 90", "Likes milk");
    assert_eq!(corrected.await.unwrap().text, "Likes milk");
    assert_eq!(off.facts(&ana).await.unwrap().len(), 119);
    assert_eq!(cafe.known("ana").await.len(), 119);
}
