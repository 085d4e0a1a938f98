//! An Action that is an HTTP request.

use std::{fmt::Write as _, time::Duration};

use async_trait::async_trait;
use eywa_crds::template::{TemplateError, UrlTemplate, Vocabulary};
use eywa_guard::{
    GuardedClient, GuardedResponse, RequestError,
    http::{
        Method,
        header::{ACCEPT, HeaderName, HeaderValue},
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
use url::Url;

use crate::{facts, headers::SecretHeaders};

/// The most bytes of a result, decompressed. The Oracle reads all of it.
const RESULT_LIMIT: usize = 64 * 1024;
/// The most bytes of what a server says when it refuses.
const REFUSAL_LIMIT: usize = 2 * 1024;

/// By which a receiver can tell that a call is made again: the IETF draft's header of this name.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a [`HttpAction`] needs.
#[derive(Debug)]
pub struct HttpActionSettings<'a> {
    /// What the Oracle is told of it.
    pub tool: Tool,
    /// The Spirit whose Action it is.
    pub spirit: SpiritName,
    /// The method.
    pub method: Method,
    /// The template of the URL. Values are percent-encoded; the host is written out.
    pub url: &'a str,
    /// Headers of the request.
    pub headers: SecretHeaders,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// Makes a request. The arguments are its JSON body with POST, PUT and PATCH, and its query otherwise. It is made once;
/// what the Weave makes again after a crash carries the same `Idempotency-Key`.
#[derive(Debug)]
pub struct HttpAction {
    tool: Tool,
    spirit: SpiritName,
    method: Method,
    url: UrlTemplate,
    headers: SecretHeaders,
    timeout: Duration,
    client: GuardedClient,
}

impl HttpAction {
    /// An Action that asks with `client`.
    ///
    /// # Errors
    /// When the URL's template is malformed.
    pub fn new(
        settings: HttpActionSettings<'_>,
        client: GuardedClient,
    ) -> Result<Self, TemplateError> {
        let HttpActionSettings {
            tool,
            spirit,
            method,
            url,
            headers,
            timeout,
        } = settings;
        let url = UrlTemplate::parse(url, Vocabulary::ACTION_URL)?;
        Ok(Self {
            tool,
            spirit,
            method,
            url,
            headers,
            timeout,
            client,
        })
    }

    fn url(&self, call: Call<'_>) -> Result<Url, TemplateError> {
        let facts = facts::known(Facts {
            pulse: call.pulse,
            spirit: &self.spirit,
            now: Timestamp::now(),
        });
        self.url.render(&json!({
            "arguments": call.arguments,
            "user": facts.user,
            "session": facts.session,
            "voice": facts.voice,
            "spirit": facts.spirit,
        }))
    }

    /// An id of the call that is unique everywhere: a provider's own is unique in its conversation only. A hash, since a
    /// Pulse's id can tell a telephone number.
    fn idempotency_key(&self, call: Call<'_>) -> HeaderValue {
        let mut hash = Sha256::new();
        for part in [self.spirit.as_str(), call.pulse.id.as_str(), call.id] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let key = hash.finalize()[..16]
            .iter()
            .fold(String::with_capacity(32), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
        HeaderValue::from_str(&key).unwrap_or(HeaderValue::from_static(""))
    }

    async fn read(&self, answer: GuardedResponse) -> Result<String, RequestError> {
        let status = answer.status();
        let limit = if status.is_success() {
            RESULT_LIMIT
        } else {
            REFUSAL_LIMIT
        };
        // One byte more tells whether there is more.
        let body = answer.beginning(limit + 1).await?;
        let mut text = String::from_utf8_lossy(&body[..body.len().min(limit)])
            .trim()
            .to_owned();
        if body.len() > limit {
            text.push_str("\n[cut off here: the answer is longer]");
        } else if let Ok(value) = serde_json::from_str::<Value>(&text) {
            // White space costs tokens and says nothing.
            text = value.to_string();
        }
        Ok(self.headers.redact(text))
    }
}

#[async_trait]
impl Action for HttpAction {
    fn tool(&self) -> &Tool {
        &self.tool
    }

    async fn call(&self, call: Call<'_>) -> Result<Done, ActionError> {
        let mut url = self
            .url(call)
            .map_err(|error| ActionError(format!("the request cannot be made: {error}")))?;
        let in_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if !in_body {
            add_query(&mut url, call.arguments);
        }
        let mut request = self
            .client
            .request(self.method.clone(), url)
            .header(
                ACCEPT,
                HeaderValue::from_static("application/json, text/*;q=0.9"),
            )
            .header(IDEMPOTENCY_KEY, self.idempotency_key(call))
            .headers(self.headers.as_map())
            .timeout(self.timeout);
        if in_body {
            request = request.json(call.arguments);
        }
        let answer = request.send().await.map_err(|error| self.failed(&error))?;
        let status = answer.status();
        let text = self.read(answer).await;
        match (status.is_success(), text) {
            (true, Ok(text)) if text.is_empty() => Ok(format!("It is done ({status}).").into()),
            (true, Ok(text)) => Ok(text.into()),
            // It said that it is done; only its words are lost.
            (true, Err(error)) => Ok(format!(
                "It is done ({status}), but the answer could not be read: {error}."
            )
            .into()),
            (false, Ok(text)) if !text.is_empty() => Err(ActionError(format!(
                "the server refused it ({status}): {text}"
            ))),
            (false, _) => Err(ActionError(format!("the server refused it ({status})"))),
        }
    }
}

impl HttpAction {
    fn failed(&self, error: &RequestError) -> ActionError {
        let effect = match (error.never_sent(), self.method.is_safe()) {
            (true, _) => "; nothing was done",
            (false, true) => "",
            (false, false) => "; it is not known whether it took effect",
        };
        ActionError(format!("{error}{effect}"))
    }
}

/// Adds arguments to the query: texts, numbers and truths as they are, each item of a list by itself, what is deeper as
/// JSON. Null is left out.
fn add_query(url: &mut Url, arguments: &Value) {
    let Value::Object(arguments) = arguments else {
        return;
    };
    if arguments.is_empty() {
        return;
    }
    let mut query = url.query_pairs_mut();
    for (name, value) in arguments {
        for item in value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice)
        {
            match item {
                Value::Null => {}
                Value::String(text) => drop(query.append_pair(name, text)),
                other => drop(query.append_pair(name, &other.to_string())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eywa_guard::Policy;
    use eywa_weave::{Pulse, tool::ToolSpec};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

    use super::*;

    fn action(method: Method, url: &str) -> HttpAction {
        let tool = ToolSpec {
            name: "place_order".to_owned(),
            description: "Orders".to_owned(),
            parameters: json!({"type": "object"}),
        };
        let secret = ("authorization".to_owned(), "Bearer not-a-real-token".into());
        let settings = HttpActionSettings {
            tool: Tool::new(tool).unwrap(),
            spirit: "barista".into(),
            method,
            url,
            headers: SecretHeaders::new([secret]).unwrap(),
            timeout: Duration::from_secs(5),
        };
        let policy = Policy {
            loopback: true,
            ..Policy::default()
        };
        HttpAction::new(settings, GuardedClient::new(Arc::new(policy))).unwrap()
    }

    async fn answers(template: ResponseTemplate) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(template)
            .mount(&server)
            .await;
        server
    }

    async fn call(action: &HttpAction, arguments: Value) -> Result<String, String> {
        let pulse = facts::tests::pulse("two flat whites");
        let called = action
            .call(Call {
                pulse: &pulse,
                id: "call-1",
                arguments: &arguments,
            })
            .await;
        called
            .map(|done| done.said)
            .map_err(|error| error.to_string())
    }

    async fn seen(server: &MockServer) -> Request {
        server.received_requests().await.unwrap().remove(0)
    }

    #[tokio::test]
    async fn the_arguments_are_the_body_of_a_post() {
        let server = answers(
            ResponseTemplate::new(201).set_body_raw("{ \"order\" : 7 }", "application/json"),
        )
        .await;
        let action = action(
            Method::POST,
            &format!("{}/orders/{{{{ arguments.table }}}}", server.uri()),
        );
        assert_eq!(
            call(&action, json!({"table": "a/b", "cups": 2}))
                .await
                .unwrap(),
            r#"{"order":7}"#
        );
        let seen = seen(&server).await;
        assert_eq!(
            (seen.method.as_str(), seen.url.path(), seen.url.query()),
            ("POST", "/orders/a%2Fb", None)
        );
        assert_eq!(
            serde_json::from_slice::<Value>(&seen.body).unwrap(),
            json!({"table": "a/b", "cups": 2})
        );
        assert_eq!(seen.headers["content-type"], "application/json");
        assert_eq!(seen.headers["authorization"], "Bearer not-a-real-token");
    }

    #[tokio::test]
    async fn the_arguments_are_the_query_of_a_get() {
        let server = answers(ResponseTemplate::new(200).set_body_string("oat, soy")).await;
        let action = action(Method::GET, &format!("{}/menu?lang=en", server.uri()));
        let arguments = json!({"q": "milk & more", "most": 3, "tags": ["a", "b"], "none": null, "deep": {"x": true}});
        assert_eq!(call(&action, arguments).await.unwrap(), "oat, soy");
        let seen = seen(&server).await;
        assert!(seen.body.is_empty());
        let mut query: Vec<String> = seen
            .url
            .query_pairs()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        query.sort();
        assert_eq!(
            query,
            [
                "deep={\"x\":true}",
                "lang=en",
                "most=3",
                "q=milk & more",
                "tags=a",
                "tags=b"
            ]
        );
    }

    #[tokio::test]
    async fn a_call_made_again_carries_the_same_key_and_another_does_not() {
        let action = action(Method::POST, "http://127.0.0.1/");
        let key = |pulse: &Pulse, id| {
            action.idempotency_key(Call {
                pulse,
                id,
                arguments: &Value::Null,
            })
        };
        let first = facts::tests::pulse("a");
        let mut second = facts::tests::pulse("a");
        second.id = "wa/wamid.2".into();
        assert_eq!(key(&first, "call-1"), key(&first, "call-1"));
        assert_ne!(key(&first, "call-1"), key(&first, "call-2"));
        assert_ne!(key(&first, "call-1"), key(&second, "call-1"));
        assert_eq!(key(&first, "any\ncharacters").len(), 32);
    }

    #[tokio::test]
    async fn an_answer_without_a_body_is_a_success_in_words() {
        let server = answers(ResponseTemplate::new(204)).await;
        assert!(
            call(&action(Method::DELETE, &server.uri()), json!({}))
                .await
                .unwrap()
                .contains("done")
        );
    }

    #[tokio::test]
    async fn a_long_answer_is_cut_off_and_says_so() {
        let server =
            answers(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; RESULT_LIMIT + 1])).await;
        let text = call(&action(Method::GET, &server.uri()), json!({}))
            .await
            .unwrap();
        assert!(text.len() < RESULT_LIMIT + 100 && text.contains("cut off"));
    }

    #[tokio::test]
    async fn a_refusal_goes_to_the_oracle_with_what_the_server_said_but_without_secrets() {
        let said = "no oat milk left (you sent Bearer not-a-real-token)";
        let server = answers(ResponseTemplate::new(409).set_body_string(said)).await;
        let error = call(&action(Method::POST, &server.uri()), json!({}))
            .await
            .unwrap_err();
        assert!(
            error.contains("409") && error.contains("no oat milk left"),
            "{error}"
        );
        assert!(!error.contains("not-a-real-token"), "{error}");
    }

    #[tokio::test]
    async fn a_failure_says_whether_it_may_have_taken_effect() {
        let late = answers(ResponseTemplate::new(200).set_delay(Duration::from_secs(60))).await;
        let mut action_that_waits = action(Method::POST, &late.uri());
        action_that_waits.timeout = Duration::from_millis(100);
        let error = call(&action_that_waits, json!({})).await.unwrap_err();
        assert!(
            error.contains("not known whether it took effect"),
            "{error}"
        );
        let error = call(&action(Method::POST, "http://10.0.0.1/"), json!({}))
            .await
            .unwrap_err();
        assert!(
            error.contains("10.0.0.1") && error.contains("nothing was done"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn arguments_that_the_url_needs_and_are_not_there_are_an_error() {
        let error = call(
            &action(Method::GET, "http://127.0.0.1/{{ arguments.id }}"),
            json!({}),
        )
        .await
        .unwrap_err();
        assert!(error.contains("cannot be made"), "{error}");
    }
}
