//! Attachments in Cloud Storage.

use std::{sync::Arc, time::Duration};

use eywa_adapters::{
    attachments::{StorageAttachments, StorageSite},
    google::GoogleTokens,
};
use eywa_weave::{
    SessionKey,
    ports::{Attachments, attachments::MOST_BYTES},
    pulse::Media,
};

use super::{
    bucket::{BUCKET, Bucket},
    client, identity,
};
use crate::suites::{self, LONG, SHORT, until};

fn files_in(url: &str, name: &str) -> StorageAttachments {
    let site = StorageSite {
        base_url: url.parse().unwrap(),
        bucket: name.to_owned(),
        prefix: "eywa/".to_owned(),
        namespace: "cafe".to_owned(),
        spirit: "barista".to_owned(),
    };
    let tokens = GoogleTokens::of_key(&identity::key()).unwrap();
    StorageAttachments::new(client(), tokens, site)
}

async fn opened() -> (Bucket, StorageAttachments) {
    let bucket = Bucket::start().await;
    let files = files_in(&bucket.url, BUCKET);
    (bucket, files)
}

suites::attachments_suite!(async || Arc::new(opened().await.1));

fn media(bytes: &[u8]) -> Media {
    Media {
        media_type: "image/jpeg".to_owned(),
        file_name: None,
        bytes: bytes.into(),
    }
}

fn ana() -> SessionKey {
    SessionKey::new("wa", "5511999990000")
}

