//! Documents at URLs.

use std::time::Duration;

use eywa_guard::{
    GuardedClient, RequestError,
    http::{
        Method,
        header::{ACCEPT, CONTENT_TYPE, HeaderValue},
    },
};
use url::Url;

use crate::documents::Unread;

/// How long one document may take to come.
const CEILING: Duration = Duration::from_secs(60);

/// What came.
pub(super) struct Page {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

impl Page {
    /// The encoding that the `Content-Type` says.
    pub(super) fn charset(&self) -> Option<String> {
        let parameters = self.media_type.split(';').skip(1);
        parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
            .map(|(_, value)| value.trim().trim_matches('"').to_owned())
    }
}

/// How often it is asked for, and how long is waited before it is asked again: up to twice as long, by chance.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Fetches what is at a URL, where the guard lets it; redirects too.
pub(super) async fn fetch(client: &GuardedClient, url: &Url, most: usize) -> Result<Page, Unread> {
    let mut tries = 0;
    loop {
        tries += 1;
        match once(client, url, most).await {
            Ok(page) => return Ok(page),
            Err((true, _)) if tries < TRIES => {
                tokio::time::sleep(PAUSE.mul_f64(rand::random_range(1.0..2.0))).await;
            }
            Err((_, reason)) => return Err(reason),
        }
    }
}

/// The page, or whether to ask again and why it did not come.
async fn once(client: &GuardedClient, url: &Url, most: usize) -> Result<Page, (bool, Unread)> {
    let failed = |error: RequestError| {
        let again = matches!(
            error,
            RequestError::Connect { .. }
                | RequestError::TimedOut { .. }
                | RequestError::BrokenOff { .. }
        );
        (again, Unread::failed(error))
    };
    let accept = HeaderValue::from_static(
        "text/markdown, text/html, application/pdf, text/plain;q=0.9, */*;q=0.1",
    );
    let answer = client
        .request(Method::GET, url.clone())
        .header(ACCEPT, accept)
        .timeout(CEILING)
        .send()
        .await
        .map_err(failed)?;
    if !answer.status().is_success() {
        let (host, status) = (answer.host(), answer.status());
        let again = status.is_server_error() || status.as_u16() == 429;
        return Err((again, Unread::failed(format!("{host} answered {status}"))));
    }
    let media_type = answer
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes = answer.bytes(most).await.map_err(failed)?;
    Ok(Page {
        media_type,
        bytes: bytes.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eywa_guard::Policy;
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

    use crate::{
        documents::{Reader, Unread},
        library::{Entry, Library as _, Shelf},
    };

    fn shelf(urls: &[String]) -> Shelf {
        let policy = Policy {
            loopback: true,
            ..Policy::default()
        };
        let mut shelf = Shelf::new(
            Reader::new("/no/such/program"),
            eywa_guard::GuardedClient::new(Arc::new(policy)),
        );
        for url in urls {
            let entry = Entry {
                source: url.clone(),
                ..Entry::default()
            };
            shelf.web(entry, url.parse().unwrap());
        }
        shelf
    }

    async fn served(answer: ResponseTemplate) -> Result<crate::documents::Document, Unread> {
        let server = MockServer::start().await;
        Mock::given(path("/a.md"))
            .respond_with(answer)
            .mount(&server)
            .await;
        shelf(&[format!("{}/a.md", server.uri())]).read(0).await
    }

    #[tokio::test]
    async fn what_a_url_gives_is_read_as_its_content_type_says() {
        let markdown = ResponseTemplate::new(200).set_body_raw("# Tea\nHot.", "text/markdown");
        assert_eq!(served(markdown).await.unwrap().title, "Tea");
        let text = ResponseTemplate::new(200).set_body_raw("Hot.", "text/plain");
        assert_eq!(served(text).await.unwrap().sections[0].text, "Hot.");
        let latin = ResponseTemplate::new(200)
            .set_body_raw(b"Caf\xe9".to_vec(), "text/plain; charset=\"ISO-8859-1\"");
        assert_eq!(served(latin).await.unwrap().sections[0].text, "Café");
    }

    #[tokio::test]
    async fn what_is_no_document_is_told() {
        let image = ResponseTemplate::new(200).set_body_raw("x", "image/png");
        let error = served(image).await.unwrap_err();
        assert_eq!(error, Unread::Unknown("image/png".to_owned()));
        let missing = served(ResponseTemplate::new(404)).await.unwrap_err();
        assert!(missing.to_string().contains("404"), "{missing}");
        let large =
            ResponseTemplate::new(200).set_body_bytes(vec![b'a'; super::super::LARGEST + 1]);
        assert!(served(large).await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_stumbles_is_asked_again() {
        let server = MockServer::start().await;
        Mock::given(path("/a.md"))
            .respond_with(ResponseTemplate::new(503))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(path("/a.md"))
            .respond_with(ResponseTemplate::new(200).set_body_raw("Tea.", "text/plain"))
            .mount(&server)
            .await;
        let read = shelf(&[format!("{}/a.md", server.uri())]).read(0).await;
        assert_eq!(read.unwrap().sections[0].text, "Tea.");
    }

    #[tokio::test]
    async fn the_metadata_service_is_never_asked_directly_or_by_a_redirect() {
        let metadata = "http://169.254.169.254/latest/meta-data/".to_owned();
        let server = MockServer::start().await;
        Mock::given(path("/away"))
            .respond_with(ResponseTemplate::new(302).insert_header("location", metadata.as_str()))
            .mount(&server)
            .await;
        let shelf = shelf(&[metadata, format!("{}/away", server.uri())]);
        for at in 0..2 {
            let error = shelf.read(at).await.unwrap_err().to_string();
            assert!(error.contains("never reached"), "{error}");
        }
    }
}
