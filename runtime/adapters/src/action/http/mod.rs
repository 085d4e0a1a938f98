//! An Action that is an HTTP request.

mod again;
mod query;

use std::{fmt::Write as _, time::Duration};

use async_trait::async_trait;
use eywa_crds::template::{JsonTemplate, UrlTemplate, Vocabulary};
use eywa_guard::{
    GuardedClient, GuardedResponse, RequestError,
    http::{
        Method,
        header::{ACCEPT, HeaderMap, HeaderName, HeaderValue},
    },
};
use eywa_weave::{
    SpiritName,
    ports::action::{Action, ActionError, Call, Done},
    spirit::Facts,
    tool::Tool,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};
use url::Url;

use self::again::{pause_after_answer, pause_after_error};
use crate::{
    facts,
    headers::SecretHeaders,
    requests::{Pick, TemplatedHeaders},
};

/// The most bytes of what a server says when it refuses.
const REFUSAL_LIMIT: usize = 2 * 1024;

/// What a [`HttpAction`] needs.
#[derive(Debug)]
pub struct HttpActionSettings {
    /// What the Oracle is told of it.
    pub tool: Tool,
    /// The Spirit whose Action it is.
    pub spirit: SpiritName,
    /// The method.
    pub method: Method,
    /// The URL, with [`ACTION_URL`](Vocabulary::ACTION_URL). Values are percent-encoded; the host is written out.
    pub url: UrlTemplate,
    /// What is written into the query, with the same vocabulary; the arguments of GET and DELETE, when absent.
    pub query: Option<JsonTemplate>,
    /// The body, with the same vocabulary; the arguments of POST, PUT and PATCH, when absent.
    pub body: Option<JsonTemplate>,
    /// Headers of the request, with the same vocabulary.
    pub headers: TemplatedHeaders,
    /// Headers of the request whose values are secret.
    pub secrets: SecretHeaders,
    /// What is taken of a JSON response.
    pub pick: Pick,
    /// The most bytes of a result, decompressed. The Oracle reads all of it.
    pub max_response: usize,
    /// The header by which a receiver can tell that a call is made again; none is sent, when absent.
    pub idempotency_key: Option<HeaderName>,
    /// How often it is made again where it did not get through, or the server says to come back. For what can be made
    /// twice alone.
    pub retries: u32,
    /// The longest that it may take, all tries together.
    pub timeout: Duration,
}

/// Makes a request: once, or as often as was said to be safe. What is made again, here or by a turn that is taken again after
/// a crash and asks for the same, carries the same idempotency key.
#[derive(Debug)]
pub struct HttpAction {
    settings: HttpActionSettings,
    client: GuardedClient,
}

/// A request, filled in.
struct Request {
    url: Url,
    headers: HeaderMap,
    body: Option<Value>,
}

impl HttpAction {
    /// The vocabulary of its templates.
    pub const VOCABULARY: Vocabulary = Vocabulary::ACTION_URL;

    /// An Action that asks with `client`.
    #[must_use]
    pub fn new(settings: HttpActionSettings, client: GuardedClient) -> Self {
        Self { settings, client }
    }

