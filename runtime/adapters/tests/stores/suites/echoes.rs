//! What every Echo store does.

use std::sync::Arc;

use eywa_adapters::echoes::NEWEST;
use eywa_weave::{
    Echo, EchoBody, StoreError,
    names::SpiritName,
    ports::{bond::Fence, echoes::Echoes},
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
            ]
        );
    };
}
pub(crate) use echoes_suite;

fn said(name: &str, text: &str) -> Echo {
    echo(
        name,
        EchoBody::User {
            text: text.to_owned(),
            attachments: vec![],
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
    };
    let call = ToolCall {
        id: "c1".into(),
        name: "menu".into(),
        arguments: serde_json::json!({"n": 1.5, "s": "ü\0"}),
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
                text: "hi\n\"🥐\"".into(),
                attachments: vec![file],
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
        echo("6", EchoBody::GaveBack { by }),
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
            "two who wrote at once were mixed up"
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
