//! What every Vigil does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use eywa_weave::{
    SessionKey, StoreError,
    ports::{
        bond::Fence,
        vigil::{Permit, Phase, ReleaseReason, Target, Vigil, Watch},
    },
};
use jiff::Timestamp;

use super::{LONG, SHORT, ana, ben, id, until};

macro_rules! vigil_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            vigil,
            $open,
            [
                nobody_watches_at_first,
                a_spirit_asks_for_a_human_once,
                asking_for_a_human_who_is_there_changes_nothing,
                taking_over_is_active_when_nobody_speaks,
                settling_what_nobody_takes_over_changes_nothing,
                taking_over_twice_keeps_the_first_unless_nobody_was_named,
                nobody_begins_to_speak_against_a_human,
                becoming_active_waits_for_the_one_who_speaks,
                a_permit_that_is_not_given_back_ends_by_itself,
                a_permit_of_a_lost_bond_is_waited_for_too,
                an_older_bond_may_not_speak,
                an_older_bond_cannot_end_a_newer_ones_permit,
                giving_back_lets_the_spirit_speak,
                giving_back_what_no_human_has_changes_nothing,
                unanswered_pulses_are_counted_once_while_a_human_has_it,
                a_humans_answer_leaves_nothing_unanswered,
                why_it_was_given_back_is_kept_until_the_next_takeover,
                a_new_takeover_counts_from_zero,
                a_takeover_of_everyone_silences_every_session,
                a_takeover_of_everyone_waits_for_every_session,
                the_takeover_of_everyone_holds_before_the_sessions_own,
                pulses_are_counted_for_everyone_as_well,
                times_are_kept_to_the_millisecond,
                nobody_speaks_once_a_session_is_active,
                nobody_speaks_once_everyone_is_active,
                what_people_have_or_are_asked_to_take_is_listed,
            ]
        );
    };
}
pub(crate) use vigil_suite;

const BY: &str = "ana@cafe.example";

fn at(n: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + n).unwrap()
}

fn own() -> Target {
    Target::Session(ana())
}

async fn speaks(vigil: &Arc<impl Vigil>, session: &SessionKey, fence: u64, time: Duration) {
    assert_eq!(
        vigil
            .begin_speaking(session, Fence(fence), time)
            .await
            .unwrap(),
        Permit::Granted
    );
}

/// Takes over, and becomes active at once.
async fn takes(vigil: &Arc<impl Vigil>, target: &Target) -> Watch {
    assert_eq!(
        vigil.take_over(target, BY, at(1)).await.unwrap().phase,
        Phase::TakingOver
    );
    let watch = vigil.settle(target, at(2)).await.unwrap();
    assert_eq!(watch.phase, Phase::Active);
    watch
}

pub async fn nobody_watches_at_first(vigil: Arc<impl Vigil>) {
    assert_eq!(vigil.watch(&ana()).await.unwrap(), Watch::default());
    assert_eq!(vigil.state(&own()).await.unwrap(), Watch::default());
    assert_eq!(
        vigil.state(&Target::Everyone).await.unwrap(),
        Watch::default()
    );
    speaks(&vigil, &ana(), 1, LONG).await;
}

pub async fn a_spirit_asks_for_a_human_once(vigil: Arc<impl Vigil>) {
    let asked = vigil
        .request(&own(), "the person is angry", at(1))
        .await
        .unwrap();
    let expected = Watch {
        phase: Phase::Requested,
        requested_at: Some(at(1)),
        request_reason: "the person is angry".into(),
        ..Watch::default()
    };
    assert_eq!(asked, expected);
    assert_eq!(
        vigil.request(&own(), "again", at(2)).await.unwrap(),
        expected
    );
    assert_eq!(vigil.watch(&ana()).await.unwrap(), expected);
    // The Spirit answers until the human is there.
    speaks(&vigil, &ana(), 1, LONG).await;
}

pub async fn asking_for_a_human_who_is_there_changes_nothing(vigil: Arc<impl Vigil>) {
    let active = takes(&vigil, &own()).await;
    assert_eq!(vigil.request(&own(), "again", at(3)).await.unwrap(), active);
    vigil
        .release(&own(), BY, ReleaseReason::Human, at(4))
        .await
        .unwrap();
    assert_eq!(
        vigil.request(&own(), "again", at(5)).await.unwrap().phase,
        Phase::Requested
    );
}

