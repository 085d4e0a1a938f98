//! A Herald that POSTs to a URL, signed by [`standard_webhooks`](crate::standard_webhooks).
//!
//! ```text
//! webhook-id: barista/wa/5511999990000/1790000000000/vigil.requested    the same when it is sent again
//! webhook-timestamp: 1790000000
//! webhook-signature: v1,…
//!
//! {"type": "vigil.requested", "timestamp": "2026-09-21T14:13:20Z",
//!  "data": {"spirit": "barista", "session": "wa/5511999990000", "cause": "agent", "reason": "…"}}
//! ```
//!
//! News waits in this process, in a queue of its own, and is delivered in its order. While the receiver is away each is
//! tried again with growing pauses; what could not be delivered for fifteen minutes, and what no longer fits in the
//! queue, is dropped and logged. Whoever tells waits for none of it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use eywa_guard::{
    GuardedClient, RequestError,
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
    },
};
use eywa_weave::ports::herald::{Happening, Herald, News};
use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use url::Url;

use crate::standard_webhooks::{ID, SIGNATURE, SigningKey, TIMESTAMP};

/// The most news that waits.
const WAITING: usize = 256;
/// The longest that one delivery may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of an answer that are read. Nothing in it is used.
const ANSWER_LIMIT: usize = 16 * 1024;
/// The most bytes of a message that are sent along.
const LONGEST_TEXT: usize = 16 * 1024;

/// What a [`WebhookHerald`] needs.
#[derive(Debug)]
pub struct WebhookHeraldSettings {
    /// Where news is POSTed.
    pub url: Url,
    /// The key that it is signed with.
    pub key: SigningKey,
    /// Whether what a person writes is sent along.
    pub include_text: bool,
}

/// Tells a URL.
pub struct WebhookHerald {
    courier: Arc<Courier>,
    waiting: OnceLock<mpsc::Sender<(Instant, News)>>,
}

struct Courier {
    settings: WebhookHeraldSettings,
    client: GuardedClient,
    pace: Pace,
}

/// How long is waited for a receiver that is away.
#[derive(Clone, Copy)]
struct Pace {
    /// Before the second attempt; each pause after it is twice as long.
    first: Duration,
    /// No pause is longer.
    longest: Duration,
    /// News older than this is dropped.
    give_up: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(60),
            give_up: Duration::from_secs(15 * 60),
        }
    }
}

/// What came of one attempt.
enum Attempt {
    Delivered,
    /// Trying again may help, in so long if the receiver said so.
    Again(Option<Duration>, String),
    /// Trying again cannot help.
    Refused(String),
}

impl fmt::Debug for WebhookHerald {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookHerald").finish_non_exhaustive()
    }
}

impl WebhookHerald {
    /// A Herald that sends with `client`. It sends from a task that ends with it.
    #[must_use]
    pub fn new(settings: WebhookHeraldSettings, client: GuardedClient) -> Self {
        Self::at(Pace::default(), settings, client)
    }

    fn at(pace: Pace, settings: WebhookHeraldSettings, client: GuardedClient) -> Self {
        Self {
            courier: Arc::new(Courier {
                settings,
                client,
                pace,
            }),
            waiting: OnceLock::new(),
        }
    }
}

impl Herald for WebhookHerald {
    fn tell(&self, news: &News) {
        let waiting = self.waiting.get_or_init(|| {
            let (waiting, news) = mpsc::channel(WAITING);
            tokio::spawn(Arc::clone(&self.courier).run(news));
            waiting
        });
        if waiting.try_send((Instant::now(), news.clone())).is_err() {
            let what = news.what.as_str();
            tracing::warn!(spirit = %news.spirit, what, "a notification is dropped: {WAITING} are waiting already");
        }
    }
}

impl Courier {
    /// Delivers, one after another, until nobody tells any more.
    async fn run(self: Arc<Self>, mut waiting: mpsc::Receiver<(Instant, News)>) {
        while let Some((since, news)) = waiting.recv().await {
            self.deliver(&news, since).await;
        }
    }