    fn request(&self, call: Call<'_>) -> Result<Request, ActionError> {
        let settings = &self.settings;
        let known = facts::known(Facts {
            pulse: call.pulse,
            spirit: &settings.spirit,
            now: Timestamp::now(),
        });
        let facts = json!({
            "arguments": call.arguments,
            "user": known.user,
            "session": known.session,
            "voice": known.voice,
            "spirit": known.spirit,
        });
        let wrong = |error: &dyn std::fmt::Display| {
            ActionError(format!("the request cannot be made: {error}"))
        };
        let mut url = settings.url.render(&facts).map_err(|error| wrong(&error))?;
        let in_body = matches!(settings.method, Method::POST | Method::PUT | Method::PATCH);
        match &settings.query {
            Some(query) => {
                let query = query.render(&facts).map_err(|error| wrong(&error))?;
                query::add(&mut url, &Value::Object(query));
            }
            None if !in_body => query::add(&mut url, call.arguments),
            None => {}
        }
        let body = match &settings.body {
            Some(body) => Some(Value::Object(
                body.render(&facts).map_err(|error| wrong(&error))?,
            )),
            None => in_body.then(|| call.arguments.clone()),
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/*;q=0.9"),
        );
        if let Some(name) = &settings.idempotency_key {
            headers.insert(name.clone(), idempotency_key(call.id));
        }
        let own = settings.headers.render(&facts);
        headers.extend(own.map_err(|error| wrong(&error))?);
        Ok(Request { url, headers, body })
    }

    /// Sends it, and again where that was said to be safe and may help.
    async fn send(&self, request: &Request) -> Result<GuardedResponse, ActionError> {
        let ends = Instant::now() + self.settings.timeout;
        // An earlier try may have got through.
        let mut reached = false;
        for tries in 0.. {
            let sent = self.send_once(request, ends).await;
            let pause = match &sent {
                Ok(answer) => pause_after_answer(tries, answer),
                Err(error) => pause_after_error(tries, error),
            };
            let pause = pause.filter(|pause| Instant::now() + *pause < ends);
            let Some(pause) = pause.filter(|_| tries < self.settings.retries) else {
                return sent.map_err(|error| self.failed(&error, reached));
            };
            match sent {
                Ok(answer) => {
                    tracing::info!(action = self.settings.tool.spec().name, status = %answer.status(), ?pause, "an Action is tried again");
                    reached = true;
                    // Read, so that the connection can be used again.
                    let _ = answer.beginning(REFUSAL_LIMIT).await;
                }
                Err(error) => {
                    tracing::info!(action = self.settings.tool.spec().name, %error, ?pause, "an Action is tried again");
                    reached |= !error.never_sent();
                }
            }
            sleep(pause).await;
        }
        Err(ActionError("the request was not made".to_owned()))
    }

    async fn send_once(
        &self,
        Request { url, headers, body }: &Request,
        ends: Instant,
    ) -> Result<GuardedResponse, RequestError> {
        let mut request = self
            .client
            .request(self.settings.method.clone(), url.clone())
            .headers(headers)
            .headers(self.settings.secrets.as_map())
            .timeout(ends.saturating_duration_since(Instant::now()));
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    fn failed(&self, error: &RequestError, reached: bool) -> ActionError {
        let effect = match (
            error.never_sent() && !reached,
            self.settings.method.is_safe(),
        ) {
            (true, _) => "; nothing was done",
            (false, true) => "",
            (false, false) => "; it is not known whether it took effect",
        };
        ActionError(format!("{error}{effect}"))
    }

    /// What a success says, for the Oracle.
    async fn result(&self, answer: GuardedResponse) -> String {
        let status = answer.status();
        let limit = self.settings.max_response;
        // It said that it is done; only its words are lost.
        let (mut text, whole) = match read(answer, limit).await {
            Ok(read) => read,
            Err(error) => {
                return format!(
                    "It is done ({status}), but the answer could not be read: {error}."
                );
            }
        };
        if text.is_empty() {
            return format!("It is done ({status}).");
        }
        // White space costs tokens and says nothing.
        let value = serde_json::from_str::<Value>(&text).ok().filter(|_| whole);
        match value {
            Some(value) if !self.settings.pick.is_empty() => {
                text = self.settings.pick.of(&value);
                if text.is_empty() {
                    text = format!("It is done ({status}); the answer says nothing of it.");
                }
            }
            Some(value) => text = value.to_string(),
            None if !self.settings.pick.is_empty() => {
                let why = if whole {
                    "is not JSON".to_owned()
                } else {
                    format!("is longer than {limit} bytes")
                };
                return format!("It is done ({status}), but the answer {why}, and was not read.");
            }
            None if !whole => text.push_str("\n[cut off here: the answer is longer]"),
            None => {}
        }
        self.settings.secrets.redact(text)
    }

    /// What the server says where it refuses, for the Oracle.
    async fn refusal(&self, answer: GuardedResponse) -> ActionError {
        let status = answer.status();
        match read(answer, REFUSAL_LIMIT).await {
            Ok((text, _)) if !text.is_empty() => {
                let text = self.settings.secrets.redact(text);
                ActionError(format!("the server refused it ({status}): {text}"))
            }
            _ => ActionError(format!("the server refused it ({status})")),
        }
    }
}

/// A call's id as a header. A hash, since the id has the arguments in it, and a Pulse's id, which can tell a telephone
/// number.
fn idempotency_key(id: &str) -> HeaderValue {
    let key = Sha256::digest(id)[..16]
        .iter()
        .fold(String::with_capacity(32), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    HeaderValue::from_str(&key).unwrap_or(HeaderValue::from_static(""))
}

/// The beginning of a body as text, and whether that is all of it.
async fn read(answer: GuardedResponse, limit: usize) -> Result<(String, bool), RequestError> {
    // One byte more tells whether there is more.
    let body = answer.beginning(limit + 1).await?;
    let whole = body.len() <= limit;
    let beginning = body.get(..limit).unwrap_or(&body);
    let text = String::from_utf8_lossy(beginning).trim().to_owned();
    Ok((text, whole))
}

#[async_trait]
impl Action for HttpAction {
    fn tool(&self) -> &Tool {
        &self.settings.tool
    }

    async fn call(&self, call: Call<'_>) -> Result<Done, ActionError> {
        let request = self.request(call)?;
        let answer = self.send(&request).await?;
        if answer.status().is_success() {
            Ok(self.result(answer).await.into())
        } else {
            Err(self.refusal(answer).await)
        }
    }
}

#[cfg(test)]
mod tests;