pub async fn taking_over_is_active_when_nobody_speaks(vigil: Arc<impl Vigil>) {
    vigil.request(&own(), "help", at(0)).await.unwrap();
    let active = takes(&vigil, &own()).await;
    let expected = Watch {
        phase: Phase::Active,
        by: BY.into(),
        since: Some(at(1)),
        requested_at: Some(at(0)),
        request_reason: "help".into(),
        ..Watch::default()
    };
    assert_eq!(active, expected);
    assert_eq!(vigil.settle(&own(), at(9)).await.unwrap(), expected);
    assert_eq!(vigil.watch(&ana()).await.unwrap(), expected);
}

pub async fn settling_what_nobody_takes_over_changes_nothing(vigil: Arc<impl Vigil>) {
    assert_eq!(
        vigil.settle(&own(), at(1)).await.unwrap().phase,
        Phase::Watching
    );
    vigil.request(&own(), "help", at(2)).await.unwrap();
    assert_eq!(
        vigil.settle(&own(), at(3)).await.unwrap().phase,
        Phase::Requested
    );
}

pub async fn taking_over_twice_keeps_the_first_unless_nobody_was_named(vigil: Arc<impl Vigil>) {
    let active = takes(&vigil, &own()).await;
    assert_eq!(
        vigil
            .take_over(&own(), "ben@cafe.example", at(5))
            .await
            .unwrap(),
        active
    );
    let everyone = Target::Everyone;
    assert_eq!(vigil.take_over(&everyone, "", at(1)).await.unwrap().by, "");
    let named = vigil.take_over(&everyone, BY, at(5)).await.unwrap();
    assert_eq!(
        (named.by.as_str(), named.since, named.phase),
        (BY, Some(at(1)), Phase::TakingOver)
    );
}

pub async fn nobody_begins_to_speak_against_a_human(vigil: Arc<impl Vigil>) {
    let taking = vigil.take_over(&own(), BY, at(1)).await.unwrap();
    assert_eq!(
        vigil.begin_speaking(&ana(), Fence(1), LONG).await.unwrap(),
        Permit::Human(taking)
    );
    let active = vigil.settle(&own(), at(2)).await.unwrap();
    assert_eq!(active.phase, Phase::Active);
    assert_eq!(
        vigil.begin_speaking(&ana(), Fence(1), LONG).await.unwrap(),
        Permit::Human(active)
    );
    speaks(&vigil, &ben(), 1, LONG).await;
}

pub async fn becoming_active_waits_for_the_one_who_speaks(vigil: Arc<impl Vigil>) {
    speaks(&vigil, &ana(), 1, LONG).await;
    vigil.take_over(&own(), BY, at(1)).await.unwrap();
    assert_eq!(
        vigil.settle(&own(), at(2)).await.unwrap().phase,
        Phase::TakingOver
    );
    vigil.end_speaking(&ana(), Fence(1)).await.unwrap();
    assert_eq!(
        vigil.settle(&own(), at(3)).await.unwrap().phase,
        Phase::Active
    );
}

pub async fn a_permit_that_is_not_given_back_ends_by_itself(vigil: Arc<impl Vigil>) {
    speaks(&vigil, &ana(), 1, SHORT).await;
    speaks(&vigil, &ben(), 1, LONG).await;
    vigil.take_over(&own(), BY, at(1)).await.unwrap();
    until("the permit to end", async || {
        (vigil.settle(&own(), at(2)).await.unwrap().phase == Phase::Active).then_some(())
    })
    .await;
    let bens = Target::Session(ben());
    vigil.take_over(&bens, BY, at(1)).await.unwrap();
    assert_eq!(
        vigil.settle(&bens, at(2)).await.unwrap().phase,
        Phase::TakingOver
    );
}

pub async fn a_permit_of_a_lost_bond_is_waited_for_too(vigil: Arc<impl Vigil>) {
    speaks(&vigil, &ana(), 1, LONG).await;
    speaks(&vigil, &ana(), 2, LONG).await;
    vigil.end_speaking(&ana(), Fence(2)).await.unwrap();
    for target in [own(), Target::Everyone] {
        vigil.take_over(&target, BY, at(1)).await.unwrap();
        assert_eq!(
            vigil.settle(&target, at(2)).await.unwrap().phase,
            Phase::TakingOver,
            "{target}"
        );
    }
    vigil.end_speaking(&ana(), Fence(1)).await.unwrap();
    for target in [own(), Target::Everyone] {
        assert_eq!(
            vigil.settle(&target, at(2)).await.unwrap().phase,
            Phase::Active,
            "{target}"
        );
    }
}

