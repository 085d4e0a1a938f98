//! Fetching files.

use wiremock::matchers::query_param;

use super::*;

/// A file as the page "Media" describes it.
async fn file(about: Value, bytes: &[u8]) -> MockServer {
    let server = MockServer::start().await;
    let mut about = about;
    about["url"] = format!("{}/media/file?ext=1", server.uri()).into();
    about["messaging_product"] = "whatsapp".into();
    about["id"] = "m1".into();
    Mock::given(method("GET"))
        .and(path("/v24.0/m1"))
        .and(query_param("phone_number_id", "1055"))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .respond_with(ResponseTemplate::new(200).set_body_json(about))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/media/file"))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(bytes))
        .mount(&server)
        .await;
    server
}

fn picture() -> Attachment {
    Attachment {
        id: "m1".to_owned(),
        media_type: "image/jpeg".to_owned(),
        file_name: Some("cup.jpg".to_owned()),
        media: None,
    }
}

async fn fetch(server: &MockServer, attachment: &Attachment) -> Result<Media, FetchError> {
    voice(&graph_url(server)).fetch(attachment).await
}

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[tokio::test]
async fn a_file_is_fetched_where_meta_says_that_it_is() {
    let server = file(
        json!({"mime_type": "image/jpeg", "sha256": HELLO, "file_size": 5}),
        b"hello",
    )
    .await;
    let media = fetch(&server, &picture()).await.unwrap();
    assert_eq!(
        (
            media.media_type.as_str(),
            media.file_name.as_deref(),
            &media.bytes[..]
        ),
        ("image/jpeg", Some("cup.jpg"), &b"hello"[..])
    );
}

#[tokio::test]
async fn a_file_that_is_not_what_was_announced_is_refused() {
    let server = file(
        json!({"mime_type": "image/jpeg", "sha256": HELLO}),
        b"hellO",
    )
    .await;
    assert_eq!(fetch(&server, &picture()).await, Err(FetchError::Damaged));
    // What it turns out to be counts, not what the webhook said.
    let server = file(json!({"mime_type": "text/html"}), b"<script>").await;
    assert!(matches!(
        fetch(&server, &picture()).await,
        Err(FetchError::NotAllowed { .. })
    ));
}

#[tokio::test]
async fn a_file_that_is_too_long_is_refused_announced_or_not() {
    let long = vec![7; 1001];
    for about in [
        json!({"mime_type": "image/jpeg", "file_size": 1001}),
        json!({"mime_type": "image/jpeg", "file_size": 10}),
        json!({"mime_type": "image/jpeg"}),
    ] {
        let server = file(about, &long).await;
        let error = fetch(&server, &picture()).await.unwrap_err();
        assert_eq!(error, FetchError::TooLarge { limit: 1000 });
    }
}

#[tokio::test]
async fn a_file_of_a_type_that_is_not_taken_is_not_even_asked_for() {
    let server = MockServer::start().await;
    let page = Attachment {
        media_type: "text/html".to_owned(),
        ..picture()
    };
    assert!(matches!(
        fetch(&server, &page).await,
        Err(FetchError::NotAllowed { .. })
    ));
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_meta_no_longer_has_is_gone() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(refused(400, 100, "Unsupported get request"))
        .mount(&server)
        .await;
    assert_eq!(fetch(&server, &picture()).await, Err(FetchError::Gone));
}

#[tokio::test]
async fn the_token_goes_to_nobody_but_meta_without_tls() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    let about = json!({"url": format!("{}/file", other.uri()), "mime_type": "image/jpeg"});
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(about))
        .mount(&server)
        .await;
    let error = fetch(&server, &picture()).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Failed(why) if why.contains("https")),
        "{error:?}"
    );
    assert!(other.received_requests().await.unwrap().is_empty());
}