    async fn deliver(&self, news: &News, since: Instant) {
        let (spirit, what) = (&news.spirit, news.what.as_str());
        let mut pause = self.pace.first;
        loop {
            let (wait, problem) = match self.post(news).await {
                Attempt::Delivered => return,
                Attempt::Refused(problem) => {
                    tracing::warn!(%spirit, what, problem, "a notification is dropped: its receiver does not take it");
                    return;
                }
                Attempt::Again(hint, problem) => {
                    let wait = hint.unwrap_or(pause).min(self.pace.longest);
                    (wait.mul_f64(rand::rng().random_range(0.8..1.2)), problem)
                }
            };
            if since.elapsed() + wait >= self.pace.give_up {
                tracing::warn!(%spirit, what, problem, "a notification is dropped: its receiver was away for too long");
                return;
            }
            tracing::debug!(%spirit, what, problem, ?wait, "a notification is sent again");
            sleep(wait).await;
            pause = (pause * 2).min(self.pace.longest);
        }
    }

    /// Sends it once. Any 2xx is a success; 408, 429, 5xx and what went wrong on the way may pass.
    async fn post(&self, news: &News) -> Attempt {
        let body = self.body(news).to_string().into_bytes();
        let at = Timestamp::now().as_second();
        let signature = self.settings.key.sign(&news.id, at, &body);
        let mut request = self
            .client
            .request(Method::POST, self.settings.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(SEND_TIMEOUT);
        for (name, value) in [
            (ID, news.id.as_str()),
            (TIMESTAMP, &at.to_string()),
            (SIGNATURE, &signature),
        ] {
            match HeaderValue::from_bytes(value.as_bytes()) {
                Ok(value) => request = request.header(HeaderName::from_static(name), value),
                Err(error) => return Attempt::Refused(error.to_string()),
            }
        }
        let answer = match request.body(body).send().await {
            Ok(answer) => answer,
            Err(
                error @ (RequestError::Refused(_)
                | RequestError::Invalid(_)
                | RequestError::Redirects { .. }),
            ) => return Attempt::Refused(error.to_string()),
            Err(error) => return Attempt::Again(None, error.to_string()),
        };
        let status = answer.status();
        let hint = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        // Read to its end, so that the connection can be used again.
        let _ = answer.bytes(ANSWER_LIMIT).await;
        let problem = format!("it answered {status}");
        match status {
            status if status.is_success() => Attempt::Delivered,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Attempt::Again(hint, problem)
            }
            status if status.is_server_error() => Attempt::Again(hint, problem),
            _ => Attempt::Refused(problem),
        }
    }

    fn body(&self, news: &News) -> Value {
        let mut data = json!({"spirit": news.spirit, "session": news.about});
        let details = match &news.what {
            Happening::Requested { cause, reason } => json!({"cause": cause, "reason": reason}),
            Happening::TakenOver { by } => json!({"by": by}),
            Happening::Wrote { pulse, text } if self.settings.include_text => {
                json!({"pulse": pulse, "text": &text[..text.floor_char_boundary(LONGEST_TEXT)]})
            }
            Happening::Wrote { pulse, .. } => json!({"pulse": pulse}),
            Happening::Released { by, reason } => json!({"by": by, "reason": reason}),
        };
        if let (Value::Object(data), Value::Object(details)) = (&mut data, details) {
            data.extend(details);
        }
        json!({"type": news.what.as_str(), "timestamp": news.at, "data": data})
    }
}

#[cfg(test)]
mod tests {
    use eywa_guard::Policy;
    use eywa_weave::{
        SessionKey,
        ports::vigil::{Cause, Target},
    };
    use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

    use super::*;

    const KEY: &str = "whsec_bm90LWEtcmVhbC1zaWduaW5nLWtleS1hdC1hbGw=";
    const QUICK: Pace = Pace {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(20),
        give_up: Duration::from_secs(20),
    };

    fn herald(url: &str, include_text: bool, pace: Pace) -> WebhookHerald {
        let settings = WebhookHeraldSettings {
            url: url.parse().unwrap(),
            key: SigningKey::parse(&KEY.into()).unwrap(),
            include_text,
        };
        let policy = Policy {
            loopback: true,
            ..Policy::default()
        };
        WebhookHerald::at(pace, settings, GuardedClient::new(Arc::new(policy)))
    }

    fn news(what: Happening) -> News {
        News {
            id: "barista/wa/551/1/it".into(),
            spirit: "barista".into(),
            about: Target::Session(SessionKey::new("wa", "551")),
            at: Timestamp::from_second(1_700_000_000).unwrap(),
            what,
        }
    }

    fn wrote() -> News {
        news(Happening::Wrote {
            pulse: "wa/1".into(),
            text: "my card was charged twice".into(),
        })
    }

