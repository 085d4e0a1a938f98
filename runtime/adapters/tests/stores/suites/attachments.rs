//! What every store of attachments does.

use std::sync::Arc;

use eywa_weave::{
    ports::attachments::{Attachments, MOST_BYTES},
    pulse::Media,
};

use super::{LONG, SHORT, ana, ben, until};

macro_rules! attachments_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            attachments,
            $open,
            [
                a_file_comes_back_as_it_was,
                a_file_that_was_never_kept_is_not_there,
                sessions_do_not_share_files,
                a_file_ends_with_its_ttl,
                the_oldest_make_room,
                a_file_without_end_is_not_kept,
            ]
        );
    };
}
pub(crate) use attachments_suite;

fn media(bytes: &[u8]) -> Media {
    Media {
        media_type: "image/jpeg".to_owned(),
        file_name: Some("café\nau lait.jpg".to_owned()),
        bytes: bytes.into(),
    }
}

pub async fn a_file_comes_back_as_it_was(files: Arc<impl Attachments>) {
    let bytes: Vec<u8> = (0..=255).chain([b'\n', b'\r', 0]).collect();
    files
        .keep(&ana(), "m1", &media(&bytes), LONG)
        .await
        .unwrap();
    let nameless = Media {
        file_name: None,
        ..media(b"")
    };
    files.keep(&ana(), "m2", &nameless, LONG).await.unwrap();
    let loaded = files.load(&ana(), "m1").await.unwrap().unwrap();
    assert_eq!(loaded.bytes[..], bytes[..]);
    assert_eq!(loaded.media_type, "image/jpeg");
    // A name is one line.
    assert!(loaded.file_name.unwrap().starts_with("café"));
    assert_eq!(files.load(&ana(), "m2").await.unwrap(), Some(nameless));
}

pub async fn a_file_that_was_never_kept_is_not_there(files: Arc<impl Attachments>) {
    assert_eq!(files.load(&ana(), "m1").await.unwrap(), None);
}

pub async fn sessions_do_not_share_files(files: Arc<impl Attachments>) {
    files.keep(&ana(), "m1", &media(b"a"), LONG).await.unwrap();
    assert_eq!(files.load(&ben(), "m1").await.unwrap(), None);
}

pub async fn a_file_ends_with_its_ttl(files: Arc<impl Attachments>) {
    files.keep(&ana(), "m1", &media(b"a"), SHORT).await.unwrap();
    until("the TTL to pass", async || {
        files
            .load(&ana(), "m1")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
}

pub async fn the_oldest_make_room(files: Arc<impl Attachments>) {
    let large = media(&vec![7; MOST_BYTES / 4 - 100]);
    for id in ["m1", "m2", "m3", "m4", "m5"] {
        files.keep(&ana(), id, &large, LONG).await.unwrap();
    }
    assert_eq!(files.load(&ana(), "m1").await.unwrap(), None);
    for id in ["m2", "m3", "m4", "m5"] {
        assert!(files.load(&ana(), id).await.unwrap().is_some(), "{id}");
    }
}

pub async fn a_file_without_end_is_not_kept(files: Arc<impl Attachments>) {
    files.keep(&ana(), "m1", &media(b"a"), LONG).await.unwrap();
    let endless = media(&vec![7; MOST_BYTES + 1]);
    files.keep(&ana(), "m2", &endless, LONG).await.unwrap();
    assert_eq!(files.load(&ana(), "m2").await.unwrap(), None);
    assert!(files.load(&ana(), "m1").await.unwrap().is_some());
}
