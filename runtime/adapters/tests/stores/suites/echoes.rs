//! What every Echo store does.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Instant};

use eywa_adapters::echoes::NEWEST;
use eywa_weave::{
    Echo, EchoBody, SessionKey, StoreError,
    names::SpiritName,
    ports::{
        bond::Fence,
        echoes::{Author, Echoes, Summary},
        vigil::ReleaseReason,
    },
    pulse::Attachment,
    tool::{ToolCall, ToolResult},
};
use jiff::Timestamp;

use super::{ana, at_once, ben, id};

macro_rules! echoes_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            echoes,
            $open,
            [
                a_conversation_that_nobody_began_is_empty,
                echoes_come_back_as_they_were_oldest_first,
                the_last_ones_are_read_and_no_more,
                an_echo_that_is_written_again_is_left_as_it_was,
                a_batch_that_repeats_itself_is_written_once,
                an_older_bond_is_refused_and_writes_nothing,
                the_same_bond_writes_on,
                a_human_writes_whoever_holds_the_bond,
                sessions_are_kept_apart,
                nothing_is_lost_when_many_write_at_once,
                a_long_conversation_keeps_its_newest,
                a_conversation_is_read_backwards_in_stretches_that_join,
                a_stretch_keeps_its_place_when_older_echoes_are_forgotten,
                conversations_are_listed_the_latest_first_and_page_by_page,
                a_summary_tells_who_and_the_last_message_and_marks_change_neither,
                what_was_written_before_changes_no_place,
                what_has_changed_since_is_told_the_earliest_first,
                places_are_never_the_same_when_many_write_at_once,
                who_hears_of_echoes_can_read_them,
                one_who_stops_halfway_tells_nothing_untrue_and_may_write_again,
                ten_thousand_conversations_are_listed_as_quickly_as_ten,
            ]
        );
    };
}
pub(crate) use echoes_suite;

fn said(name: &str, text: &str) -> Echo {
    echo(
        name,
        EchoBody::User {
            name: None,
            text: text.to_owned(),
            attachments: vec![],
            findings: vec![],
        },
    )
}

fn echo(name: &str, body: EchoBody) -> Echo {
    let at = Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
    Echo {
        id: name.to_owned(),
        at,
        pulse: Some(id("a")),
        body,
    }
}

async fn write(echoes: &Arc<impl Echoes>, fence: Option<u64>, written: &[Echo]) {
    echoes
        .append(&ana(), fence.map(Fence), written)
        .await
        .unwrap();
}

async fn all(echoes: &Arc<impl Echoes>) -> Vec<Echo> {
    echoes.recent(&ana(), usize::MAX).await.unwrap()
}

pub async fn a_conversation_that_nobody_began_is_empty(echoes: Arc<impl Echoes>) {
    assert_eq!(all(&echoes).await, []);
    write(&echoes, Some(1), &[]).await;
    assert_eq!(all(&echoes).await, []);
}

pub async fn echoes_come_back_as_they_were_oldest_first(echoes: Arc<impl Echoes>) {
    let file = Attachment {
        id: "m1".into(),
        media_type: "image/jpeg".into(),
        file_name: None,
        media: None,
    };
    let call = ToolCall {
        id: "c1".into(),
        name: "menu".into(),
        arguments: serde_json::json!({"n": 1.5, "s": "ü\0"}),
        sealed: Some("c2VhbA==".into()),
    };
    let result = ToolResult {
        call: "c1".into(),
        name: "menu".into(),
        content: "{}".into(),
        failed: true,
    };
    let by = "ana@cafe.example".to_owned();
    let written = [
        echo(
            "1",
            EchoBody::User {
                name: None,
                text: "hi\n\"🥐\"".into(),
                attachments: vec![file],
                findings: vec![],
            },
        ),
        echo(
            "2",
            EchoBody::Agent {
                spirit: SpiritName::from("barista"),
                text: String::new(),
                calls: vec![call],
            },
        ),
        echo(
            "3",
            EchoBody::Tools {
                results: vec![result],
            },
        ),
        echo("4", EchoBody::TookOver { by: by.clone() }),
        Echo {
            pulse: None,
            ..echo(
                "5",
                EchoBody::Human {
                    by: by.clone(),
                    text: "hello".into(),
                },
            )
        },
        echo(
            "6",
            EchoBody::GaveBack {
                by,
                reason: ReleaseReason::Idle,
            },
        ),
    ];
    write(&echoes, Some(1), &written[..3]).await;
    write(&echoes, None, &written[3..]).await;
    assert_eq!(all(&echoes).await, written);
}