pub async fn an_older_bond_may_not_speak(vigil: Arc<impl Vigil>) {
    speaks(&vigil, &ana(), 10, LONG).await;
    vigil.end_speaking(&ana(), Fence(10)).await.unwrap();
    let refused = vigil.begin_speaking(&ana(), Fence(9), LONG).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Fenced {
                offered: Fence(9),
                newest: Fence(10)
            })
        ),
        "{refused:?}"
    );
    takes(&vigil, &own()).await;
    speaks(&vigil, &ben(), 1, LONG).await;
}

pub async fn an_older_bond_cannot_end_a_newer_ones_permit(vigil: Arc<impl Vigil>) {
    speaks(&vigil, &ana(), 2, LONG).await;
    vigil.end_speaking(&ana(), Fence(1)).await.unwrap();
    vigil.take_over(&own(), BY, at(1)).await.unwrap();
    assert_eq!(
        vigil.settle(&own(), at(2)).await.unwrap().phase,
        Phase::TakingOver
    );
}

pub async fn giving_back_lets_the_spirit_speak(vigil: Arc<impl Vigil>) {
    takes(&vigil, &own()).await;
    let released = vigil
        .release(&own(), "ben@cafe.example", ReleaseReason::Human, at(5))
        .await
        .unwrap();
    let expected = Watch {
        phase: Phase::Released,
        by: BY.into(),
        since: Some(at(1)),
        released_at: Some(at(5)),
        released_by: "ben@cafe.example".into(),
        release_reason: Some(ReleaseReason::Human),
        ..Watch::default()
    };
    assert_eq!(released, expected);
    assert_eq!(vigil.watch(&ana()).await.unwrap(), expected);
    speaks(&vigil, &ana(), 1, LONG).await;
}

pub async fn giving_back_what_no_human_has_changes_nothing(vigil: Arc<impl Vigil>) {
    assert_eq!(
        vigil
            .release(&own(), BY, ReleaseReason::Human, at(1))
            .await
            .unwrap(),
        Watch::default()
    );
    let asked = vigil.request(&own(), "help", at(1)).await.unwrap();
    assert_eq!(
        vigil
            .release(&own(), BY, ReleaseReason::Human, at(2))
            .await
            .unwrap(),
        asked
    );
    // And one that is being taken over is given back.
    vigil.take_over(&own(), BY, at(3)).await.unwrap();
    assert_eq!(
        vigil
            .release(&own(), BY, ReleaseReason::Human, at(4))
            .await
            .unwrap()
            .phase,
        Phase::Released
    );
}

pub async fn unanswered_pulses_are_counted_once_while_a_human_has_it(vigil: Arc<impl Vigil>) {
    vigil.note(&ana(), &id("before"), at(0)).await.unwrap();
    assert_eq!(vigil.state(&own()).await.unwrap(), Watch::default());
    takes(&vigil, &own()).await;
    vigil.note(&ana(), &id("a"), at(3)).await.unwrap();
    vigil.note(&ana(), &id("b"), at(4)).await.unwrap();
    vigil.note(&ana(), &id("a"), at(5)).await.unwrap();
    vigil.note(&ben(), &id("c"), at(6)).await.unwrap();
    let watch = vigil.watch(&ana()).await.unwrap();
    assert_eq!((watch.unanswered, watch.last_pulse_at), (2, Some(at(4))));
}

pub async fn a_humans_answer_leaves_nothing_unanswered(vigil: Arc<impl Vigil>) {
    vigil.answered(&ana()).await.unwrap();
    assert_eq!(vigil.state(&own()).await.unwrap(), Watch::default());
    takes(&vigil, &own()).await;
    vigil.note(&ana(), &id("a"), at(3)).await.unwrap();
    vigil.answered(&ana()).await.unwrap();
    // The same Pulse again, after a crash, is answered as well.
    vigil.note(&ana(), &id("a"), at(4)).await.unwrap();
    assert_eq!(vigil.watch(&ana()).await.unwrap().unanswered, 0);
    vigil.note(&ana(), &id("b"), at(5)).await.unwrap();
    vigil.answered(&ben()).await.unwrap();
    let watch = vigil.watch(&ana()).await.unwrap();
    assert_eq!((watch.unanswered, watch.last_pulse_at), (1, Some(at(5))));
    let released = vigil
        .release(&own(), BY, ReleaseReason::Human, at(6))
        .await
        .unwrap();
    assert_eq!(released.unanswered, 0);
}

