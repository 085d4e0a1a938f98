//! What every store of Contacts does.

use std::{sync::Arc, time::Duration};

use eywa_weave::{
    UserId, VoiceName,
    ports::contacts::{Contacts, Pace, Progress},
};

use super::{at_once, id};

macro_rules! contacts_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            contacts,
            $open,
            [
                a_person_goes_by_the_first_id_that_they_came_with,
                a_person_who_is_renamed_keeps_their_session,
                the_other_ids_tell_more_than_the_one_that_a_person_came_by,
                a_number_that_somebody_else_has_now_leads_to_nobody_else,
                a_number_that_its_owner_gave_up_begins_anew,
                a_number_that_was_known_alone_keeps_its_person,
                voices_do_not_share_people,
                two_who_ask_at_once_get_the_same_person,
                a_message_only_moves_forward,
                what_failed_did_not_arrive_and_what_arrived_did_not_fail,
                a_message_leads_to_the_pulse_that_it_answered,
                a_burst_goes_through_and_then_it_is_slow,
                who_would_wait_too_long_is_not_counted,
            ]
        );
    };
}
pub(crate) use contacts_suite;

const PACE: Pace = Pace {
    interval: Duration::from_secs(60),
    burst: 5,
    longest_wait: Duration::from_secs(90),
};

fn wa() -> VoiceName {
    VoiceName::from("wa")
}

async fn known(contacts: &impl Contacts, ids: &[&str]) -> String {
    let ids: Vec<UserId> = ids.iter().map(|id| UserId::from(*id)).collect();
    let known = contacts.identify(&wa(), &ids[0], &ids[1..]).await.unwrap();
    known.to_string()
}

pub async fn a_person_goes_by_the_first_id_that_they_came_with(contacts: Arc<impl Contacts>) {
    assert_eq!(known(&*contacts, &["55", "US.1"]).await, "55");
    assert_eq!(known(&*contacts, &["US.1"]).await, "55");
    assert_eq!(known(&*contacts, &["55"]).await, "55");
    // Whoever was first seen without a number goes on without one.
    assert_eq!(known(&*contacts, &["US.2"]).await, "US.2");
    assert_eq!(known(&*contacts, &["66", "US.2"]).await, "US.2");
    assert_eq!(known(&*contacts, &["66"]).await, "US.2");
}

pub async fn a_person_who_is_renamed_keeps_their_session(contacts: Arc<impl Contacts>) {
    assert_eq!(known(&*contacts, &["55", "US.1"]).await, "55");
    assert_eq!(known(&*contacts, &["US.1", "US.2"]).await, "55");
    // Told twice, and with the former id among the others.
    for _ in 0..2 {
        assert_eq!(known(&*contacts, &["US.2", "US.2", "US.3"]).await, "55");
    }
    assert_eq!(known(&*contacts, &["US.3"]).await, "55");
    assert_eq!(known(&*contacts, &["55", "US.3"]).await, "55");
}

pub async fn the_other_ids_tell_more_than_the_one_that_a_person_came_by(
    contacts: Arc<impl Contacts>,
) {
    assert_eq!(known(&*contacts, &["55"]).await, "55");
    assert_eq!(known(&*contacts, &["US.1"]).await, "US.1");
    assert_eq!(known(&*contacts, &["55", "US.1"]).await, "US.1");
    assert_eq!(known(&*contacts, &["55"]).await, "US.1");
    // The first of them that is known does.
    assert_eq!(known(&*contacts, &["66"]).await, "66");
    assert_eq!(known(&*contacts, &["77", "US.2", "66", "US.1"]).await, "66");
}

pub async fn a_number_that_somebody_else_has_now_leads_to_nobody_else(
    contacts: Arc<impl Contacts>,
) {
    assert_eq!(known(&*contacts, &["55", "US.ana"]).await, "55");
    assert_eq!(known(&*contacts, &["55", "US.bob"]).await, "US.bob");
    assert_eq!(known(&*contacts, &["55", "US.bob"]).await, "US.bob");
    assert_eq!(known(&*contacts, &["55"]).await, "US.bob");
    assert_eq!(known(&*contacts, &["US.ana"]).await, "55");
    assert_eq!(known(&*contacts, &["66", "US.ana"]).await, "55");
    // And on to a third.
    assert_eq!(known(&*contacts, &["55", "US.eve"]).await, "US.eve");
    assert_eq!(known(&*contacts, &["US.bob"]).await, "US.bob");
}