#[tokio::test]
async fn nothing_that_can_be_listed_tells_who_or_what() {
    let (bucket, files) = opened().await;
    let id = "wamid.media.1055";
    files.keep(&ana(), id, &media(b"a"), LONG).await.unwrap();
    let contents = bucket.contents();
    let (name, object) = contents.objects.first_key_value().unwrap();
    assert!(name.starts_with("eywa/cafe/barista/"), "{name}");
    assert_eq!(name.split('/').count(), 5);
    for told in ["5511999990000", "wamid", "media"] {
        assert!(!name.contains(told) && !object.about.to_string().contains(told));
    }
    assert_eq!(object.about["contentType"], "image/jpeg");
    // The lifecycle rule's clock starts where the file ends.
    let ends: jiff::Timestamp = object.about["customTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let left = ends.duration_since(jiff::Timestamp::now());
    assert!(left > jiff::SignedDuration::from_secs(590) && left <= LONG.try_into().unwrap());
}

#[tokio::test]
async fn two_spirits_in_one_bucket_do_not_meet() {
    let (bucket, files) = opened().await;
    files.keep(&ana(), "m1", &media(b"a"), LONG).await.unwrap();
    let site = StorageSite {
        base_url: bucket.url.parse().unwrap(),
        bucket: BUCKET.to_owned(),
        prefix: "eywa".to_owned(),
        namespace: "cafe".to_owned(),
        spirit: "waiter".to_owned(),
    };
    let tokens = GoogleTokens::of_key(&identity::key()).unwrap();
    let other = StorageAttachments::new(client(), tokens, site);
    assert_eq!(other.load(&ana(), "m1").await.unwrap(), None);
    other.keep(&ana(), "m2", &media(b"b"), LONG).await.unwrap();
    assert!(files.load(&ana(), "m1").await.unwrap().is_some());
}

#[tokio::test]
async fn what_has_ended_is_deleted_when_it_is_come_across() {
    let (bucket, files) = opened().await;
    for id in ["m1", "m2"] {
        files.keep(&ana(), id, &media(b"a"), SHORT).await.unwrap();
    }
    until("the session to end", async || {
        let gone = files.load(&ana(), "m1").await.unwrap().is_none();
        gone.then_some(())
    })
    .await;
    assert!(bucket.contents().objects.is_empty());
}

#[tokio::test]
async fn what_had_ended_does_not_come_back_with_the_next_file() {
    let (bucket, files) = opened().await;
    files.keep(&ana(), "m1", &media(b"a"), SHORT).await.unwrap();
    tokio::time::sleep(SHORT * 2).await;
    files.keep(&ana(), "m2", &media(b"b"), LONG).await.unwrap();
    assert_eq!(bucket.contents().objects.len(), 1);
    assert_eq!(files.load(&ana(), "m1").await.unwrap(), None);
}

#[tokio::test]
async fn a_session_of_several_pages_is_seen_whole() {
    let (bucket, files) = opened().await;
    bucket.contents().page = Some(2);
    let large = media(&vec![7; MOST_BYTES / 4 - 100]);
    for id in ["m1", "m2", "m3", "m4", "m5", "m6"] {
        files.keep(&ana(), id, &large, LONG).await.unwrap();
    }
    assert_eq!(bucket.contents().objects.len(), 4);
    for (id, kept) in [("m1", false), ("m2", false), ("m3", true), ("m6", true)] {
        assert_eq!(
            files.load(&ana(), id).await.unwrap().is_some(),
            kept,
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_service_that_is_busy_is_asked_again_and_for_as_long_as_it_says() {
    let (bucket, files) = opened().await;
    files.keep(&ana(), "m1", &media(b"a"), LONG).await.unwrap();
    for (status, reason, wait) in [
        (429, "rateLimitExceeded", Some(1)),
        (503, "backendError", None),
        (408, "", None),
    ] {
        bucket.contents().failures.push_back((status, reason, wait));
        let asked = std::time::Instant::now();
        assert!(
            files.load(&ana(), "m1").await.unwrap().is_some(),
            "{status}"
        );
        assert!(asked.elapsed() >= Duration::from_secs(wait.unwrap_or(0).into()));
    }
    // Not for ever.
    for _ in 0..9 {
        bucket
            .contents()
            .failures
            .push_back((503, "backendError", None));
    }
    let before = bucket.contents().requests.len();
    let error = files.load(&ana(), "m1").await.unwrap_err().to_string();
    assert!(error.contains("HTTP 503, backendError"), "{error}");
    assert_eq!(bucket.contents().requests.len() - before, 3);
}

#[tokio::test]
async fn what_asking_again_cannot_help_says_what_to_do_and_repeats_nothing() {
    let (bucket, files) = opened().await;
    for (status, reason, says) in [
        (401, "authError", "credentials"),
        (403, "forbidden", "roles/storage.objectUser"),
        (404, "notFound", "is there a bucket cafe-files?"),
    ] {
        bucket.contents().failures.push_back((status, reason, None));
        let before = bucket.contents().requests.len();
        let error = files.keep(&ana(), "m1", &media(b"a"), LONG).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(reason), "{error}");
        assert!(
            !error.contains("hush") && !error.contains("Bearer"),
            "{error}"
        );
        assert_eq!(bucket.contents().requests.len() - before, 1, "{status}");
    }
    let elsewhere = files_in(&bucket.url, "no-such-bucket");
    let error = elsewhere.keep(&ana(), "m1", &media(b"a"), LONG).await;
    assert!(error.unwrap_err().to_string().contains("no-such-bucket"));
}

#[tokio::test]
async fn a_file_that_is_kept_anew_while_it_is_looked_at_is_not_deleted() {
    let (bucket, files) = opened().await;
    files.keep(&ana(), "m1", &media(b"a"), SHORT).await.unwrap();
    tokio::time::sleep(SHORT * 2).await;
    bucket.contents().rewritten_once_listed = true;
    assert_eq!(files.load(&ana(), "m1").await.unwrap(), None);
    let contents = bucket.contents();
    assert!(contents.requests.last().unwrap().starts_with("DELETE"));
    assert_eq!(contents.objects.len(), 1);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_not_waited_for_without_end() {
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let asked = std::time::Instant::now();
    let loaded = files_in(&url, BUCKET).load(&ana(), "m1").await;
    assert!(loaded.is_err());
    assert!(
        asked.elapsed() < Duration::from_secs(7),
        "{:?}",
        asked.elapsed()
    );
}