pub async fn why_it_was_given_back_is_kept_until_the_next_takeover(vigil: Arc<impl Vigil>) {
    for reason in [
        ReleaseReason::Human,
        ReleaseReason::Idle,
        ReleaseReason::User,
    ] {
        assert_eq!(takes(&vigil, &own()).await.release_reason, None);
        let released = vigil.release(&own(), "", reason, at(4)).await.unwrap();
        assert_eq!(released.release_reason, Some(reason));
        assert_eq!(vigil.state(&own()).await.unwrap(), released);
    }
}

pub async fn a_new_takeover_counts_from_zero(vigil: Arc<impl Vigil>) {
    takes(&vigil, &own()).await;
    vigil.note(&ana(), &id("a"), at(3)).await.unwrap();
    vigil
        .release(&own(), BY, ReleaseReason::Human, at(4))
        .await
        .unwrap();
    let again = vigil
        .take_over(&own(), "ben@cafe.example", at(5))
        .await
        .unwrap();
    let expected = Watch {
        phase: Phase::TakingOver,
        by: "ben@cafe.example".into(),
        since: Some(at(5)),
        ..Watch::default()
    };
    assert_eq!(again, expected);
}

pub async fn a_takeover_of_everyone_silences_every_session(vigil: Arc<impl Vigil>) {
    let taking = vigil.take_over(&Target::Everyone, BY, at(1)).await.unwrap();
    for session in [ana(), ben()] {
        let permit = vigil
            .begin_speaking(&session, Fence(1), LONG)
            .await
            .unwrap();
        assert_eq!(permit, Permit::Human(taking.clone()));
        assert_eq!(vigil.watch(&session).await.unwrap(), taking);
    }
    assert_eq!(
        vigil.settle(&Target::Everyone, at(2)).await.unwrap().phase,
        Phase::Active
    );
    vigil
        .release(&Target::Everyone, BY, ReleaseReason::Human, at(3))
        .await
        .unwrap();
    speaks(&vigil, &ana(), 1, LONG).await;
    // The session itself was never taken.
    assert_eq!(vigil.watch(&ana()).await.unwrap(), Watch::default());
}

pub async fn a_takeover_of_everyone_waits_for_every_session(vigil: Arc<impl Vigil>) {
    speaks(&vigil, &ana(), 1, LONG).await;
    speaks(&vigil, &ben(), 1, LONG).await;
    vigil.take_over(&Target::Everyone, BY, at(1)).await.unwrap();
    for session in [ana(), ben()] {
        assert_eq!(
            vigil.settle(&Target::Everyone, at(2)).await.unwrap().phase,
            Phase::TakingOver
        );
        vigil.end_speaking(&session, Fence(1)).await.unwrap();
    }
    assert_eq!(
        vigil.settle(&Target::Everyone, at(2)).await.unwrap().phase,
        Phase::Active
    );
}

pub async fn the_takeover_of_everyone_holds_before_the_sessions_own(vigil: Arc<impl Vigil>) {
    let own_watch = takes(&vigil, &own()).await;
    let asked = vigil
        .request(&Target::Everyone, "help", at(1))
        .await
        .unwrap();
    assert_eq!(vigil.watch(&ana()).await.unwrap(), own_watch);
    assert_eq!(vigil.state(&Target::Everyone).await.unwrap(), asked);
    let everyone = vigil
        .take_over(&Target::Everyone, "ben@cafe.example", at(5))
        .await
        .unwrap();
    assert_eq!(vigil.watch(&ana()).await.unwrap(), everyone);
    assert_eq!(vigil.state(&own()).await.unwrap(), own_watch);
}