pub async fn the_last_ones_are_read_and_no_more(echoes: Arc<impl Echoes>) {
    let written: Vec<_> = (0..10).map(|n| said(&n.to_string(), "x")).collect();
    write(&echoes, None, &written).await;
    assert_eq!(echoes.recent(&ana(), 3).await.unwrap(), written[7..]);
    assert_eq!(echoes.recent(&ana(), 0).await.unwrap(), []);
}

pub async fn an_echo_that_is_written_again_is_left_as_it_was(echoes: Arc<impl Echoes>) {
    write(&echoes, Some(1), &[said("1", "first"), said("2", "second")]).await;
    write(&echoes, Some(2), &[said("1", "again"), said("3", "third")]).await;
    assert_eq!(
        all(&echoes).await,
        [said("1", "first"), said("2", "second"), said("3", "third")]
    );
}

pub async fn a_batch_that_repeats_itself_is_written_once(echoes: Arc<impl Echoes>) {
    write(&echoes, None, &[said("1", "first"), said("1", "again")]).await;
    assert_eq!(all(&echoes).await, [said("1", "first")]);
}

pub async fn an_older_bond_is_refused_and_writes_nothing(echoes: Arc<impl Echoes>) {
    write(&echoes, Some(7), &[said("1", "x")]).await;
    let refused = echoes
        .append(&ana(), Some(Fence(6)), &[said("2", "x")])
        .await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Fenced {
                offered: Fence(6),
                newest: Fence(7)
            })
        ),
        "{refused:?}"
    );
    // Ten is more than nine, though not as text.
    write(&echoes, Some(9), &[]).await;
    write(&echoes, Some(10), &[]).await;
    assert!(
        echoes
            .append(&ana(), Some(Fence(9)), &[said("3", "x")])
            .await
            .is_err()
    );
    assert_eq!(all(&echoes).await, [said("1", "x")]);
}

pub async fn the_same_bond_writes_on(echoes: Arc<impl Echoes>) {
    write(&echoes, Some(7), &[said("1", "x")]).await;
    write(&echoes, Some(7), &[said("2", "x")]).await;
    assert_eq!(all(&echoes).await.len(), 2);
}

pub async fn a_human_writes_whoever_holds_the_bond(echoes: Arc<impl Echoes>) {
    write(&echoes, Some(7), &[said("1", "x")]).await;
    write(&echoes, None, &[said("2", "x")]).await;
    assert_eq!(all(&echoes).await.len(), 2);
    // And the Bond's holder is still known.
    assert!(
        echoes
            .append(&ana(), Some(Fence(6)), &[said("3", "x")])
            .await
            .is_err()
    );
}

pub async fn sessions_are_kept_apart(echoes: Arc<impl Echoes>) {
    write(&echoes, Some(7), &[said("1", "x")]).await;
    assert_eq!(echoes.recent(&ben(), 9).await.unwrap(), []);
    echoes
        .append(&ben(), Some(Fence(1)), &[said("1", "y")])
        .await
        .unwrap();
    assert_eq!(all(&echoes).await, [said("1", "x")]);
}

pub async fn nothing_is_lost_when_many_write_at_once(echoes: Arc<impl Echoes + 'static>) {
    at_once((0..100).map(|n| {
        let echoes = echoes.clone();
        async move {
            write(
                &echoes,
                None,
                &[said(&format!("{n}a"), "x"), said(&format!("{n}b"), "x")],
            )
            .await;
        }
    }))
    .await;
    let kept: Vec<String> = all(&echoes).await.into_iter().map(|echo| echo.id).collect();
    assert_eq!(kept.len(), 200);
    for pair in kept.chunks(2) {
        assert_eq!(
            pair[0].replace('a', "b"),
            pair[1],
            "two who wrote at once were mixed up: {kept:?}"
        );
    }
}

pub async fn a_long_conversation_keeps_its_newest(echoes: Arc<impl Echoes>) {
    let written: Vec<_> = (0..NEWEST + 50)
        .map(|n| said(&n.to_string(), "x"))
        .collect();
    for part in written.chunks(100) {
        write(&echoes, Some(1), part).await;
    }
    let kept = all(&echoes).await;
    assert_eq!(kept.len(), NEWEST);
    assert_eq!(kept.last(), written.last());
}

fn session(name: &str) -> SessionKey {
    SessionKey::new("wa", name)
}

async fn say(echoes: &Arc<impl Echoes>, to: &str, id: &str, text: &str) {
    echoes
        .append(&session(to), None, &[said(id, text)])
        .await
        .unwrap();
}

fn users(summaries: &[Summary]) -> Vec<&str> {
    summaries
        .iter()
        .map(|summary| summary.session.user.as_str())
        .collect()
}

