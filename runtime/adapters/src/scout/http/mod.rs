//! A Scout that asks over HTTP.

mod cache;

use std::{fmt::Write as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use eywa_crds::template::{UrlTemplate, Vocabulary};
use eywa_guard::{
    GuardedClient, GuardedResponse,
    http::{
        Method,
        header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
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
use url::Url;

use self::cache::Cache;
use crate::{
    facts,
    headers::SecretHeaders,
    requests::{Pick, TemplatedHeaders},
};

/// The most bytes of a response, decompressed, that is shown whole. What a Scout found goes into the prompt.
const RESPONSE_LIMIT: usize = 64 * 1024;
/// The most bytes of a response of which a part is taken.
const PICKED_RESPONSE_LIMIT: usize = 1024 * 1024;

/// What a [`HttpScout`] needs.
#[derive(Debug)]
pub struct HttpScoutSettings {
    /// Its name, unique in its Spirit.
    pub name: String,
    /// The Spirit that it looks for.
    pub spirit: SpiritName,
    /// The URL, with [`SCOUT_URL`](Vocabulary::SCOUT_URL). Values are percent-encoded; the host is written out.
    pub url: UrlTemplate,
    /// Headers of the request, with the same vocabulary.
    pub headers: TemplatedHeaders,
    /// Headers of the request whose values are secret.
    pub secrets: SecretHeaders,
    /// What is taken of a JSON response.
    pub pick: Pick,
    /// How long a response is good for every request that is the same; each is asked for anew, when absent.
    pub cache: Option<Duration>,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// GETs a URL; what a success says is what was found: what is picked of it, or all of it. JSON is made compact, and anything
/// else is taken as text.
#[derive(Debug)]
pub struct HttpScout {
    asking: Arc<Asking>,
    cache: Option<Cache>,
}

#[derive(Debug)]
struct Asking {
    settings: HttpScoutSettings,
    client: GuardedClient,
}

impl HttpScout {
    /// The vocabulary of its templates.
    pub const VOCABULARY: Vocabulary = Vocabulary::SCOUT_URL;

    /// A Scout that asks with `client`.
    #[must_use]
    pub fn new(settings: HttpScoutSettings, client: GuardedClient) -> Self {
        Self {
            cache: settings.cache.map(Cache::new),
            asking: Arc::new(Asking { settings, client }),
        }
    }
}

#[async_trait]
impl Scout for HttpScout {
    fn name(&self) -> &str {
        &self.asking.settings.name
    }

    async fn harvest(&self, pulse: &Pulse, _: &Turns) -> Result<Harvest, ScoutError> {
        let (url, headers) = self.asking.request(pulse)?;
        let asking = Arc::clone(&self.asking);
        let Some(cache) = &self.cache else {
            return asking.ask(url, headers).await;
        };
        // The secret headers are the same for all of this Scout's requests.
        let key = key(&url, &headers);
        cache
            .get(key, || async move { asking.ask(url, headers).await })
            .await
    }
}

impl Asking {
    /// What is asked for this Pulse.
    fn request(&self, pulse: &Pulse) -> Result<(Url, HeaderMap), ScoutError> {
        let facts = facts::known(Facts {
            pulse,
            spirit: &self.settings.spirit,
            now: Timestamp::now(),
        });
        let url = self.settings.url.render(&facts);
        let url = url.map_err(|error| self.failed(&error))?;
        let headers = self.settings.headers.render(&facts);
        Ok((url, headers.map_err(|error| self.failed(&error))?))
    }

    async fn ask(&self, url: Url, headers: HeaderMap) -> Result<Harvest, ScoutError> {
        let HttpScoutSettings { secrets, pick, .. } = &self.settings;
        let answer = self
            .client
            .request(Method::GET, url)
            .header(
                ACCEPT,
                HeaderValue::from_static("application/json, text/*;q=0.9"),
            )
            .headers(&headers)
            .headers(secrets.as_map())
            .timeout(self.settings.timeout)
            .send()
            .await
            .map_err(|error| self.failed(&error))?;
        if !answer.status().is_success() {
            return Err(self.failed(&format!("{} answered {}", answer.host(), answer.status())));
        }
        let json = is_json(&answer);
        let limit = if pick.is_empty() {
            RESPONSE_LIMIT
        } else {
            PICKED_RESPONSE_LIMIT
        };
        let body = answer.bytes(limit).await;
        let body = body.map_err(|error| self.failed(&error))?;
        let text = std::str::from_utf8(&body)
            .map_err(|_| self.failed(&"the answer is not text"))?
            .trim();
        let text = if text.is_empty() {
            String::new()
        } else if !pick.is_empty() {
            let value: Value = serde_json::from_str(text).map_err(|_| {
                self.failed(&"the answer is not JSON, and so nothing can be picked of it")
            })?;
            pick.of(&value)
        } else if json {
            compact(text)
        } else {
            text.to_owned()
        };
        Ok(Harvest {
            text: secrets.redact(text),
            sources: Vec::new(),
        })
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> ScoutError {
        ScoutError(format!("the Scout {}: {error}", self.settings.name))
    }
}

/// The whole request in one text: no header's value has a line break.
fn key(url: &Url, headers: &HeaderMap) -> String {
    let mut key = url.to_string();
    for (name, value) in headers {
        let _ = write!(key, "\n{name}: {}", value.as_bytes().escape_ascii());
    }
    key
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
mod tests;