pub async fn pulses_are_counted_for_everyone_as_well(vigil: Arc<impl Vigil>) {
    takes(&vigil, &own()).await;
    takes(&vigil, &Target::Everyone).await;
    vigil.note(&ana(), &id("a"), at(3)).await.unwrap();
    vigil.note(&ben(), &id("b"), at(4)).await.unwrap();
    vigil.note(&ben(), &id("b"), at(5)).await.unwrap();
    assert_eq!(vigil.state(&own()).await.unwrap().unanswered, 1);
    let everyone = vigil.state(&Target::Everyone).await.unwrap();
    assert_eq!(
        (everyone.unanswered, everyone.last_pulse_at),
        (2, Some(at(4)))
    );
    assert_eq!(
        vigil.state(&Target::Session(ben())).await.unwrap(),
        Watch::default()
    );
}

pub async fn times_are_kept_to_the_millisecond(vigil: Arc<impl Vigil>) {
    let fine = Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap();
    let kept = vigil.take_over(&own(), BY, fine).await.unwrap().since;
    assert_eq!(
        kept,
        Some(Timestamp::from_millisecond(1_700_000_000_123).unwrap())
    );
}

pub async fn nobody_speaks_once_a_session_is_active(vigil: Arc<impl Vigil + 'static>) {
    nobody_speaks_once_active(vigil, own()).await;
}

pub async fn nobody_speaks_once_everyone_is_active(vigil: Arc<impl Vigil + 'static>) {
    nobody_speaks_once_active(vigil, Target::Everyone).await;
}

/// Hundreds of times, a human takes over while Weaves begin to speak: none is heard once the Vigil is active.
async fn nobody_speaks_once_active(vigil: Arc<impl Vigil + 'static>, target: Target) {
    let heard = Arc::new(AtomicUsize::new(0));
    for round in 0..200 {
        let active = Arc::new(AtomicBool::new(false));
        let weaves = (1..=4).map(|n| {
            let (vigil, active, heard) = (vigil.clone(), active.clone(), heard.clone());
            let fence = Fence(round * 4 + n);
            tokio::spawn(async move {
                loop {
                    match vigil.begin_speaking(&ana(), fence, LONG).await {
                        Ok(Permit::Granted) => {
                            assert!(!active.load(SeqCst), "began to speak in round {round}");
                            tokio::task::yield_now().await;
                            assert!(!active.load(SeqCst), "spoke on in round {round}");
                            heard.fetch_add(1, SeqCst);
                            vigil.end_speaking(&ana(), fence).await.unwrap();
                        }
                        Ok(Permit::Human(_)) | Err(StoreError::Fenced { .. }) => return,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        });
        let weaves: Vec<_> = weaves.collect();
        let goal = heard.load(SeqCst) + usize::from(round % 4 != 0);
        until("somebody to speak", async || {
            (heard.load(SeqCst) >= goal).then_some(())
        })
        .await;
        vigil.take_over(&target, BY, at(1)).await.unwrap();
        until("the Vigil to be active", async || {
            (vigil.settle(&target, at(2)).await.unwrap().phase == Phase::Active)
                .then(|| active.store(true, SeqCst))
        })
        .await;
        for weave in weaves {
            weave.await.unwrap();
        }
        vigil
            .release(&target, BY, ReleaseReason::Human, at(3))
            .await
            .unwrap();
    }
    assert!(
        heard.load(SeqCst) > 100,
        "too few spoke for this to say anything"
    );
}

pub async fn what_people_have_or_are_asked_to_take_is_listed(vigil: Arc<impl Vigil>) {
    let (ana, ben) = (own(), Target::Session(ben()));
    let open = async || {
        let mut open = vigil.open(9).await.unwrap();
        open.sort_by_key(|(target, _)| target.to_string());
        open.into_iter()
            .map(|(target, watch)| (target, watch.phase))
            .collect::<Vec<_>>()
    };
    assert_eq!(open().await, []);
    vigil.request(&ana, "help", at(0)).await.unwrap();
    vigil.take_over(&ben, BY, at(0)).await.unwrap();
    vigil.take_over(&Target::Everyone, BY, at(0)).await.unwrap();
    vigil.settle(&ben, at(0)).await.unwrap();
    assert_eq!(
        open().await,
        [
            (Target::Everyone, Phase::TakingOver),
            (ana.clone(), Phase::Requested),
            (ben.clone(), Phase::Active),
        ]
    );
    assert_eq!(vigil.open(1).await.unwrap().len(), 1);
    for target in [&ben, &Target::Everyone] {
        vigil
            .release(target, BY, ReleaseReason::Human, at(1))
            .await
            .unwrap();
    }
    assert_eq!(open().await, [(ana, Phase::Requested)]);
}