pub async fn a_conversation_is_read_backwards_in_stretches_that_join(echoes: Arc<impl Echoes>) {
    assert_eq!(
        echoes.stretch(&ana(), None, 4).await.unwrap(),
        Default::default()
    );
    let written: Vec<_> = (0..10).map(|n| said(&n.to_string(), "x")).collect();
    write(&echoes, None, &written).await;
    let (mut read, mut before) = (Vec::new(), None);
    loop {
        let stretch = echoes.stretch(&ana(), before, 4).await.unwrap();
        read.splice(0..0, stretch.echoes);
        if read.len() == 4 {
            // What is said meanwhile does not move what is read next.
            write(&echoes, None, &[said("new", "x")]).await;
        }
        match stretch.older {
            Some(older) => before = Some(older),
            None => break,
        }
    }
    assert_eq!(read, written);
    let all = echoes.stretch(&ana(), None, 11).await.unwrap();
    assert_eq!((all.echoes.len(), all.older), (11, None));
    let none = echoes.stretch(&ana(), Some(0), 4).await.unwrap();
    assert_eq!((none.echoes, none.older), (vec![], None));
}

pub async fn a_stretch_keeps_its_place_when_older_echoes_are_forgotten(echoes: Arc<impl Echoes>) {
    let written: Vec<_> = (0..NEWEST + 50)
        .map(|n| said(&n.to_string(), "x"))
        .collect();
    for part in written.chunks(100) {
        write(&echoes, None, part).await;
    }
    let last = echoes.stretch(&ana(), None, 10).await.unwrap();
    assert_eq!(last.older, Some(NEWEST as u64 + 40));
    let before = echoes.stretch(&ana(), last.older, 10).await.unwrap();
    assert_eq!(before.echoes, written[NEWEST + 30..NEWEST + 40]);
    let oldest = echoes.stretch(&ana(), Some(60), 100).await.unwrap();
    assert_eq!(
        (oldest.echoes, oldest.older),
        (written[50..60].to_vec(), None)
    );
    let gone = echoes.stretch(&ana(), Some(20), 100).await.unwrap();
    assert_eq!((gone.echoes, gone.older), (vec![], None));
}

pub async fn conversations_are_listed_the_latest_first_and_page_by_page(echoes: Arc<impl Echoes>) {
    assert_eq!(echoes.latest(None, 9).await.unwrap(), []);
    for name in ["a", "b", "c", "d", "e"] {
        say(&echoes, name, "1", "hi").await;
    }
    say(&echoes, "b", "2", "hi again").await;
    let first = echoes.latest(None, 3).await.unwrap();
    assert_eq!(users(&first), ["b", "e", "d"]);
    let rest = echoes.latest(Some(first[2].place), 3).await.unwrap();
    assert_eq!(users(&rest), ["c", "a"]);
    assert_eq!(echoes.latest(Some(rest[1].place), 3).await.unwrap(), []);
    let known = echoes
        .known(&[session("c"), session("nobody"), session("b")])
        .await
        .unwrap();
    assert_eq!(known, [Some(rest[0].clone()), None, Some(first[0].clone())]);
    assert_eq!(echoes.known(&[]).await.unwrap(), []);
}

pub async fn a_summary_tells_who_and_the_last_message_and_marks_change_neither(
    echoes: Arc<impl Echoes>,
) {
    let body = EchoBody::User {
        name: Some("Ana \"🥐\"".into()),
        text: "hi\n".into(),
        attachments: vec![],
        findings: vec![],
    };
    write(&echoes, Some(1), &[echo("1", body)]).await;
    let by = "ben".to_owned();
    write(
        &echoes,
        None,
        &[echo("2", EchoBody::TookOver { by: by.clone() })],
    )
    .await;
    let summary = echoes.latest(None, 1).await.unwrap().remove(0);
    assert_eq!(summary.session, ana());
    assert_eq!(
        (summary.length, summary.name.as_deref()),
        (2, Some("Ana \"🥐\""))
    );
    let last = summary.last.unwrap();
    assert_eq!(
        (last.from, &*last.text, last.at),
        (Author::User, "hi\n", said("1", "").at)
    );

    let text = "hello".to_owned();
    write(&echoes, None, &[echo("3", EchoBody::Human { by, text })]).await;
    let summary = echoes.latest(None, 1).await.unwrap().remove(0);
    assert_eq!(
        summary.name.as_deref(),
        Some("Ana \"🥐\""),
        "it was forgotten"
    );
    assert_eq!(summary.last.unwrap().from, Author::Human);
}

pub async fn what_was_written_before_changes_no_place(echoes: Arc<impl Echoes>) {
    say(&echoes, "a", "1", "first").await;
    say(&echoes, "b", "1", "hi").await;
    let before = echoes.latest(None, 9).await.unwrap();
    say(&echoes, "a", "1", "again").await;
    write(&echoes, Some(3), &[]).await;
    assert_eq!(echoes.latest(None, 9).await.unwrap(), before);
}

