//! A Scout that asks over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use eywa_crds::template::{TemplateError, UrlTemplate, Vocabulary};
use eywa_guard::{
    GuardedClient, GuardedResponse,
    http::{
        Method,
        header::{ACCEPT, CONTENT_TYPE, HeaderValue},
    },
};
use eywa_weave::{
    Pulse, SpiritName,
    ports::scout::{Harvest, Scout, ScoutError},
    spirit::Facts,
    weave::history::Turns,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{facts, headers::SecretHeaders};

/// The most bytes of a response, decompressed. What a Scout found goes into the prompt.
const RESPONSE_LIMIT: usize = 64 * 1024;

/// What a [`HttpScout`] needs.
#[derive(Debug)]
pub struct HttpScoutSettings<'a> {
    /// Its name, unique in its Spirit.
    pub name: String,
    /// The Spirit that it looks for.
    pub spirit: SpiritName,
    /// The template of the URL. Values are percent-encoded; the host is written out.
    pub url: &'a str,
    /// Headers of the request.
    pub headers: SecretHeaders,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// GETs a URL; what a success says is what was found. JSON is made compact, and anything else is taken as text.
#[derive(Debug)]
pub struct HttpScout {
    name: String,
    spirit: SpiritName,
    url: UrlTemplate,
    headers: SecretHeaders,
    timeout: Duration,
    client: GuardedClient,
}

impl HttpScout {
    /// A Scout that asks with `client`.
    ///
    /// # Errors
    /// When the URL's template is malformed.
    pub fn new(
        settings: HttpScoutSettings<'_>,
        client: GuardedClient,
    ) -> Result<Self, TemplateError> {
        let HttpScoutSettings {
            name,
            spirit,
            url,
            headers,
            timeout,
        } = settings;
        Ok(Self {
            name,
            spirit,
            url: UrlTemplate::parse(url, Vocabulary::SCOUT_URL)?,
            headers,
            timeout,
            client,
        })
    }
}

#[async_trait]
impl Scout for HttpScout {
    fn name(&self) -> &str {
        &self.name
    }

    async fn harvest(&self, pulse: &Pulse, _: &Turns) -> Result<Harvest, ScoutError> {
        let failed =
            |error: &dyn std::fmt::Display| ScoutError(format!("the Scout {}: {error}", self.name));
        let facts = facts::known(Facts {
            pulse,
            spirit: &self.spirit,
            now: Timestamp::now(),
        });
        let url = self.url.render(&facts).map_err(|error| failed(&error))?;
        let answer = self
            .client
            .request(Method::GET, url)
            .header(
                ACCEPT,
                HeaderValue::from_static("application/json, text/*;q=0.9"),
            )
            .headers(self.headers.as_map())
            .timeout(self.timeout)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        if !answer.status().is_success() {
            return Err(failed(&format!(
                "{} answered {}",
                answer.host(),
                answer.status()
            )));
        }
        let json = is_json(&answer);
        let body = answer
            .bytes(RESPONSE_LIMIT)
            .await
            .map_err(|error| failed(&error))?;
        let text = std::str::from_utf8(&body)
            .map_err(|_| failed(&"the answer is not text"))?
            .trim();
        let text = if json { compact(text) } else { text.to_owned() };
        Ok(Harvest {
            text: self.headers.redact(text),
            sources: Vec::new(),
        })
    }
}

fn is_json(answer: &GuardedResponse) -> bool {
    let media_type = answer
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().ends_with("+json")
}

/// JSON without white space, which costs tokens and says nothing. What is not JSON after all is left as it is.
fn compact(text: &str) -> String {
    serde_json::from_str(text).map_or_else(|_| text.to_owned(), |value: Value| value.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eywa_guard::Policy;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{header, method, path},
    };

    use super::*;

    fn scout(url: &str, policy: Policy) -> HttpScout {
        let secret = ("x-api-key".to_owned(), "not-a-real-key".into());
        let settings = HttpScoutSettings {
            name: "crm".to_owned(),
            spirit: "barista".into(),
            url,
            headers: SecretHeaders::new([secret]).unwrap(),
            timeout: Duration::from_secs(5),
        };
        HttpScout::new(settings, GuardedClient::new(Arc::new(policy))).unwrap()
    }

    async fn harvest(answer: ResponseTemplate) -> Result<Harvest, ScoutError> {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/people/5511999990000"))
            .and(header("x-api-key", "not-a-real-key"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let url = format!("{}/people/{{{{ user.id }}}}", server.uri());
        let scout = scout(
            &url,
            Policy {
                loopback: true,
                ..Policy::default()
            },
        );
        scout
            .harvest(&facts::tests::pulse("hi"), &Turns::default())
            .await
    }

    #[tokio::test]
    async fn what_the_server_says_is_what_was_found() {
        let found = harvest(ResponseTemplate::new(200).set_body_string("  likes oat milk\n"))
            .await
            .unwrap();
        assert_eq!(found.text, "likes oat milk");
    }

    #[tokio::test]
    async fn json_is_made_compact() {
        let json = "{\n  \"milk\" : \"oat\",\n  \"visits\": 7\n}";
        for media_type in [
            "application/json; charset=utf-8",
            "application/problem+json",
        ] {
            let found = harvest(ResponseTemplate::new(200).set_body_raw(json, media_type))
                .await
                .unwrap();
            assert_eq!(found.text, r#"{"milk":"oat","visits":7}"#);
        }
        let broken =
            harvest(ResponseTemplate::new(200).set_body_raw("{ not json", "application/json"))
                .await
                .unwrap();
        assert_eq!(broken.text, "{ not json");
    }

    #[tokio::test]
    async fn an_empty_answer_is_nothing_found() {
        assert_eq!(
            harvest(ResponseTemplate::new(204)).await.unwrap(),
            Harvest::default()
        );
    }

    #[tokio::test]
    async fn a_status_that_is_no_success_is_an_error_that_names_scout_and_status() {
        let error = harvest(ResponseTemplate::new(503).set_body_string("private"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("crm") && error.contains("503") && !error.contains("private"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_answer_over_the_limit_is_an_error() {
        assert!(
            harvest(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; RESPONSE_LIMIT]))
                .await
                .is_ok()
        );
        assert!(
            harvest(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; RESPONSE_LIMIT + 1]))
                .await
                .is_err()
        );
        assert!(
            harvest(ResponseTemplate::new(200).set_body_bytes(vec![0xff, 0xfe]))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_value_cannot_change_where_the_request_goes() {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        let url = format!(
            "{}/people/{{{{ user.id }}}}/notes?q={{{{ text }}}}",
            server.uri()
        );
        let scout = scout(
            &url,
            Policy {
                loopback: true,
                ..Policy::default()
            },
        );
        let mut pulse = facts::tests::pulse("a&admin=1#x");
        pulse.user.id = "../../admin?x=@evil.example/".into();
        scout.harvest(&pulse, &Turns::default()).await.unwrap();
        let seen = server.received_requests().await.unwrap();
        assert_eq!(
            seen[0].url.path(),
            "/people/..%2F..%2Fadmin%3Fx%3D%40evil.example%2F/notes"
        );
        assert_eq!(seen[0].url.query(), Some("q=a%26admin%3D1%23x"));
    }

    #[tokio::test]
    async fn an_address_that_is_not_allowed_is_not_asked() {
        let scout = scout(
            "http://169.254.169.254/{{ user.id }}",
            Policy {
                loopback: true,
                ..Policy::default()
            },
        );
        let error = scout
            .harvest(&facts::tests::pulse("hi"), &Turns::default())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("169.254.169.254") && error.contains("never reached"),
            "{error}"
        );
    }
}
