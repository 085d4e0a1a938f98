//! The keys that identity tokens are signed with: fetched, kept for as long as their server says, and fetched anew when a
//! token names one that is not among them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_lc_rs::rsa::PublicKeyComponents;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use eywa_guard::GuardedClient;
use http::{HeaderMap, Method, header::CACHE_CONTROL};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::NotGoogle;

/// How long keys are kept of which their server says nothing.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// The shortest and the longest that they are kept, whatever it says.
const KEPT_BETWEEN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(24 * 60 * 60)];
/// Between two fetches for the sake of an unknown key: whoever makes keys up must not make us ask without end.
const BETWEEN_FETCHES: Duration = Duration::from_secs(30);
/// How long nobody is asked after a fetch that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// The longest that a fetch may take.
const WITHIN: Duration = Duration::from_secs(5);
/// The most bytes of a set. Google's has about 2,000.
const LONGEST_SET: usize = 64 * 1024;
/// The most keys of a set.
const MOST_KEYS: usize = 32;
/// The longest exponent, in bytes. Google's have three.
const LONGEST_EXPONENT: usize = 4;

type Key = Arc<PublicKeyComponents<Vec<u8>>>;

/// A JWK set at a URL.
pub(super) struct Keys {
    client: GuardedClient,
    url: Url,
    /// Held while fetching, so that many who wait ask once.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: HashMap<String, Key>,
    good_until: Option<Instant>,
    fetched: Option<Instant>,
    failed: Option<(Instant, String)>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Keys {
    pub(super) fn new(client: GuardedClient, url: Url) -> Self {
        Self {
            client,
            url,
            state: Mutex::default(),
        }
    }

    /// The key of this id, if it is one of the set's.
    pub(super) async fn get(&self, kid: &str) -> Result<Option<Key>, NotGoogle> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let good = state.good_until.is_some_and(|until| now < until);
        if good {
            let known = state.keys.get(kid).cloned();
            let lately = state
                .fetched
                .is_some_and(|fetched| now - fetched < BETWEEN_FETCHES);
            if known.is_some() || lately {
                return Ok(known);
            }
        }
        if let Some((at, reason)) = &state.failed
            && now - *at < AFTER_FAILURE
        {
            return Err(no_keys(reason.clone()));
        }
        match self.fetch().await {
            Ok((keys, kept)) => {
                let now = Instant::now();
                *state = State {
                    good_until: Some(now + kept),
                    fetched: Some(now),
                    failed: None,
                    keys,
                };
                Ok(state.keys.get(kid).cloned())
            }
            Err(reason) => {
                tracing::warn!(
                    host = self.url.host_str(),
                    reason,
                    "the keys of identity tokens cannot be fetched"
                );
                state.failed = Some((Instant::now(), reason.clone()));
                Err(no_keys(reason))
            }
        }
    }

    async fn fetch(&self) -> Result<(HashMap<String, Key>, Duration), String> {
        let response = self
            .client
            .request(Method::GET, self.url.clone())
            .timeout(WITHIN)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("HTTP {}", response.status().as_u16()));
        }
        let kept = max_age(response.headers());
        let body = response
            .bytes(LONGEST_SET)
            .await
            .map_err(|error| error.to_string())?;
        let set: Set = serde_json::from_slice(&body).map_err(|_| "it is no JWK set".to_owned())?;
        let keys: HashMap<_, _> = set
            .keys
            .into_iter()
            .take(MOST_KEYS)
            .filter_map(usable)
            .collect();
        if keys.is_empty() {
            return Err("the JWK set has no key for RS256".to_owned());
        }
        Ok((keys, kept))
    }
}

fn no_keys(reason: String) -> NotGoogle {
    NotGoogle::NoKeys {
        reason,
        retry_after: BETWEEN_FETCHES,
    }
}

/// A key that may sign by RS256.
fn usable(jwk: Jwk) -> Option<(String, Key)> {
    let is = |said: &Option<String>, wanted| said.as_deref().is_none_or(|said| said == wanted);
    if jwk.kty != "RSA" || !is(&jwk.alg, "RS256") || !is(&jwk.used_for, "sig") {
        return None;
    }
    let number = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let (n, e) = (number(jwk.n)?, number(jwk.e)?);
    // A large exponent makes a check as dear as its maker likes.
    if e.len() > LONGEST_EXPONENT {
        return None;
    }
    Some((jwk.kid?, Arc::new(PublicKeyComponents { n, e })))
}

fn max_age(headers: &HeaderMap) -> Duration {
    let said = headers.get(CACHE_CONTROL).and_then(|value| {
        let directives = value.to_str().ok()?.split(',');
        let seconds = directives
            .filter_map(|directive| directive.trim().strip_prefix("max-age="))
            .next()?;
        seconds.parse().ok().map(Duration::from_secs)
    });
    let [shortest, longest] = KEPT_BETWEEN;
    said.unwrap_or(KEPT).clamp(shortest, longest)
}