pub async fn a_number_that_its_owner_gave_up_begins_anew(contacts: Arc<impl Contacts>) {
    assert_eq!(known(&*contacts, &["55"]).await, "55");
    for _ in 0..2 {
        assert_eq!(known(&*contacts, &["55", "55", "66"]).await, "55");
    }
    assert_eq!(known(&*contacts, &["55", "US.bob"]).await, "US.bob");
    assert_eq!(known(&*contacts, &["66"]).await, "55");
    assert_eq!(known(&*contacts, &["66", "US.ana"]).await, "55");
    // The new number was another's before.
    assert_eq!(known(&*contacts, &["77", "US.eve"]).await, "77");
    assert_eq!(known(&*contacts, &["66", "66", "77"]).await, "55");
    assert_eq!(known(&*contacts, &["77", "US.ana"]).await, "55");
    assert_eq!(known(&*contacts, &["US.eve"]).await, "77");
}

pub async fn a_number_that_was_known_alone_keeps_its_person(contacts: Arc<impl Contacts>) {
    assert_eq!(known(&*contacts, &["55"]).await, "55");
    assert_eq!(known(&*contacts, &["55"]).await, "55");
    assert_eq!(known(&*contacts, &["55", "US.1"]).await, "55");
    assert_eq!(known(&*contacts, &["US.1"]).await, "55");
}

pub async fn voices_do_not_share_people(contacts: Arc<impl Contacts>) {
    assert_eq!(known(&*contacts, &["55", "US.1"]).await, "55");
    let other = VoiceName::from("other");
    let same = UserId::from("US.1");
    assert_eq!(contacts.identify(&other, &same, &[]).await.unwrap(), same);
}

pub async fn two_who_ask_at_once_get_the_same_person(contacts: Arc<impl Contacts + 'static>) {
    let asked = (0..40).map(|number| {
        let contacts = contacts.clone();
        async move {
            let own = format!("alias-{}", number % 7);
            known(&*contacts, &[own.as_str(), "US.1"]).await
        }
    });
    let mut all = at_once(asked).await;
    all.dedup();
    assert_eq!(all.len(), 1, "{all:?}");
}

pub async fn a_message_only_moves_forward(contacts: Arc<impl Contacts>) {
    use Progress::{Arrived, Read, Sent};
    for (progress, forward) in [
        (Arrived, true),
        (Sent, false),
        (Arrived, false),
        (Read, true),
        (Read, false),
        (Sent, false),
    ] {
        let moved = contacts.advance(&wa(), "m1", progress).await.unwrap();
        assert_eq!(moved, forward, "{progress:?}");
    }
    assert!(contacts.advance(&wa(), "m2", Sent).await.unwrap());
}

pub async fn what_failed_did_not_arrive_and_what_arrived_did_not_fail(
    contacts: Arc<impl Contacts>,
) {
    use Progress::{Arrived, Failed, Sent};
    for (message, progress, forward) in [
        ("m1", Sent, true),
        ("m1", Failed, true),
        ("m1", Arrived, false),
        ("m2", Arrived, true),
        ("m2", Failed, false),
    ] {
        let moved = contacts.advance(&wa(), message, progress).await.unwrap();
        assert_eq!(moved, forward, "{message} {progress:?}");
    }
}

pub async fn a_message_leads_to_the_pulse_that_it_answered(contacts: Arc<impl Contacts>) {
    assert_eq!(contacts.pulse_of(&wa(), "m1").await.unwrap(), None);
    contacts
        .advance(&wa(), "m1", Progress::Arrived)
        .await
        .unwrap();
    assert_eq!(contacts.pulse_of(&wa(), "m1").await.unwrap(), None);
    contacts.sent(&wa(), "m1", &id("a")).await.unwrap();
    assert_eq!(contacts.pulse_of(&wa(), "m1").await.unwrap(), Some(id("a")));
    // It was written down after the channel had told of it, which still counts.
    assert!(
        !contacts
            .advance(&wa(), "m1", Progress::Arrived)
            .await
            .unwrap()
    );
}

pub async fn a_burst_goes_through_and_then_it_is_slow(contacts: Arc<impl Contacts>) {
    let ana = UserId::from("ana");
    for messages in [1, 3, 1] {
        let wait = contacts.pace(&wa(), &ana, messages, PACE).await.unwrap();
        assert_eq!(wait, Duration::ZERO);
    }
    let wait = contacts.pace(&wa(), &ana, 1, PACE).await.unwrap();
    assert!(
        wait > Duration::from_secs(50) && wait <= PACE.interval,
        "{wait:?}"
    );
    let ben = UserId::from("ben");
    assert_eq!(
        contacts.pace(&wa(), &ben, 5, PACE).await.unwrap(),
        Duration::ZERO
    );
}

pub async fn who_would_wait_too_long_is_not_counted(contacts: Arc<impl Contacts>) {
    let ana = UserId::from("ana");
    let too_many = contacts.pace(&wa(), &ana, 7, PACE).await.unwrap();
    assert!(too_many > PACE.longest_wait, "{too_many:?}");
    assert_eq!(
        contacts.pace(&wa(), &ana, 5, PACE).await.unwrap(),
        Duration::ZERO
    );
}