pub async fn what_has_changed_since_is_told_the_earliest_first(echoes: Arc<impl Echoes>) {
    for name in ["a", "b", "c"] {
        say(&echoes, name, "1", "hi").await;
    }
    let all = echoes.changed(0, 9).await.unwrap();
    assert_eq!(users(&all), ["a", "b", "c"]);
    let last = all[2].place;
    assert_eq!(echoes.changed(last, 9).await.unwrap(), []);
    say(&echoes, "b", "2", "hi").await;
    say(&echoes, "a", "2", "hi").await;
    assert_eq!(users(&echoes.changed(last, 9).await.unwrap()), ["b", "a"]);
    assert_eq!(users(&echoes.changed(last, 1).await.unwrap()), ["b"]);
}

pub async fn places_are_never_the_same_when_many_write_at_once(echoes: Arc<impl Echoes + 'static>) {
    at_once((0..100).map(|n| {
        let echoes = echoes.clone();
        async move {
            for id in ["1", "2"] {
                say(&echoes, &n.to_string(), id, "x").await;
            }
        }
    }))
    .await;
    let listed = echoes.latest(None, 200).await.unwrap();
    assert_eq!(listed.len(), 100, "each is listed once");
    assert!(listed.windows(2).all(|pair| pair[0].place > pair[1].place));
    assert!(listed.iter().all(|summary| summary.length == 2));
}

pub async fn who_hears_of_echoes_can_read_them(echoes: Arc<impl Echoes + 'static>) {
    let writes = tokio::spawn({
        let echoes = echoes.clone();
        async move {
            for n in 0..100 {
                say(&echoes, "a", &n.to_string(), "x").await;
            }
        }
    });
    loop {
        let is_last = writes.is_finished();
        for summary in echoes.changed(0, 9).await.unwrap() {
            assert_told(&echoes, &summary).await;
        }
        if is_last {
            break;
        }
    }
    writes.await.unwrap();
    assert_eq!(echoes.latest(None, 9).await.unwrap()[0].length, 100);
}

/// All that a summary counts is there.
async fn assert_told(echoes: &Arc<impl Echoes>, summary: &Summary) {
    let before = Some(summary.length);
    let told = echoes.stretch(&summary.session, before, usize::MAX);
    let told = told.await.unwrap().echoes.len() as u64;
    assert_eq!(told, summary.length, "{summary:?}");
}

pub async fn one_who_stops_halfway_tells_nothing_untrue_and_may_write_again(
    echoes: Arc<impl Echoes>,
) {
    let written = [said("1", "x"), said("2", "y")];
    for steps in 1.. {
        let session = session(&steps.to_string());
        let last = echoes.latest(None, 1).await.unwrap();
        let last = last.first().map_or(0, |last| last.place);
        let done = stopped_after(steps, echoes.append(&session, Some(Fence(1)), &written)).await;
        for summary in echoes.changed(last, 9).await.unwrap() {
            assert_told(&echoes, &summary).await;
        }
        echoes
            .append(&session, Some(Fence(1)), &written)
            .await
            .unwrap();
        let changed = echoes.changed(last, 9).await.unwrap();
        assert_eq!(users(&changed), [session.user.as_str()], "step {steps}");
        assert_eq!(changed[0].last.as_ref().unwrap().text, "y");
        let all = echoes.stretch(&session, Some(changed[0].length), 9).await;
        assert_eq!(all.unwrap().echoes, written, "step {steps}");
        if done {
            break;
        }
    }
}

/// Goes so many steps, and no further. Whether that was all the way.
async fn stopped_after(steps: usize, append: impl Future<Output = Result<(), StoreError>>) -> bool {
    let mut append = pin!(append);
    let mut left = steps;
    poll_fn(|context| {
        left -= 1;
        match append.as_mut().poll(context) {
            Poll::Ready(done) => {
                done.unwrap();
                Poll::Ready(true)
            }
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

pub async fn ten_thousand_conversations_are_listed_as_quickly_as_ten(
    echoes: Arc<impl Echoes + 'static>,
) {
    at_once((0..100).map(|part| {
        let echoes = echoes.clone();
        async move {
            for n in 0..100 {
                say(&echoes, &format!("{part}-{n}"), "1", "x").await;
            }
        }
    }))
    .await;
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(echoes.latest(None, 50).await.unwrap().len(), 50);
    }
    // Reading all of them each time takes several times as long.
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    let all = echoes.latest(None, 20_000).await.unwrap();
    assert_eq!(all.len(), 10_000);
    let middle = echoes.latest(Some(all[5000].place), 50).await.unwrap();
    assert_eq!(middle, all[5001..5051]);
}