    async fn received(server: &MockServer, least: usize) -> Vec<Request> {
        for _ in 0..2000 {
            let seen = server.received_requests().await.unwrap();
            if seen.len() >= least {
                return seen;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("{least} did not arrive");
    }

    async fn answering(statuses: &[u16]) -> MockServer {
        let server = MockServer::start().await;
        for (place, status) in statuses.iter().enumerate() {
            let mock = Mock::given(method("POST")).respond_with(ResponseTemplate::new(*status));
            let last = place + 1 == statuses.len();
            let mock = if last { mock } else { mock.up_to_n_times(1) };
            let priority = u8::try_from(place + 1).unwrap();
            mock.with_priority(priority).mount(&server).await;
        }
        server
    }

    #[tokio::test]
    async fn news_is_posted_and_signed() {
        let server = answering(&[204]).await;
        herald(&server.uri(), false, QUICK).tell(&news(Happening::Requested {
            cause: Cause::Agent,
            reason: "the person asked for a human".into(),
        }));
        let seen = received(&server, 1).await;
        let header = |name: &str| seen[0].headers.get(name).map(HeaderValue::as_bytes);
        let key = SigningKey::parse(&KEY.into()).unwrap();
        assert_eq!(
            key.verify(header, &seen[0].body, Timestamp::now()),
            Ok("barista/wa/551/1/it")
        );
        assert_eq!(
            seen[0].body_json::<Value>().unwrap(),
            json!({
                "type": "vigil.requested",
                "timestamp": "2023-11-14T22:13:20Z",
                "data": {"spirit": "barista", "session": "wa/551", "cause": "agent",
                         "reason": "the person asked for a human"},
            })
        );
    }

    #[tokio::test]
    async fn what_the_person_wrote_is_sent_only_where_that_is_asked_for() {
        for include_text in [false, true] {
            let server = answering(&[200]).await;
            herald(&server.uri(), include_text, QUICK).tell(&wrote());
            let seen = received(&server, 1).await;
            let body = String::from_utf8(seen[0].body.clone()).unwrap();
            assert_eq!(body.contains("charged twice"), include_text, "{body}");
            assert!(body.contains("wa/1"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_receiver_that_fails_is_tried_again_with_the_same_id_and_order_is_kept() {
        let server = answering(&[503, 500, 429, 200]).await;
        let herald = herald(&server.uri(), false, QUICK);
        herald.tell(&wrote());
        herald.tell(&News {
            id: "second".into(),
            ..wrote()
        });
        let seen = received(&server, 5).await;
        let ids: Vec<_> = seen
            .iter()
            .map(|one| one.headers[ID].to_str().unwrap())
            .collect();
        let first = "barista/wa/551/1/it";
        assert_eq!(ids, [first, first, first, first, "second"]);
    }

    #[tokio::test]
    async fn a_receiver_that_refuses_is_not_asked_again() {
        let server = answering(&[400, 200]).await;
        let herald = herald(&server.uri(), false, QUICK);
        herald.tell(&wrote());
        herald.tell(&News {
            id: "second".into(),
            ..wrote()
        });
        let seen = received(&server, 2).await;
        assert_eq!(seen[1].headers[ID], "second");
    }

    #[tokio::test]
    async fn a_receiver_that_is_away_for_too_long_loses_what_was_for_it_and_not_what_comes_after() {
        let server = answering(&[503]).await;
        let short = Pace {
            give_up: Duration::from_millis(30),
            ..QUICK
        };
        let herald = herald(&server.uri(), false, short);
        herald.tell(&wrote());
        herald.tell(&News {
            id: "second".into(),
            ..wrote()
        });
        for _ in 0..2000 {
            let seen = server.received_requests().await.unwrap();
            if seen.iter().any(|one| one.headers[ID] == "second") {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("the second was never sent");
    }

    #[tokio::test]
    async fn telling_never_waits_and_never_holds_more_than_its_queue() {
        // A listener that accepts nothing: a delivery hangs until its time is over.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let herald = herald(&url, false, Pace::default());
        let began = Instant::now();
        for _ in 0..10_000 {
            herald.tell(&wrote());
        }
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(herald.waiting.get().unwrap().capacity(), 0);
    }

    #[tokio::test]
    async fn an_address_that_is_not_allowed_is_not_asked() {
        let herald = herald("http://169.254.169.254/", false, QUICK);
        assert!(matches!(
            herald.courier.post(&wrote()).await,
            Attempt::Refused(why) if why.contains("169.254.169.254")
        ));
    }
}
